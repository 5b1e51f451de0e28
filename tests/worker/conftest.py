"""What the tests of whole workers need of the tests of the Kafka path: a broker that all share, and one of its own."""

import os
from pathlib import Path

import pytest

from bench import reference
from bench.kafka_ground import Ground, Place, import_strategies, make_topics
from streams.kafka.kafka_process import KafkaProcess
from tests.kafka.conftest import broker, own_kafka, real_broker, session_broker
from tests.kafka.shared_broker import SharedBroker

__all__ = ["broker", "own_kafka", "real_broker", "session_broker"]

FEW = reference.make(5, 2_000, tickers=300, strategies=60)


@pytest.fixture(params=["exactly_once", "at_least_once"])
def place(request: pytest.FixtureRequest, real_broker: SharedBroker, tmp_path: Path) -> Place:
    """Topics of its own, in both guarantees."""
    return a_place(real_broker.bootstrap, real_broker.kind, tmp_path, request.param)


@pytest.fixture
def once(real_broker: SharedBroker, tmp_path: Path) -> Place:
    """The same, exactly once alone."""
    return a_place(real_broker.bootstrap, real_broker.kind, tmp_path)


@pytest.fixture
def shaken(own_kafka: KafkaProcess, tmp_path: Path) -> Place:
    """On a broker that may be shaken; with topics and strategies."""
    place = a_place(own_kafka.bootstrap, own_kafka.kind, tmp_path)
    make_topics(place)
    import_strategies(place, FEW.strategies)
    return place


def a_place(bootstrap: str, kind: str, folder: Path, guarantee: str = "exactly_once") -> Place:
    prefix = f"{folder.name[-20:].replace('_', '-')}-{os.getpid()}."
    return Place(Ground(bootstrap, kind, folder), prefix, "exact", guarantee)
