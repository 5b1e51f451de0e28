"""All strategies as this worker knows them: the rows of the GlobalTable `strategies`, decoded and settled in order.

Runs of `strategy-changes` come in by `take`, in Faust's recovery and ever after. A task decodes them, since a schema
may have to be asked for, and a registry may be down: what comes later waits behind it. `caught_up` returns when
all that was taken is in the book; so every worker holds every strategy before the first tick.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from streams.core.events import Strategy, Tombstone
from streams.kafka.bad_values import Reason
from streams.kafka.codec import Decoder
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.packed_strategies import PackedStrategies
from streams.kafka.registry import RegistryDownError
from streams.kafka.rows_reader import Log
from streams.kafka.strategy_fold import Read, put, read
from streams.kafka.whole_topic import Record

log = logging.getLogger(__name__)

REFUSALS_KEPT: Final = 1000
"""Refused changes that are kept until their dead letters are written; the oldest give way, with a line in the log."""

DECODED_AT_ONCE: Final = 200
"""Records whose universes are sets of tickers at the same time."""

FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 5.0
"""Between two questions to a registry that is down."""


class Place(NamedTuple):
    """Where a change stands on its topic."""

    partition: int
    offset: int


class Change(NamedTuple):
    """A strategy's version that counts, or the tombstone of one."""

    place: Place
    stands: Strategy | Tombstone


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that does not count, and why."""

    place: Place
    record: Record
    reason: Reason


Told = Callable[[Change | Refusal], None]


class StrategyBook:
    """What stands, up to where each partition of the topic has been read."""

    def __init__(self, topic: str, partitions: int, decoder: Decoder) -> None:
        self.topic, self.partitions = topic, partitions
        self.strategies = PackedStrategies()
        """Deleted ones too, until their tombstone: their version goes on counting."""
        self.positions: dict[int, int] = {}
        """Of each partition, the offset up to which it is in here."""
        self.taken: dict[int, int] = {}
        """The same, with what waits to be decoded."""
        self.refusals: list[Refusal] = []
        self.told: Told = lambda _: None
        """Called with each change and each refusal, in order, once it is in here."""
        self._decoder = decoder
        self._runs: asyncio.Queue[RawRun] = asyncio.Queue()

    def logs(self) -> list[Log]:
        """The partitions of the topic, to be completed."""
        return [Log("strategies", self.topic, partition, self) for partition in range(self.partitions)]

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
                self._fold(record, found)
                self.positions[run.partition] = record.offset + 1
        self.positions[run.partition] = max(run.position, known)

    def _fold(self, record: Record, found: Read) -> None:
        """Let one record count, or keep why it does not."""
        place = Place(record.partition, record.offset)
        change = put(self.strategies, found)
        if isinstance(change, Reason):
            self._refuse(Refusal(place, record, change))
        elif change is not None:
            self.told(Change(place, change))

    def _refuse(self, refusal: Refusal) -> None:
        log.warning("%s, partition %d, offset %d: %s", self.topic, *refusal.place, refusal.reason.detail)
        self.refusals.append(refusal)
        if len(self.refusals) > REFUSALS_KEPT:
            log.error("%s: too many refused changes; one may get no dead letter", self.topic)
            del self.refusals[0]
        self.told(refusal)

    async def _decoded(self, records: Sequence[Record]) -> list[Read]:
        """Decode, and begin again for as long as the registry is down."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                # In a thread: the first value of a schema may ask the registry for it.
                return await asyncio.to_thread(lambda: [read(record, self._decoder) for record in records])
            except RegistryDownError as error:
                log.warning("%s waits for the registry: %s", self.topic, error)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def record_at(run: RawRun, i: int) -> Record:
    """One record of a run."""
    columns = run.columns
    headers = tuple(columns.headers(i))
    return Record(run.partition, int(columns.offset[i]), columns.key(i), columns.value(i), headers)
