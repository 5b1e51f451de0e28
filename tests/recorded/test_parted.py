"""Where the ticks of each part stand is where merging puts them; and what is in one order comes apart the same way."""

import random

import numpy as np
import pytest

from streams.recorded.parted import Part, parted, split
from streams.recorded.placed import Ticks
from streams.replay.tick_columns import TickBatch
from tests.recorded.made import MadeDay
from tests.recorded.test_as_one import TICKERS, runs


@pytest.mark.parametrize("seed", range(6))
def test_ticks_stand_by_time_then_partition_then_offset(seed: int) -> None:
    for run in runs(random.Random(seed), TICKERS):
        keys = [
            (order_ms, part.partition, offset)
            for part in run.parts
            for order_ms, offset in zip(part.order_ms.tolist(), part.offset.tolist(), strict=True)
        ]
        places = np.concatenate(run.places).tolist()
        assert [key for _, key in sorted(zip(places, keys, strict=True))] == sorted(keys)
        assert sorted(places) == list(range(len(keys)))


@pytest.mark.parametrize("partitions", [2, 3, 7, 40])
def test_however_many_partitions_there_are_and_ticks_in_them(partitions: int) -> None:
    draw = random.Random(partitions)
    for _ in range(30):
        parts = []
        for partition in range(partitions):
            times = np.array(sorted(draw.randrange(50) for _ in range(draw.choice([0, 1, 2, 30]))), np.int64)
            name_of, moves_price = times.astype(np.int32), times.astype(np.uint8)
            parts.append(Part(partition, np.arange(len(times)), [], name_of, times, moves_price, times))
        places = [each.tolist() for each in parted(parts).places]
        keys = [(ms, part.partition, row) for part in parts for row, ms in enumerate(part.order_ms.tolist())]
        wanted = {key: place for place, key in enumerate(sorted(keys))}
        assert places == [[wanted[ms, p.partition, row] for row, ms in enumerate(p.order_ms.tolist())] for p in parts]


def test_parts_of_ticks_in_one_order_are_each_partitions_own_and_judged() -> None:
    day = MadeDay(3)
    ticks = next(ticks for ticks, _ in day.runs(3_000) if ticks is not None)
    batch = ticks.batch
    run = split(ticks, day.conditions)
    assert [part.partition for part in run.parts] == [0, 1, 2, 3]
    for part, places in zip(run.parts, run.places, strict=True):
        assert (ticks.partition[places] == part.partition).all()
        assert part.offset.tolist() == batch.rows[places].tolist()
        assert [part.names[at] for at in part.name_of] == [day.names[at] for at in places]
        assert part.ts_ms.tolist() == batch.ts_ms[places].tolist()
        assert part.moves_price.tolist() == [not day.blocked[at] for at in places]


def test_a_run_of_one_partition_is_that_part_and_one_of_none_has_no_parts() -> None:
    wide, narrow = np.arange(3, dtype=np.int64), np.zeros(3, np.int32)
    batch = TickBatch(1, wide, ["A"], narrow, wide, wide * 0, narrow[:0], [])
    run = split(Ticks(batch, narrow + 2), MadeDay(1, 1).conditions)
    assert [(part.partition, places.tolist()) for part, places in zip(run.parts, run.places, strict=True)] == [
        (2, [0, 1, 2])
    ]
    alone = parted(run.parts)
    assert alone.places[0].tolist() == [0, 1, 2]
    nothing = TickBatch(1, wide[:0], ["A"], narrow[:0], wide[:0], wide[:0], narrow[:0], [])
    assert list(split(Ticks(nothing, narrow[:0]), MadeDay(1, 1).conditions).parts) == []
