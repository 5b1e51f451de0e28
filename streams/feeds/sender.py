"""Sends a made-up market to Kafka at its own pace, and knows at the end what arrived."""

import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.core.records import EncodedRecords
from streams.errors import InputError
from streams.feeds.encoded_ticks import TickEncoder
from streams.feeds.synthetic import Plan, parts
from streams.kafka.broker_trouble import Heard, trouble

MOST_AT_ONCE: Final = 1_000
"""Records between two looks at the clock, and at whether to stop."""

LEAST_WAIT_S: Final = 0.005
QUEUE_WAIT_S: Final = 0.05
CONNECT_TIMEOUT_S: Final = 10.0
DELIVERY_TIMEOUT_S: Final = 30.0
STOPPED_TIMEOUT_S: Final = 8.0
"""What is under way has so long to arrive; less where the feed was told to stop."""

Wait = Callable[[float], bool]
"""Waits so many seconds; true, at once, where the feed is to stop. `threading.Event.wait` is one."""


class Sent(NamedTuple):
    """What became of a feed."""

    ticks: int
    """Handed over, in the order of the plan: the first so many of it."""
    not_delivered: int
    """Of those: what the broker refused or did not confirm in time."""
    seconds: float
    most_behind_s: float
    """How far the feed fell behind its schedule at worst."""
    crc32: str
    """Over the values of all ticks, one after the other."""
    problem: str = ""
    """What the broker said of the last one that was not delivered."""


class Outlet:
    """Hands records to the broker, and counts those that it does not confirm."""

    def __init__(self, bootstrap: str, topic: str, options: Mapping[str, Any] | None = None) -> None:
        self._heard = Heard()
        self._bootstrap, self._topic = bootstrap, topic
        self._producer = Producer({**_options(bootstrap, self._heard, self._told), **(options or {})})
        self.failed = 0
        self.problem = ""
        self.partitions = 0
        """Of the topic, once it is connected."""

    def connect(self) -> None:
        """Ask for the topic, or raise `InputError` where nobody answers."""
        place = f"topic {self._topic} at {self._bootstrap}"
        try:
            found = self._producer.list_topics(self._topic, timeout=CONNECT_TIMEOUT_S).topics[self._topic]
        except KafkaException as error:
            raise trouble(error, place, "find the topic", self._heard.last) from error
        if found.error is not None:
            raise InputError(place, f"the broker does not give it ({found.error.str()})", "run `tickgate topics apply`")
        self.partitions = len(found.partitions)

    def send_to(self, partition: int, value: bytes, ts_ms: int) -> None:
        """Hand over one record without a key, for a partition."""
        self._producer.produce(self._topic, value=value, partition=partition, timestamp=ts_ms)
        self._producer.poll(0)

    def send_one(self, key: bytes, value: bytes, ts_ms: int, wait: Wait) -> bool:
        """Hand over one record; returns whether it went, which it does but where it is told to stop."""
        while not self._produced(key, value, ts_ms):
            if wait(0):
                return False
        self._producer.poll(0)
        return True

    def send(self, records: EncodedRecords, start: int, end: int, wait: Wait) -> int:
        """Hand over some records; returns how many went, which is less only where it is told to stop."""
        data, columns = records.data.tobytes(), (records.key_start, records.key_end, records.value_start)
        spans = zip(
            *(column[start:end].tolist() for column in (*columns, records.value_end, records.ts_ms)), strict=True
        )
        for went, (key, key_end, value, value_end, ts_ms) in enumerate(spans):
            while not self._produced(data[key:key_end], data[value:value_end], ts_ms):
                if wait(0):
                    return went
        self._producer.poll(0)
        return end - start

    def _produced(self, key: bytes, value: bytes, ts_ms: int) -> bool:
        try:
            self._producer.produce(self._topic, key=key, value=value, timestamp=ts_ms)
        except BufferError:
            self._producer.poll(QUEUE_WAIT_S)
            return False
        return True

    def close(self, timeout_s: float) -> int:
        """Wait for what is under way; returns how many records did not arrive, as far as is known."""
        left = self._producer.flush(timeout_s)
        return self.failed + left

    def _told(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self.failed += 1
            self.problem = error.str()


def send_market(
    plan: Plan, encoder: TickEncoder, outlet: Outlet, wait: Wait, clock: Callable[[], float] = time.monotonic
) -> Sent:
    """Send each tick when it is due, to the end of the plan or until told to stop."""
    began = clock()
    sent, crc, most_behind_s, stopped = 0, 0, 0.0, False
    for part in parts(plan):
        records = encoder.records(part)
        due_s = plan.moments_s(sent, records.count)
        at = 0
        while at < records.count and not stopped:
            due = plan.due_ticks(clock() - began) - sent
            if due <= at:
                stopped = wait(max(LEAST_WAIT_S, float(due_s[at]) - (clock() - began)))
                continue
            most_behind_s = max(most_behind_s, clock() - began - float(due_s[at]))
            went = outlet.send(records, at, min(due, at + MOST_AT_ONCE, records.count), wait)
            crc = zlib.crc32(written(records, at, at + went), crc)
            at += went
            stopped = wait(0)
        sent += at
        if stopped:
            break
    seconds = clock() - began
    lost = outlet.close(STOPPED_TIMEOUT_S if stopped else DELIVERY_TIMEOUT_S + 1)
    return Sent(sent, lost, round(seconds, 3), round(most_behind_s, 3), f"{crc:08x}", outlet.problem)


def written(records: EncodedRecords, start: int, end: int) -> bytes:
    """The values of some records, one after the other."""
    return b"" if start >= end else records.data[records.value_start[start] : records.value_end[end - 1]].tobytes()


def crc32_of(plan: Plan, encoder: TickEncoder, ticks: int) -> str:
    """The `crc32` of a feed that sent the first so many ticks of a plan."""
    crc, left = 0, ticks
    for part in parts(plan):
        if not left:
            break
        records = encoder.records(part)
        crc = zlib.crc32(written(records, 0, min(left, records.count)), crc)
        left -= min(left, records.count)
    return f"{crc:08x}"


def _options(bootstrap: str, heard: Heard, told: Callable[[KafkaError | None, Message], None]) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "log_level": 0,
        "error_cb": heard,
        "acks": "all",
        "enable.idempotence": True,  # what is sent again stands once, and in order
        "partitioner": "murmur2_random",  # as Java's, so that all clients agree where a key is
        "compression.type": "lz4",
        "linger.ms": 5,
        "batch.size": 262_144,
        "queue.buffering.max.messages": 200_000,
        "delivery.timeout.ms": int(DELIVERY_TIMEOUT_S * 1_000),
        "on_delivery": told,
        "delivery.report.only.error": True,
    }
