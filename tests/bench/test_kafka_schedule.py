"""Ticks in requests that were made before: on a real Kafka they are what the workload's own encoder sends."""

import socket
import uuid
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench import workload
from bench.kafka_flow import Helper
from bench.kafka_ground import PARTITIONS, RunError
from bench.kafka_schedule import Flow, Sent, must_be_taken, requests, send_on_schedule, slot_ends, take_answers
from tests.kafka.shared_broker import SharedBroker

RATE = 20_000.0
TICKS = 1_001


def test_each_request_has_what_was_due_before_its_end() -> None:
    assert slot_ends(TICKS, RATE) == [*range(80, TICKS, 80), TICKS]
    assert slot_ends(5, 300.0) == [2, 3, 4, 5]  # due at 0, 3.3, 6.7, 10 and 13.3 ms


def test_what_is_sent_is_what_the_workload_encodes(real_broker: SharedBroker, tmp_path: Path) -> None:
    topic = f"s{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": real_broker.bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)
    who, when = workload.make_ticks(np.random.default_rng(3), TICKS, 50, RATE, workload.START_MS)
    np.savez(tmp_path / "ticks.npz", who=who, when=when)
    with Helper(send_on_schedule, Flow(real_broker.bootstrap, topic, RATE), tmp_path / "ticks.npz") as sender:
        sender.hear()
        sender.tell("go")
        sent: Sent = sender.hear()
    assert sent.most_behind_s < TICKS / RATE + 5
    expected = defaultdict(list)
    for number, ts_ms in zip(who.tolist(), when.tolist(), strict=True):
        name = workload.ticker_name(number)
        expected[name].append((workload.encode(name, ts_ms, 100.0), ts_ms))
    assert read(real_broker.bootstrap, topic) == expected


def read(bootstrap: str, topic: str) -> dict[str, list[tuple[bytes, int]]]:
    """Values and times by key, in the order they are in."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "t", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    found = defaultdict(list)
    for _ in range(TICKS):
        message = consumer.poll(10)
        assert message is not None
        found[(message.key() or b"").decode()].append((message.value() or b"", message.timestamp()[1]))
    consumer.close()
    return found


def test_a_broker_that_refuses_is_told(real_broker: SharedBroker) -> None:
    who, when = workload.make_ticks(np.random.default_rng(3), 10, 50, RATE, workload.START_MS)
    frames = list(requests(Flow(real_broker.bootstrap, "no-such-topic-here", RATE), who, when))
    host, _, port = real_broker.bootstrap.rpartition(":")
    with socket.create_connection((host, int(port)), 10) as to:
        to.sendall(frames[0])
        answers = bytearray()
        take_answers(to, answers)
        with pytest.raises(RunError, match="refused ticks"):
            must_be_taken(to, answers, len(frames))
