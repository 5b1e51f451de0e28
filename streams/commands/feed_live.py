"""`tickgate feed polygon`, `coinbase` and `file`: ticks from outside onto their topic."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from streams.commands.feed import fail_if_lost, tick_schema_id
from streams.commands.plainly import settings, told_plainly
from streams.errors import InputError
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.feeds.following import Exchange
    from streams.feeds.live import Options, Summary

WEB_PORT: Final = 6067
MAX_WAITING_MB: Final = 16_384
POLYGON_URL: Final = "wss://socket.polygon.io/stocks"
COINBASE_URL: Final = "wss://advanced-trade-ws.coinbase.com"


def live(url: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options that all live feeds have."""
    options = (
        click.option("--url", default=url, show_default=True, help="Where the feed is."),
        click.option(
            "--web-port",
            default=WEB_PORT,
            show_default=True,
            type=click.IntRange(0, 65_535),
            help="Where health and metrics are served; 0 takes a free one.",
        ),
        click.option(
            "--waiting-mb",
            default=64,
            show_default=True,
            type=click.IntRange(1, MAX_WAITING_MB),
            help="So much waits for Kafka; then the feed is read no further.",
        ),
    )

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.command()
@click.option("--tickers", default="", help="With commas between; default: all there are.")
@click.option(
    "--relevant-only", is_flag=True, help="Leave out trades that must not move the price by their conditions."
)
@live(POLYGON_URL)
def polygon(*, tickers: str, relevant_only: bool, url: str, web_port: int, waiting_mb: int) -> None:
    """Follow Polygon's trades until told to stop. The key is read from TICKGATE_POLYGON_KEY."""
    from streams.feeds.polygon import Polygon

    with told_plainly():
        current = settings()
        if not current.polygon_key:
            raise InputError("TICKGATE_POLYGON_KEY", "is not set", "set it to the key that Polygon gave you")
        exchange = Polygon(current.polygon_key, names_in(tickers), tick_schema_id(current))
        follow(exchange, current, url=url, web_port=web_port, waiting_mb=waiting_mb, relevant_only=relevant_only)


@click.command()
@click.option("--products", required=True, help="With commas between, such as BTC-USD,ETH-USD.")
@live(COINBASE_URL)
def coinbase(*, products: str, url: str, web_port: int, waiting_mb: int) -> None:
    """Follow Coinbase's public trades until told to stop. Sizes are rounded down to whole units."""
    from streams.feeds.coinbase import Coinbase

    with told_plainly():
        current = settings()
        named = names_in(products)
        if not named:
            raise InputError("--products", "names none", "write such as BTC-USD,ETH-USD")
        exchange = Coinbase(named, tick_schema_id(current))
        follow(exchange, current, url=url, web_port=web_port, waiting_mb=waiting_mb, relevant_only=False)


def names_in(text: str) -> list[str]:
    """Names with commas between, each once."""
    return list(dict.fromkeys(name for name in (each.strip() for each in text.split(",")) if name))


def check_url(url: str) -> None:
    """Refuse what cannot be the address of a WebSocket."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"ws", "wss"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InputError("--url", "is no address of a WebSocket", "write such as wss://HOST/PATH")


def follow(
    exchange: "Exchange", current: Settings, *, url: str, web_port: int, waiting_mb: int, relevant_only: bool
) -> None:
    """Run a live feed to its end, and say what became of it."""
    from streams.feeds.live import Options

    check_url(url)
    begin(current)
    summary = asyncio.run(followed(exchange, current, Options(url, web_port, waiting_mb << 20, relevant_only)))
    click.echo(json.dumps(summary.shown()))
    if summary.refused is not None:
        raise summary.refused
    if summary.not_delivered_bytes:
        told = f"error: {summary.not_delivered_bytes} bytes of messages may not have been delivered"
        click.echo(told, err=True)
        sys.exit(1)


async def followed(exchange: "Exchange", current: Settings, options: "Options") -> "Summary":
    """Follow until Ctrl-C or SIGTERM."""
    from streams.feeds.live import run_feed
    from streams.process import told_to_stop

    over = asyncio.Event()
    told_to_stop(over)
    return await run_feed(exchange, current, options, over)


def begin(current: Settings) -> None:
    """Log as a worker does, and have compiled what is needed before anything is received."""
    from streams.kafka.warm import compile_elsewhere, warm_up_writing
    from streams.logs import set_up_logging
    from streams.process import keep_memory_small, settle

    keep_memory_small()
    set_up_logging(current.log_level)
    compile_elsewhere()
    warm_up_writing()
    settle()


@click.command("file")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--rate", type=click.FloatRange(1, 10_000_000), help="Ticks a second. Default: as fast as Kafka takes them."
)
@click.option(
    "--speed", type=click.FloatRange(0.001, 100_000), help="Seconds of the ticks' own time that pass in one second."
)
def file(*, path: Path, rate: float | None, speed: float | None) -> None:
    """Send the ticks of a Parquet or CSV file, in its order. Rows that are no ticks are named, and left out."""
    with told_plainly():
        if rate and speed:
            raise InputError("--rate", "cannot go together with --speed", "give one of the two")
        current = settings()
        begin(current)
        told: dict[str, Any] = asyncio.run(sent_file(current, path, rate, speed))
    click.echo(json.dumps(told))
    fail_if_lost(told["not_delivered"], f"{told['ticks'] + told['not_delivered']} ticks", "told to stop")


async def sent_file(current: Settings, path: Path, rate: float | None, speed: float | None) -> dict[str, Any]:
    """Send a file; returns what became of it."""
    from streams.feeds.file_feed import FileFeed, Pace
    from streams.feeds.live import STOPPED_S, make_target
    from streams.process import told_to_stop

    over = asyncio.Event()
    told_to_stop(over)
    target = make_target(current, only_relevant=False)
    try:
        sent = await FileFeed(path, tick_schema_id(current), target).send(Pace(rate, speed), over, STOPPED_S)
    finally:
        await target.announcer.close()
    return {**sent._asdict(), "rate": round(sent.ticks / max(sent.seconds, 1e-9))}


COMMANDS: Final = (polygon, coinbase, file)
"""What belongs to `tickgate feed` and stands here."""
