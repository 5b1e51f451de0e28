"""Reads a topic from its start to the ends found at the start: committed records only, each partition in order.

What arrives in between is the next reader's. No group is joined and no offset committed.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, IsolationLevel, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from streams.errors import InputError
from streams.kafka.broker_trouble import UNREACHABLE, Heard, trouble
from streams.kafka.security import NO_SECURITY

ANSWER_TIMEOUT_S: Final = 10.0
SILENCE_TIMEOUT_S: Final = 30.0
"""So long without a record, while there are some to come, and the broker counts as gone."""

NEW_TOPIC_PATIENCE_S: Final = 2.0
"""A topic is made before every broker knows of it."""

_NOT_YET: Final = frozenset(
    {
        "FENCED_LEADER_EPOCH",
        "LEADER_NOT_AVAILABLE",
        "NOT_LEADER_FOR_PARTITION",
        "OFFSET_NOT_AVAILABLE",
        "UNKNOWN_LEADER_EPOCH",
        "UNKNOWN_TOPIC_OR_PART",
    }
)
"""What a broker says of a partition that is new to it, or on its way to another."""

_RECORDS_AT_ONCE: Final = 1_000
_THE_START: Final = 0
"""As a number. Its name has to be asked for; that fails while librdkafka knows no broker yet, and it waits for half a
second then. Where records are deleted, `auto.offset.reset` has it begin with what is left."""

_POLL_S: Final = 0.05
"""A call waits for as many records as it may bring, or for so long."""


class Record(NamedTuple):
    """One record and where it stands."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def read_whole(
    bootstrap: str, topic: str, security: Mapping[str, str] = NO_SECURITY, *, answer_timeout_s: float = ANSWER_TIMEOUT_S
) -> Iterator[Record]:
    """All records of the topic that are committed by now; raises `InputError`."""
    heard = Heard()
    options: dict[str, Any] = {"bootstrap.servers": bootstrap, "log_level": 0, "error_cb": heard, **security}
    try:
        ends = _ends(AdminClient(options), topic, answer_timeout_s)
        if ends is None:
            raise InputError(f"topic {topic} at {bootstrap}", "there is no such topic", "run `tickgate topics apply`")
        yield from _records(options, topic, ends, heard)
    except KafkaException as error:
        raise trouble(error, f"topic {topic} at {bootstrap}", "read it", heard.last) from error


def committed_ends(bootstrap: str, topic: str, security: Mapping[str, str] = NO_SECURITY) -> dict[int, int]:
    """Behind the last committed record of each partition that has any; raises `InputError`."""
    heard = Heard()
    options: dict[str, Any] = {"bootstrap.servers": bootstrap, "log_level": 0, "error_cb": heard, **security}
    try:
        return _ends(AdminClient(options), topic, ANSWER_TIMEOUT_S) or {}
    except KafkaException as error:
        raise trouble(error, f"topic {topic} at {bootstrap}", "read it", heard.last) from error


def _ends(admin: AdminClient, topic: str, answer_timeout_s: float) -> dict[int, int] | None:
    """Behind the last committed record of each partition that has any; None where there is no such topic."""
    began = time.monotonic()
    while True:
        waited_s = time.monotonic() - began
        try:
            found = _ends_now(admin, topic, answer_timeout_s)
        except KafkaException as error:
            admin.poll(0)  # hear why
            if error.args[0].name() not in _NOT_YET or waited_s > answer_timeout_s:
                raise
        else:
            if found is not None or waited_s > NEW_TOPIC_PATIENCE_S:
                return found
        time.sleep(_POLL_S)


def _ends_now(admin: AdminClient, topic: str, answer_timeout_s: float) -> dict[int, int] | None:
    partitions = admin.list_topics(timeout=answer_timeout_s).topics.get(topic)
    if partitions is None:
        return None
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(topic, partition): latest for partition in partitions.partitions}
    options = {"isolation_level": IsolationLevel.READ_COMMITTED, "request_timeout": answer_timeout_s}
    answers = admin.list_offsets(asked, **options)
    return {each.partition: offset for each, future in answers.items() if (offset := future.result().offset) > 0}


def _records(options: dict[str, Any], topic: str, ends: dict[int, int], heard: Heard) -> Iterator[Record]:
    consumer = Consumer(
        options
        | {
            "group.id": "tickgate-reader",  # must be there, and is not used
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
            "enable.partition.eof": True,  # the last record may be gone: compacted, aborted, or a transaction's marker
        }
    )
    try:
        consumer.assign([TopicPartition(topic, partition, _THE_START) for partition in ends])
        left = dict(ends)
        heard_at = time.monotonic()
        while left:
            messages = consumer.consume(_RECORDS_AT_ONCE, _POLL_S)
            if messages:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > SILENCE_TIMEOUT_S:
                problem = f"no records for {SILENCE_TIMEOUT_S:.0f} s, and there are more ({heard.last or 'no reason'})"
                raise InputError(f"topic {topic}", problem, UNREACHABLE)
            yield from _wanted(messages, left)
    finally:
        consumer.close()


def _wanted(messages: list[Message], left: dict[int, int]) -> Iterator[Record]:
    """Those that stand before the ends; a partition that has come to its end is taken off."""
    for message in messages:
        partition, offset, error = message.partition(), message.offset(), message.error()
        if error is not None and error.name() != "_PARTITION_EOF":
            raise KafkaException(error)
        assert partition is not None, "every message stands somewhere"
        assert offset is not None, "as above"
        if partition not in left:
            continue
        if error is None and offset < left[partition]:
            yield Record(partition, offset, message.key(), message.value(), _headers(message))
        if offset + (error is None) >= left[partition]:
            del left[partition]


def _headers(message: Message) -> tuple[tuple[str, bytes | None], ...]:
    """The headers in order; librdkafka gives them as bytes, and types them as what may be sent."""
    headers: Any = message.headers()
    return tuple((name, value) for name, value in headers or ())
