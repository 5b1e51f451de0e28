"""What every test shares: how hypothesis looks for examples, logging as it was, and the last lines of a run.

A failure prints a blob that brings the same example back. In CI the examples are the same at every run, so
that a red run is the fault of what was submitted; everywhere else each run looks at new ones.
"""

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from streams.logs import OF_OTHERS, OF_SERVICES

# No deadline: the first example of a kernel waits for the compiler.
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

pytest_plugins = ["tests.kafka.broker_report"]


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command that runs within this process sets up the logging of all of it: not for the tests behind it."""
    root = logging.getLogger()
    handlers = [*root.handlers]
    levels = {each: each.level for each in (root, *map(logging.getLogger, (*OF_OTHERS, *OF_SERVICES)))}
    yield
    for each in [each for each in root.handlers if each not in handlers]:
        root.removeHandler(each)
    for logger, level in levels.items():
        logger.setLevel(level)
