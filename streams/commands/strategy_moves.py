"""`tickgate strategies pause`, `activate`, `delete`, `edit`, `show`, `list`: one strategy after the other, by hand.

Each writes the version that follows the one that stands, as `import` does, and only where something changes.
"""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from streams.commands.plainly import settings, told_plainly
from streams.commands.strategies import schemas_of, warn
from streams.core.events import Mode, Status, Strategy
from streams.core.limits import MAX_COALESCE_MS, MAX_REASON_CHARACTERS, MAX_UNIVERSE
from streams.errors import InputError

if TYPE_CHECKING:
    from streams.kafka.strategy_topic import Standing
    from streams.kafka.whole_topic import Record

EVERY_TICKER: Final = "all"
NOT_SAID: Final = "default"
MOST_DIGITS: Final = 20
"""More make no number that a field could hold."""

IDS = click.argument("ids", nargs=-1, required=True, metavar="ID...")
REASON = click.option("--reason", default="", help="Why, for people; it stands in the record.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")


@click.command()
@IDS
@REASON
@DRY_RUN
def pause(*, ids: tuple[str, ...], reason: str, dry_run: bool) -> None:
    """Let strategies fire no more, until they are activated."""
    _write(ids, lambda now: replace(now, status=Status.PAUSED), reason, dry_run=dry_run)


@click.command()
@IDS
@REASON
@DRY_RUN
def activate(*, ids: tuple[str, ...], reason: str, dry_run: bool) -> None:
    """Let drafts and paused strategies fire."""
    _write(ids, lambda now: replace(now, status=Status.ACTIVE), reason, dry_run=dry_run)


@click.command()
@IDS
@REASON
@DRY_RUN
def delete(*, ids: tuple[str, ...], reason: str, dry_run: bool) -> None:
    """Delete strategies. One that is made again under its id fires in no bucket twice."""
    _write(ids, lambda now: replace(now, status=Status.DELETED), reason, dry_run=dry_run)


@click.command()
@click.argument("strategy_id", metavar="ID")
@click.option("--timeframe")
@click.option("--universe", help='Tickers with commas between them, or "all".')
@click.option("--mode", type=click.Choice([str(Mode.PER_TICKER), str(Mode.LEGACY), NOT_SAID]))
@click.option("--session", help='An exchange code, or "" for none.')
@click.option("--time-zone")
@click.option("--coalesce-ms", help=f'From 0 to {MAX_COALESCE_MS}, or "{NOT_SAID}".')
@REASON
@DRY_RUN
def edit(*, strategy_id: str, reason: str, dry_run: bool, **options: str | None) -> None:
    """Change what is named of a strategy, and nothing else."""
    with told_plainly():
        fields = edited_fields({name: value for name, value in options.items() if value is not None})
    warn(oddities(fields))
    _write((strategy_id,), lambda now: replace(now, **fields), reason, dry_run=dry_run)


@click.command()
@click.argument("strategy_id", metavar="ID")
def show(*, strategy_id: str) -> None:
    """What stands of a strategy, and where its last record is."""
    from streams.kafka.strategy_topic import alive
    from streams.strategy_file import as_fields

    with told_plainly():
        stands, last = _read()
        now = alive(stands.strategies, strategy_id)
    warn(stands.warnings)
    place = last[strategy_id.encode()]
    whole = {**as_fields(now), "status": now.status, "version": now.version}
    click.echo(json.dumps(whole, ensure_ascii=False))
    click.echo(f"its last record: partition {place.partition}, offset {place.offset}")


@click.command("list")
@click.option("--status", type=click.Choice([str(status) for status in Status]), help="Only those.")
def list_(*, status: str | None) -> None:
    """What stands, one strategy a line: version, status, timeframe, tickers."""
    with told_plainly():
        stands, _ = _read()
    warn(stands.warnings)
    for strategy_id, now in sorted(stands.strategies.items()):
        if now.status == status or (status is None and now.status is not Status.DELETED):
            tickers = len(now.universe) or EVERY_TICKER
            click.echo(f"{strategy_id}\tversion {now.version}\t{now.status}\t{now.timeframe}\t{tickers}")


