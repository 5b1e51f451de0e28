"""Condition codes of ticks that are picked out: the loops of `picked.py`."""

from streams.core.columns import Ends, Int32s, Int64s
from streams.core.jit import letting_go


@letting_go
def count_codes(which: Int64s, ends: Ends, picked_ends: Int64s) -> int:
    """Note where the codes of each picked tick will end; returns how many there are."""
    total = 0
    for i in range(len(which)):
        tick = which[i]
        total += ends[tick] - (ends[tick - 1] if tick > 0 else 0)
        picked_ends[i] = total
    return total


@letting_go
def copy_codes(which: Int64s, ends: Ends, codes: Int32s, picked: Int32s) -> None:
    """Put the codes of the picked ticks one behind the other."""
    at = 0
    for i in range(len(which)):
        tick = which[i]
        for code in range(ends[tick - 1] if tick > 0 else 0, ends[tick]):
            picked[at] = codes[code]
            at += 1
