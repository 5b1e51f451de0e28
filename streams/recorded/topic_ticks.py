"""Ticks of a range of a topic, all partitions merged, a run at a time. Memory does not grow with the range.

Ticks of a partition come in the order of their offsets: one that is late stays late. Partitions are merged by the time
that each has come to, the newest of its ticks so far.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from streams.core.conditions import ConditionTable
from streams.core.limits import NEVER
from streams.errors import InputError, in_words
from streams.kafka.broker_trouble import UNREACHABLE
from streams.kafka.fetch import RawRun
from streams.kafka.raw_fetch import BadBatchError, RawFetch
from streams.kafka.record_batch import Limits
from streams.kafka.registry import RegistryError, Schemas
from streams.kafka.topic_spans import Span
from streams.kafka.whole_topic import SILENCE_TIMEOUT_S
from streams.recorded.parted import Parted, parted
from streams.recorded.placed import Merging, Placed, Refused, merged
from streams.recorded.reads import First, PartReads, Reads, Waiting, WholeReads
from streams.times import shown_time

FETCH_WAIT_MS: Final = 200
RUN_RECORDS: Final = 1 << 15
"""Of one partition, at once: so many that little is done for each run, and so few that they stay in the cache."""

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
        with asyncio.Runner() as runner:
            consumer = runner.run(self._began())
            fetch = self._fetch
            try:
                while merging.is_open:
                    runner.run(self._fill(fetch, reads, merging))
                    refused, self._refused = self._refused, []
                    yield _next(merging), refused
            finally:
                runner.run(consumer.stop())

    async def _began(self) -> AIOKafkaConsumer:
        consumer = self._make_consumer()
        self._fetch = RawFetch(consumer, Limits(run_records=RUN_RECORDS, lets_go=True))
        try:
            await consumer.start()
        except KafkaError as error:
            await consumer.stop()
            raise InputError(f"topic {self.topic}", f"cannot be read ({in_words(error)})", UNREACHABLE) from error
        consumer.assign([TopicPartition(self.topic, partition) for partition in self._open])
        for partition, offset in self._at.items():
            consumer.seek(TopicPartition(self.topic, partition), offset)
        return consumer

    async def _fill(self, fetch: RawFetch, reads: Reads[Waiting], merging: Merging[Waiting]) -> None:
        """Read until ticks of every open partition wait, or it is at its end."""
        heard_s = time.monotonic()
        while lacking := self._still_lacking(merging):
            asked = [TopicPartition(self.topic, partition) for partition in lacking]
            try:
                found = await fetch.getmany(asked, timeout_ms=FETCH_WAIT_MS)
            except OffsetOutOfRangeError as error:
                raise InputError(f"topic {self.topic}", f"what was to be read next {GONE}", _RETENTION) from error
            except BadBatchError as error:
                raise InputError(f"topic {self.topic}", in_words(error), "mend the broker's log") from error
            except KafkaError as error:
                raise InputError(f"topic {self.topic}", f"cannot be read ({in_words(error)})", UNREACHABLE) from error
            for run in (run for runs in found.values() for run in runs):
                await self._take(run, reads, merging)
                heard_s = time.monotonic()
            if time.monotonic() - heard_s > SILENCE_TIMEOUT_S:
                problem = f"no records of partitions {lacking} for {SILENCE_TIMEOUT_S:.0f} s, and there are more"
                raise InputError(f"topic {self.topic}", problem, UNREACHABLE)

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
