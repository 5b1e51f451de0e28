"""What a shard holds for fires from one step to the next."""

import numpy as np

from streams.core.events import Strategy, Tick
from streams.core.shard import KEPT_FIRES, Shard
from tests.core.histories import CONDITIONS, ticks_of


def test_room_for_very_many_fires_is_not_kept_and_what_fired_stays() -> None:
    names = [f"T{t}" for t in range(300)]
    shard = Shard(CONDITIONS)
    with shard.together():
        for number in range(KEPT_FIRES // len(names) + 1):
            shard.change(Strategy(f"s{number}", "1m", frozenset(names)))
    held = shard.index.nbytes + sum(column.nbytes for column in shard._pair_fires)
    ticks = ticks_of(shard.index.tickers, [Tick(name, 0) for name in names])
    fires = shard.step(ticks)
    assert len(fires.tick) == 300 * len(shard.strategy_ids) > KEPT_FIRES
    assert shard.index.nbytes + sum(column.nbytes for column in shard._pair_fires) == held
    assert len(shard.clock(60_000).tick) == 0
    later = shard.step(ticks._replace(ts_ms=ticks.ts_ms + 60_000))
    assert np.array_equal(np.lexsort(fires[1:3]), np.lexsort(later[1:3]))
    assert set(fires.bucket_ms.tolist()) == {0}
