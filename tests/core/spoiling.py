"""Writes over the update tracking of a shard."""

import numpy as np

from streams.core.shard import Shard


def spoil(shard: Shard, what: str, at: int) -> None:
    """Write over one part of the tracking, as a stray pointer would."""
    tracking = shard.index.columns.tracking
    if what == "flag":
        tracking.flags[at % len(tracking.flags)] ^= np.uint32(1 << at % 32)
    elif what == "stamp":
        tracking.stamps[at % max(1, shard.index.tickers.count)] += 1
    else:
        tracking.counter[0] -= 1
