"""Topics of a run, and a producer for them."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.core.executions import EncodedRecords
from streams.topic_names import TopicNames
from tests.chaos.market import BY_KEY, Sent

CHANGE_PARTITIONS: Final = 2
EXECUTION_PARTITIONS: Final = 3


class Out(NamedTuple):
    """A record to send."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int = BY_KEY


def make_topics(bootstrap: str, names: TopicNames, shards: int) -> None:
    """Make all topics, as the file in `deploy` has them, but smaller. Nothing of a short run is ever compacted."""
    by_ticks = {names.ticks, names.clock, names.journal, *names.changelogs}
    partitions = dict.fromkeys(names.all, 1) | dict.fromkeys(by_ticks, shards)
    partitions |= {names.strategy_changes: CHANGE_PARTITIONS, names.alert_executions: EXECUTION_PARTITIONS}
    compacted = {names.strategy_changes, names.controls, names.turns, *names.changelogs}
    topics = []
    for name, count in partitions.items():
        policy = "compact" if name in compacted else "delete"
        config = {"cleanup.policy": policy, "retention.ms": "-1", "max.message.bytes": str(4 << 20)}
        topics.append(NewTopic(name, count, 1, config=config))
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics(topics).values():
        future.result(timeout=30)


class Sender:
    """Sends records, and knows of each whether it has arrived, once and in order."""

    def __init__(self, bootstrap: str) -> None:
        options = {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "enable.idempotence": True}
        self._producer = Producer(options | {"linger.ms": 2, "log_level": 0, "delivery.timeout.ms": 60_000})
        self._refused: list[KafkaError] = []
        self.ends: dict[tuple[str, int], int] = {}
        """By topic and partition, behind the last record that has arrived."""

    def send(self, records: Iterable[Out]) -> None:
        """Hand records over."""
        for record in records:
            topic, key, value, partition = record
            self._producer.produce(topic, value, key, partition, on_delivery=self._told)
            self._producer.poll(0)

    def flush(self) -> None:
        """Wait until all have arrived."""
        left = self._producer.flush(60)
        assert not left, f"{left} records have not arrived"
        assert not self._refused, str(self._refused[0])

    @property
    def on_their_way(self) -> int:
        """Records that have not arrived yet."""
        self._producer.poll(0)
        return len(self._producer)

    def _told(self, error: KafkaError | None, message: Message) -> None:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if error is not None:
            self._refused.append(error)
        elif topic is not None and partition is not None and offset is not None:
            self.ends[topic, partition] = offset + 1


def inputs(names: TopicNames, records: Iterable[Sent]) -> Iterable[Out]:
    """The records of a market, for its topics."""
    for record in records:
        yield Out(names.prefix + record.topic, record.key, record.value, record.partition)


def outputs(topic: str, records: EncodedRecords, partition: int = BY_KEY) -> Iterable[Out]:
    """Encoded records, for one topic."""
    for i in range(records.count):
        yield Out(topic, records.key(i), records.value(i), partition)
