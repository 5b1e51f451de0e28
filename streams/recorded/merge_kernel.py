"""Where ticks of several partitions stand in one order, and to put them there.

Each partition is in order, so its next tick is all to look at.

A heap holds the partitions that have ticks left, the one whose next tick comes first on top.
"""

from typing import NamedTuple

import numpy as np

from streams.core.columns import Bytes, Int32s, Int64s
from streams.core.jit import compiled, letting_go


class Decided(NamedTuple):
    """What is read of ticks to decide them, in columns."""

    offset: Int64s
    name_of: Int32s
    ts_ms: Int64s
    moves_price: Bytes


@compiled
def comes_first(one: int, other: int, order_ms: Int64s, at: Int64s) -> bool:
    """Whether the next tick of one partition comes before that of the other: by time, then by partition."""
    if order_ms[at[one]] == order_ms[at[other]]:
        return one < other
    return bool(order_ms[at[one]] < order_ms[at[other]])


@compiled
def sink(heap: Int64s, size: int, hole: int, order_ms: Int64s, at: Int64s) -> None:
    """Let the partition that stands here go down to where it belongs."""
    part = heap[hole]
    while 2 * hole + 1 < size:
        child = 2 * hole + 1
        if child + 1 < size and comes_first(heap[child + 1], heap[child], order_ms, at):
            child += 1
        if comes_first(part, heap[child], order_ms, at):
            break
        heap[hole] = heap[child]
        hole = child
    heap[hole] = part


@letting_go
def place(order_ms: Int64s, at: Int64s, ends: Int64s, heap: Int64s, places: Int64s) -> None:
    """The place of each tick. `at` says where each partition begins, and moves; the heap names those that have any."""
    size = len(heap)
    for hole in range(size // 2 - 1, -1, -1):
        sink(heap, size, hole, order_ms, at)
    for number in range(len(places)):
        part = heap[0]
        places[at[part]] = number
        at[part] += 1
        if at[part] == ends[part]:
            size -= 1
            heap[0] = heap[size]
        sink(heap, size, 0, order_ms, at)


@letting_go
def put(places: Int64s, ticks: Decided, out: Decided) -> None:
    """Put ticks of one partition in their places."""
    for i in range(len(places)):
        at = np.uint64(places[i])  # unsigned: whether it counts from the end is not asked at each column
        out.offset[at], out.name_of[at] = ticks.offset[i], ticks.name_of[i]
        out.ts_ms[at], out.moves_price[at] = ticks.ts_ms[i], ticks.moves_price[i]
