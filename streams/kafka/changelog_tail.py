"""Reads what stands at the end of a shard's changelog: where the last committed checkpoint has come to."""

import asyncio
from collections.abc import Callable
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.core.special_rows import POSITION_KEY, Position, read_position

READING_S: Final = 10.0


class Tail:
    """The end of one partition of the changelog of `last_bucket`."""

    def __init__(self, make_consumer: Callable[[], AIOKafkaConsumer], topic: str, partition: int) -> None:
        self._make_consumer = make_consumer
        self._tp = TopicPartition(topic, partition)

    async def position_behind(self, offset: int) -> tuple[Position | None, int]:
        """The last position in committed rows from `offset` on, None where there is none; and where the log ends."""
        consumer = self._make_consumer()
        async with asyncio.timeout(READING_S):
            await consumer.start()
        try:
            async with asyncio.timeout(READING_S):
                return await self._read(consumer, offset)
        finally:
            await consumer.stop()

    async def _read(self, consumer: AIOKafkaConsumer, offset: int) -> tuple[Position | None, int]:
        tp = self._tp
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        consumer.seek(tp, offset)
        position = None
        while await consumer.position(tp) < end:
            for record in (await consumer.getmany(tp, timeout_ms=100)).get(tp, ()):
                if record.key == POSITION_KEY and record.value is not None:
                    position = read_position(record.value)
        return position, end
