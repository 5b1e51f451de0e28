"""`tickgate universe`: universes by the rules of `universe.yaml`, out of an exchange's product list."""

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.commands.plainly import settings, told_plainly

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from streams.universes.cycle import Report
    from streams.universes.universe_file import UniverseFile

NO_LIST = 1
"""The exit code where the exchange gave no list."""

FILE = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path),
    default=Path("universe.yaml"),
    show_default=True,
    help="Where the list is, how long it is kept, and the rules.",
)
SHRINK = click.option("--let-shrink", is_flag=True, help="Write universes at once that lose half of their tickers.")


@click.group()
def universe() -> None:
    """Make universes out of an exchange's product list."""


@universe.command()
@FILE
@click.option("--once", is_flag=True, help="Look once, print one JSON line, and end.")
@click.option("--dry-run", is_flag=True, help="With --once: say what would be written, and write nothing.")
@SHRINK
def run(*, path: Path, once: bool, dry_run: bool, let_shrink: bool) -> None:
    """Look at the rules every minute, and write the universes that differ, until told to stop."""
    from streams.logs import set_up_logging
    from streams.universes.running import look_once
    from streams.universes.running import run as run_on
    from streams.universes.universe_file import read_universe_file

    if dry_run and not once:
        raise click.UsageError("--dry-run goes with --once")
    with told_plainly():
        current = settings()
        if not once:
            set_up_logging(current.log_level)
            asyncio.run(run_on(current, path, let_shrink=let_shrink))
            return
        report = listed(look_once(current, read_universe_file(path), dry_run=dry_run, let_shrink=let_shrink))
    tell(report, dry_run=dry_run)


@universe.command()
@FILE
@click.option("--json", "as_json", is_flag=True, help="All tickers, in one line of JSON.")
def show(*, path: Path, as_json: bool) -> None:
    """What the rules make of the list now. Asks the exchange alone, and writes nothing."""
    from streams.universes.universe_file import read_universe_file

    with told_plainly():
        file = read_universe_file(path)
        products, found = listed(resolved(file))
    if as_json:
        told = {name: {"tickers": sorted(tickers), "unlisted": list(gone)} for name, (tickers, gone) in found.items()}
        click.echo(json.dumps({"products": products, "rules": told}, ensure_ascii=False))
        return
    click.echo(f"{products} products")
    for name, (tickers, gone) in found.items():
        click.echo(f"{name}: {len(tickers)} {' '.join(sorted(tickers))}".rstrip())
        if gone:
            click.echo(f"{name}: not traded, though to be included: {' '.join(gone)}")


async def resolved(file: "UniverseFile") -> tuple[int, dict[str, Any]]:
    """The size of the list, and the universe of each rule."""
    from streams.universes.running import made

    async with made(file) as (manager, _):
        products = len((await manager.products()).known.products)
        return products, {rule.name: await manager.build(rule) for rule in file.rules}


def listed(work: "Coroutine[Any, Any, Any]") -> Any:  # noqa: ANN401 - whatever the work returns
    """What some work brings; where the exchange gives no list, say so and end."""
    from streams.universes.products import SourceError

    try:
        return asyncio.run(work)
    except SourceError as error:
        click.echo(f"error: the product list: {error}", err=True)
        sys.exit(NO_LIST)


def tell(report: "Report", *, dry_run: bool) -> None:
    """What came of one look."""
    for words in (*(each.words for each in report.problems), *report.warnings):
        click.echo(f"warning: {words}", err=True)
    changed = [
        {
            "strategy_id": each.strategy.strategy_id,
            "version": each.strategy.version,
            "tickers": len(each.strategy.universe),
        }
        for each in report.changes
    ]
    told = {"products": report.products, "written": 0 if dry_run else len(changed), "changes": changed}
    click.echo(json.dumps({**told, "problems": len(report.problems)}, ensure_ascii=False))
