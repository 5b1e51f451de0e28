"""What the tests of universes share: an exchange, and a clock that is moved by hand."""

from collections.abc import Iterator

import pytest

from tests.kafka.conftest import broker, real_broker, session_broker
from tests.universes.exchange import Exchange, running

__all__ = ["broker", "real_broker", "session_broker"]


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """A real HTTP server."""
    with running() as found:
        yield found
