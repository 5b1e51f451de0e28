"""What the tests of whole workers need of the tests of the Kafka path: a broker that all share, and one of its own."""

import os
from pathlib import Path

import pytest

from bench.kafka_ground import Ground, Place
from tests.kafka.conftest import broker, own_kafka, real_broker, session_broker
from tests.kafka.shared_broker import SharedBroker

__all__ = ["broker", "own_kafka", "real_broker", "session_broker"]


@pytest.fixture(params=["exactly_once", "at_least_once"])
def place(request: pytest.FixtureRequest, real_broker: SharedBroker, tmp_path: Path) -> Place:
    """Topics of its own, in both guarantees."""
    return a_place(real_broker.bootstrap, real_broker.kind, tmp_path, request.param)


@pytest.fixture
def once(real_broker: SharedBroker, tmp_path: Path) -> Place:
    """The same, exactly once alone."""
    return a_place(real_broker.bootstrap, real_broker.kind, tmp_path)


def a_place(bootstrap: str, kind: str, folder: Path, guarantee: str = "exactly_once") -> Place:
    prefix = f"{folder.name[-20:].replace('_', '-')}-{os.getpid()}."
    return Place(Ground(bootstrap, kind, folder), prefix, "exact", guarantee)
