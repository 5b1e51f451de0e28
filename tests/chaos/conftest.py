"""What the crash audit needs of the tests of the Kafka path: a broker that all share, and one of its own."""

from tests.kafka.conftest import broker, own_kafka, real_broker, session_broker

__all__ = ["broker", "own_kafka", "real_broker", "session_broker"]
