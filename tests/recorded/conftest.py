"""What the tests of recordings need of those of whole workers: a place on a real broker."""

from tests.kafka.conftest import broker, make_topic, real_broker, session_broker
from tests.worker.conftest import once, place

__all__ = ["broker", "make_topic", "once", "place", "real_broker", "session_broker"]
