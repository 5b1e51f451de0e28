"""How fast the Redis view is written, beside Redis' own benchmark with pipelining in the same rounds.

Ours is the whole way from encoded rows of changelogs, as a fetch brings them, to the answer of Redis: decoded, held
against what Redis has, and written in transactions with the marker. An update is one ticker's time or one pair's
bucket. Theirs is `redis-benchmark`, a program in C that sends one such update a command, over and over.
"""

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from bench.kafka_ground import RunError, say
from bench.kafka_summary import Round, rates_of, times_as_fast
from bench.redis_server import RedisServer
from bench.state import large_shard
from streams.core.columns import Ticks
from streams.core.events import Strategy
from streams.core.records import EncodedRecords
from streams.core.shard import Shard
from streams.core.state_rows import StateRows
from streams.core.warm import warm_up
from streams.kafka.fetch import RawRun
from streams.kafka.kafka_jars import Unavailable
from streams.kafka.record_batch import RecordColumns
from streams.kafka.strategy_book import Change, Place
from streams.reference_data import load_conditions
from streams.settings import Settings
from streams.views.redis.counts import RedisCounts
from streams.views.redis.held import LAST_BUCKET, LAST_UPDATE, Held
from streams.views.redis.keys import NO_PREFIX
from streams.views.redis.view import View
from streams.views.redis.wire import Wire

BOUND: Final = 200_000
"""Updates a second."""

STEPS: Final = 12
STEP_TICKS: Final = 6_000
STEP_MS: Final = 60_000
"""Each step is another minute, so that much fires."""

START_MS: Final = 1_760_000_000_000
THEIR_COMMANDS: Final = 1_000_000
THEIR_WAYS: Final = {"1 connection, 500 at once": ("1", "500"), "50 connections, 64 at once": ("50", "64")}
THEIR_UPDATE: Final = ("HSET", "STRAT:s__rand_int__:LAST", "T__rand_int__", "1760000000000")
RATE: Final = re.compile(r"([\d.]+) requests per second")

OWN_CPU: Final = "the view following, by the processor time of its process alone"
FILLED, FOLLOWED = "the view filled anew", "the view following"


