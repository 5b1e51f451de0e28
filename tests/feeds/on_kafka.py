"""What the tests of live feeds need of Kafka: topics of their own, and what stands there."""

import io
import uuid
from collections import defaultdict
from typing import Any

import fastavro
from confluent_kafka import Consumer, Message
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic, TopicPartition

from streams.kafka.partitions import partition_of
from streams.kafka.registry import own_schemas
from streams.settings import Settings

PARTITIONS = 4
SCHEMAS: Any = {each.schema_id: each.schema for each in own_schemas()}
Tick = tuple[int, float, int, tuple[int, ...]]


def an_environment(bootstrap: str) -> Settings:
    """Settings of an environment that has the topics of a feed."""
    settings = Settings(broker=bootstrap, topic_prefix=f"{uuid.uuid4().hex[:8]}.")
    topics, kept = settings.topics, {"retention.ms": "-1"}
    wanted = [
        NewTopic(topics.ticks, PARTITIONS, 1, config=kept),
        NewTopic(topics.dead_letters(topics.ticks), 1, 1, config=kept),
    ]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.create_topics(wanted).values():
        made.result(timeout=30)
    while not {each.topic for each in wanted} <= admin.list_topics(timeout=30).topics.keys():
        pass  # made, and not told of yet
    return settings


def records(bootstrap: str, topic: str, partitions: int) -> list[Message]:
    """All that stands on a topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "nobody", "enable.auto.commit": False})
    try:
        ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=20)[1] for p in range(partitions)}
        consumer.assign([TopicPartition(topic, p, 0) for p, end in ends.items() if end])
        found: list[Message] = []
        while left := sum(ends.values()) - len(found):
            some = consumer.consume(min(left, 10_000), 20.0)
            assert some, f"{len(found)} of {sum(ends.values())} came"
            assert not any(message.error() for message in some)
            found += some
        return found
    finally:
        consumer.close()


def decoded(value: bytes | None) -> dict[str, Any]:
    """A value by the schema that it names."""
    assert value is not None
    found = fastavro.schemaless_reader(io.BytesIO(value[5:]), SCHEMAS[int.from_bytes(value[1:5], "big")], None)
    assert isinstance(found, dict)
    return found


def ticks_by_ticker(settings: Settings) -> dict[str, list[Tick]]:
    """The ticks of each ticker in their order; each stands where its key says, at its own time."""
    found: dict[str, list[Tick]] = defaultdict(list)
    for message in records(settings.broker, settings.topics.ticks, PARTITIONS):
        tick, key = decoded(message.value()), message.key()
        assert key == tick["ticker"].encode()
        assert message.partition() == partition_of(key, PARTITIONS)
        assert message.timestamp()[1] == tick["ts"]
        found[tick["ticker"]].append((tick["ts"], tick["price"], tick["size"], tuple(tick["conditions"])))
    return dict(found)


def letters(settings: Settings) -> list[tuple[str, str, Any]]:
    """The dead letters of ticks: the word for why, the detail, and what came."""
    topics = settings.topics
    found = [decoded(each.value()) for each in records(settings.broker, topics.dead_letters(topics.ticks), 1)]
    return [(each["reason"], each["detail"], each["value"]) for each in found]


def expected(events: list[dict[str, Any]]) -> dict[str, list[Tick]]:
    """What trades of Polygon become."""
    found: dict[str, list[Tick]] = defaultdict(list)
    for each in events:
        ts_ms = each["t"] // (1_000_000 if each["t"] > 10**17 else 1)
        found[each["sym"]].append((ts_ms, each["p"], int(each.get("s", 0)), tuple(each.get("c") or ())))
    return dict(found)
