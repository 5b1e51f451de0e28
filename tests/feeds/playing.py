"""Plays Polygon's feed to whoever follows it: bursts of trades, a run to its end, a look at the follower's server."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import aiohttp

from streams.feeds.live import Options, Summary, run_feed
from streams.feeds.polygon import Polygon
from streams.settings import Settings
from tests.feeds.feed_server import KEY, Event, FeedServer, Play, Talk, nothing, trade, welcome

TICKERS = [f"T{number}" for number in range(40)]


def burst(first: int, messages: int, per_message: int) -> list[list[Event]]:
    """Arrays of trades; the numbers of each ticker follow each other."""
    numbers = iter(range(first, first + messages * per_message))
    return [
        [trade(TICKERS[n % 40], n // 40, c=[[], [0], [14, 37, 41]][n % 3], s=n % 7 * 100) for n in numbers_of]
        for numbers_of in ([next(numbers) for _ in range(per_message)] for _ in range(messages))
    ]


def flat(messages: list[list[Event]]) -> list[Event]:
    return [event for message in messages for event in message]


async def followed(
    settings: Settings, server: FeedServer, times: int, exchange: Polygon | None = None, **options: Any
) -> Summary:
    """Run a feed until it has connected so often, and to its end."""
    over = asyncio.Event()
    given = {"web_port": 0, "most_bytes": 64 << 20, "only_relevant": False, **options}
    feed = exchange or Polygon(KEY, (), 1)
    running = asyncio.create_task(run_feed(feed, settings, Options(server.url, **given), over))
    connected = asyncio.create_task(server.connected(times))
    await asyncio.wait({running, connected}, return_when=asyncio.FIRST_COMPLETED)
    over.set()
    connected.cancel()
    return await running


def fed(settings: Settings, *plays: Play, **options: Any) -> Summary:
    """Let the server play, then stop the feed when it has connected once more."""

    async def run() -> Summary:
        async with FeedServer(*plays, nothing) as server:
            return await followed(settings, server, len(plays) + 1, **options)

    return asyncio.run(run())


def over_at_the_next_attempt(handler: logging.Handler) -> asyncio.Event:
    """Set when the feed says that it will try again."""
    over = asyncio.Event()

    def stop(record: logging.LogRecord) -> bool:
        if "next attempt" in record.msg:
            over.set()
        return True

    handler.addFilter(stop)
    return over


def says(*messages: Any) -> Play:
    """A welcome, the messages, and the end."""

    async def play(talk: Talk) -> None:
        await welcome(talk)
        await talk.say(*messages)

    return play


async def looked_at(port: int, path: str, until: Callable[[int, str], bool]) -> tuple[int, str]:
    """Ask the feed's own server until the answer is what is waited for."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(20):
        while True:
            async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                found = answer.status, await answer.text()
            if until(*found):
                return found
            await asyncio.sleep(0.01)
