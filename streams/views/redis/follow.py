"""`tickgate redis follow`: a process of its own that keeps Redis as the tables are, whatever happens to Redis.

It reads committed topics and nothing else, so it cannot hold up an alert. While Redis is slow, full, flushed, frozen,
failing over or gone, rows go on coming in and only the latest of each is kept; Redis is asked again until it answers.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from functools import partial
from typing import Any, NamedTuple, Never

from streams.kafka.clients import make_consumer
from streams.kafka.codec import Decoder
from streams.kafka.registry import Schemas
from streams.kafka.sending import first_of
from streams.kafka.strategy_book import Change, Refusal, StrategyBook
from streams.kafka.strategy_topic import RECORD
from streams.kafka.topic_reader import TopicReader
from streams.settings import Settings
from streams.topic_names import STRATEGY_CHANGES, TABLES
from streams.views.redis.alerts import RedisAlerts
from streams.views.redis.cleanup import Cleanup, Plan
from streams.views.redis.connecting import connected
from streams.views.redis.counts import RedisCounts
from streams.views.redis.held import Held
from streams.views.redis.keeping import Keeper
from streams.views.redis.keys import Keys
from streams.views.redis.view import View
from streams.views.redis.wire import Wire

log = logging.getLogger(__name__)


class Given(NamedTuple):
    """What the topics are read by."""

    settings: Settings
    sizes: dict[str, int]
    """Partitions of each topic."""
    schemas: Schemas


class Source:
    """The topics, on their way into what is held."""

    def __init__(self, given: Given) -> None:
        settings = given.settings
        topics = settings.topics
        tables = {topics.changelog(table): table for table in TABLES}
        changes = topics.strategy_changes
        self.book = StrategyBook(changes, given.sizes[changes], Decoder(given.schemas, RECORD))
        self.book.told = self._told
        strategies = self.book.strategies
        self.held = Held(
            lambda strategy_id: strategies[strategy_id].universe if strategy_id in strategies else frozenset()
        )
        self.held.changes_positions = lambda: self.book.positions

        def take(run: Any) -> None:  # noqa: ANN401 - a RawRun
            if run.topic == changes:
                self.book.take(STRATEGY_CHANGES, run)
            else:
                self.held.take_rows(tables[run.topic], run)

        def begin(bounds: Any) -> None:  # noqa: ANN401 - where the partitions begin and end
            for place, each in bounds.items():
                if place.topic == changes:
                    self.book.goes_on_at(STRATEGY_CHANGES, place.partition, each)

        sizes = {topic: given.sizes[topic] for topic in (*tables, changes)}
        self.reader = TopicReader(partial(make_consumer, settings), sizes, take, begin)

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """What must run meanwhile."""
        return [self.reader.work(), self.book.work()]

    async def caught_up(self) -> None:
        """Wait until all is held that there was at the start."""
        await self.reader.caught_up()
        await self.book.caught_up()

    def _told(self, change: Change | Refusal) -> None:
        self.held.take_change(change)
        self.book.refusals.clear()  # the workers write the dead letters
        self.reader.arrived.set()


class Follower:
    """One run of it."""

    def __init__(self, given: Given, run: str, counts: RedisCounts) -> None:
        settings = self._settings = given.settings
        self.source, self.counts = Source(given), counts
        self._run, self._keys = run, Keys(settings.redis_prefix)
        wire = Wire(settings.redis_urls, settings.redis_timeout_ms / 1_000)
        view = View(
            wire,
            self.source.held,
            self._keys,
            view_of=settings.group_id,
            run=run,
            most=settings.redis_batch,
            now_s=time.monotonic,
            told=counts,
        )
        interval_s = settings.redis_interval_ms / 1_000
        self._keeper = Keeper(view, wire, self.source.held, told=counts, interval_s=interval_s, now_s=time.monotonic)

    @property
    def ready(self) -> bool:
        """Whether Redis is equal to the tables, by this process or by another."""
        return self._keeper.is_equal or self._keeper.stands_by

    async def work(self, over: asyncio.Event, *, drain: bool) -> None:
        """Follow until it is over; with `drain`, until Redis has all that there was at the start."""
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(each) for each in self.source.work()]
        if not drain:
            tasks += [asyncio.create_task(self._cleanup().work()), asyncio.create_task(self._report())]
        tasks += [asyncio.create_task(over.wait()), asyncio.create_task(self._follow(drain=drain))]
        try:
            await first_of(tasks)
        finally:
            await self._keeper.end()

    async def _follow(self, *, drain: bool) -> None:
        await self.source.caught_up()
        log.info("all that stood in the topics is read; Redis follows")
        await self._keeper.work(self.source.reader.arrived, drain=drain)

    async def _report(self) -> Never:
        """Log what was done, every few minutes, in the words of old."""
        while True:
            await asyncio.sleep(self._settings.report_ms / 1_000)
            log.info("%s", self.counts.report_line())

    def _cleanup(self) -> Cleanup:
        settings = self._settings
        plan = Plan(settings.redis_cleanup_first_ms, settings.redis_cleanup_every_ms, settings.redis_retention_days)
        held = self.source.held

        def cleaned_before(oldest_ms: int) -> None:
            held.oldest_ms = max(held.oldest_ms, oldest_ms)

        return Cleanup(
            lambda: connected(settings.redis_urls, settings.redis_timeout_ms / 1_000),
            self._keys,
            plan,
            alerts=lambda conn: RedisAlerts(conn, self._keys, counts=self.counts.alerts),
            token=self._run,
            now_ms=held.newest_ms,
            told=self.counts,
            cleaned_before=cleaned_before,
        )
