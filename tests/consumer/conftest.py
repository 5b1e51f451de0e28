"""The broker of the Kafka tests, and topics of its own for each test that consumes executions."""

import uuid

import pytest

from tests.consumer.ground import Ground
from tests.kafka.conftest import broker, real_broker, session_broker
from tests.kafka.shared_broker import SharedBroker

__all__ = ["broker", "real_broker", "session_broker"]


@pytest.fixture
def ground(real_broker: SharedBroker) -> Ground:
    """Topics for executions and results, with a prefix of their own."""
    made = Ground(real_broker.bootstrap, f"c{uuid.uuid4().hex[:10]}.")
    made.make_topics(partitions=2)
    return made
