"""Runs a worker in this process: until a signal, until something ends it, or until it has drained its input."""

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from faust.types import TP

from streams.app import Given, Parts, Told, compose, needed, shown_tables
from streams.instruments import Done
from streams.kafka.checkpoint import Observe, unobserved
from streams.kafka.clients import make_clock_producer, make_consumer
from streams.kafka.codec import Encoder
from streams.kafka.ends import ends
from streams.kafka.lateness import Lateness
from streams.kafka.look_up import check_sizes, topic_sizes
from streams.kafka.quiet_shards import QuietShards
from streams.kafka.schema_source import open_schemas, registry_told
from streams.kafka.security import for_confluent
from streams.kafka.sending import given_up
from streams.kafka.shadow_reports import ShadowReports
from streams.kafka.shard_states import State
from streams.kafka.state_reports import StateReports
from streams.kafka.strategy_topic import RECORD
from streams.kafka.warm import compile_elsewhere, warm_up
from streams.kafka.watch import Watch
from streams.kafka.whole_topic import committed_ends
from streams.logs import set_up_logging
from streams.metrics import Metrics
from streams.process import SIGNALS, keep_memory_small, settle, told_to_stop
from streams.reference_data import load_conditions
from streams.reports import report_lines
from streams.settings import Settings
from streams.views.health import HealthServer, Shown
from streams.views.owner import own_url

log = logging.getLogger(__name__)

FAILED: Final = 1
STOPPING_S: Final = 8.5
"""A worker must be gone within ten seconds."""

LAST_RESORT_S: Final = 9.5
"""After this the process ends without asking anybody. Nothing is lost by that: the next owner does it anew."""

OFFSETS_EVERY_S: Final = 1.0
"""How often the offsets of the group follow the checkpoints."""

LATENESS_EVERY_S: Final = 1.0
"""How often to look whether something stands still."""

ENDS_EVERY_S: Final = 1.0
"""How often the broker is asked where the partitions end, which is what lag is measured against."""

ROUND_S: Final = 1.0
"""How often each strategy is asked whether any of its tickers was updated: see `core/strategy_counts.py`."""

LOOK_EVERY_S: Final = 0.005


def run_worker(settings: Settings, *, drain: bool = False, observe: Observe = unobserved) -> int:
    """Run a worker; returns the exit code. Raises `InputError` where it cannot begin."""
    keep_memory_small()
    set_up_logging(settings.log_level)
    for each in SIGNALS:
        signal.signal(each, end_early)  # until the event loop takes them over; nothing has begun before
    given = look_up(settings)
    compile_elsewhere()
    warm_up(given.conditions)  # the compiler would hold up heartbeats later
    ends = drain_ends(settings) if drain else None
    settle()
    return asyncio.run(Worker(given, observe, ends).run())


class Ends(NamedTuple):
    """Up to where a worker drains its inputs, by partition."""

    ticks: Mapping[int, int]
    clock: Mapping[int, int]


def drain_ends(settings: Settings) -> Ends:
    """Where they end now."""
    topics, security = (settings.topics.ticks, settings.topics.clock), for_confluent(settings)
    return Ends(*(committed_ends(settings.broker, topic, security) for topic in topics))


def end_early(_signal: int, _frame: object) -> None:
    """End before there is anything to stop. At once: an exception out of here may strike where none is expected."""
    os._exit(0)


def look_up(settings: Settings) -> Given:
    """All that must be there before a worker begins."""
    topics = needed(settings)
    sizes = topic_sizes(settings.broker, topics, for_confluent(settings))
    check_sizes(settings.topics, topics, sizes, settings.broker)
    with registry_told():
        schemas = open_schemas(settings.schema_registry_url, time.monotonic, prefix=settings.topic_prefix)
        asked = ("decision",) if settings.decisions.anything else ()
        encoder = Encoder(schemas, ("execution", "dead_letter", "clock", "journal", "turn", RECORD, *asked))
    return Given(settings, sizes, schemas, encoder, load_conditions(settings.conditions))


