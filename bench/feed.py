"""`tickgate feed polygon` from a WebSocket server to a real Kafka: the server, the feed and the broker on one machine.

Beside it, in the same run: the socket alone (a client that reads and drops), and what each step of the feed costs.
"""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import aiohttp

from bench import feed_server
from bench.kafka_ground import Ground, Place, RunError, last_words, make_topics, real_broker, say
from streams.core.records import by_partition
from streams.feeds.following import MOST_MESSAGE_BYTES
from streams.feeds.polygon import Polygon
from streams.kafka.laid_out_batch import batches
from streams.kafka.producing import BATCH_BYTES

TRADES: Final = 2_000_000
PER_MESSAGE: Final = (100, 10)
GOAL: Final = 300_000
READ_AT_ONCE: Final = 1 << 20
READY_S: Final = 120
LOOK_S: Final = 0.05
STEPS_TRADES: Final = 200_000
PARTITIONS: Final = 4


@contextmanager
def serving(seed: int, trades: int, per_message: int) -> Iterator[int]:
    """The server, as a process of its own; gives its port."""
    command = [sys.executable, "-m", "bench.feed_server", str(seed), str(trades), str(per_message)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield int(server.stdout.readline())
    finally:
        server.kill()
        server.communicate()


async def socket_alone(port: int) -> tuple[float, int]:
    """Seconds from the first message to the last, for a client that drops them; and their bytes."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws://127.0.0.1:{port}/bare", max_msg_size=MOST_MESSAGE_BYTES, decode_text=False) as socket,
    ):
        size, began = 0, time.perf_counter()
        async for message in socket:
            size += len(message.data)
        return time.perf_counter() - began, size


def metrics_of(port: int) -> dict[str, float]:
    """The feed's own numbers; none where it does not answer yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return {}
    return {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith("tickgate_feed")}


def processor_s(process: int) -> float:
    """Seconds of a core that a process has taken so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Ran(NamedTuple):
    """What became of one run."""

    seconds: float
    """From the first message until Kafka has acknowledged every trade."""
    processor_s: float
    """Of the feed, in that time."""
    told: dict[str, Any]


def through_the_feed(place: Place, port: int, trades: int) -> Ran:
    """Have the feed take everything."""
    web_port = 6068
    command = [sys.executable, "-m", "streams.cli", "feed", "polygon", "--url", f"ws://127.0.0.1:{port}/"]
    environment = place.environment(os.environ, TICKGATE_POLYGON_KEY="bench")
    log = place.ground.scratch / "feed.log"
    with log.open("w") as errors:
        feed = subprocess.Popen(
            [*command, "--web-port", str(web_port)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        deadline = time.monotonic() + READY_S
        began = taken_s = 0.0
        while (found := metrics_of(web_port)).get("tickgate_feed_sent_total", 0) < trades:
            if not began and found.get("tickgate_feed_messages_total", 0):
                began, taken_s = time.monotonic(), processor_s(feed.pid)
            if time.monotonic() > deadline or feed.poll() is not None:
                raise RunError(f"the feed did not send it all: {found or last_words(log.read_text())}")
            time.sleep(LOOK_S if began else LOOK_S / 10)
        seconds, taken_s = time.monotonic() - began, processor_s(feed.pid) - taken_s
        feed.send_signal(signal.SIGTERM)
        said, _ = feed.communicate(timeout=30)
    finally:
        feed.kill()
        feed.communicate()
    if feed.returncode != 0:
        raise RunError(f"the feed ended with {feed.returncode}: {last_words(log.read_text())}")
    return Ran(seconds, taken_s, json.loads(said))


def steps(market: list[bytes]) -> dict[str, float]:
    """Nanoseconds a trade for each step of the feed behind the socket, one after the other in one process."""
    feed = Polygon("", (), 1)
    spent = dict.fromkeys(("reading", "encoding", "partitions, layout, lz4"), 0.0)
    count, at = 0, 0
    gc.freeze()
    while at < len(market):
        together, size = at, 0
        while at < len(market) and size < READ_AT_ONCE:
            size, at = size + len(market[at]), at + 1
        moments = [time.perf_counter()]
        read = feed.read(market[together:at], together + 1)
        moments.append(time.perf_counter())
        records = feed.encoder.records(read.ticks)
        moments.append(time.perf_counter())
        for _, part in by_partition(records, PARTITIONS):
            for batch in batches(part, compression="lz4", transactional=False, max_bytes=BATCH_BYTES):
                batch._build()  # noqa: SLF001 - as aiokafka calls it
        moments.append(time.perf_counter())
        count += records.count
        for name, began, ended in zip(spent, moments, moments[1:], strict=False):
            spent[name] += ended - began
    return {name: seconds / count * 1e9 for name, seconds in spent.items()}


def one_size(ground: Ground, seed: int, trades: int, per_message: int, rounds: int) -> list[str]:
    """Messages of one size: the feed and the bare socket in turn."""
    bare, fed, taken = [], [], []
    size = 0
    with serving(seed, trades, per_message) as port:
        for number in range(rounds):
            say(f"feed, {per_message} trades a message: round {number + 1} of {rounds}")
            place = Place(ground, f"feed{per_message}-{number}.", "feed")
            make_topics(place)
            seconds, size = asyncio.run(socket_alone(port))
            bare.append(trades / seconds)
            ran = through_the_feed(place, port, trades)
            fed.append(trades / ran.seconds)
            taken.append(ran.processor_s / trades * 1e6)
            told = ran.told
            if (told["sent"], told["missing"], told["behind"], told["not_delivered_bytes"]) != (trades, 0, 0, 0):
                raise RunError(f"it is not what was sent: {told}")
    verdict = "met" if median(fed) >= GOAL else "not met"
    rates = f"{median(fed) / 1e3:,.0f} thousand trades/s ({min(fed) / 1e3:,.0f} to {max(fed) / 1e3:,.0f})"
    beside = f"goal {GOAL / 1e3:.0f} {verdict}; the socket alone {median(bare) / 1e3:,.0f} thousand"
    beside += f"; the feed takes {median(taken):.1f} µs of a core for each"
    return [f"  {per_message:4} trades a message, {size / trades:.0f} bytes each: {rates}, {beside}"]


def report(seed: int, trades: int, rounds: int) -> list[str]:
    """Run everything, and say it in lines."""
    lines = [f"feed: {trades:,} trades from a WebSocket server to Kafka, all on this machine, seed {seed}"]
    with real_broker() as ground:
        for per_message in PER_MESSAGE:
            lines += one_size(ground, seed, trades, per_message, rounds)
    market = feed_server.messages(seed, STEPS_TRADES, PER_MESSAGE[0])
    steps(market[: len(market) // 10])  # compiles what is compiled
    costs = steps(market)
    told = ", ".join(f"{name} {nanoseconds:,.0f} ns" for name, nanoseconds in costs.items())
    return [*lines, f"  behind the socket, of one core, a trade: {told}"]
