"""What runs of a topic's records are read as: ticks with all that a recording keeps, or parts for shards to decide."""

from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from streams.core.conditions import ConditionTable
from streams.kafka.record_batch import RecordColumns
from streams.kafka.registry import Schemas
from streams.kafka.tick_values import BadTick
from streams.recorded.known_ticks import KnownTickValues
from streams.recorded.parted import Part
from streams.recorded.placed import Placed, Ticks, Waits
from streams.recorded.whole_ticks import WholeTickValues
from streams.replay.tick_columns import Int64s, TickBatch

Waiting = TypeVar("Waiting", bound=Waits)


class First(NamedTuple):
    """The first tick of a run: which record it is, and its time."""

    row: int
    ts_ms: int


class Read(NamedTuple, Generic[Waiting]):
    """A run of one partition."""

    ticks: Waiting
    bad: list[BadTick]
    first: First | None


class Reads(Protocol[Waiting]):
    """Reads run by run, each partition in its order."""

    async def read(self, partition: int, run: RecordColumns, newest_ms: int) -> Read[Waiting]:
        """One run, behind ticks of which the newest has this time; raises `RegistryDownError`."""


class WholeReads:
    """For recordings, and for questions."""

    def __init__(self, schemas: Schemas, partitions: int) -> None:
        self._values = WholeTickValues(schemas, partitions)

    async def read(self, partition: int, run: RecordColumns, newest_ms: int) -> Read[Placed]:
        """With price, size and condition codes."""
        whole = await self._values.read(partition, run)
        rest, ends = whole.rest, np.cumsum(whole.rest.code_counts)
        batch = TickBatch(1, run.offset[whole.rows], whole.names, whole.name_of, whole.ts_ms, ends, rest.codes, [])
        ticks = Ticks(batch, np.full(len(whole.rows), partition, np.int32))
        placed = Placed(ticks, risen(whole.ts_ms, newest_ms), rest.price, rest.size)
        return Read(placed, whole.bad, first_of(whole.rows, whole.ts_ms))


class PartReads:
    """For shards."""

    def __init__(self, schemas: Schemas, partitions: int, conditions: ConditionTable) -> None:
        self._values = KnownTickValues(schemas, partitions, conditions)

    async def read(self, partition: int, run: RecordColumns, newest_ms: int) -> Read[Part]:
        """With whether they move the price."""
        known = await self._values.read(partition, run)
        columns = (known.names, known.name_of, known.ts_ms, known.moves_price)
        part = Part(partition, run.offset[known.rows], *columns, risen(known.ts_ms, newest_ms))
        return Read(part, known.bad, first_of(np.arange(len(run))[known.rows][:1], known.ts_ms))


def risen(ts_ms: Int64s, newest_ms: int) -> Int64s:
    """The newest time so far, at each tick."""
    found: Int64s = np.maximum.accumulate(np.maximum(ts_ms, newest_ms))
    return found


def first_of(rows: Int64s, ts_ms: Int64s) -> First | None:
    """The first tick, if there is one."""
    return First(int(rows[0]), int(ts_ms[0])) if len(rows) else None
