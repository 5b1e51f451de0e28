"""What every test shares: how hypothesis looks for examples, and the last lines of a run.

A failure prints a blob that brings the same example back. In CI the examples are the same at every run, so
that a red run is the fault of what was submitted; everywhere else each run looks at new ones.
"""

import os

from hypothesis import settings

# No deadline: the first example of a kernel waits for the compiler.
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

pytest_plugins = ["tests.kafka.broker_report"]
