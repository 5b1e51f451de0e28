"""The names of a chunk of ticks that has no fault: the loop of `tick_columns.sift`."""

import numpy as np

from streams.core.columns import Bytes, Ends, Int32s, Int64s
from streams.core.jit import letting_go
from streams.core.limits import MAX_CONDITIONS, MAX_TS_MS, MIN_TS_MS


@letting_go
def take_good(
    entry_of: Int32s,
    text_of: Int32s,
    faults: Bytes,
    ts_ms: Int64s,
    code_ends: Ends,
    name_of: Int32s,
) -> bool:
    """Name each tick; False where a row has a fault."""
    before = 0
    for i in range(len(entry_of)):
        entry, now_ms, end = entry_of[i], ts_ms[i], code_ends[i]
        known = np.uint64(entry)
        if entry < 0 or faults[known] != 0 or now_ms < MIN_TS_MS or now_ms >= MAX_TS_MS:
            return False
        if end - before > MAX_CONDITIONS:
            return False
        name_of[i], before = text_of[known], end
    return True