class Market:
    """A large shard, and the runs of rows that its checkpoints write."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._shard: Shard = large_shard(self._rng)
        self._rows = StateRows(self._shard)
        self._at_ms = START_MS
        self._ends = {LAST_UPDATE: 0, LAST_BUCKET: 0}
        self.strategies: list[Strategy] = [entry.strategy for entry in self._shard.index.entries.values()]

    def step(self) -> list[RawRun]:
        """A minute later, ticks on random tickers, and what that changes."""
        self._at_ms += STEP_MS
        who = self._rng.integers(0, self._shard.index.tickers.count, STEP_TICKS, np.int32)
        ticks = Ticks(who, np.full(STEP_TICKS, self._at_ms), np.ones(STEP_TICKS, np.uint8))
        self._rows.note(self._shard.step(ticks))
        rows = self._rows.encode(self._at_ms)
        return [self._run(LAST_UPDATE, rows.last_update), self._run(LAST_BUCKET, rows.last_bucket)]

    def _run(self, table: str, rows: EncodedRecords) -> RawRun:
        start, count = self._ends[table], rows.count
        self._ends[table] = start + count
        spans = (rows.key_start, rows.key_end, rows.value_start, rows.value_end)
        headers = np.zeros((2, count), np.int64)
        columns = RecordColumns(rows.data, np.arange(start, start + count), rows.ts_ms, *spans, *headers)
        return RawRun(table, 0, start, start + count, columns)


class Ours:
    """A view of the market."""

    def __init__(self, server: RedisServer, market: Market) -> None:
        universes = {each.strategy_id: each.universe for each in market.strategies}
        self.held, self.counts = Held(universes.__getitem__), RedisCounts()
        for at, strategy in enumerate(market.strategies):
            self.held.take_change(Change(Place(0, at), strategy))
        settings = Settings()
        self.wire = Wire([server.url], settings.redis_timeout_ms / 1_000)
        self.view = View(
            self.wire,
            self.held,
            NO_PREFIX,
            view_of="bench",
            run="bench",
            most=settings.redis_batch,
            now_s=time.monotonic,
            told=self.counts,
        )

    async def rate(self, runs: list[list[RawRun]], clock: Callable[[], float] = time.perf_counter) -> float:
        """Updates a second, while it is told of one step after the other."""
        before, began = self.counts.writes, clock()
        for step in runs:
            for run in step:
                self.held.take_rows(run.topic, run)
            await self.view.turn()
        return (self.counts.writes - before) / (clock() - began)


def report(seed: int, rounds: int) -> list[str]:
    """Both in each round, and their ratio within it."""
    warm_up(load_conditions())
    path = shutil.which("redis-benchmark")
    try:
        with tempfile.TemporaryDirectory(prefix="tickgate-redis-") as folder, RedisServer(Path(folder)) as server:
            if path is None:
                return ["redis: not measured: there is no redis-benchmark; install redis-tools"]
            market = Market(seed)
            found = asyncio.run(measured(server, market, path, rounds))
    except Unavailable as why:
        return [f"redis: not measured: {why}"]
    return described(market, found, rounds)


async def measured(server: RedisServer, market: Market, path: str, rounds: int) -> list[Round]:
    """The rates of each round."""
    ours, found = Ours(server, market), list[Round]()
    await ours.rate([market.step()])
    for number in range(rounds):
        rates = {FOLLOWED: await ours.rate([market.step() for _ in range(STEPS)])}
        rates[OWN_CPU] = await ours.rate([market.step() for _ in range(STEPS)], time.process_time)
        with server.client as client:
            client.flushall()
        rates[FILLED] = await ours.rate([[]])
        for name, (connections, at_once) in THEIR_WAYS.items():
            rates[name] = await asyncio.to_thread(theirs, path, server.port, connections, at_once)
        say(f"round {number + 1}: {', '.join(f'{name} {rate:,.0f}/s' for name, rate in rates.items())}")
        found.append(rates)
        with server.client as client:
            client.flushall()
        await ours.rate([[]])
    await ours.wire.close()
    return found


def theirs(path: str, port: int, connections: str, at_once: str) -> float:
    """Requests a second of Redis' own benchmark."""
    options = ("-p", str(port), "-n", str(THEIR_COMMANDS), "-r", "10000", "-c", connections, "-P", at_once, "-q")
    done = subprocess.run([path, *options, *THEIR_UPDATE], capture_output=True, text=True, check=True)
    rates = RATE.findall(done.stdout)
    if not rates:
        raise RunError(f"redis-benchmark said {done.stdout[-200:]!r}")
    return float(rates[-1])


def described(market: Market, found: list[Round], rounds: int) -> list[str]:
    """The lines."""
    lines = [f"redis: {len(market.strategies):,} strategies of 100 tickers, {rounds} rounds"]
    for name in (FOLLOWED, OWN_CPU, FILLED, *THEIR_WAYS):
        rate = rates_of(found, name)
        assert rate is not None, "every round has it"
        whose = f"  redis-benchmark, {name}" if name in THEIR_WAYS else f"  {name}"
        bound = "" if name not in {FOLLOWED, FILLED} else f" (bound {BOUND:,})"
        lines.append(
            f"{whose}: {rate.median:,.0f} updates/s at the median, {rate.least:,.0f} to {rate.most:,.0f}{bound}"
        )
    for ours in (FOLLOWED, FILLED):
        ratio = times_as_fast(found, ours, [*THEIR_WAYS])
        assert ratio is not None, "as above"
        lines.append(f"  {ours}: {ratio.median:.2f} times theirs, {ratio.least:.2f} to {ratio.most:.2f}")
    return lines
