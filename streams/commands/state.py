"""`tickgate state`: what stood at a time of a day, or stands now in a running worker."""

import json
from pathlib import Path

import click

from streams.commands.explain import day_asked_for, of_a_day, refuse_beside_worker
from streams.commands.plainly import told_plainly
from streams.commands.record import Which
from streams.errors import InputError
from streams.times import read_time


@click.command()
@click.option("--at", help="Up to this time the day is decided.")
@click.option("--ticker", help="Its last update, and the last bucket of each strategy.")
@click.option("--strategy", help="Its version, and the last bucket of each ticker.")
@of_a_day
def state(
    at: str | None,
    ticker: str | None,
    strategy: str | None,
    ticks: tuple[str, ...],
    strategies: Path | None,
    order: str,
    from_: str | None,
    to: str | None,
    offsets: tuple[str, ...],
    worker: str | None,
) -> None:
    """What stood of a ticker or a strategy at a time, or stands now in a worker, as JSON. Times are in ms."""
    from streams.recorded.of_worker import strategy_now, ticker_now
    from streams.recorded.state import decided_up_to, of_strategy, of_ticker

    with told_plainly():
        if (ticker is None) == (strategy is None):
            raise InputError("tickgate state", "asks for one thing", "say --ticker or --strategy")
        if worker is not None:
            given = {"at": at, "ticks": ticks, "strategies": strategies, "from": from_, "to": to, "offsets": offsets}
            refuse_beside_worker(**given)
            found = ticker_now(worker, ticker) if ticker is not None else strategy_now(worker, strategy or "")
        else:
            if at is None:
                raise InputError("--at", "is missing", "say a time; or ask a running worker by --worker")
            day = day_asked_for(ticks, strategies, order, Which(from_, to, offsets))
            deciding = decided_up_to(day, read_time(at, "--at"))
            found = of_ticker(deciding, ticker) if ticker is not None else of_strategy(deciding, strategy or "")
    click.echo(json.dumps(found, ensure_ascii=False))
