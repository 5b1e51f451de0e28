"""The broker of all tests."""

from tests.kafka.conftest import broker, real_broker, session_broker

__all__ = ["broker", "real_broker", "session_broker"]
