"""`tickgate replay`: recorded ticks through the core."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.commands.plainly import told_if_stopped, told_plainly

if TYPE_CHECKING:
    from streams.replay.run import Replayed


@click.command()
@click.option(
    "--ticks",
    required=True,
    multiple=True,
    help="Parquet or CSV with the columns ticker, ts, price, size, conditions, or a folder of such; repeatable. "
    "Or kafka://, the topic of this environment; or a folder of `tickgate record`.",
)
@click.option(
    "--strategies",
    type=click.Path(path_type=Path),
    help="JSON lines or YAML. Topics and recordings without: as they were, each change at its tick.",
)
@click.option("--from", "from_", help="Of a topic: from this time on.")
@click.option("--to", help="Of a topic: up to this time.")
@click.option("--offsets", multiple=True, help="Of a topic: PARTITION=FIRST:END, repeatable; others are left out.")
@click.option("--warm-up-until", help="Of topics and recordings: what fires before this time is left out.")
@click.option(
    "--warm-up-from",
    type=click.Choice(["changelogs"]),
    help="Of a topic: begin with the state that the workers had then, out of their changelogs.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--batch-ticks", default=1 << 16, show_default=True, type=click.IntRange(1, 1 << 22))
@click.option(
    "--order",
    default="strict",
    show_default=True,
    type=click.Choice(["strict", "arrival", "time"]),
    help="What times that run backwards mean: a mistake; they came in late; files must be sorted, or merged.",
)
@click.option("--what-if", type=click.Path(path_type=Path), help="Variants of the strategies, YAML: all in one pass.")
@click.option("--speed", help="Then send what fired onto topics of its own, at its own pace: 1x, 10x, or such; or max.")
@click.option("--onto", metavar="PREFIX", help="Of these topics; it begins with replay-. Default: made of the result.")
@click.option("--report/--no-report", default=True, show_default=True, help="Write report.html, to look at.")
@click.option("--progress/--no-progress", default=None, help="Default: where there is a terminal.")
def replay(
    ticks: tuple[str, ...],
    strategies: Path | None,
    from_: str | None,
    to: str | None,
    offsets: tuple[str, ...],
    warm_up_until: str | None,
    warm_up_from: str | None,
    out: Path,
    batch_ticks: int,
    order: str,
    what_if: Path | None,
    speed: str | None,
    onto: str | None,
    report: bool,
    progress: bool | None,
) -> None:
    """Replay recorded ticks: which pairs fire, and when. It writes files, and never to a live topic."""
    from streams.commands import paced_out, record
    from streams.replay.in_order import Order
    from streams.replay.run import Job
    from streams.replay.run import replay as run

    left = f"no result of this run is in {out}; where a manifest.json stands there, it is that of an earlier one"
    with told_plainly(), told_if_stopped(left), shown_progress(progress) as advance:
        record.refuse_topic(out)
        paced = paced_out.asked_for(speed, onto, variants=what_if is not None)
        began = time.monotonic()
        which = record.Which(from_, to, offsets, from_changelogs=warm_up_from is not None)
        record.refuse_strategies_of_another_state(which, ticks, strategies)
        day = record.day_of(ticks, which, batch_ticks, with_strategies=strategies is not None)
        if day is not None:
            record.refuse_what_topics_cannot(what_if=what_if is not None, order=order)
            done = record.replay_as_it_was(day, strategies, out, warm_up_until, advance, report=report)
        else:
            record.refuse_what_files_cannot(warm_up=warm_up_until is not None)
            assert strategies is not None, "else the day is not one of files"
            done = run(Job([*map(Path, ticks)], strategies, out, batch_ticks, Order(order), what_if, report), advance)
    tell(done, time.monotonic() - began, out, variants=what_if is not None)
    paced_out.send(out, paced)


def tell(done: "Replayed", seconds: float, out: Path, *, variants: bool) -> None:
    """What came of it: what is odd, and one line of JSON."""
    for warning in done.warnings:
        click.echo(f"warning: {warning}", err=True)
    if done.rejected:
        click.echo(f"warning: {done.rejected} rows are no ticks; see {out / 'rejected.jsonl'}", err=True)
    summary = {"ticks": done.ticks, "seconds": round(seconds, 3), "rate": round(done.ticks / max(seconds, 1e-9))}
    of_variants = {"variants": done.variants} if variants else {}
    click.echo(json.dumps({**summary, "fired_pairs": done.fired_pairs, "rejected": done.rejected, **of_variants}))


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
