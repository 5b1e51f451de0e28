"""What every command does with the user's errors."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from streams.errors import InputError
from streams.settings import Settings

REFUSED = 2
"""The exit code where the user has to mend something."""

STOPPED = 1
"""And where not all was done, as it was told to stop."""


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn a user's error into one line, without a traceback."""
    try:
        yield
    except InputError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(REFUSED)


@contextmanager
def told_if_stopped(words: str) -> Iterator[None]:
    """Where somebody ends it by Ctrl-C, say what is there, and what is not."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"stopped: {words}", err=True)
        sys.exit(STOPPED)


def settings() -> Settings:
    """The settings of this process: the one place where its environment is read."""
    return Settings.read(os.environ)
