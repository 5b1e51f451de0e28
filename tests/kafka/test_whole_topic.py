"""A topic is read from what is left of its start to its end."""

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import TopicPartition

from streams.kafka.whole_topic import read_whole
from tests.kafka.conftest import MakeTopic
from tests.kafka.shared_broker import SharedBroker

RECORDS = 12
DELETED = 5
PATIENCE_S = 30


def test_where_the_start_is_deleted_it_begins_with_what_is_left(broker: SharedBroker, make_topic: MakeTopic) -> None:
    topic = make_topic(2)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True})
    for number in range(2 * RECORDS):
        producer.produce(topic, b"%d" % number, b"k", number % 2)
    assert producer.flush(PATIENCE_S) == 0
    before = TopicPartition(topic, 1, DELETED)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.delete_records([before])[before].result(PATIENCE_S)
    found = [(each.partition, each.offset) for each in read_whole(broker.bootstrap, topic)]
    assert sorted(found) == [(0, at) for at in range(RECORDS)] + [(1, at) for at in range(DELETED, RECORDS)]
