"""Where ticks end is asked of the broker beside everything else, and a broker that is away holds up nothing."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError
from confluent_kafka import Producer

from streams.kafka import ends as module
from streams.kafka.ends import ends
from tests.kafka.conftest import MakeTopic
from tests.kafka.shared_broker import SharedBroker


class Consumer:
    """What stands in for aiokafka's."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        if isinstance(self.answer, Exception):
            raise self.answer
        await asyncio.sleep(self.answer)
        return dict.fromkeys(places, 7)


async def asked_of(consumer: Any, topic: str, partitions: list[int]) -> dict[int, int]:
    """Ask as a worker does."""
    thread = SimpleNamespace(_ensure_consumer=lambda: consumer)
    return await ends(SimpleNamespace(_thread=thread), topic, partitions)


def test_it_is_told_where_each_partition_ends(broker: SharedBroker, make_topic: MakeTopic) -> None:
    topic = make_topic(3)
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for partition in (0, 2, 2):
        producer.produce(topic, b"value", partition=partition)
    producer.flush(30)

    async def main() -> dict[int, int]:
        async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap) as consumer:
            return await asked_of(consumer, topic, [0, 1, 2])

    assert asyncio.run(main()) == {0: 1, 1: 0, 2: 2}


@pytest.mark.parametrize(
    "answer", [KafkaConnectionError("away"), OSError("away"), 3600], ids=["error", "os", "silence"]
)
def test_a_broker_that_is_away_tells_nothing_and_is_given_up(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    monkeypatch.setattr(module, "ANSWER_TIMEOUT_S", 0.01)
    assert asyncio.run(asked_of(Consumer(answer), "ticks", [0])) == {}
    assert asyncio.run(asked_of(Consumer(0), "ticks", [0, 5])) == {0: 7, 5: 7}
