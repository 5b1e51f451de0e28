"""The broker and a PostgreSQL server that the tests of this folder share; and one that they may hurt."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.postgres_server import PostgresServer
from streams.kafka.kafka_jars import Unavailable
from tests.database.ground import Ground
from tests.kafka.conftest import broker, real_broker, session_broker
from tests.kafka.shared_broker import SharedBroker

__all__ = ["broker", "real_broker", "session_broker"]


@pytest.fixture
def sqlite(real_broker: SharedBroker, tmp_path: Path) -> Ground:
    """A topic, and where a file of SQLite may be."""
    return Ground(real_broker.bootstrap, f"sqlite:///{tmp_path}/strategies.db")


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL, which tests may kill and start again."""
    try:
        server = PostgresServer()
    except Unavailable as why:
        pytest.skip(f"needs a PostgreSQL server: {why}")
    with server:
        yield server


@pytest.fixture
def on_postgres(real_broker: SharedBroker, postgres: PostgresServer) -> Ground:
    """A topic, and a PostgreSQL without a table."""
    with postgres.connect() as connection:
        connection.execute("drop table if exists strategies")
    return Ground(real_broker.bootstrap, postgres.url)
