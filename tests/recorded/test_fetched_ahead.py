"""Responses are fetched ahead of who takes them: no more than may wait, each partition by itself, and it ends."""

import os
import threading
import time
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import TopicPartition

from streams.kafka.packed_fetch import Packed
from streams.kafka.topic_spans import Span
from streams.recorded import fetched_ahead
from streams.recorded.fetched_ahead import FetchedAhead, SilenceError, StoppedError
from tests.kafka.conftest import MakeTopic
from tests.kafka.shared_broker import SharedBroker

RECORDS = 300
RECORD_BYTES = 10_000
FETCH_BYTES = 50_000
AHEAD_BYTES = 600_000
PATIENCE_S = 30
SPANS = {0: Span(0, RECORDS), 1: Span(0, RECORDS)}


@pytest.fixture
def topic(broker: SharedBroker, make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch) -> str:
    """Much more than may wait, in two partitions."""
    monkeypatch.setattr(fetched_ahead, "AHEAD_BYTES", AHEAD_BYTES)
    name = make_topic(2)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True, "batch.size": FETCH_BYTES})
    for number in range(2 * RECORDS):
        producer.produce(name, os.urandom(RECORD_BYTES), b"k", number % 2)
    assert producer.flush(PATIENCE_S) == 0
    return name


def maker(bootstrap: str) -> Callable[[], AIOKafkaConsumer]:
    return lambda: AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="none", max_partition_fetch_bytes=FETCH_BYTES
    )


def taken(ahead: FetchedAhead, partition: int) -> list[Packed]:
    """All of a partition, each where the one before ended."""
    found = [ahead.take(partition)]
    while found[-1].position < RECORDS:
        found.append(ahead.take(partition))
        assert found[-1].start == found[-2].position
    return found


def is_fetching() -> bool:
    return any(thread.name == "fetching" for thread in threading.enumerate())


def test_what_waits_is_bounded_and_all_of_it_comes(broker: SharedBroker, topic: str) -> None:
    share, until = AHEAD_BYTES // 2, time.monotonic() + PATIENCE_S
    with FetchedAhead(maker(broker.bootstrap), topic, SPANS) as ahead:
        while min(ahead._waiting_bytes.values()) < share:
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(0.5)
        waits = dict(ahead._waiting_bytes)
        found = {partition: taken(ahead, partition) for partition in SPANS}
        assert set(ahead._waiting_bytes.values()) == {0}
    for partition, responses in found.items():
        assert (responses[0].start, responses[-1].position) == (0, RECORDS)
        assert waits[partition] < share + max(len(each.data) for each in responses)
        assert sum(len(each.data) for each in responses) > 4 * share
    assert not is_fetching()


def test_a_partition_that_is_not_taken_keeps_no_other_from_coming(broker: SharedBroker, topic: str) -> None:
    with FetchedAhead(maker(broker.bootstrap), topic, SPANS) as ahead:
        assert taken(ahead, 1)[-1].position == RECORDS
        assert ahead.take(0).start == 0


def test_nothing_is_taken_from_behind_the_range(broker: SharedBroker, topic: str) -> None:
    with FetchedAhead(maker(broker.bootstrap), topic, {0: Span(7, 20)}) as ahead:
        first = ahead.take(0)
        assert first.start == 7
        while first.position < 20:
            first = ahead.take(0)
        ahead._thread.join(PATIENCE_S)
        assert not ahead._thread.is_alive()


def test_where_nothing_comes_for_long_that_is_said(
    broker: SharedBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FetchedAhead(maker(broker.bootstrap), topic, {1: Span(0, RECORDS + 1)}) as ahead:
        taken(ahead, 1)
        monkeypatch.setattr(fetched_ahead, "SILENCE_TIMEOUT_S", 0.3)
        with pytest.raises(SilenceError, match="partition 1"):
            ahead.take(1)


def test_what_is_deleted_is_told_behind_what_has_come(broker: SharedBroker, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    deleted = admin.delete_records([TopicPartition(topic, 0, 100)])
    deleted[TopicPartition(topic, 0, 100)].result(PATIENCE_S)
    spans = {0: Span(50, RECORDS)}
    with FetchedAhead(maker(broker.bootstrap), topic, spans) as ahead, pytest.raises(OffsetOutOfRangeError):
        ahead.take(0)


def test_who_waits_when_it_ends_waits_no_more(broker: SharedBroker, topic: str) -> None:
    raised: list[BaseException] = []

    def take_all(ahead: FetchedAhead) -> None:
        try:
            while True:
                ahead.take(1)
        except StoppedError as error:
            raised.append(error)

    with FetchedAhead(maker(broker.bootstrap), topic, {1: Span(0, 10**6)}) as ahead:
        waiting = threading.Thread(target=take_all, args=[ahead])
        waiting.start()
        time.sleep(0.2)
    waiting.join(PATIENCE_S)
    assert len(raised) == 1
    assert not is_fetching()


def test_a_broker_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(KafkaConnectionError), FetchedAhead(maker("127.0.0.1:1"), "t", SPANS):
        pass
    assert not is_fetching()
