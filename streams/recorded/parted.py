"""A run of ticks as shards decide it: each partition's part by itself, and where its ticks stand in the order of all.

Shards know nothing of each other. So nothing is put in one order but what fired.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from streams.core.columns import Bytes
from streams.core.conditions import ConditionTable
from streams.core.decode import judged
from streams.recorded.merge_kernel import place
from streams.recorded.placed import Refused, Ticks
from streams.replay.tick_columns import Int32s, Int64s


class Part(NamedTuple):
    """Ticks of one partition, in the order of their offsets."""

    partition: int
    offset: Int64s
    names: list[str]
    """Distinct tickers, those of the ticks among them. The parts of a day may share one list, and it grows."""
    name_of: Int32s
    ts_ms: Int64s
    moves_price: Bytes
    order_ms: Int64s
    """By this partitions are merged: the newest time so far in the partition."""

    def __len__(self) -> int:
        return len(self.offset)

    def part(self, start: int, end: int) -> "Part":
        """A run of them."""
        cut = slice(start, end)
        columns = (self.name_of[cut], self.ts_ms[cut], self.moves_price[cut], self.order_ms[cut])
        return Part(self.partition, self.offset[cut], self.names, *columns)


class Parted(NamedTuple):
    """Parts of a run, and of each where its ticks stand in the run."""

    parts: Sequence[Part]
    places: Sequence[Int64s]


def parted(parts: Sequence[Part]) -> Parted:
    """Parts in the order of their partitions: their ticks stand by time, then partition, then offset."""
    if len(parts) == 1:
        return Parted(parts, [np.arange(len(parts[0]))])
    counts = np.array([len(part) for part in parts])
    order_ms, ends = np.concatenate([part.order_ms for part in parts]), np.cumsum(counts)
    places = np.empty_like(order_ms)
    place(order_ms, ends - counts, ends, np.flatnonzero(counts), places)
    return Parted(parts, np.split(places, ends[:-1]))


def split(ticks: Ticks, conditions: ConditionTable) -> Parted:
    """Ticks that stand in one order already."""
    batch, parts, places = ticks.batch, list[Part](), list[Int64s]()
    moves_price = judged(batch.codes, batch.code_ends, conditions.blocks, conditions.unlisted_blocks)
    for partition in np.flatnonzero(np.bincount(ticks.partition)).tolist():
        at = np.flatnonzero(ticks.partition == partition)
        which: Int64s | slice = slice(None) if len(at) == len(batch.ts_ms) else at
        columns = (batch.name_of[which], batch.ts_ms[which], moves_price[which], batch.ts_ms[which])
        parts.append(Part(partition, batch.rows[which], batch.names, *columns))
        places.append(at)
    return Parted(parts, places)


def all_split(
    runs: Iterable[tuple[Ticks | None, list[Refused]]], conditions: ConditionTable
) -> Iterator[tuple[Parted | None, list[Refused]]]:
    """The same for run after run."""
    for ticks, refused in runs:
        yield None if ticks is None else split(ticks, conditions), refused
