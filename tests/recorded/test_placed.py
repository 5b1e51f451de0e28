"""Partitions are merged by time, then partition, then offset, in whatever pieces they come."""

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.recorded.placed import Merging, Placed, Ticks, merged
from streams.replay.tick_columns import TickBatch

Tick = tuple[int, int, int]
"""Order, partition, offset."""


def placed(ticks: list[Tick]) -> Placed:
    """Ticks of one partition; each tells by its price, size and code where it stood."""
    order_ms, partition, offset = (np.array(column, np.int64) for column in zip(*ticks, strict=True))
    names = [f"T{each}" for each in partition.tolist()]
    batch = TickBatch(
        1,
        offset,
        names,
        np.arange(len(ticks), dtype=np.int32),
        order_ms,
        np.arange(1, len(ticks) + 1),
        offset.astype(np.int32),
        [],
    )
    return Placed(Ticks(batch, partition.astype(np.int32)), order_ms, offset.astype(np.float64), order_ms)


def told(found: Placed) -> list[Tick]:
    """What came out, held against what each tick tells of itself."""
    batch, partition = found.ticks
    assert [batch.names[at] for at in batch.name_of] == [f"T{each}" for each in partition.tolist()]
    assert batch.codes.tolist() == batch.rows.tolist() == found.price.tolist()
    assert found.size.tolist() == found.order_ms.tolist() == batch.ts_ms.tolist()
    return list(zip(found.order_ms.tolist(), partition.tolist(), batch.rows.tolist(), strict=True))


@given(st.integers(0, 1 << 32))
def test_any_pieces_make_the_same_order(seed: int) -> None:
    draw = random.Random(seed)
    waiting: dict[int, list[Tick]] = {}
    for partition in range(draw.randint(1, 4)):
        times = sorted(draw.randrange(12) for _ in range(draw.randrange(20)))
        waiting[partition] = [(ms, partition, 2 * k) for k, ms in enumerate(times)]
    wanted, found, merging = (
        sorted(tick for part in waiting.values() for tick in part),
        list[Tick](),
        Merging[Placed]([*waiting]),
    )
    while merging.is_open:
        for partition in merging.lacking:
            if not waiting[partition]:
                merging.close(partition)
                continue
            count = draw.randint(1, len(waiting[partition]))
            piece, waiting[partition] = waiting[partition][:count], waiting[partition][count:]
            merging.add(partition, placed(piece))
        if merging.is_open:
            found += told(merged(merging.take()))
    assert found == wanted
