"""`tickgate explain`: why a strategy ran on a ticker, or did not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.commands.plainly import settings, told_plainly
from streams.commands.record import Which, day_of
from streams.commands.strategies import warn
from streams.errors import InputError
from streams.times import read_time

if TYPE_CHECKING:
    from streams.recorded.source import Day


def of_a_day(command: Callable[..., None]) -> Callable[..., None]:
    """The options that name a day, as `tickgate replay` has them."""
    for option in reversed(
        (
            click.option(
                "--ticks",
                multiple=True,
                help="A folder of `tickgate record`, or kafka://, or files of ticks.",
            ),
            click.option("--strategies", type=click.Path(path_type=Path), help="For files: JSON lines or YAML."),
            click.option(
                "--order", default="strict", type=click.Choice(["strict", "arrival", "time"]), help="For files."
            ),
            click.option("--from", "from_", help="Of a topic: from this time on."),
            click.option("--to", help="Of a topic: up to this time."),
            click.option("--offsets", multiple=True, help="Of a topic: PARTITION=FIRST:END, repeatable."),
            click.option("--worker", metavar="URL", help="In place of --ticks: a running worker, as it stands now."),
        )
    ):
        command = option(command)
    return command


@click.command()
@click.argument("strategy")
@click.argument("ticker")
@click.option("--at", help="A time in the bucket that is asked about; of a worker, if not said: its stream time.")
@of_a_day
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def explain(
    strategy: str,
    ticker: str,
    at: str | None,
    ticks: tuple[str, ...],
    strategies: Path | None,
    order: str,
    from_: str | None,
    to: str | None,
    offsets: tuple[str, ...],
    worker: str | None,
    as_json: bool,
) -> None:
    """Why did STRATEGY run on TICKER in a bucket, or why not? Goes through a day by the rules, step by step."""
    from streams.recorded.explain import explain as ask
    from streams.recorded.of_worker import explain_now
    from streams.recorded.telling import Question

    with told_plainly():
        question = Question(strategy, ticker, read_time(at, "--at") if at else -1)
        if worker is not None:
            refuse_beside_worker(ticks=ticks, strategies=strategies, offsets=offsets, to=to)
            from_ms = read_time(from_, "--from") if from_ else None
            answer, warnings = explain_now(settings(), worker, question, from_ms)
        else:
            if at is None:
                raise InputError("--at", "is missing", "say a time in the bucket that is asked about")
            day = day_asked_for(ticks, strategies, order, Which(from_, to, offsets))
            answer = ask(day, question)
            warnings = day.warnings
    warn(warnings)
    if as_json:
        click.echo(json.dumps(answer.told(), ensure_ascii=False))
    else:
        click.echo("\n".join([answer.word, *(f"  {step}" for step in answer.steps)]))


def refuse_beside_worker(**given: object) -> None:
    """A worker brings its own day: the topics, up to where it has come."""
    for name, value in given.items():
        if value:
            raise InputError(f"--{name}", "stands beside --worker", "leave one of the two out")


def day_asked_for(ticks: tuple[str, ...], strategies: Path | None, order: str, which: Which) -> "Day":
    """The day that the options name."""
    from streams.recorded.files_day import FilesDay
    from streams.reference_data import load_conditions
    from streams.replay.in_order import Order
    from streams.replay.run import DEFAULT_BATCH_TICKS

    if not ticks:
        remedy = "name a recording, kafka://, or files of ticks; or a running worker by --worker"
        raise InputError("--ticks", "is missing", remedy)
    day = day_of(ticks, which, DEFAULT_BATCH_TICKS, with_strategies=strategies is not None)
    if day is not None:
        return day
    assert strategies is not None, "else the day is not one of files"
    files, conditions = [*map(Path, ticks)], load_conditions(settings().conditions)
    return FilesDay(files, strategies, conditions, DEFAULT_BATCH_TICKS, Order(order))
