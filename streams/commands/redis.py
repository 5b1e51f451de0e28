"""`tickgate redis`: what stands in the tables, in Redis, under the keys of old."""

import asyncio
import json

import click

from streams.commands.plainly import settings, told_plainly


@click.group()
def redis() -> None:
    """Keep Redis as the tables are, for those who still read it."""


@redis.command()
@click.option("--drain", is_flag=True, help="Write what stands in the topics now, print one JSON line, and end.")
def follow(*, drain: bool) -> None:
    """Follow the topics, and keep Redis equal to them, until told to stop."""
    from streams.process import keep_memory_small
    from streams.views.redis.process import follow as run
    from streams.worker import set_up_logging

    with told_plainly():
        current = settings()
        keep_memory_small()
        set_up_logging(current.log_level)
        done = asyncio.run(run(current, drain=drain))
    click.echo(json.dumps(done))
