"""Values as nearly every one is, in the layout of `schemas/tick.avsc`, decoded in half the time of any decode plan.

Usual is: the id in front, a ticker of up to seven bytes, a time of six, no condition code or one block of codes of one
byte each. Of all others nothing is said but that they are others: `core/decode.py` has them, and knows what is wrong.
"""

import numpy as np

from streams.core.columns import Bytes, Int64s
from streams.core.decode import FAULT, UNKNOWN, Decoded, Names
from streams.core.jit import compiled, letting_go

NONE: int = FAULT.NONE
NO_NUMBER: int = UNKNOWN
SHORTEST: int = 5 + 2 + 6 + 8 + 1 + 1
"""Framing, a ticker of one byte, time, price, size, no codes."""

LONGEST: int = 1 << 10


@compiled
def number_of(key: np.uint64, names: Names) -> int:
    """The ticker of a short name, by the key that stands for it in the table of names; or that there is none.

    As `core/decode.py` looks it up. Compiled code stays within its file, as what is cached of it would not notice a
    change elsewhere; a test holds both to the same answers.
    """
    slot = np.int64((key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & (len(names.slots) - 1)
    while True:
        number: int = names.slots[slot]
        if number == NO_NUMBER or names.keys[number] == key:
            return number
        slot = (slot + 1) & (len(names.slots) - 1)


@compiled
def time_at(data: Bytes, at: int) -> int:
    """A time of six bytes, or -1 where it is no such."""
    if data[at] & data[at + 1] & data[at + 2] & data[at + 3] & data[at + 4] < 128 or data[at + 5] >= 128:
        return -1
    bits = np.int64(0)
    for k in range(6):
        bits |= np.int64(data[at + k] & 127) << (7 * k)
    return -1 if bits & 1 else int(bits >> 1)


@compiled
def codes_to(data: Bytes, at: int, end: int, blocks: Bytes) -> int:
    """Whether the codes that fill the value up to its end let the price move; -1 where they are not as usual."""
    if data[at] == 0:
        return 1 if at + 1 == end else -1
    count = data[at] >> 1
    if data[at] & 129 or end - at != count + 2 or data[end - 1] != 0:
        return -1
    moves = 1
    for k in range(at + 1, end - 1):
        if data[k] & 129:
            return -1
        if blocks[data[k] >> 1]:
            moves = 0
    return moves


@compiled
def is_framed(data: Bytes, at: int, schema_id: int) -> bool:
    """Whether the id stands in front."""
    written = 0
    for k in range(1, 5):
        written = written << 8 | data[at + k]
    return data[at] == 0 and written == schema_id


@compiled
def take(data: Bytes, start: int, end: int, schema_id: int, names: Names, blocks: Bytes, i: int, out: Decoded) -> bool:
    """Decode one value; False where it is not as usual."""
    if start < 0 or end > len(data) or end - start < SHORTEST or end - start > LONGEST:
        return False
    length, at = data[start + 5] >> 1, start + 6
    if data[start + 5] & 129 or not 0 < length < 8 or end - start < SHORTEST - 1 + length:
        return False
    if not is_framed(data, start, schema_id):
        return False
    key = np.uint64(length) << np.uint64(56)
    for k in range(length):
        key |= np.uint64(data[at + k]) << np.uint64(8 * k)
    behind = at + length + 14
    ts_ms = time_at(data, at + length)
    for _ in range(4):
        if behind < end and data[behind] >= 128:
            behind += 1
    if ts_ms < 0 or behind + 2 > end or data[behind] >= 128:
        return False
    moves = codes_to(data, behind + 1, end, blocks)
    if moves < 0:
        return False
    out.ticker[i] = number_of(key, names)
    out.ts_ms[i], out.moves_price[i], out.fault[i] = ts_ms, moves, NONE
    out.name_start[i], out.name_length[i] = at, length
    return True


@letting_go
def decode_usual(
    data: Bytes, starts: Int64s, ends: Int64s, schema_id: int, names: Names, blocks: Bytes, out: Decoded, others: Int64s
) -> tuple[int, int]:
    """Decode what is as usual; returns how many others there are, noted by their places, and how many new names."""
    count = unknown = 0
    for i in range(len(starts)):
        if take(data, starts[i], ends[i], schema_id, names, blocks, i, out):
            unknown += out.ticker[i] == NO_NUMBER
        else:
            others[count] = i
            count += 1
    return count, unknown
