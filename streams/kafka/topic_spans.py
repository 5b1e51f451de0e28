"""Which offsets of a topic a range of times is, in each partition; and that what it begins with is still there.

Times here are those of the records, which feeds set to the time of the tick.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from streams.errors import InputError
from streams.kafka.broker_trouble import Heard, trouble
from streams.kafka.look_up import APPLY
from streams.kafka.security import NO_SECURITY
from streams.kafka.whole_topic import ANSWER_TIMEOUT_S, committed_ends
from streams.times import shown_time

_NONE_LATER: Final = -1


class Span(NamedTuple):
    """Offsets of one partition, from the first up to, not including, the end."""

    first: int
    end: int


class Asked(NamedTuple):
    """What a user asks for: times, or offsets by partition, or all that is there."""

    from_ms: int | None = None
    to_ms: int | None = None
    offsets: Mapping[int, Span] = {}
    """Where some are given, the other partitions are left out."""
    until: Mapping[int, int] = {}
    """Where some are given, times go no further than these offsets, and the other partitions are left out."""


class At(NamedTuple):
    """A record that was asked for by a time, or by being the first."""

    offset: int
    ts_ms: int


class Spans(NamedTuple):
    """What the range is."""

    of: dict[int, Span]
    """By partition, all of them."""
    warnings: list[str]


def find_spans(bootstrap: str, topic: str, asked: Asked, security: Mapping[str, str] = NO_SECURITY) -> Spans:
    """The offsets of the range, up to what is committed by now; raises `InputError`."""
    heard = Heard()
    options: dict[str, Any] = {"bootstrap.servers": bootstrap, "log_level": 0, "error_cb": heard, **security}
    ends = committed_ends(bootstrap, topic, security)
    try:
        asking = _Asking(AdminClient(options), topic)
        found = Spans({}, [])
        for partition in asking.partitions:
            asking.first(partition)
        if asked.offsets:
            return Spans(_by_offsets(asking, asked.offsets, ends), [])
        found.of.update(_by_times(asking, asked, ends))
    except KafkaException as error:
        raise trouble(error, f"topic {topic} at {bootstrap}", "read it", heard.last) from error
    begun = [f"{p} at {first.offset}" for p, first in asking.firsts.items() if first.offset and asked.from_ms is None]
    if begun:
        words = f"{topic}: what came before is deleted; partitions begin with what is there: {', '.join(begun)}"
        found.warnings.append(words)
    return found


class _Asking:
    """Asks the broker where records stand."""

    def __init__(self, admin: AdminClient, topic: str) -> None:
        self.topic, self._admin = topic, admin
        told = admin.list_topics(timeout=ANSWER_TIMEOUT_S).topics.get(topic)
        if told is None:
            raise InputError(f"topic {topic}", "there is no such topic", APPLY)
        self.partitions: Collection[int] = sorted(told.partitions)
        self.firsts: dict[int, At] = {}
        """Of each partition, what is left of its start."""

    def first(self, partition: int) -> None:
        """Look where a partition begins."""
        earliest = self._ask(partition, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        since = self.at_time(partition, 0) if earliest.offset else None
        self.firsts[partition] = At(earliest.offset, since.ts_ms if since else 0)

    def at_time(self, partition: int, ts_ms: int) -> At | None:
        """The first record of that time or later."""
        found = self._ask(partition, OffsetSpec.for_timestamp(ts_ms))
        return None if found.offset == _NONE_LATER else found

    def _ask(self, partition: int, spec: OffsetSpec) -> At:
        tp = TopicPartition(self.topic, partition)
        options = {"isolation_level": IsolationLevel.READ_COMMITTED, "request_timeout": ANSWER_TIMEOUT_S}
        found = self._admin.list_offsets({tp: spec}, **options)[tp].result()
        return At(found.offset, found.timestamp)


def _by_offsets(asking: _Asking, offsets: Mapping[int, Span], ends: Mapping[int, int]) -> dict[int, Span]:
    unknown = sorted(offsets.keys() - set(asking.partitions))
    if unknown:
        problem = f"there is no partition {unknown[0]}"
        raise InputError(f"topic {asking.topic}", problem, f"it has {len(asking.partitions)}, counted from 0")
    for partition, span in offsets.items():
        first, end = asking.firsts[partition], ends.get(partition, 0)
        if span.first < first.offset:
            remedy = f"begin with {first.offset}; and lengthen retention.ms, or record days while they are there"
            raise InputError(_place(asking, partition), f"{_what_is_there(first)}, not with {span.first}", remedy)
        if span.end > end:
            problem, remedy = f"what is committed ends at {end}, before {span.end}", f"end with {end}, or wait"
            raise InputError(_place(asking, partition), problem, remedy)
    return {partition: offsets.get(partition, Span(0, 0)) for partition in asking.partitions}


def _by_times(asking: _Asking, asked: Asked, ends: Mapping[int, int]) -> dict[int, Span]:
    eaten = {p: first for p, first in asking.firsts.items() if _is_eaten(asking, p, asked.from_ms)}
    if eaten:
        partition = max(eaten, key=lambda each: eaten[each].ts_ms)
        remedy = (
            f"begin with --from {shown_time(eaten[partition].ts_ms + 1)}, where all partitions are whole; "
            "and lengthen retention.ms, or record days while they are there"
        )
        raise InputError(_place(asking, partition), _what_is_there(eaten[partition]), remedy)
    if asked.until:
        ends = {partition: min(end, asked.until.get(partition, 0)) for partition, end in ends.items()}
    return {partition: _between(asking, partition, asked, ends.get(partition, 0)) for partition in asking.partitions}


def _between(asking: _Asking, partition: int, asked: Asked, end: int) -> Span:
    """The records from one time up to another."""
    from_ms, to_ms = asked.from_ms, asked.to_ms
    first = asking.firsts[partition] if from_ms is None else asking.at_time(partition, from_ms)
    last = None if to_ms is None else asking.at_time(partition, to_ms)
    end = min(end, last.offset) if last else end
    return Span(min(first.offset, end), end) if first else Span(end, end)


def _is_eaten(asking: _Asking, partition: int, from_ms: int | None) -> bool:
    """Whether records may be gone that lie within the range: those there are begin in it."""
    first = asking.firsts[partition]
    return from_ms is not None and first.offset > 0 and from_ms <= first.ts_ms


def _place(asking: _Asking, partition: int) -> str:
    return f"topic {asking.topic}, partition {partition}"


def _what_is_there(first: At) -> str:
    return f"it begins with offset {first.offset}, of {shown_time(first.ts_ms)}: what came before is deleted"
