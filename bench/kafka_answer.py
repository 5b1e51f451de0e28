"""What came out of a run: the fired pairs a read_committed consumer finds, counted and hashed as the workload's."""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bench import workload

EXECUTION: Final = fastavro.parse_schema(
    json.loads((Path(__file__).parents[1] / "schemas" / "execution.avsc").read_text())
)
FRAMING_BYTES: Final = 5
AT_ONCE: Final = 10_000
WAIT_S: Final = 0.2
TIMEOUT_S: Final = 30.0

Pair = tuple[str, str, int]
"""Strategy, ticker, start of the bucket."""

Record = tuple[bytes, bytes]
"""Key and value."""


class Answer(NamedTuple):
    """How many pairs there are, and the order-free digest of them. A pair that comes twice spoils both."""

    pairs: int
    digest: str


def answer_of(pairs: Iterable[Pair]) -> Answer:
    """Count and hash."""
    count = total = 0
    for pair in pairs:
        count += 1
        total += workload.triple_hash(*pair)
    return Answer(count, f"{total % 2**64:016x}")


def execution_of(value: bytes) -> dict[str, Any]:
    """Decode one execution."""
    found: Any = fastavro.schemaless_reader(io.BytesIO(value[FRAMING_BYTES:]), EXECUTION, None)
    return dict(found)


def pairs_of_executions(records: Iterable[Record]) -> Iterator[Pair]:
    """What fired, of Tickgate's executions."""
    for _, value in records:
        execution = execution_of(value)
        for ticker in execution["tickers"]:
            yield execution["strategy_id"], ticker, execution["bucket_ms"]


def pairs_of_peer_alerts(records: Iterable[Record]) -> Iterator[Pair]:
    """What fired, of the alerts of the peer in Java: `strategy:bucket,` again and again, the key the ticker."""
    for key, value in records:
        for fired in value.decode().rstrip(",").split(","):
            strategy, _, bucket = fired.partition(":")
            yield strategy, key.decode(), int(bucket)


def committed_consumer(bootstrap: str) -> Consumer:
    """A consumer that is told what to read, sees committed records only, and says where a partition ends."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "bench",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )


def ends_of(bootstrap: str, topic: str) -> dict[int, int]:
    """Behind the last record of each partition; empty where there is no such topic."""
    consumer = committed_consumer(bootstrap)
    try:
        partitions = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
        places = [TopicPartition(topic, partition) for partition in partitions]
        return {place.partition: consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)[1] for place in places}
    finally:
        consumer.close()


def records_behind(bootstrap: str, topic: str, starts: dict[int, int]) -> Iterator[Record]:
    """Every committed record from the given places to the ends."""
    consumer = committed_consumer(bootstrap)
    try:
        left = set(ends_of(bootstrap, topic))
        consumer.assign([TopicPartition(topic, partition, starts.get(partition, 0)) for partition in sorted(left)])
        while left:
            for message in consumer.consume(AT_ONCE, WAIT_S):
                error = message.error()
                if error is None:
                    yield message.key() or b"", message.value() or b""
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its only name
                    left.discard(message.partition() or 0)
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()


class Mark(NamedTuple):
    """Where a topic ended before a run."""

    bootstrap: str
    topic: str
    ends: dict[int, int]

    @classmethod
    def set(cls, bootstrap: str, topic: str) -> "Mark":
        """Remember where the topic ends."""
        return cls(bootstrap, topic, ends_of(bootstrap, topic))

    def answer(self, read: Callable[[Iterable[Record]], Iterator[Pair]]) -> Answer:
        """What has come since."""
        return answer_of(read(records_behind(self.bootstrap, self.topic, self.ends)))
