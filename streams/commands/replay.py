"""`tickgate replay`: recorded ticks through the core."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from streams.commands.plainly import told_plainly


@click.command()
@click.option(
    "--ticks",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="Parquet or CSV with the columns ticker, ts, price, size, conditions, or a folder of such; repeatable.",
)
@click.option("--strategies", required=True, type=click.Path(path_type=Path), help="JSON lines or YAML.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--batch-ticks", default=1 << 17, show_default=True, type=click.IntRange(1, 1 << 22))
@click.option(
    "--order",
    default="strict",
    show_default=True,
    type=click.Choice(["strict", "arrival", "time"]),
    help="What times that run backwards mean: a mistake; they came in late; files must be sorted, or merged.",
)
@click.option("--what-if", type=click.Path(path_type=Path), help="Variants of the strategies, YAML: all in one pass.")
@click.option("--report/--no-report", default=True, show_default=True, help="Write report.html, to look at.")
@click.option("--progress/--no-progress", default=None, help="Default: where there is a terminal.")
def replay(
    ticks: tuple[Path, ...],
    strategies: Path,
    out: Path,
    batch_ticks: int,
    order: str,
    what_if: Path | None,
    report: bool,
    progress: bool | None,
) -> None:
    """Replay recorded ticks: which pairs fire, and when."""
    from streams.replay.in_order import Order
    from streams.replay.run import Job
    from streams.replay.run import replay as run

    with told_plainly(), shown_progress(progress) as advance:
        began = time.monotonic()
        done = run(Job(ticks, strategies, out, batch_ticks, Order(order), what_if, report), advance)
        seconds = time.monotonic() - began
    for warning in done.warnings:
        click.echo(f"warning: {warning}", err=True)
    if done.rejected:
        click.echo(f"warning: {done.rejected} rows are no ticks; see {out / 'rejected.jsonl'}", err=True)
    summary = {"ticks": done.ticks, "seconds": round(seconds, 3), "rate": round(done.ticks / max(seconds, 1e-9))}
    variants = {"variants": done.variants} if what_if else {}
    click.echo(json.dumps({**summary, "fired_pairs": done.fired_pairs, "rejected": done.rejected, **variants}))


@click.command()
@click.argument("replayed", type=click.Path(path_type=Path))
@click.argument("name")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Parquet file for its executions.")
def variant(replayed: Path, name: str, out: Path) -> None:
    """Take one variant out of a replay with --what-if: what a replay of it alone would have written."""
    from streams.replay.variants_file import extract

    with told_plainly():
        click.echo(json.dumps({"fired_pairs": extract(replayed, name, out)}))


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
