"""The command line: reads what was asked for, calls, and says what came of it.

Each command imports what it needs itself, so that `tickgate --help` is quick.
"""

import json
import sys
import time
import zoneinfo
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from streams import __version__
from streams.commands import (
    demo,
    feed,
    flags,
    rollout,
    rollout_moves,
    settings,
    strategies,
    strategy_moves,
    topics,
    worker,
)
from streams.commands.plainly import told_plainly


@click.group()
@click.version_option(__version__, prog_name="tickgate")
def main() -> None:
    """Ticks in, alert executions out: once per strategy, ticker and time bucket."""
    # Time zones out of the pinned package, never the machine's own: a replay gives the same bytes everywhere.
    zoneinfo.reset_tzpath(to=())


@main.command()
@click.option("--ticks", required=True, help="Parquet or CSV with the columns ticker, ts, price, size, conditions.")
@click.option("--strategies", required=True, type=click.Path(path_type=Path), help="JSON lines or YAML.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--batch-ticks", default=65_536, show_default=True, type=click.IntRange(1, 1 << 22))
@click.option(
    "--order",
    default="strict",
    show_default=True,
    type=click.Choice(["strict", "arrival", "time"]),
    help="What rows whose times run backwards mean: a mistake; they came in late; the file must be sorted.",
)
@click.option("--progress/--no-progress", default=None, help="Default: where there is a terminal.")
def replay(ticks: str, strategies: Path, out: Path, batch_ticks: int, order: str, progress: bool | None) -> None:
    """Replay recorded ticks: which pairs fire, and when."""
    from streams.replay.run import Job, Order
    from streams.replay.run import replay as run

    with told_plainly(), shown_progress(progress) as advance:
        began = time.monotonic()
        done = run(Job(Path(ticks), strategies, out, batch_ticks, Order(order)), advance)
        seconds = time.monotonic() - began
    for warning in done.warnings:
        click.echo(f"warning: {warning}", err=True)
    if done.rejected:
        click.echo(f"warning: {done.rejected} rows are no ticks; see {out / 'rejected.jsonl'}", err=True)
    summary = {"ticks": done.ticks, "seconds": round(seconds, 3), "rate": round(done.ticks / max(seconds, 1e-9))}
    click.echo(json.dumps({**summary, "fired_pairs": done.fired_pairs, "rejected": done.rejected}))


@contextmanager
def shown_progress(wanted: bool | None) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on the terminal, or nothing where there is none."""
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("replay"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("replay", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


for command in (
    demo.demo,
    feed.feed,
    flags.flags,
    rollout.rollout,
    settings.settings,
    strategies.strategies,
    topics.topics,
    worker.worker,
):
    main.add_command(command)
for command in strategy_moves.COMMANDS:
    strategies.strategies.add_command(command)
for command in rollout_moves.COMMANDS:
    rollout.rollout.add_command(command)

if __name__ == "__main__":
    main()
