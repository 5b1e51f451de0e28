"""Looks now and then whether what was fetched has arrived, and has it read again where it has not.

A run that Faust drops on its way is noticed by the next one, which does not follow. Where no next one comes, nothing
would notice: the shard would stand still and look well. So, once in a while, how far the consumer has read is compared
with how far a shard, or a book, has come. The same gap at two looks is a run that got lost.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from faust.types import TP

from streams.errors import in_words
from streams.kafka.discoveries import Discoveries
from streams.kafka.other_books import Books
from streams.kafka.rows_reader import complete
from streams.kafka.sending import NO_ANSWER
from streams.kafka.shards import Shards

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0

NOT_READY_S: Final = 120.0
"""A worker that owns shards, and has not recovered them after so long, ends: whoever starts it anew helps it on."""


class StuckError(Exception):
    """The worker does not get ready."""


class Watch:
    """Compares what was read with what has arrived."""

    def __init__(
        self,
        consumer: Callable[[], Any],
        make_reader: Callable[[], AIOKafkaConsumer],
        shards: Shards,
        books: Books,
        discoveries: Discoveries,
    ) -> None:
        self._consumer, self._make_reader, self._shards, self._books = consumer, make_reader, shards, books
        self._discoveries = discoveries
        self._seen: dict[TP, tuple[int, int]] = {}

    async def work(self) -> None:
        """Look, for good."""
        looks_in_vain = 0
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            looks_in_vain = 0 if self._shards.ready or not self._shards.owned else looks_in_vain + 1
            if looks_in_vain * LOOK_EVERY_S > NOT_READY_S:
                raise StuckError(f"not recovered after {NOT_READY_S:g} s: {self._shards.shards}")
            if self._shards.ready:
                try:
                    await self.look()
                except NO_ANSWER as error:
                    # The broker is away, or a rebalance came in between.
                    log.info("could not look: %s", in_words(error))
                    self._seen = {}

    async def look(self) -> None:
        """Look once."""
        consumer = self._consumer()
        arrived = {
            TP(topic, p): offset
            for p, shard in self._shards.owned.items()
            for topic, offset in ((consumer.ticks_topic, shard.idle_at), (consumer.clock_topic, shard.clock.idle_at))
            if offset >= 0
        }
        arrived |= {TP(self._discoveries.topic, p): offset for p, offset in self._discoveries.idle_at().items()}
        arrived |= {TP(book.topic, p): offset for book in self._books for p, offset in book.taken.items()}
        gaps = {}
        for tp, offset in arrived.items():
            position = await self._consumer().position(tp)
            if position is not None and position > offset:
                gaps[tp] = (offset, position)
        lost = [tp for tp, gap in gaps.items() if self._seen.get(tp) == gap]
        self._seen = gaps
        for tp in lost:
            await self._have_it_read_again(tp, *gaps[tp])

    async def _have_it_read_again(self, tp: TP, offset: int, position: int) -> None:
        log.warning("%s, partition %d: %d to %d were read and did not arrive", tp.topic, tp.partition, offset, position)
        book = next((each for each in self._books if each.topic == tp.topic), None)
        if book is None:
            await self._consumer().seek(tp, offset)
            return
        await complete(self._make_reader, book.logs())
        await book.caught_up()
        self._shards.refresh()
