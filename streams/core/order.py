"""Fires back in the order of their ticks, and of the strategies' ids within one tick.

The kernel leaves them ticker by ticker. Whoever writes them down, or compares two runs, wants one order
that does not hang on how the ticks were batched or in what order the strategies came.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import numpy as np

from streams.core.columns import FireColumns, Fires, Int32s
from streams.core.jit import compiled, letting_go

FEW: Final = 64
"""So many new ids are put in among those that stand in order; for more, all are put in order anew."""


class Ranks:
    """The place of each of the strategies' ids in their order. Strategies are only added, most of them at the start."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._ranks: Int32s = np.zeros(0, np.int32)

    def of(self, ids: Sequence[str]) -> Int32s:
        """The places, by number. `ids` begins with those that were asked for last."""
        known = len(self._ids)
        if len(ids) - known > FEW:
            order = sorted(range(len(ids)), key=ids.__getitem__)
            self._ids, self._ranks = [ids[number] for number in order], np.empty(len(ids), np.int32)
            self._ranks[order] = np.arange(len(ids), dtype=np.int32)
            return self._ranks
        for strategy_id in ids[known:]:
            at = bisect_left(self._ids, strategy_id)
            self._ids.insert(at, strategy_id)
            self._ranks = np.append(self._ranks + (self._ranks >= at), np.int32(at)).astype(np.int32)
        return self._ranks


@compiled
def _stand_by_rank(order: Int32s, start: int, end: int, strategy: Int32s, rank: Int32s) -> bool:
    """Whether one tick's fires are in order as they are, as where the strategies came in the order of their ids."""
    for i in range(start + 1, end):
        if rank[strategy[order[i - 1]]] > rank[strategy[order[i]]]:
            return False
    return True


@compiled
def _sort_by_rank(order: Int32s, start: int, end: int, strategy: Int32s, rank: Int32s) -> None:
    """Sort one tick's fires, by Shell's method: they are few, or nearly in order."""
    gap = (end - start) >> 1
    while gap > 0:
        for i in range(start + gap, end):
            held, j = order[i], i
            key = rank[strategy[held]]
            while j - gap >= start and rank[strategy[order[j - gap]]] > key:
                order[j] = order[j - gap]
                j -= gap
            order[j] = held
        gap >>= 1


@compiled
def _put_in_order(tick: Int32s, strategy: Int32s, rank: Int32s, ends: Int32s, order: Int32s) -> None:
    """Count the fires of each tick, give each tick its place, and sort within it."""
    for fire in range(len(tick)):
        ends[tick[fire] + 1] += 1
    for i in range(1, len(ends)):
        ends[i] += ends[i - 1]
    for fire in range(len(tick)):
        order[ends[tick[fire]]] = fire
        ends[tick[fire]] += 1
    start = 0
    for i in range(len(ends) - 1):
        if not _stand_by_rank(order, start, ends[i], strategy, rank):
            _sort_by_rank(order, start, ends[i], strategy, rank)
        start = ends[i]


@letting_go
def _lay_in_order(fires: Fires, rank: Int32s, ends: Int32s, order: Int32s, out: Fires) -> None:
    """Write the fires down in their order."""
    _put_in_order(fires.tick, fires.strategy, rank, ends, order)
    for at in range(len(order)):
        fire = order[at]
        out.tick[at], out.strategy[at], out.ticker[at] = fires.tick[fire], fires.strategy[fire], fires.ticker[fire]
        out.bucket_ms[at], out.ts_ms[at] = fires.bucket_ms[fire], fires.ts_ms[fire]


@letting_go
def lay_step(fires: FireColumns, ticker: Int32s, rank: Int32s, first: Int32s, out: Fires) -> bool:
    """Write down what pairs fired in one step, in order, with the tickers of its ticks; False where it must be sorted.

    The kernel takes each tick once, so all that one fired lies side by side: it is enough to find where that begins.
    Places are unsigned here, as in the kernel: of others it is asked each time whether they count from the end.
    """
    tick, strategy, count = fires.tick, fires.strategy, np.uint64(len(fires.tick))
    for at in range(len(tick)):
        if at == 0 or tick[at] != tick[at - 1]:
            first[tick[at]] = at
    to = np.uint64(0)
    for i in range(len(first)):
        before, fire = -1, count if first[i] < 0 else np.uint64(first[i])
        while fire < count and tick[fire] == i:
            place = rank[np.uint64(strategy[fire])]
            if place <= before:
                return False
            before = place
            out.tick[to], out.strategy[to], out.ticker[to] = i, strategy[fire], ticker[i]
            out.bucket_ms[to], out.ts_ms[to] = fires.bucket_ms[fire], fires.ts_ms[fire]
            to += np.uint64(1)
            fire += np.uint64(1)
    return bool(to == count)


def laid(fires: FireColumns, ticker: Int32s, rank: Int32s) -> Fires:
    """What pairs fired in one step over ticks of these tickers, by tick and by the rank of the strategy."""
    kinds = (np.int32, np.int32, np.int32, np.int64, np.int64)
    out = Fires._make(np.empty(len(fires.tick), kind) for kind in kinds)
    if lay_step(fires, ticker, rank, np.full(len(ticker), -1, np.int32), out):
        return out
    tick, strategy, bucket_ms, ts_ms = fires
    return in_order(Fires(tick, strategy, ticker[tick], bucket_ms, ts_ms), rank, len(ticker))


def order_of(tick: Int32s, strategy: Int32s, rank: Int32s, ticks: int) -> Int32s:
    """The order that puts fires by their tick, then by the rank of their strategy."""
    order = np.empty(len(tick), np.int32)
    _put_in_order(tick, strategy, rank, np.zeros(ticks + 1, np.int32), order)
    return order


def in_order(fires: Fires, rank: Int32s, ticks: int) -> Fires:
    """The fires of so many ticks by their tick, then by the rank of their strategy."""
    out = Fires._make(map(np.empty_like, fires))
    _lay_in_order(fires, rank, np.zeros(ticks + 1, np.int32), np.empty(len(fires.tick), np.int32), out)
    return out
