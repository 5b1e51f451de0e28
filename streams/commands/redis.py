"""`tickgate redis`: what stands in the tables, in Redis, under the keys of old."""

import asyncio
import json
import sys

import click

from streams.commands.plainly import settings, told_plainly


@click.group()
def redis() -> None:
    """Keep Redis as the tables are, for those who still read it."""


@redis.command()
@click.option("--drain", is_flag=True, help="Write what stands in the topics now, print one JSON line, and end.")
def follow(*, drain: bool) -> None:
    """Follow the topics, and keep Redis equal to them, until told to stop."""
    from streams.logs import set_up_logging
    from streams.process import keep_memory_small
    from streams.views.redis.process import follow as run

    with told_plainly():
        current = settings()
        keep_memory_small()
        set_up_logging(current.log_level)
        done = asyncio.run(run(current, drain=drain))
    click.echo(json.dumps(done))


@redis.command()
@click.option("--dry-run", is_flag=True, help="Say what deviates, and change nothing.")
@click.option("--remove-left-over", is_flag=True, help="Remove what the tables do not have, also of other strategies.")
@click.option(
    "--settle-s",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0, 600),
    help="Time between two looks: what moves meanwhile is no fault.",
)
def reconcile(*, dry_run: bool, remove_left_over: bool, settle_s: float) -> None:
    """Hold Redis against the tables, and mend it. Ends with 1 where something still deviates."""
    from streams.logs import set_up_logging
    from streams.views.redis.process import reconciled
    from streams.views.redis.reconcile import Wishes

    with told_plainly():
        current = settings()
        set_up_logging(current.log_level)
        wishes = Wishes(dry_run, remove_left_over, settle_s, current.redis_retention_days)
        reports = asyncio.run(reconciled(current, wishes))
    click.echo("\n".join(line for report in reports for line in report.lines()))
    if any(report.left for report in reports):
        sys.exit(1)
