"""Ticks of a range of a topic, all partitions merged, a run at a time. Memory does not grow with the range.

Ticks of a partition come in the order of their offsets: one that is late stays late. Partitions are merged by the time
that each has come to, the newest of its ticks so far.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

import numpy as np
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from streams.core.conditions import ConditionTable
from streams.core.limits import NEVER
from streams.errors import InputError, in_words
from streams.kafka.broker_trouble import UNREACHABLE
from streams.kafka.fetch import RawRun
from streams.kafka.raw_fetch import BadBatchError
from streams.kafka.record_batch import Limits
from streams.kafka.registry import RegistryError, Schemas
from streams.kafka.topic_spans import Span
from streams.kafka.whole_topic import SILENCE_TIMEOUT_S
from streams.recorded.fetched_ahead import FetchedAhead, SilenceError
from streams.recorded.parted import Parted, parted
from streams.recorded.placed import Merging, Placed, Refused, merged
from streams.recorded.reads import First, PartReads, Reads, Waiting, WholeReads
from streams.recorded.unpacked_ahead import unpacked_ahead
from streams.times import shown_time

RUN_TICKS: Final = 1 << 18
"""Of all partitions, at once: so many that little is done for each run, and so few that they stay in the cache."""

FEWEST_TICKS: Final = 1 << 12
"""Of one partition, where there are many."""

MOST_TICKS: Final = 1 << 16
"""Of one partition, where there are few: many runs may wait to be decided, and what they take is bounded by this."""

FAR_APART_MS: Final = 86_400_000
"""Times of ticks and of their records that differ by more are not the same time."""

GONE: Final = "is deleted"
_RETENTION: Final = "lengthen retention.ms, and choose a range that is there"


class TopicTicks:
    """Reads the range, once."""

    def __init__(
        self,
        make_consumer: Callable[[], AIOKafkaConsumer],
        topic: str,
        spans: Mapping[int, Span],
        schemas: Schemas,
        newest_ms: Mapping[int, int] | None = None,
    ) -> None:
        """Take spans of all partitions of the topic; and what is known of the newest time before each."""
        self.topic, self.spans = topic, dict(spans)
        self.done = 0
        """Offsets that were read."""
        self.total = sum(span.end - span.first for span in spans.values())
        self.warnings: list[str] = []
        self._make_consumer, self._schemas = make_consumer, schemas
        self._open = {p: span for p, span in self.spans.items() if span.first < span.end}
        self._at = {p: span.first for p, span in self._open.items()}
        self._newest_ms = {p: (newest_ms or {}).get(p, NEVER) for p in self._open}
        self._refused: list[Refused] = []

    def runs(self) -> Iterator[tuple[Placed | None, list[Refused]]]:
        """The ticks in their order, and the records that are none as they are met; raises `InputError`."""
        for taken, refused in self._taken(WholeReads(self._schemas, len(self.spans))):
            yield merged(taken) if taken else None, refused

    def parted(self, conditions: ConditionTable) -> Iterator[tuple[Parted | None, list[Refused]]]:
        """The same for shards to decide, with no more than they read."""
        for taken, refused in self._taken(PartReads(self._schemas, len(self.spans), conditions)):
            yield parted(taken) if taken else None, refused

    def _taken(self, reads: Reads[Waiting]) -> Iterator[tuple[list[Waiting], list[Refused]]]:
        """All that is known to come first, of each partition, again and again; nothing where the rest held no tick."""
        merging = Merging[Waiting](list(self._open))
        with ExitStack() as stack:
            with self._told():
                fetched = stack.enter_context(FetchedAhead(self._make_consumer, self.topic, self._open))
            next_run = stack.enter_context(unpacked_ahead(fetched, self._open, self._limits()))
            runner = stack.enter_context(asyncio.Runner())
            while merging.is_open:
                runner.run(self._fill(next_run, reads, merging))
                refused, self._refused = self._refused, []
                yield _next(merging), refused

    async def _fill(self, next_run: Callable[[int], RawRun], reads: Reads[Waiting], merging: Merging[Waiting]) -> None:
        """Read until ticks of every open partition wait, or it is at its end."""
        while lacking := self._still_lacking(merging):
            for partition in lacking:
                with self._told():
                    run = next_run(partition)
                await self._take(run, reads, merging)

    def _limits(self) -> Limits:
        share = RUN_TICKS // max(len(self._open), 1)
        return Limits(run_records=min(max(share, FEWEST_TICKS), MOST_TICKS), lets_go=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what goes wrong with the topic as a user is told."""
        place = f"topic {self.topic}"
        try:
            yield
        except OffsetOutOfRangeError as error:
            raise InputError(place, f"what was to be read next {GONE}", _RETENTION) from error
        except BadBatchError as error:
            raise InputError(place, in_words(error), "mend the broker's log") from error
        except KafkaError as error:
            raise InputError(place, f"cannot be read ({in_words(error)})", UNREACHABLE) from error
        except SilenceError as error:
            problem = f"no records of {error} for {SILENCE_TIMEOUT_S:.0f} s, and there are more"
            raise InputError(place, problem, UNREACHABLE) from error

    async def _take(self, run: RawRun, reads: Reads[Waiting], merging: Merging[Waiting]) -> None:
        """Take what of a run is in the range."""
        partition, end = run.partition, self._open[run.partition].end
        if run.start != self._at[partition]:
            problem = f"offsets {self._at[partition]} to {run.start - 1} of partition {partition}: this {GONE}"
            raise InputError(f"topic {self.topic}", problem, _RETENTION)
        columns = run.columns.part(0, int(np.searchsorted(run.columns.offset, end)))
        position = min(run.position, end)
        self.done += position - self._at[partition]
        self._at[partition] = position
        if len(columns):
            try:
                read = await reads.read(partition, columns, self._newest_ms[partition])
            except RegistryError as error:
                raise InputError("TICKGATE_SCHEMA_REGISTRY_URL", error.problem, error.remedy) from error
            self._refused += [
                Refused(partition, int(columns.offset[each.row]), each.reason.word, each.reason.detail)
                for each in read.bad
            ]
            self._look_at_time(read.first, run)
            if len(read.ticks):
                self._newest_ms[partition] = int(read.ticks.order_ms[-1])
            merging.add(partition, read.ticks)

    def _still_lacking(self, merging: Merging[Waiting]) -> list[int]:
        """The partitions of which more has to be read; those that are at their end are closed."""
        for partition in merging.lacking:
            if self._at[partition] == self._open[partition].end:
                merging.close(partition)
        return merging.lacking

    def _look_at_time(self, first: First | None, run: RawRun) -> None:
        """Warn, once, where records have another time than their ticks."""
        if self.warnings or first is None:
            return
        row, ts_ms = first
        record_ms = int(run.columns.ts_ms[row])
        if abs(record_ms - ts_ms) > FAR_APART_MS:
            place = f"{self.topic}, partition {run.partition}, offset {int(run.columns.offset[row])}"
            words = f"the record is of {shown_time(record_ms)}, its tick of {shown_time(ts_ms)}"
            self.warnings.append(f"{place}: {words}; ranges by time go by the records: choose by offsets instead")


def _next(merging: Merging[Waiting]) -> list[Waiting]:
    """All that is known to come first; nothing where the rest held no tick."""
    return merging.take() if merging.is_open else []
