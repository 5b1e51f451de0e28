"""What the tests of the Kafka path share: a broker, and topics of their own on it."""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.kafka import outbox
from streams.kafka.kafka_jars import Unavailable
from streams.kafka.kafka_process import KafkaProcess
from tests.kafka.broker_report import note_broker
from tests.kafka.shared_broker import SharedBroker, shared_broker

MakeTopic = Callable[..., str]


@pytest.fixture(scope="session")
def session_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedBroker]:
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    with shared_broker(folder) as broker:
        yield broker


@pytest.fixture
def broker(session_broker: SharedBroker, request: pytest.FixtureRequest) -> SharedBroker:
    """The first broker that works here, shared by all tests: each uses topics of its own."""
    note_broker(request.node, session_broker.kind, session_broker.passed_over)
    return session_broker


@pytest.fixture
def real_broker(broker: SharedBroker) -> SharedBroker:
    """The same where it is a real Kafka; else the test is skipped, and says why there is none."""
    if not broker.transactions:
        pytest.skip(f"needs a real Kafka: {'; '.join(broker.passed_over)}")
    return broker


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[KafkaProcess]:
    """A real Kafka that the tests of one file may kill, freeze and bounce."""
    try:
        broker = KafkaProcess.start(os.environ)
    except Unavailable as why:
        pytest.skip(f"needs a real Kafka of its own: {why}")
    with broker:
        yield broker


@pytest.fixture
def make_topic(broker: SharedBroker) -> MakeTopic:
    """Make a topic with a name of its own: `make_topic(partitions=4, **{"cleanup.policy": "compact"})`."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})

    def make(partitions: int = 1, **config: str) -> str:
        name = f"t-{uuid.uuid4().hex[:12]}"
        topic = NewTopic(name, partitions, 1, config={"retention.ms": "-1", **config})
        admin.create_topics([topic])[name].result(timeout=30)
        return name

    return make


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for stand-ins of `java` and `mvn`."""
    folder = tmp_path / "tools"
    folder.mkdir()
    return folder


@pytest.fixture
def nothing_between_hurried_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time between them is held in `test_outbox.py`."""
    monkeypatch.setattr(outbox, "HURRIED_S", 0.0)