class Worker:
    """One run of a worker."""

    def __init__(self, given: Given, observe: Observe, ends: Ends | None) -> None:
        self._given, self._observe, self._ends = given, observe, ends
        self._metrics = Metrics()
        self._over = asyncio.Event()
        self._error: BaseException | None = None
        self._last_commit_s = 0.0

    async def run(self) -> int:
        """Start the parts, wait until it is over, and stop them."""
        told_to_stop(self._over)
        parts = compose(self._given, Told(self._metrics, self._observe, self._committed), self._end)
        settings = self._given.settings
        tables = shown_tables(parts, self._given.sizes[settings.topics.ticks])
        reports = ShadowReports(parts.shards, parts.books.strategies)
        shown = Shown(tables, reports, StateReports(parts.shards, settings.app_id))
        server = HealthServer(parts.shards, self._metrics.exposed, shown)
        port = await server.start(settings.web_host, settings.web_port)
        parts.app.reached_at(own_url(settings.advertised_url, settings.web_host, port))
        log.info("health, metrics and tables at http://%s:%d", settings.web_host, port)
        try:
            await self._work(parts)
        finally:
            await server.stop()
        return self._result(parts)

    async def _work(self, parts: Parts) -> None:
        followers = [
            self._follow_offsets(parts),
            self._follow_ends(parts),
            self._say_what_is_late(parts),
            self._end_rounds(parts),
            self._report(parts),
            self._watch(parts).work(),
        ]
        if self._ends is None:
            followers.append(parts.mending.work())
        if self._ends is None and self._given.settings.clock:
            followers.append(self._quiet_shards(parts).work())
        following = [asyncio.create_task(each) for each in followers]
        watched = {
            asyncio.create_task(self._over.wait(), name="over"),
            *(asyncio.create_task(book.work(), name=book.name) for book in parts.books),
            asyncio.create_task(self._run_app(parts), name="application"),
            *following,
        }
        if self._ends is not None:
            watched.add(asyncio.create_task(self._drained(parts, self._ends), name="drained"))
        done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            self._error = self._error or task.exception()
        await given_up(following)  # they ask the consumer, which goes now
        last_resort = threading.Timer(LAST_RESORT_S, os._exit, [FAILED])
        last_resort.daemon = True
        last_resort.start()
        await self._stop(parts)
        await given_up(list(watched))

    async def _run_app(self, parts: Parts) -> None:
        """Ends when Faust does, which it should not."""
        parts.app.in_worker = True
        await parts.app.start()
        await parts.app.wait_until_stopped()
        if not self._over.is_set():
            raise RuntimeError(f"Faust has ended: {parts.app.crash_reason!r}") from parts.app.crash_reason

    async def _stop(self, parts: Parts) -> None:
        try:
            async with asyncio.timeout(STOPPING_S):
                await parts.app.stop()
        except TimeoutError:
            log.warning("it could not stop in %g s and goes as it is; nothing is lost by that", STOPPING_S)

    def _watch(self, parts: Parts) -> Watch:
        settings = self._given.settings
        reader = partial(make_consumer, settings)
        return Watch(lambda: parts.app.consumer, reader, parts.shards, parts.books, parts.discoveries)

    def _quiet_shards(self, parts: Parts) -> QuietShards:
        settings, encoder = self._given.settings, self._given.encoder
        return QuietShards(
            parts.shards,
            settings.topics.clock,
            lambda ts_ms: encoder.encode("clock", {"ts": ts_ms}),
            lambda: make_clock_producer(settings),
        )

    async def _follow_offsets(self, parts: Parts) -> None:
        told: dict[TP, int] = {}
        while True:
            await asyncio.sleep(OFFSETS_EVERY_S)
            consumer: Any = parts.app.consumer
            positions = consumer.positions()
            if parts.shards.ready and positions and positions != told:
                await consumer.commit_positions(positions)
                told = positions

    async def _follow_ends(self, parts: Parts) -> None:
        """Ask the broker how much there is to do: a shard knows only of what was fetched for it."""
        while True:
            await asyncio.sleep(ENDS_EVERY_S)
            consumer: Any = parts.app.consumer if parts.shards.owned else None
            if consumer is not None and consumer.has_sought:
                parts.shards.ends(await ends(consumer, consumer.ticks_topic, list(parts.shards.owned)))
                owned = list(parts.discoveries.committed())
                parts.discoveries.ends(await ends(consumer, consumer.results_topic, owned))

    async def _say_what_is_late(self, parts: Parts) -> None:
        """A worker that waits for ever may have to be started anew by whoever looks after it."""
        lateness = Lateness(parts.shards)
        while True:
            await asyncio.sleep(LATENESS_EVERY_S)
            for each in lateness.look(time.monotonic()):
                log.warning("%s", each)

    async def _end_rounds(self, parts: Parts) -> None:
        """What is counted by rounds decides nothing, so the clock of this machine may say when one ends."""
        while True:
            await asyncio.sleep(ROUND_S)
            parts.shards.end_rounds()

    async def _report(self, parts: Parts) -> None:
        """Lines for the eye, now and then."""
        while True:
            await asyncio.sleep(self._given.settings.report_ms / 1000)
            told, sizes = self._metrics, parts.books.strategies.strategies.active_sizes()
            for line in report_lines(told.total, told.counted, sizes):
                log.info("%s", line)

    async def _drained(self, parts: Parts, ends: Ends) -> None:
        """Until every shard of ours has come to where its partitions ended when the worker began."""
        while not parts.shards.ready or not all(
            owned.state is State.STOPPED
            or (
                owned.committed >= ends.ticks.get(partition, 0)
                and owned.clock.committed >= ends.clock.get(partition, 0)
            )
            for partition, owned in parts.shards.owned.items()
        ):
            for partition, owned in parts.shards.owned.items():
                owned.drains_to = ends.ticks.get(partition, 0)
            await asyncio.sleep(LOOK_EVERY_S)
        self._over.set()

    def _end(self, error: BaseException) -> None:
        """Something is wrong that must not be worked on with."""
        self._error = self._error or error
        self._over.set()

    def _committed(self, _partition: int, _position: int, _done: Done) -> None:
        self._last_commit_s = time.monotonic()

    def _result(self, parts: Parts) -> int:
        if self._error is not None:
            log.critical("the worker ends", exc_info=self._error)
            return FAILED
        stopped = [each for each in parts.shards.stopped_for if each]
        if self._ends is not None:
            report(self._metrics.total, parts.shards.first_fetch_s, self._last_commit_s)
        return FAILED if stopped and self._ends is not None else 0


def report(total: Done, first_fetch_s: float | None, last_commit_s: float) -> None:
    """One line for whoever measures, in one write: others may write too."""
    seconds = max(last_commit_s - first_fetch_s, 0.0) if first_fetch_s is not None else 0.0
    rate = round(total.ticks / seconds) if seconds else 0
    told: dict[str, Any] = {"ticks": total.ticks, "seconds": round(seconds, 4), "rate": rate}
    line = json.dumps({**told, "fired_pairs": total.fired_pairs, "executions": total.executions})
    os.write(sys.__stdout__.fileno() if sys.__stdout__ else 1, f"{line}\n".encode())
