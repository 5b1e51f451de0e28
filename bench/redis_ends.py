"""When the Redis view is equal to the tables as they are now, seen from outside.

Where the topics end is asked of the broker; how far Redis has come is read from the view's marker in Redis itself. It
is rewritten in each transaction, and says up to where all stands beside it.
"""

import time
from types import TracebackType
from typing import Final, Self

from confluent_kafka import TopicPartition
from redis.exceptions import RedisError

from bench.kafka_answer import TIMEOUT_S, committed_consumer
from bench.kafka_ground import Place, RunError
from bench.redis_server import RedisServer
from streams.topic_names import STRATEGY_CHANGES, TABLES
from streams.views.redis.keys import NO_PREFIX
from streams.views.redis.marker import Marker, Positions

GIVEN_UP_S: Final = 60.0
LOOK_AGAIN_S: Final = 0.05


class Ends:
    """Where the topics end that the view is made of. Use it in a `with`."""

    def __init__(self, place: Place) -> None:
        topics = place.topics
        self._kinds = {topics.changelog(table): table for table in TABLES} | {topics.strategy_changes: STRATEGY_CHANGES}
        self._consumer = committed_consumer(place.ground.bootstrap)
        listed = self._consumer.list_topics(timeout=TIMEOUT_S).topics
        self._places = [TopicPartition(topic, number) for topic in self._kinds for number in listed[topic].partitions]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._consumer.close()

    def now(self) -> Positions:
        """Behind the last record of each partition that has any."""
        found = {
            (self._kinds[each.topic], each.partition): self._consumer.get_watermark_offsets(each, timeout=TIMEOUT_S)[1]
            for each in self._places
        }
        return {place: end for place, end in found.items() if end}


def seconds_until_equal(server: RedisServer, ends: Ends) -> float:
    """Wait until Redis has all that the topics held at the call; returns how long that took."""
    began_s, wanted = time.monotonic(), ends.now()
    while not has(server, wanted):
        if time.monotonic() - began_s > GIVEN_UP_S:
            raise RunError(f"the view was not equal to the tables {GIVEN_UP_S:.0f} s after Redis had returned")
        time.sleep(LOOK_AGAIN_S)
    return time.monotonic() - began_s


def has(server: RedisServer, wanted: Positions) -> bool:
    """Whether the marker says that all up to there is in Redis."""
    try:
        with server.client as client:
            found = client.get(NO_PREFIX.marker)
    except RedisError:
        return False
    marker = Marker.read(None if found is None else str(found).encode())
    return marker is not None and marker.covers(wanted)
