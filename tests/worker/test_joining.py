"""A worker joins its group however the broker comes and goes meanwhile; where it never can, it ends and says why."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer

from bench.kafka_ground import PARTITIONS, Place, make_topics
from bench.kafka_worker import Worker
from streams.kafka.kafka_process import KafkaProcess

JOINED_S = 60


@pytest.mark.parametrize("into_s", [0.3, 0.6, 0.9])
def test_one_that_joins_while_its_broker_goes_away_is_ready_soon_after_it_is_back(
    own_kafka: KafkaProcess, shaken: Place, into_s: float
) -> None:
    """At one of these moments it has subscribed, and knows of no topic when it comes to assign them."""
    with Worker(shaken) as worker:
        worker.wait_until(lambda each: each.readiness() != {}, "answering")
        time.sleep(into_s)
        own_kafka.kill()
        own_kafka.launch()
        began = time.monotonic()
        worker.wait_until_ready(PARTITIONS)
        assert time.monotonic() - began < JOINED_S, worker.words()


@contextmanager
def another_in_its_group(place: Place) -> Iterator[None]:
    """A program that shares out partitions in another way."""
    options = {"bootstrap.servers": place.ground.bootstrap, "group.id": f"{place.prefix}{place.app_id}"}
    other, over = Consumer(options), threading.Event()
    other.subscribe([place.topics.ticks])

    def stay() -> None:
        while not over.is_set():
            other.poll(0.1)
        other.close()

    thread = threading.Thread(target=stay)
    deadline = time.monotonic() + JOINED_S
    while not other.assignment():
        assert time.monotonic() < deadline
        other.poll(0.1)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_one_whose_group_is_anothers_ends_and_says_so(once: Place) -> None:
    make_topics(once)
    with another_in_its_group(once), Worker(once) as worker:
        assert worker.exit_code() == 1
        assert "end the other programs in this group, or take another TICKGATE_APP_ID" in worker.said()
