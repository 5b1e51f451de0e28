"""`tickgate strategies`: between a file and the topic of strategy changes."""

import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.commands.plainly import settings, told_plainly
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.kafka.registry import Schemas


@click.group()
def strategies() -> None:
    """Bring strategies into Kafka, and back into a file."""


@strategies.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@click.option("--prune", is_flag=True, help="Delete the strategies that stand and are not in the file.")
def import_(*, file: Path, dry_run: bool, prune: bool) -> None:
    """Write what differs from what stands. To run it again writes nothing more."""
    from streams.kafka.security import for_confluent
    from streams.kafka.strategy_topic import differences, read_standing, write_changes
    from streams.strategy_file import read_strategies

    with told_plainly():
        current = settings()
        topic, schemas = current.topics.strategy_changes, schemas_of(current, may_register=not dry_run)
        read = read_strategies(file)
        security = for_confluent(current)
        standing = read_standing(current.broker, topic, schemas, security)
        changes = differences(standing.strategies, read.strategies, prune=prune)
        if not dry_run:
            ts_ms = time.time_ns() // 1_000_000
            write_changes(current.broker, topic, schemas, changes, ts_ms, security=security)
    warn([*read.warnings, *standing.warnings])
    if dry_run:
        for change in changes:
            click.echo(f"{change.strategy_id}: version {change.version}, {change.status}")
    written = "to be written; this was a dry run" if dry_run else "written"
    click.echo(f"{len(changes)} {written}, {len(read.strategies)} in the file, {len(standing.alive)} stood before")


@strategies.command()
@click.option("--out", type=click.Path(path_type=Path), help="A file for JSON lines; the terminal if not said.")
def export(*, out: Path | None) -> None:
    """Read what stands, without the deleted, as a strategy file sorted by id."""
    from streams.kafka.security import for_confluent
    from streams.kafka.strategy_topic import read_standing
    from streams.strategy_file import write_strategies

    with told_plainly():
        current = settings()
        schemas = schemas_of(current, may_register=False)
        standing = read_standing(current.broker, current.topics.strategy_changes, schemas, for_confluent(current))
        if out is not None:
            write_strategies(standing.alive, out)
        else:
            with tempfile.TemporaryDirectory() as folder:
                written = Path(folder) / "strategies.jsonl"
                write_strategies(standing.alive, written)
                click.echo(written.read_text(encoding="utf-8"), nl=False)
    warn(standing.warnings)
    if out is not None:
        click.echo(f"{len(standing.alive)} strategies in {out}", err=True)


def schemas_of(current: Settings, *, may_register: bool) -> "Schemas":
    """Where this environment has its schemas from."""
    from streams.kafka.schema_source import open_schemas, registry_told

    url = current.schema_registry_url
    with registry_told():
        return open_schemas(url, time.monotonic, prefix=current.topic_prefix, may_register=may_register)


def warn(warnings: Iterable[str]) -> None:
    """What is odd, and no error."""
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
