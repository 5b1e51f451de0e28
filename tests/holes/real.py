"""A real broker behind the real classes, without a group that comes and goes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streams.kafka.raw_fetch import RawFetch


async def produced(bootstrap: str, topic: str, count: int) -> None:
    """Put so many records into partition 0."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for _ in range(count):
            await producer.send_and_wait(topic, b"tick", partition=0)


@asynccontextmanager
async def consuming(bootstrap: str, *topics: str, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """Start a consumer of partition 0 of these topics, whose records come in runs."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False, **options
    )
    consumer.runs = RawFetch(consumer)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0) for topic in topics])
        yield consumer
    finally:
        await consumer.stop()
