"""Executions read by plain requests are those that any consumer of what is committed finds, each when it came."""

import time
import uuid

import numpy as np
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.kafka_answer import answer_of
from bench.kafka_flow import Helper
from bench.kafka_ground import RunError
from bench.kafka_reader import Part, Received, end_of, read_as_they_come, values
from streams.kafka.codec import Encoder
from streams.kafka.registry import FileSchemas
from tests.kafka.shared_broker import SharedBroker

ENCODER = Encoder(FileSchemas(), ["execution"])


def execution(offset: int, partition: int) -> bytes:
    cause = {"topic": "ticks", "partition": partition, "first_offset": offset, "last_offset": offset}
    fields = {"strategy_id": "s", "strategy_version": 1, "mode": "per_ticker", "timeframe": "1m", "bucket_ms": offset}
    more = {"execution_id": "x", "tickers": ["T"], "scope": "tickers", "ts": 5, "cause": cause, "run_id": ""}
    return ENCODER.encode("execution", {**fields, **more})


def sent(producer: Producer, topic: str, offsets: range) -> None:
    for offset in offsets:
        producer.produce(topic, value=execution(offset, offset % 2), partition=offset % 2)
    producer.flush(30)


def test_what_is_committed_behind_the_start_is_read_once_with_its_time(real_broker: SharedBroker) -> None:
    topic = f"r{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": real_broker.bootstrap})
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(30)
    plain = Producer({"bootstrap.servers": real_broker.bootstrap, "compression.type": "lz4"})
    ends = Producer({"bootstrap.servers": real_broker.bootstrap, "transactional.id": topic})
    ends.init_transactions(30)
    sent(plain, topic, range(5))  # before the reader
    with Helper(read_as_they_come, real_broker.bootstrap, topic) as reader:
        assert reader.hear() == "ready"
        began_s = time.monotonic()
        sent(plain, topic, range(10, 20))
        ends.begin_transaction()
        sent(ends, topic, range(20, 25))
        ends.abort_transaction(30)
        ends.begin_transaction()
        sent(ends, topic, range(25, 30))
        ends.commit_transaction(30)
        sent(plain, topic, range(30, 33))
        reader.tell("that was all")
        found: Received = reader.hear()
    expected = [*range(10, 20), *range(25, 33)]
    assert sorted(found.first_offset.tolist()) == expected
    assert (found.first_offset % 2 == found.partition).all()
    assert found.answer == answer_of(("s", "T", offset) for offset in expected)
    assert (np.diff(found.read_s) >= 0).all()
    assert began_s < found.read_s.min()
    assert found.read_s.max() < time.monotonic()


def test_the_end_is_behind_the_last_whole_batch() -> None:
    def batch(offset: int, count: int) -> bytes:
        head = offset.to_bytes(8, "big") + (50).to_bytes(4, "big") + bytes(11) + (count - 1).to_bytes(4, "big")
        return head.ljust(62, b"\0")

    assert end_of(b"") is None
    assert end_of(batch(7, 3)) == 10
    assert end_of(batch(7, 3) + batch(10, 2)) == 12
    assert end_of(batch(7, 3) + batch(10, 2)[:-1]) == 10
    assert end_of(batch(7, 3)[:-1]) is None


def test_what_cannot_be_read_is_told() -> None:
    bad = bytearray(100)
    bad[8:12] = (88).to_bytes(4, "big")
    with pytest.raises(RunError, match="cannot be read at 0"):
        list(values(Part(0.0, 0, [], bytes(bad))))
