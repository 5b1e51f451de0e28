"""`tickgate topics`: the topics of a cluster, as a file wants them."""

import sys
from pathlib import Path

import click

from streams.commands.plainly import REFUSED, settings, told_plainly


@click.group()
def topics() -> None:
    """Make the topics as they should be."""


@topics.command()
@click.option(
    "--file", "path", type=click.Path(path_type=Path), help="Default: the deploy/topics.yaml that comes along."
)
@click.option("--dry-run", is_flag=True, help="Say what would be done; the broker checks it and does nothing.")
@click.option("--grow", is_flag=True, help="Add partitions also where keys would move away from their state.")
def apply(*, path: Path | None, dry_run: bool, grow: bool) -> None:
    """Create what is missing, alter what differs, delete nothing. To run it again changes nothing more."""
    from streams.kafka.security import for_confluent
    from streams.kafka.topic_file import wanted_topics
    from streams.kafka.topic_plan import table
    from streams.kafka.topics import Cluster, look
    from streams.kafka.topics import apply as carry_out

    with told_plainly():
        current = settings()
        wanted = wanted_topics(current.topics, path)
        steps = (look if dry_run else carry_out)(Cluster(current.broker, for_confluent(current)), wanted, grow=grow)
    click.echo(table(steps))
    if any(step.refusal for step in steps):
        click.echo("error: some of it was refused, see above; nothing was done", err=True)
        sys.exit(REFUSED)
    left = sum(not step.is_done for step in steps)
    done = "to be done; this was a dry run" if dry_run else "done"
    click.echo(f"{left} of {len(steps)} topics {done}, the others are as wanted")
