"""A topic that every worker reads whole and goes on reading: the rows of a GlobalTable, decoded and folded in order.

Runs come in by `take`, in Faust's recovery and ever after. A task decodes them, since a schema may have to be asked
for, and a registry may be down: what comes later waits behind it. `caught_up` returns when all that was taken is in
the book; so every worker holds all of it before the first tick. What a record means is for those to say that are
books: `strategy_book.py` and `other_books.py`.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

from aiokafka import AIOKafkaConsumer

from streams.core.special_rows import NO_INPUTS, Position
from streams.errors import in_words
from streams.kafka.bad_values import Reason
from streams.kafka.codec import Decoder
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.registry_wait import FIRST_WAIT_S, LONGEST_WAIT_S, patiently
from streams.kafka.rows_reader import Log, complete
from streams.kafka.sending import NO_ANSWER
from streams.kafka.whole_topic import Record
from streams.topic_names import STRATEGY_CHANGES

log = logging.getLogger(__name__)

REFUSALS_KEPT: Final = 1000
"""Refused records of a topic that are kept for an owner who finds no dead letters of them. The oldest give way; should
theirs be missing then, it is said."""

DECODED_AT_ONCE: Final = 200
"""Records that are decoded at the same time: a universe takes room."""


class Place(NamedTuple):
    """Where a record stands on its topic."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that does not count, and why."""

    place: Place
    record: Record
    reason: Reason
    topic: str = STRATEGY_CHANGES
    """Without its prefix."""


class Refusals(NamedTuple):
    """What a book knows at one time of records that do not count. What comes later is told."""

    name: str
    topic: str
    kept: Sequence[Refusal]
    gave_way: Mapping[int, int]
    """Of each partition, up to where they are kept no longer."""


class Book(ABC):
    """What stands, up to where each partition of the topic has been read."""

    name: ClassVar[str]
    """The topic without its prefix; of the table too."""

    def __init__(self, topic: str, partitions: int, decoder: Decoder) -> None:
        self.topic, self.partitions, self.decoder = topic, partitions, decoder
        self.positions: dict[int, int] = {}
        """Of each partition, the offset up to which it is in here."""
        self.taken: dict[int, int] = {}
        """The same, with what waits to be decoded."""
        self.refusals: list[Refusal] = []
        self._gave_way: dict[int, int] = {}
        self.told: Callable[[Any], None] = lambda _: None
        """Called with all that counts, and each refusal, in order, once it is in here."""
        self._moved = asyncio.Event()
        self._runs: asyncio.Queue[RawRun] = asyncio.Queue()

    @abstractmethod
    def look(self, record: Record) -> Any:  # noqa: ANN401 - what one book hands to itself
        """Decode a record, in a thread; raises `RegistryDownError`."""

    @abstractmethod
    def fold(self, place: Place, record: Record, found: Any) -> None:  # noqa: ANN401 - as above
        """Let a record count, and tell of it; or refuse it."""

    @property
    def inputs(self) -> dict[tuple[str, int], int]:
        """The positions, as `Position` has them."""
        return {(self.name, partition): offset for partition, offset in self.positions.items()}

    @property
    def refused(self) -> Refusals:
        """What is known now of records that do not count."""
        return Refusals(self.name, self.topic, [*self.refusals], dict(self._gave_way))

    def logs(self) -> list[Log]:
        """The partitions of the topic, to be completed."""
        return [Log(self.name, self.topic, partition, self) for partition in range(self.partitions)]

    def is_whole(self, table: str, partition: int, bounds: Bounds) -> bool:
        """Whether all that there is of a partition has been taken."""
        del table
        return bounds.end in {bounds.earliest, 0} or self.taken.get(partition, 0) >= bounds.end

    def goes_on_at(self, table: str, partition: int, bounds: Bounds) -> int:
        """Where reading goes on."""
        del table
        self.taken[partition] = max(self.taken.get(partition, 0), bounds.earliest)
        return self.taken[partition]

    def take(self, table: str, run: RawRun) -> None:
        """Take a run, to be decoded in its turn. One behind a gap is left out; see `watch.py`."""
        del table
        taken = self.taken.setdefault(run.partition, 0)
        if run.start <= taken < run.position:
            self.taken[run.partition] = run.position
            self._runs.put_nowait(run)

    async def caught_up(self) -> None:
        """Wait until all that was taken is in here."""
        await self._runs.join()

    async def catch_up(self, make_reader: Callable[[], AIOKafkaConsumer]) -> None:
        """Read up to where the topic ends now; as often as that takes."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                await complete(make_reader, self.logs())
            except NO_ANSWER as error:
                log.info("%s could not be read: %s", self.topic, in_words(error))
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            else:
                return await self.caught_up()

    async def reached(self, place: Place) -> None:
        """Wait until a record is in here, or is refused."""
        while self.positions.get(place.partition, 0) <= place.offset:
            self._moved.clear()
            await self._moved.wait()

    async def work(self) -> None:
        """Decode what is taken, for good."""
        while True:
            run = await self._runs.get()
            await self._read(run)
            self._runs.task_done()

    async def _read(self, run: RawRun) -> None:
        known = self.positions.get(run.partition, 0)  # Faust reads the topic from its start with each assignment
        for first in range(0, len(run.columns), DECODED_AT_ONCE):
            rows = range(first, min(first + DECODED_AT_ONCE, len(run.columns)))
            records = [record for i in rows if (record := record_at(run, i)).offset >= known]
            for record, found in zip(records, await self._decoded(records), strict=True):
                self.fold(Place(record.partition, record.offset), record, found)
                self.positions[run.partition] = record.offset + 1
        self.positions[run.partition] = max(run.position, known)
        self._moved.set()

    def refuse(self, place: Place, record: Record, reason: Reason) -> None:
        """Keep why a record does not count, and tell of it."""
        refusal = Refusal(place, record, reason, self.name)
        log.warning("%s, partition %d, offset %d: %s", self.topic, *refusal.place, refusal.reason.detail)
        self.refusals.append(refusal)
        if len(self.refusals) > REFUSALS_KEPT:
            oldest = self.refusals.pop(0).place
            self._gave_way[oldest.partition] = oldest.offset + 1
        self.told(refusal)

    async def _decoded(self, records: Sequence[Record]) -> list[Any]:
        """Decode, and begin again for as long as the registry is down."""
        return await patiently(lambda: [self.look(record) for record in records], self.topic)


def unanswered(books: Iterable[Refusals], position: Position | None) -> Iterator[Refusal]:
    """What was refused and has no dead letter yet, by what a shard's position says."""
    known = position.inputs if position else NO_INPUTS
    for name, topic, kept, gave_way in books:
        for partition, end in gave_way.items():
            since = known.get((name, partition), 0)
            if since < end:
                told = "%s, partition %d: refused records from offset %d to %d get no dead letters, beyond the last %d"
                log.error(told, topic, partition, since, end - 1, REFUSALS_KEPT)
        for refusal in kept:
            if refusal.place.offset >= known.get((name, refusal.place.partition), 0):
                yield refusal


def record_at(run: RawRun, i: int) -> Record:
    """One record of a run."""
    columns = run.columns
    headers = tuple(columns.headers(i))
    return Record(run.partition, int(columns.offset[i]), columns.key(i), columns.value(i), headers)
