"""Faults of Faust that hand over ticks too early, to the wrong generation, or not at all; none can happen here.

Each test runs with our cure and without it. Places are those of faust-streaming 0.15.3.
"""

import asyncio
from typing import Any

import faust.transport.drivers.aiokafka as driver
import pytest
from aiokafka import TopicPartition
from faust.types import TP

from streams.kafka.fetch import RawRun
from streams.kafka.transport import Consumer, ConsumerThread
from tests.holes.cures import with_and_without_the_cure, without
from tests.holes.real import consuming, produced
from tests.holes.stage import CHANGELOG, TICKS, NotingRows, NotingShards, make_app, run_of
from tests.kafka.conftest import MakeTopic
from tests.kafka.shared_broker import SharedBroker


class Fetched:
    """Stands where `RawFetch` stands, with one answer."""

    def __init__(self, runs: dict[TP, list[RawRun]]) -> None:
        self.runs, self.asked = runs, list[TP]()

    async def getmany(self, partitions: Any, *, timeout_ms: int = 0) -> dict[TP, list[RawRun]]:  # noqa: ARG002 - as the real one
        self.asked += [TP(*tp) for tp in partitions]
        return {tp: runs for tp, runs in self.runs.items() if tp in self.asked}


class Open:
    """A consumer that is open, and no more."""

    _closed = False
    _max_poll_records = None

    async def position(self, _: TopicPartition) -> int:
        """Where no run of these tests ends."""
        return 0


def staged(runs: dict[TP, list[RawRun]], raw_kind: type[Fetched] = Fetched) -> tuple[Any, Any]:
    """An application whose consumer is past recovery and has fetched these runs."""
    app = make_app(NotingShards())
    app.with_table(CHANGELOG, NotingRows(), print)
    app.thread._consumer, app.thread.raw = Open(), raw_kind(runs)
    app.thread.assigned = {TICKS, CHANGELOG}
    app.consumer._set_active_tps({TICKS, CHANGELOG})
    app.consumer.has_sought = True
    return app, app.thread.raw


async def handed_over(app: Any) -> list[Any]:
    """The messages of one round."""
    return [message async for _, message in app.consumer.getmany(timeout=0.1)]


@with_and_without_the_cure
def test_records_of_the_generation_before_are_not_taken_for_the_new_one(
    monkeypatch: pytest.MonkeyPatch, cured: bool
) -> None:
    """`Consumer.getmany` (transport/consumer.py) reads the generation when the fetch is over."""
    if not cured:
        without(monkeypatch, ConsumerThread, "_fetch_records", "generation == self.app.consumer_generation_id", "True")

    async def main() -> None:
        class Rebalancing(Fetched):
            async def getmany(self, partitions: Any, *, timeout_ms: int = 0) -> dict[TP, list[RawRun]]:
                app.consumer_generation_id += 1
                return await super().getmany(partitions, timeout_ms=timeout_ms)

        app, _ = staged({TICKS: [run_of(TICKS, 0, 3)]}, Rebalancing)
        assert [each.generation_id for each in await handed_over(app)] == ([] if cured else [2])

    asyncio.run(main())


@with_and_without_the_cure
def test_no_tick_is_fetched_before_the_shards_have_said_where_they_stand(
    monkeypatch: pytest.MonkeyPatch, cured: bool
) -> None:
    """`Recovery.on_recovery_completed` (tables/recovery.py) resumes the ticks, and seeks afterwards."""
    if not cured:
        without(monkeypatch, Consumer, "may_fetch", "self.has_sought and", "True and")

    async def main() -> None:
        app, raw = staged({TICKS: [run_of(TICKS, 0, 3)]})
        app.consumer.has_sought = False
        messages = await handed_over(app)
        assert CHANGELOG in raw.asked
        assert (TICKS in raw.asked) is not cured
        assert len(messages) == (0 if cured else 1)

    asyncio.run(main())


@with_and_without_the_cure
def test_a_fresh_group_keeps_its_first_ticks(
    real_broker: SharedBroker, make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch, cured: bool
) -> None:
    """At the end of recovery `Recovery` (tables/recovery.py) empties the set that a fetch under way was given.

    `Fetcher.fetched_records` (aiokafka) takes an empty set for all partitions, and `Consumer.getmany`
    (transport/consumer.py) drops what it did not ask for. The ticks that were drained so never come again.
    """
    if not cured:
        monkeypatch.setattr(ConsumerThread, "_fetch_records", driver.AIOKafkaConsumerThread._fetch_records)
    prefix = f"{make_topic()}."
    ticks, rows = TP(make_topic(), 0), TP(make_topic(), 0)

    async def main() -> None:
        app = make_app(NotingShards(), broker=real_broker.bootstrap, prefix=prefix, thread=ConsumerThread)
        await produced(real_broker.bootstrap, ticks.topic, 3)
        async with consuming(real_broker.bootstrap, ticks.topic, rows.topic) as consumer:
            app.thread._consumer, app.thread.raw = consumer, consumer.runs
            while ticks not in consumer._fetcher._records:
                await consumer._fetcher._client.force_metadata_update()
            emptied: set[TP] = set()
            found = await app.thread._fetch_records(consumer, emptied, timeout=0.1)
            assert (await consumer.position(TopicPartition(*ticks)) == 0) is cured
            assert (ticks not in found) is cured
            later = await consumer.runs.getmany([TopicPartition(*ticks)], timeout_ms=100)
            assert sum(len(run.columns) for runs in later.values() for run in runs) == (3 if cured else 0)

    asyncio.run(main())
