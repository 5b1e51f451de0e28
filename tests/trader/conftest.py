"""The tests of what traders look at share the broker of the Kafka path."""

from tests.kafka.conftest import broker, make_topic, real_broker, session_broker

__all__ = ["broker", "make_topic", "real_broker", "session_broker"]
