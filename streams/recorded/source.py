"""Where a day is from that is decided again as it was: a range of topics, or a recording of one."""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Final, Protocol

from streams.core.conditions import ConditionTable
from streams.core.events import Mode
from streams.core.limits import FOREVER, NEVER
from streams.kafka.clients import make_consumer
from streams.kafka.schema_source import open_schemas, registry_told
from streams.kafka.security import for_confluent
from streams.kafka.topic_spans import Asked, Span, find_spans
from streams.recorded.beside import Beside
from streams.recorded.parted import Parted
from streams.recorded.placed import Placed, Refused, Ticks
from streams.recorded.topic_beside import Range, Source, read_beside
from streams.recorded.topic_ticks import TopicTicks
from streams.recorded.warm_up import goes_on_at, newest_ms, rows_at
from streams.reference_data import load_conditions
from streams.settings import Settings

FETCH_BYTES: Final = 1 << 20
"""Of one partition, in one response, unless the setting asks for less. Larger ones take memory, and bring no speed."""


class Day(Protocol):
    """Ticks in their order, and what they were decided by."""

    conditions: ConditionTable

    @property
    def beside(self) -> Beside:
        """What they were decided by."""

    @property
    def warnings(self) -> list[str]:
        """What is odd so far."""

    def runs(self) -> Iterator[tuple[Ticks | None, list[Refused]]]:
        """The ticks, a run at a time, and the records that are none; once."""

    def progress(self) -> tuple[int, int | None]:
        """How much of it is done, and of how much."""

    def told(self) -> dict[str, Any]:
        """What a manifest says of it."""

    def place(self, partition: int, offset: int) -> str:
        """Where a tick stands, in words."""


class TopicDay:
    """A range of topics."""

    def __init__(
        self, ticks: TopicTicks, conditions: ConditionTable, asked: Asked, source: Source, times: Range
    ) -> None:
        self.ticks, self.conditions, self.asked = ticks, conditions, asked
        self._source, self._times = source, times
        self.app_id = source.names.app_id
        self.spans = ticks.spans
        """What was asked for; where it is warmed up, ticks are read from earlier on."""
        self.found_odd: list[str] = []
        """In what came beside the ticks."""

    @cached_property
    def beside(self) -> Beside:
        """Read when it is first asked for, as ticks may be read meanwhile; raises `InputError`."""
        beside, warnings = read_beside(self._source, self._times)
        self.found_odd += warnings
        return beside

    @property
    def warnings(self) -> list[str]:
        """All that is odd so far."""
        return [*self.found_odd, *self.ticks.warnings]

    def placed(self) -> Iterator[tuple[Placed | None, list[Refused]]]:
        """The ticks with all that a recording keeps of them."""
        return self.ticks.runs()

    def runs(self) -> Iterator[tuple[Ticks | None, list[Refused]]]:
        """The ticks as they are decided."""
        for placed, refused in self.placed():
            yield (None if placed is None else placed.ticks), self._asked_for(refused)

    def parted(self) -> Iterator[tuple[Parted | None, list[Refused]]]:
        """The same as shards decide it."""
        for parted, refused in self.ticks.parted(self.conditions):
            yield parted, self._asked_for(refused)

    def _asked_for(self, refused: list[Refused]) -> list[Refused]:
        """Those that are in the range, and not before it."""
        return [each for each in refused if each.offset >= self.spans[each.partition].first]

    def progress(self) -> tuple[int, int | None]:
        """Offsets, those of records that are no ticks too."""
        return self.ticks.done, self.ticks.total

    def told(self) -> dict[str, Any]:
        """Which topic, and which part of it."""
        return {"topic": self.ticks.topic, "app_id": self.app_id, "partitions": spans_told(self.spans)}

    def place(self, partition: int, offset: int) -> str:
        """Where a tick stands, in words."""
        return topic_place(self.ticks.topic, partition, offset)


def topic_place(topic: str, partition: int, offset: int) -> str:
    """Where a record stands, in words."""
    return f"{topic}, partition {partition}, offset {offset}"


def spans_told(spans: dict[int, Span]) -> list[dict[str, int]]:
    """Of each partition, which offsets."""
    return [{"partition": p, "first_offset": span.first, "end_offset": span.end} for p, span in sorted(spans.items())]


def open_topics(settings: Settings, asked: Asked, *, from_changelogs: bool = False) -> TopicDay:
    """Find the range; raises `InputError`. What it was decided by and its ticks are read when they are asked for.

    From changelogs: the shards begin with the state that they had at its start.
    """
    security, topics = for_confluent(settings), settings.topics
    with registry_told():
        schemas = open_schemas(
            settings.schema_registry_url, time.monotonic, prefix=settings.topic_prefix, may_register=False
        )
    spans = find_spans(settings.broker, topics.ticks, asked, security)
    default = Mode.PER_TICKER if settings.per_ticker_throttle else Mode.LEGACY
    source = Source(settings.broker, topics, schemas, security, default)
    from_ms, to_ms = asked.from_ms, asked.to_ms
    rows = rows_at(settings, spans.of, from_ms) if from_changelogs else {}
    read = {p: Span(min(goes_on_at(rows[p]), span.first), span.end) if rows else span for p, span in spans.of.items()}
    times = Range(read, NEVER if from_ms is None else from_ms, FOREVER if to_ms is None else to_ms, rows)
    newest = {partition: newest_ms(each) for partition, each in rows.items()}
    few = replace(settings, max_partition_fetch_bytes=min(settings.max_partition_fetch_bytes, FETCH_BYTES))
    ticks = TopicTicks(partial(make_consumer, few, "none"), topics.ticks, read, schemas, newest)
    day = TopicDay(ticks, load_conditions(settings.conditions), asked, source, times)
    day.spans, day.found_odd = dict(spans.of), list(spans.warnings)
    return day
