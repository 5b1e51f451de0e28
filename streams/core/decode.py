"""Encoded ticks into columns, by a decode plan, with tickers looked up in the table of names.

Every read is held against the end of its value before it is made: a value that is cut short, or lies about
a length, gets a fault of its own and the others go on. The plan's steps are told in `plan`.
"""

from typing import Final, NamedTuple

import numpy as np

from streams.core.columns import Bytes, Int32s, Int64s
from streams.core.jit import compiled
from streams.core.limits import (
    MAX_CONDITION_CODE,
    MAX_CONDITIONS,
    MAX_SCHEMA_DEPTH,
    MAX_TICKER_BYTES,
    MAX_TS_MS,
    MAX_VALUE_BYTES,
    MIN_TS_MS,
)
from streams.core.plan import (
    BLOCKS,
    CODES,
    JUMP,
    MISSING,
    NEXT,
    SKIP_BYTES,
    SKIP_FIXED,
    SKIP_VARINT,
    TICKER,
    TS,
    UNION,
)

UNKNOWN: Final = -1
"""Stands for a ticker that the table of names does not hold yet."""

PREFIX_BYTES: Final = 5
NO_PREFIX: Final = -1
"""In place of a schema id: the values are bare Avro."""

MAX_ITEMS: Final = 1 << 16
"""Items of arrays and maps in one value: they may take no bytes, so the value's length does not bound them."""


class Faults(NamedTuple):
    """Why a value is no tick."""

    NONE: int = 0
    MAGIC: int = 1
    OTHER_SCHEMA: int = 2
    TRUNCATED: int = 3
    VARINT: int = 4
    LENGTH: int = 5
    BRANCH: int = 6
    ITEMS: int = 7
    MISSING: int = 8
    TICKER_EMPTY: int = 9
    TICKER_TOO_LONG: int = 10
    TS: int = 11
    CONDITIONS: int = 12
    TRAILING: int = 13
    TOO_LONG: int = 14
    TICKER_NOT_UTF8: int = 15
    TOO_MANY_TICKERS: int = 16


FAULT: Final = Faults()


class Names(NamedTuple):
    """The table of tickers: open addressing from name to number, the names' bytes one behind the other."""

    slots: Int32s
    keys: np.ndarray[tuple[int], np.dtype[np.uint64]]
    starts: Int64s
    lengths: Int32s
    arena: Bytes


class Decoded(NamedTuple):
    """Room for what is decoded: one entry a value."""

    ticker: Int32s
    ts_ms: Int64s
    moves_price: Bytes
    fault: Bytes
    name_start: Int64s
    name_length: Int32s
    left: Int64s


@compiled
def name_key(data: Bytes, at: int, length: int) -> np.uint64:
    """Eight bytes that stand for a name: up to seven bytes the name itself, with its length; else a hash."""
    if length < 8:
        key = np.uint64(length) << np.uint64(56)
        for k in range(length):
            key |= np.uint64(data[at + k]) << np.uint64(8 * k)
        return key
    key = np.uint64(length)
    for k in range(length):
        key = (key ^ np.uint64(data[at + k])) * np.uint64(0x100000001B3)
        key ^= key >> np.uint64(29)
    return key | np.uint64(0xFF00000000000000)


@compiled
def first_slot(key: np.uint64, names: Names) -> int:
    """Where the search for a key begins."""
    mixed = key * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(mixed >> np.uint64(32)) & (len(names.slots) - 1)


@compiled
def find_name(data: Bytes, at: int, length: int, names: Names) -> int:
    """The number of the ticker whose name stands at `at`, or UNKNOWN."""
    key = name_key(data, at, length)
    slot = first_slot(key, names)
    while True:
        number = names.slots[slot]
        if number < 0:
            return UNKNOWN
        if names.keys[number] == key:
            if length < 8:
                return np.int64(number)
            same = names.lengths[number] == length
            start = names.starts[number]
            for k in range(length if same else 0):
                if names.arena[start + k] != data[at + k]:
                    same = False
                    break
            if same:
                return np.int64(number)
        slot = (slot + 1) & (len(names.slots) - 1)


