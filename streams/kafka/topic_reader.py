"""Reads whole topics and goes on reading them: committed records alone, as runs, in no group.

A broker that goes away is waited for, and gone on with where it was left.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from streams.errors import in_words
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.raw_fetch import RawFetch
from streams.kafka.rows_reader import bounds_of

log = logging.getLogger(__name__)

POLL_MS: Final = 500
WAIT_S: Final = 1.0


class TopicReader:
    """Hands over runs of partitions, each behind the one before."""

    def __init__(
        self,
        make_consumer: Callable[[], AIOKafkaConsumer],
        partitions: Mapping[str, int],
        take: Callable[[RawRun], None],
        begin: Callable[[Mapping[TopicPartition, Bounds]], None] = lambda _: None,
    ) -> None:
        """`partitions` says how many each topic has; `begin` is told what they hold before the first run."""
        self._make_consumer, self._take, self._begin = make_consumer, take, begin
        self._places = [TopicPartition(topic, p) for topic, count in partitions.items() for p in range(count)]
        self.positions: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        """Where each partition ended when reading began."""
        self.arrived = asyncio.Event()
        """Set with each run that comes."""
        self.records = 0
        self._consumer: AIOKafkaConsumer | None = None

    async def work(self) -> None:
        """Read for good. What is wrong is logged once, until something else is."""
        said = ""
        while True:
            try:
                await self._read()
            except (KafkaError, OSError, TimeoutError) as error:
                if in_words(error) != said:
                    said = in_words(error)
                    log.warning("the topics cannot be read, and are waited for: %s", said)
                await asyncio.sleep(WAIT_S)

    async def caught_up(self) -> None:
        """Wait until all has been handed over that there was when reading began."""
        while not self._ends or any(self.positions[place] < end for place, end in self._ends.items()):
            self.arrived.clear()
            await self.arrived.wait()

    async def up_to_now(self) -> None:
        """Wait until all has been handed over that is there now; raises what Kafka's troubles raise."""
        await self.caught_up()
        if self._consumer is None:
            raise KafkaConnectionError("the topics cannot be read")
        ends = await self._consumer.end_offsets(self._places)
        while any(self.positions[place] < end for place, end in ends.items()):
            self.arrived.clear()
            await self.arrived.wait()

    async def _read(self) -> None:
        consumer = self._make_consumer()
        fetch = RawFetch(consumer)
        try:
            await consumer.start()
            self._consumer = consumer
            bounds = await bounds_of(consumer, self._places)
            if not self._ends:
                self._begin(bounds)
                self.positions = {place: each.earliest for place, each in bounds.items()}
                self._ends = {place: each.end for place, each in bounds.items()}
                self.arrived.set()
            consumer.assign(self._places)
            for place, each in bounds.items():
                self.positions[place] = max(self.positions[place], each.earliest)
                consumer.seek(place, self.positions[place])
            while True:
                self._hand_over(await fetch.getmany(self._places, timeout_ms=POLL_MS))
        finally:
            self._consumer = None
            await consumer.stop()

    def _hand_over(self, found: Mapping[TopicPartition, list[RawRun]]) -> None:
        for place, runs in found.items():
            for run in runs:
                self._take(run)
                self.positions[place] = run.position
                self.records += len(run.columns)
        if found:
            self.arrived.set()
