"""Reads rows to the broker's own end, whatever Faust has handed over.

Faust's recovery swallows exceptions, may take a record of an earlier assignment for one of this, and then begins in
the middle of a log. So it is not believed: what has come is compared with where the log begins and ends, and what is
missing is read here. Mostly that is nothing. The shard has been fenced before, so nobody writes behind the end.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.raw_fetch import RawFetch

POLL_MS: Final = 200
SILENCE_S: Final = 30.0
"""So long without a row, while there are some to come, and the broker counts as gone."""


class Taker(Protocol):
    """Whoever takes the runs of a log, and knows which it has."""

    def is_whole(self, table: str, partition: int, bounds: Bounds) -> bool:
        """Whether all that there is has been taken."""

    def goes_on_at(self, table: str, partition: int, bounds: Bounds) -> int:
        """Where reading goes on."""

    def take(self, table: str, run: RawRun) -> None:
        """Take a run."""


class Log(NamedTuple):
    """One partition of a changelog, and where its rows go."""

    table: str
    topic: str
    partition: int
    rows: Taker

    def is_whole(self, bounds: Bounds) -> bool:
        """Whether all that there is has been taken."""
        return self.rows.is_whole(self.table, self.partition, bounds)

    @property
    def place(self) -> TopicPartition:
        """Where it is."""
        return TopicPartition(self.topic, self.partition)


async def complete(make_consumer: Callable[[], AIOKafkaConsumer], logs: Collection[Log]) -> int:
    """Read what is missing of each log; returns how many records that were."""
    if not logs:
        return 0
    consumer = make_consumer()
    fetch = RawFetch(consumer)
    async with asyncio.timeout(SILENCE_S):
        await consumer.start()
    try:
        bounds = await bounds_of(consumer, [log.place for log in logs])
        left = {log.place: log for log in logs if not log.is_whole(bounds[log.place])}
        return await _read(consumer, fetch, left, bounds)
    finally:
        await consumer.stop()


async def bounds_of(consumer: AIOKafkaConsumer, places: Collection[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
    """Where each partition begins, and where what is committed of it ends."""
    earliest, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    return {place: Bounds(earliest[place], ends[place]) for place in places}


async def _read(
    consumer: AIOKafkaConsumer,
    fetch: RawFetch,
    left: dict[TopicPartition, Log],
    bounds: Mapping[TopicPartition, Bounds],
) -> int:
    consumer.assign(list(left))
    for place, log in left.items():
        consumer.seek(place, log.rows.goes_on_at(log.table, place.partition, bounds[place]))
    count = 0
    while left:
        async with asyncio.timeout(SILENCE_S):
            found = await fetch.getmany(list(left), timeout_ms=POLL_MS)
            while not found:
                found = await fetch.getmany(list(left), timeout_ms=POLL_MS)
        for place, runs in found.items():
            log = left[place]
            for run in runs:
                log.rows.take(log.table, run)
                count += len(run.columns)
            if log.is_whole(bounds[place]):
                del left[place]
    return count
