"""`tickgate strategies sync`: between the table of strategies in a database and the topic."""

import asyncio
import json
import sys
from functools import partial
from typing import Final

import click

from streams.commands.plainly import settings, told_plainly

BAD_ROWS: Final = 1
"""The exit code where rows could not be used."""


@click.command()
@click.option("--follow", is_flag=True, help="Go on, as a process with health and metrics, until told to stop.")
@click.option("--create", is_flag=True, help="Make the table, and a file of SQLite, where they are not there.")
@click.option("--adopt", is_flag=True, help="Add a row for each strategy that stands and has none.")
def sync(*, follow: bool, create: bool, adopt: bool) -> None:
    """Bring edits of the table to the topic, and what the topic says back into the table. Ends with 1 for bad rows."""
    from streams.database.process import Wishes, sync_once
    from streams.database.process import follow as go_on
    from streams.logs import set_up_logging
    from streams.process import keep_memory_small

    with told_plainly():
        current = settings()
        if follow:
            keep_memory_small()
            set_up_logging(current.log_level)
            asyncio.run(go_on(current, Wishes(create, adopt)))
            return
        done = asyncio.run(sync_once(current, Wishes(create, adopt), partial(click.echo, err=True)))
    click.echo(json.dumps(done))
    if done["bad_rows"]:
        sys.exit(BAD_ROWS)