def edited_fields(options: dict[str, str]) -> dict[str, Any]:
    """The fields that options name, checked as those of a file; raises `InputError`."""
    from streams.strategy_fields import FieldError

    if not options:
        raise InputError("edit", "no field is named, so nothing would change", "name one, such as --timeframe 5m")
    fields: dict[str, Any] = {}
    for name, text in options.items():
        try:
            fields[name] = _field(name, text)
        except FieldError as error:
            raise InputError(f"--{name.replace('_', '-')}", error.problem, error.remedy) from error
    return fields


def _field(name: str, text: str) -> Any:  # noqa: ANN401 - each field has a type of its own
    """What an option says; None where the default of all is asked for."""
    from streams.strategy_fields import CHECKS

    if name in {"mode", "coalesce_ms"} and text == NOT_SAID:
        return None
    if name == "universe":
        return _universe(text)
    is_number = name == "coalesce_ms" and text.isascii() and text.isdecimal() and len(text) < MOST_DIGITS
    return CHECKS[name](int(text) if is_number else text)


def _universe(text: str) -> frozenset[str]:
    """Tickers with commas between them; none for every ticker."""
    from streams.strategy_fields import FieldError, check_ticker

    if text == EVERY_TICKER:
        return frozenset()
    tickers = text.split(",")
    if EVERY_TICKER in tickers:
        raise FieldError(f'"{EVERY_TICKER}" stands beside tickers', f'write either the tickers or "{EVERY_TICKER}"')
    for ticker in tickers:
        check_ticker(ticker)
    if len(set(tickers)) > MAX_UNIVERSE:
        raise FieldError(f"{len(set(tickers))} tickers, the limit is {MAX_UNIVERSE}", f'write "{EVERY_TICKER}"')
    return frozenset(tickers)


def oddities(fields: dict[str, Any]) -> list[str]:
    """What is legal and may not be meant."""
    from streams.core.timeframes import InvalidTimeframeError, parse_timeframe

    try:
        parse_timeframe(fields.get("timeframe", "1m"))
    except InvalidTimeframeError as error:
        return [f"--timeframe: {error}; the strategy is skipped"]
    return []


def _read(*, may_register: bool = False) -> "tuple[Standing, dict[bytes | None, Record]]":
    """What stands, and the last record of each key."""
    from streams.kafka.security import for_confluent
    from streams.kafka.strategy_topic import read_standing

    current, last = settings(), dict["bytes | None", "Record"]()

    def note(record: "Record") -> None:
        last[record.key] = record

    schemas = schemas_of(current, may_register=may_register)
    topic, security = current.topics.strategy_changes, for_confluent(current)
    return read_standing(current.broker, topic, schemas, security, note), last


def _write(ids: Iterable[str], edit: Callable[[Strategy], Strategy], reason: str, *, dry_run: bool) -> None:
    """Write the versions that an edit of what stands makes."""
    from streams.kafka.security import for_confluent
    from streams.kafka.strategy_topic import edited, write_changes

    with told_plainly():
        if len(reason) > MAX_REASON_CHARACTERS:
            problem = f"{len(reason)} characters, the limit is {MAX_REASON_CHARACTERS}"
            raise InputError("--reason", problem, "shorten it")
        stands, _ = _read(may_register=not dry_run)
        changes = edited(stands.strategies, ids, edit)
        if not dry_run:
            current = settings()
            topic, schemas = current.topics.strategy_changes, schemas_of(current, may_register=True)
            ts_ms, security = time.time_ns() // 1_000_000, for_confluent(current)
            write_changes(
                current.broker, topic, schemas, changes, ts_ms, security=security, source="command", reason=reason
            )
    warn(stands.warnings)
    for change in changes:
        click.echo(f"{change.strategy_id}: version {change.version}, {change.status}")
    click.echo(f"{len(changes)} {'to be written; this was a dry run' if dry_run else 'written'}")


COMMANDS: Final = (pause, activate, delete, edit, show, list_)
