"""What was taken across a rebalance is read again, on a real Kafka and by aiokafka's own consumer."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka import Producer
from faust.types import TP

from streams.kafka.fetch import RawRun
from streams.kafka.handed_back import hand_back
from streams.kafka.raw_fetch import RawFetch
from streams.kafka.transport import ConsumerThread
from tests.kafka.shared_broker import SharedBroker

RECORDS = 5
COMES_S = 10.0


@asynccontextmanager
async def reading(broker: str, topic: str) -> AsyncIterator[tuple[AIOKafkaConsumer, RawFetch]]:
    """A consumer of a topic's first partition, in no group."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, auto_offset_reset="earliest")
    fetch = RawFetch(consumer)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        yield consumer, fetch
    finally:
        await consumer.stop()


def filled(broker: str) -> str:
    """A topic with some records."""
    topic = f"h{uuid.uuid4().hex[:8]}"
    producer = Producer({"bootstrap.servers": broker})
    for number in range(RECORDS):
        producer.produce(topic, value=str(number))
    assert producer.flush(30) == 0
    return topic


async def taken(fetch: RawFetch) -> dict[TopicPartition, list[RawRun]]:
    """What comes next."""
    async with asyncio.timeout(COMES_S):
        while not (found := await fetch.getmany(timeout_ms=100)):
            pass
    return found


def test_what_the_assignment_stands_behind_is_read_again(real_broker: SharedBroker) -> None:
    topic = filled(real_broker.bootstrap)

    async def read() -> None:
        async with reading(real_broker.bootstrap, topic) as (consumer, fetch):
            first = await taken(fetch)
            await hand_back(consumer, first)
            again = await taken(fetch)
            assert [run[:4] for run in again[TopicPartition(topic, 0)]] == [(topic, 0, 0, RECORDS)]

    asyncio.run(read())


def test_where_the_assignment_stands_elsewhere_it_stays_there(real_broker: SharedBroker) -> None:
    topic = filled(real_broker.bootstrap)

    async def read() -> None:
        async with reading(real_broker.bootstrap, topic) as (consumer, fetch):
            first, tp = await taken(fetch), TopicPartition(topic, 0)
            consumer.seek(tp, 2)
            await hand_back(consumer, first)
            assert await consumer.position(tp) == 2

    asyncio.run(read())


def test_of_what_is_assigned_to_another_nothing_is_asked(real_broker: SharedBroker) -> None:
    topic, other = filled(real_broker.bootstrap), filled(real_broker.bootstrap)

    async def read() -> None:
        async with reading(real_broker.bootstrap, topic) as (consumer, fetch):
            first = await taken(fetch)
            consumer.assign([TopicPartition(other, 0)])
            await hand_back(consumer, first)
            assert set(await taken(fetch)) == {TopicPartition(other, 0)}

    asyncio.run(read())


def test_a_poll_that_a_rebalance_came_in_between_takes_nothing(real_broker: SharedBroker) -> None:
    topic = filled(real_broker.bootstrap)

    async def read() -> None:
        async with reading(real_broker.bootstrap, topic) as (consumer, fetch):
            app = SimpleNamespace(consumer_generation_id=1)

            async def getmany(*_: Any, **__: Any) -> dict[TopicPartition, list[RawRun]]:
                found = await taken(fetch)
                app.consumer_generation_id = 2
                return found

            owner = SimpleNamespace(flow_active=True, may_fetch=lambda _: True, as_records=lambda fetched: fetched)
            thread: Any = SimpleNamespace(app=app, consumer=owner, raw=SimpleNamespace(getmany=getmany))
            assert await ConsumerThread._fetch_records(thread, consumer, {TP(topic, 0)}) == {}
            again = await taken(fetch)
            assert [run[:4] for run in again[TopicPartition(topic, 0)]] == [(topic, 0, 0, RECORDS)]

    asyncio.run(read())
