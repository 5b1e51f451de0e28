"""Fires of a step laid in order by their runs: as sorting them would have it, whatever the kernel left."""

import numpy as np
import pytest

from streams.core.columns import FireColumns, Fires
from streams.core.order import in_order, laid, lay_step

TICKS = 300


def fires_of(ticks: list[int], strategies: list[int]) -> FireColumns:
    count = np.arange(len(ticks))
    return FireColumns(np.array(ticks, np.int32), np.array(strategies, np.int32), count * 7, count * 11)


def some_fires(seed: int, *, by_rank: bool, apart: bool) -> FireColumns:
    """A run for each tick that fired anything, ticks in any order; or two runs of one tick apart from each other."""
    draw = np.random.default_rng(seed)
    ticks, strategies = list[int](), list[int]()
    for tick in draw.permutation(TICKS)[: TICKS // 2].tolist():
        held = draw.choice(40, draw.integers(1, 12), replace=False).tolist()
        ticks += [tick] * len(held)
        strategies += sorted(held) if by_rank else held
    return fires_of([*ticks, ticks[0]] if apart else ticks, [*strategies, 40] if apart else strategies)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("by_rank", "apart"), [(True, False), (False, False), (True, True), (False, True)])
def test_what_is_laid_by_runs_is_what_sorting_gives(seed: int, *, by_rank: bool, apart: bool) -> None:
    fires = some_fires(seed, by_rank=by_rank, apart=apart)
    ticker = np.random.default_rng(seed).integers(0, 9, TICKS, dtype=np.int32)
    rank = np.arange(41, dtype=np.int32)
    tick, strategy, bucket_ms, ts_ms = fires
    expected = in_order(Fires(tick, strategy, ticker[tick], bucket_ms, ts_ms), rank, TICKS)
    found = laid(fires, ticker, rank)
    assert [column.tolist() for column in found] == [column.tolist() for column in expected]
    assert [column.dtype for column in found] == [column.dtype for column in expected]
    first, out = np.full(TICKS, -1, np.int32), Fires._make(map(np.empty_like, expected))
    assert lay_step(fires, ticker, rank, first, out) is (by_rank and not apart)


def test_no_fires_are_none() -> None:
    found = laid(fires_of([], []), np.zeros(5, np.int32), np.zeros(1, np.int32))
    assert [len(column) for column in found] == [0] * 5
