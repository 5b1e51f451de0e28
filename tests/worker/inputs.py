"""What workers under test are sent: the ticks of a workload, and single records whose places are known."""

import io
import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import fastavro
from confluent_kafka import KafkaError, Message, Producer

from bench import reference
from bench.kafka_answer import FRAMING_BYTES, ends_of, records_behind
from bench.kafka_flow import producer, put
from bench.kafka_ground import Place
from bench.kafka_worker import Worker

LINGER_MS: Final = 20.0
BY_KEY: Final = -1
LETTER: Final = fastavro.parse_schema(
    json.loads((Path(__file__).parents[2] / "schemas" / "dead_letter.avsc").read_text())
)


class Feed:
    """The ticks of a workload, sent a part at a time."""

    def __init__(self, place: Place, work: reference.Workload) -> None:
        self._topic, self._work, self._values = place.topics.ticks, work, reference.encoded(work)
        self._to: Producer = producer(place.ground.bootstrap, LINGER_MS)
        self._sent = 0

    def send(self, share: float) -> None:
        """Send on until so much of all is sent."""
        until = round(share * len(self._values))
        for i in range(self._sent, until):
            name, ts_ms = self._work.names[self._work.who[i]], int(self._work.when[i])
            put(self._to, self._topic, name.encode(), self._values[i], ts_ms)
        self._sent = until
        assert self._to.flush(60) == 0


class Given(NamedTuple):
    """A record to send."""

    key: bytes | None
    value: bytes | None
    partition: int = BY_KEY
    headers: tuple[tuple[str, bytes], ...] = ()


class At(NamedTuple):
    """Where a record stands."""

    partition: int
    offset: int


class Hand:
    """Sends single records, and says where each has come to stand."""

    def __init__(self, place: Place, topic: str) -> None:
        options = {"bootstrap.servers": place.ground.bootstrap, "partitioner": "murmur2_random", "log_level": 0}
        self._to, self._topic = Producer({**options, "message.max.bytes": 4 << 20}), topic

    def send(self, given: Given) -> At:
        """Send one, and wait until it is there."""
        places: list[At] = []

        def told(error: KafkaError | None, message: Message) -> None:
            assert error is None, str(error)
            places.append(At(message.partition() or 0, message.offset() or 0))

        key, value, partition, headers = given
        self._to.produce(self._topic, value, key, partition, on_delivery=told, headers=list(headers))
        assert self._to.flush(60) == 0
        return places[0]


class Letter(NamedTuple):
    """A dead letter."""

    key: bytes
    fields: dict[str, Any]

    @property
    def at(self) -> At:
        """Where the record stood that it tells of."""
        return At(self.fields["partition"], self.fields["offset"])


def letters(place: Place, topic: str) -> list[Letter]:
    """The dead letters of a topic, decoded as its schema file says."""
    found = []
    for key, value in records_behind(place.ground.bootstrap, place.topics.dead_letters(topic), {}):
        fields: Any = fastavro.schemaless_reader(io.BytesIO(value[FRAMING_BYTES:]), LETTER, None)
        found.append(Letter(key, dict(fields)))
    return found


def positions(worker: Worker) -> dict[int, int]:
    """How far the checkpoints of each of its shards have come."""
    return {shard["partition"]: shard["position"] for shard in worker.readiness().get("shards", [])}


def wait_until_done(worker: Worker, place: Place) -> None:
    """Wait until every tick that is there is in a checkpoint of this worker."""
    ends = ends_of(place.ground.bootstrap, place.topics.ticks)
    worker.wait_until(lambda each: positions(each) == ends, f"at the ends of its partitions, {ends}")
