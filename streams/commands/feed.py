"""`tickgate feed`: sends ticks, and the time, to their topics."""

import json
import signal
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import click

from streams.commands.plainly import settings, told_plainly
from streams.errors import InputError
from streams.settings import Settings
from streams.times import read_moment

MAX_TICKERS = 100_000
MAX_RATE = 2_000_000
MOST_TIMES = 1 << 40
"""For good, as good as."""


@click.group()
def feed() -> None:
    """Send ticks, or the time, to Kafka."""


@feed.command()
@click.option("--rate", default=5_000.0, show_default=True, type=click.FloatRange(1, MAX_RATE), help="Ticks a second.")
@click.option("--seconds", default=60.0, show_default=True, type=click.FloatRange(0, 1e9), help="How long.")
@click.option("--tickers", default=2_000, show_default=True, type=click.IntRange(1, MAX_TICKERS))
@click.option("--seed", default=7, show_default=True, type=click.IntRange(0), help="The same seed, the same market.")
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.001, 100_000),
    help="Seconds of the market that pass in one second.",
)
@click.option("--start", default="", help="Event time of the first tick, such as 2026-03-02T14:30:00Z. Default: now.")
@click.option("--start-ms", type=click.IntRange(0), help="The same, in ms since 1970.")
@click.option("--opening-seconds", default=3.0, show_default=True, type=click.FloatRange(0, 3_600))
@click.option(
    "--opening-times",
    default=4.0,
    show_default=True,
    type=click.FloatRange(1, 100),
    help="How many times the rate the market opens with.",
)
def synthetic(
    *,
    rate: float,
    seconds: float,
    tickers: int,
    seed: int,
    speed: float,
    start: str,
    start_ms: int | None,
    opening_seconds: float,
    opening_times: float,
) -> None:
    """Send a made-up market, and tell what was not delivered. Ctrl-C and SIGTERM end it cleanly."""
    from streams.feeds.encoded_ticks import TickEncoder
    from streams.feeds.sender import Outlet, send_market
    from streams.feeds.synthetic import Plan, ticker_names

    stop = stop_signal()
    with told_plainly():
        current = settings()
        if start_ms is None:
            start_ms = read_moment(start, "--start") if start else now_ms()
        plan = Plan(start_ms, rate, seconds, tickers, seed, speed, opening_seconds, opening_times)
        check_end(plan.start_ms, plan.seconds * plan.speed)
        outlet = Outlet(current.broker, current.topics.ticks)
        encoder = TickEncoder(ticker_names(tickers), tick_schema_id(current))
        outlet.connect()
        sent = send_market(plan, encoder, outlet, stop.wait)
    shown = {"ticks": sent.ticks, "rate": round(sent.ticks / max(sent.seconds, 1e-9))}
    click.echo(json.dumps({**sent._asdict(), **shown, "start_ms": start_ms}))
    fail_if_lost(sent.not_delivered, f"{sent.ticks} ticks", sent.problem)


@feed.command()
@click.option("--every-ms", default=1_000, show_default=True, type=click.IntRange(10, 3_600_000), help="Between two.")
@click.option("--count", default=MOST_TIMES, type=click.IntRange(1, MOST_TIMES), help="How often. Default: for good.")
def clock(*, every_ms: int, count: int) -> None:
    """Send the time of this machine to every shard, so that it goes on where no tick says so.

    Ctrl-C and SIGTERM end it cleanly.
    """
    from streams.feeds.clock import Pace, send_clock
    from streams.feeds.sender import Outlet
    from streams.kafka.codec import Encoder
    from streams.kafka.schema_source import open_schemas, registry_told
    from streams.kafka.security import for_confluent

    stop = stop_signal()
    with told_plainly():
        current = settings()
        outlet = Outlet(current.broker, current.topics.clock, for_confluent(current))
        url, prefix = current.schema_registry_url, current.topic_prefix
        with registry_told():
            encoder = Encoder(open_schemas(url, time.monotonic, prefix=prefix, may_register=True), ["clock"])
        outlet.connect()
        pace = Pace(count, every_ms / 1_000, now_ms)
        sent = send_clock(outlet, lambda ts_ms: encoder.encode("clock", {"ts": ts_ms}), pace, stop.wait)
    click.echo(json.dumps(sent._asdict()))
    fail_if_lost(sent.not_delivered, f"{sent.records} clock records", sent.problem)


@feed.command("strategies")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--count", default=500, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--tickers", default=2_000, show_default=True, type=click.IntRange(1, MAX_TICKERS))
@click.option("--seed", default=7, show_default=True, type=click.IntRange(0))
def made_up(*, file: Path, count: int, tickers: int, seed: int) -> None:
    """Write made-up strategies for the synthetic market, for `tickgate strategies import`."""
    from streams.feeds.synthetic import ticker_names
    from streams.feeds.synthetic_strategies import made_up_strategies
    from streams.strategy_file import write_strategies

    sessions = find_spec("exchange_calendars") is not None
    with told_plainly():
        write_strategies(made_up_strategies(count, ticker_names(tickers), seed, sessions=sessions), file)
    click.echo(f"{count} strategies in {file}", err=True)


def stop_signal() -> threading.Event:
    """Set when Ctrl-C or SIGTERM comes."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def fail_if_lost(not_delivered: int, what: str, problem: str) -> None:
    """Say what did not arrive, and end with 1, where there is something."""
    if not_delivered:
        click.echo(f"error: {not_delivered} of {what} were not delivered ({problem})", err=True)
        sys.exit(1)


def now_ms() -> int:
    """The time of this machine."""
    return time.time_ns() // 1_000_000


def tick_schema_id(current: Settings) -> int:
    """What ticks are called in this environment's registry."""
    from streams.kafka.schema_source import open_schemas, registry_told

    url, prefix = current.schema_registry_url, current.topic_prefix
    with registry_told():
        return open_schemas(url, time.monotonic, prefix=prefix, may_register=True).id_of("tick")


def check_end(start_ms: int, market_s: float) -> None:
    """Refuse a market that begins or ends where event times may not be."""
    from streams.core.limits import MAX_TS_MS, MIN_TS_MS

    if start_ms < MIN_TS_MS or start_ms + market_s * 1_000 >= MAX_TS_MS:
        remedy = "take another --start, fewer --seconds, or less --speed"
        raise InputError("--start", "the market would not lie between 1970 and 2100", remedy)
