"""`tickgate state`: what stood at a time of a day."""

import json
from pathlib import Path

import click

from streams.commands.explain import day_asked_for, of_a_day
from streams.commands.plainly import told_plainly
from streams.commands.record import Which
from streams.errors import InputError
from streams.times import read_time


@click.command()
@click.option("--at", required=True, help="Up to this time the day is decided.")
@click.option("--ticker", help="Its last update, and the last bucket of each strategy.")
@click.option("--strategy", help="Its version, and the last bucket of each ticker.")
@of_a_day
def state(
    at: str,
    ticker: str | None,
    strategy: str | None,
    ticks: tuple[str, ...],
    strategies: Path | None,
    order: str,
    from_: str | None,
    to: str | None,
    offsets: tuple[str, ...],
) -> None:
    """What stood of a ticker or a strategy at a time, as JSON. Times are in ms."""
    from streams.recorded.state import decided_up_to, of_strategy, of_ticker

    with told_plainly():
        if (ticker is None) == (strategy is None):
            raise InputError("tickgate state", "asks for one thing", "say --ticker or --strategy")
        day = day_asked_for(ticks, strategies, order, Which(from_, to, offsets))
        deciding = decided_up_to(day, read_time(at, "--at"))
    found = of_ticker(deciding, ticker) if ticker is not None else of_strategy(deciding, strategy or "")
    click.echo(json.dumps(found, ensure_ascii=False))
