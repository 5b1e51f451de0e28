"""A producer is ended in bounded time, whatever state it is in, and leaves nothing at work."""

import asyncio
import gc
import time
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaConnectionError
from aiokafka.producer.message_accumulator import MessageAccumulator

from streams.kafka import sending
from streams.kafka.kafka_process import KafkaProcess
from streams.kafka.sending import CLOSING_S, ended, fail_all, let_go_of
from tests.kafka.checkpoint_stage import story


def test_one_that_waits_for_a_broker_that_froze_leaves_no_task_behind(own_kafka: KafkaProcess) -> None:
    async def main() -> None:
        others = asyncio.all_tasks()
        producer = AIOKafkaProducer(bootstrap_servers=own_kafka.bootstrap, enable_idempotence=True)
        await producer.start()
        await producer.send_and_wait("topic", b"arrives")
        own_kafka.pause()
        never = await producer.send("topic", b"does not")
        began = time.monotonic()
        await ended(producer)
        assert CLOSING_S <= time.monotonic() - began < 3 * CLOSING_S
        for _ in range(10):  # what waited for the last batch hears that it has failed
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == others
        assert isinstance(never.exception(), KafkaConnectionError)

    try:
        story(main())
    finally:
        own_kafka.resume()


@pytest.mark.parametrize("given_up", [False, True])
def test_asyncio_does_not_complain_of_a_batch_that_never_got_away(*, given_up: bool) -> None:
    complaints: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        left = MessageAccumulator(ClusterMetadata(), 1 << 14, 0, 30.0)
        batch = left.create_builder()
        batch.append(timestamp=1, key=b"key", value=b"value")
        arrived = await left.add_batch(batch, TopicPartition("topic", 0), 1.0)
        if given_up:
            let_go_of([(arrived, 1)])
            await asyncio.sleep(0)  # what is beneath hears nothing of it
        fail_all(left)
        with pytest.raises(asyncio.CancelledError if given_up else KafkaConnectionError):
            await arrived

    story(main())
    gc.collect()
    assert complaints == []


def test_nothing_that_is_touched_inside_aiokafka_has_moved() -> None:
    assert sending.moved() == []
