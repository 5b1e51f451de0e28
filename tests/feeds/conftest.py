"""The broker of the Kafka tests, for what is sent to it from here."""

from tests.kafka.conftest import broker, make_topic, own_kafka, real_broker, session_broker

__all__ = ["broker", "make_topic", "own_kafka", "real_broker", "session_broker"]