@compiled
def insert_name(number: int, names: Names) -> None:
    """Put a ticker, whose name is in the arena, into the slots."""
    key = name_key(names.arena, names.starts[number], names.lengths[number])
    names.keys[number] = key
    slot = first_slot(key, names)
    while names.slots[slot] >= 0:
        slot = (slot + 1) & (len(names.slots) - 1)
    names.slots[slot] = number


@compiled
def varint(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """A zigzag number and where it ends; the end is -1 where it is cut short, -2 where it is too long."""
    if at < end and data[at] < 128:
        low = np.int64(data[at])
        return (low >> 1) ^ -(low & 1), at + 1
    bits, shift = np.uint64(0), np.uint64(0)
    while at < end:
        byte = data[at]
        if shift == np.uint64(63) and byte > 1:
            return 0, -2
        bits |= np.uint64(byte & 0x7F) << shift
        at += 1
        if byte < 128:
            return np.int64(bits >> np.uint64(1)) ^ -np.int64(bits & np.uint64(1)), at
        shift += np.uint64(7)
    return 0, -1


@compiled
def varint_fault(at: int) -> int:
    """The fault that a negative end of `varint` stands for."""
    return FAULT.TRUNCATED if at == -1 else FAULT.VARINT


@compiled
def prefix_fault(data: Bytes, start: int, end: int, schema_id: int) -> int:
    """Hold the first five bytes against magic 0 and the schema id."""
    if end - start < PREFIX_BYTES:
        return FAULT.TRUNCATED
    if data[start] != 0:
        return FAULT.MAGIC
    written = 0
    for k in range(1, PREFIX_BYTES):
        written = written << 8 | np.int64(data[start + k])
    return FAULT.NONE if written == schema_id else FAULT.OTHER_SCHEMA


@compiled
def read_codes(data: Bytes, at: int, end: int, blocks: Bytes, unlisted_blocks: bool) -> tuple[int, int, int]:
    """Condition codes: where they end, whether they let the price move, and the fault."""
    moves, seen = 1, 0
    while True:
        count, at = varint(data, at, end)
        if at < 0:
            return at, moves, varint_fault(at)
        if count == 0:
            return at, moves, FAULT.NONE
        if count < 0:
            count = -count
            _, at = varint(data, at, end)
            if at < 0:
                return at, moves, varint_fault(at)
        if count < 0 or count > MAX_CONDITIONS - seen:
            return at, moves, FAULT.CONDITIONS
        seen += count
        for _ in range(count):
            code, at = varint(data, at, end)
            if at < 0:
                return at, moves, varint_fault(at)
            if 0 <= code <= MAX_CONDITION_CODE:
                if blocks[code]:
                    moves = 0
            elif unlisted_blocks:
                moves = 0


@compiled
def block_size(data: Bytes, at: int, end: int, seen: int) -> tuple[int, int, int]:
    """How many items the next block of an array or a map has, where they begin, and the fault."""
    count, at = varint(data, at, end)
    if at >= 0 and count < 0:
        count = -count
        _, at = varint(data, at, end)
    if at < 0:
        return 0, at, varint_fault(at)
    if count < 0 or count > MAX_ITEMS - seen:
        return 0, at, FAULT.ITEMS
    return count, at, FAULT.NONE


@compiled
def take_name(data: Bytes, at: int, end: int, i: int, out: Decoded) -> tuple[int, int]:
    """Note where the ticker's name stands; returns where it ends, and the fault."""
    length, at = varint(data, at, end)
    if at < 0:
        return at, varint_fault(at)
    if length < 0 or length > end - at:
        return at, FAULT.LENGTH
    if length == 0:
        return at, FAULT.TICKER_EMPTY
    if length > MAX_TICKER_BYTES:
        return at, FAULT.TICKER_TOO_LONG
    out.name_start[i], out.name_length[i] = at, length
    return at + length, FAULT.NONE


@compiled
def skip(step: int, size: int, data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Step over one value of no interest; returns where it ends, and the fault."""
    if step == SKIP_FIXED:
        if size > end - at:
            return at, FAULT.TRUNCATED
        return at + size, FAULT.NONE
    length, at = varint(data, at, end)
    if at < 0:
        return at, varint_fault(at)
    if step == SKIP_VARINT:
        return at, FAULT.NONE
    if length < 0 or length > end - at:
        return at, FAULT.LENGTH
    return at + length, FAULT.NONE


@compiled
def decode_one(
    data: Bytes,
    at: int,
    end: int,
    plan: Int32s,
    blocks: Bytes,
    unlisted_blocks: bool,
    i: int,
    out: Decoded,
    left: Int64s,
) -> int:
    """Run the plan over one value; returns the fault."""
    pc, depth, items, fault = 0, 0, 0, FAULT.NONE
    while plan[pc] != 0 and fault == FAULT.NONE:
        step = plan[pc]
        pc += 1
        if step <= SKIP_FIXED:
            size = 0
            if step == SKIP_FIXED:
                size = plan[pc]
                pc += 1
            at, fault = skip(step, size, data, at, end)
        elif step == TICKER:
            at, fault = take_name(data, at, end, i, out)
        elif step == TS:
            out.ts_ms[i], at = varint(data, at, end)
            if at < 0:
                fault = varint_fault(at)
            elif out.ts_ms[i] < MIN_TS_MS or out.ts_ms[i] >= MAX_TS_MS:
                fault = FAULT.TS
        elif step == CODES:
            at, out.moves_price[i], fault = read_codes(data, at, end, blocks, unlisted_blocks)
        elif step == UNION:
            branch, at = varint(data, at, end)
            if at < 0:
                fault = varint_fault(at)
            elif branch < 0 or branch >= plan[pc]:
                fault = FAULT.BRANCH
            else:
                pc = plan[pc + 1 + branch]
        elif step == JUMP:
            pc = plan[pc]
        elif step == MISSING:
            fault = FAULT.MISSING
        else:
            if step == NEXT:
                left[depth - 1] -= 1
                if left[depth - 1] > 0:
                    pc = plan[pc]
                    continue
                depth -= 1
            count, at, fault = block_size(data, at, end, items)
            items += count
            if count > 0:
                left[depth] = count
                depth += 1
                pc = plan[pc] if step == NEXT else pc + 1
            else:
                pc = pc + 1 if step == NEXT else plan[pc]
    if fault == FAULT.NONE and at != end:
        fault = FAULT.TRAILING
    return fault


@compiled
def decode(
    data: Bytes,
    starts: Int64s,
    ends: Int64s,
    schema_id: int,
    plan: Int32s,
    names: Names,
    blocks: Bytes,
    unlisted_blocks: bool,
    out: Decoded,
) -> int:
    """Decode every value whose fault is NONE or OTHER_SCHEMA so far; returns how many are no known tick yet."""
    left = out.left
    open_ends = 0
    for i in range(len(starts)):
        at, end = starts[i], ends[i]
        out.ticker[i], out.moves_price[i] = UNKNOWN, 1
        if at < 0 or end > len(data) or at > end:
            fault = FAULT.LENGTH
        elif end - at > MAX_VALUE_BYTES:
            fault = FAULT.TOO_LONG
        else:
            fault = FAULT.NONE
            if schema_id != NO_PREFIX:
                fault = prefix_fault(data, at, end, schema_id)
                at += PREFIX_BYTES
            if fault == FAULT.NONE:
                fault = decode_one(data, at, end, plan, blocks, unlisted_blocks, i, out, left)
        out.fault[i] = fault
        if fault == FAULT.NONE:
            out.ticker[i] = find_name(data, out.name_start[i], out.name_length[i], names)
        if out.ticker[i] == UNKNOWN:
            open_ends += 1
    return open_ends


@compiled
def judge_codes(codes: Int32s, ends: Int64s, blocks: Bytes, unlisted_blocks: bool, moves_price: Bytes) -> None:
    """Whether each tick may move the price, from condition codes in columns."""
    start = 0
    for i in range(len(ends)):
        moves = 1
        for k in range(start, ends[i]):
            code = codes[k]
            if 0 <= code <= MAX_CONDITION_CODE:
                if blocks[code]:
                    moves = 0
            elif unlisted_blocks:
                moves = 0
        moves_price[i] = moves
        start = ends[i]
