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


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn a user's error into one line, without a traceback."""
    try:
        yield
    except InputError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(REFUSED)


def settings() -> Settings:
    """The settings of this process: the one place where its environment is read."""
    return Settings.read(os.environ)
