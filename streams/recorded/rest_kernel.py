"""What deciding does not read of a tick: price, size, and the condition codes themselves.

Only for values that `streams/core/decode.py` has walked from end to end and found to be ticks, in the layout that
`schemas/tick.avsc` begins with. Nothing is held against an end here again.
"""

import numpy as np

from streams.core.columns import Bytes, Int32s, Int64s
from streams.core.jit import compiled, letting_go

MAX_CODE: int = (1 << 31) - 1
MAX_WIDE: int = (1 << 63) - 1


@compiled
def number(data: Bytes, at: int) -> tuple[int, int]:
    """A zigzag number and where it ends."""
    bits, shift = 0, 0
    while data[at] >= 128:
        bits |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
    bits |= (data[at] & 0x7F) << shift
    return ((bits >> 1) & MAX_WIDE) ^ -(bits & 1), at + 1


@letting_go
def rest_of(
    data: Bytes, starts: Int64s, prefix_bytes: int, price: Bytes, size: Int64s, counts: Int64s, codes: Int32s
) -> int:
    """Fill in each value's price, as the eight bytes that stand there, and size; returns how many codes there are."""
    total = 0
    for i in range(len(starts)):
        length, at = number(data, starts[i] + prefix_bytes)
        _, at = number(data, at + length)
        for k in range(8):
            price[8 * i + k] = data[at + k]
        size[i], at = number(data, at + 8)
        first = total
        while True:
            items, at = number(data, at)
            if items == 0:
                break
            if items < 0:
                items = -items
                _, at = number(data, at)
            for _ in range(items):
                code, at = number(data, at)
                codes[total] = np.int32(min(max(code, -MAX_CODE - 1), MAX_CODE))
                total += 1
        counts[i] = total - first
    return total
