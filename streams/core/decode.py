"""Encoded ticks into columns, by a decode plan, with tickers looked up in the table of names.

Every read is held against the end of its value before it is made: a value that is cut short, or lies about
a length, gets a fault of its own and the others go on. The plan's steps are told in `plan`.
"""

from typing import Final, NamedTuple

import numpy as np

from streams.core.columns import Bytes, Ends, Int32s, Int64s
from streams.core.jit import also_letting_go, compiled, letting_go
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
    CODES,
    END,
    ITEMS,
    JUMP,
    OPEN,
    SKIP_FIXED,
    SKIP_VARINT,
    STEP_SIZE,
    TICKER,
    TS,
    UNION,
)

UNKNOWN: Final = -1
"""Stands for a ticker that the table of names does not hold yet."""

PREFIX_BYTES: Final = 5
NO_PREFIX: Final = -1
"""In place of a schema id: the values are bare Avro."""

MAX_INT64: Final = (1 << 63) - 1


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
    WRONG_PARTITION: int = 17


FAULT: Final = Faults()


class Names(NamedTuple):
    """The table of tickers: open addressing from name to number, the names' bytes one behind the other."""

    slots: Int32s
    keys: np.ndarray[tuple[int], np.dtype[np.uint64]]
    starts: Int64s
    lengths: Int32s
    arena: Bytes


class Decoded(NamedTuple):
    """Room for what is decoded: one entry a value. `left` counts the items of each array and map that is open."""

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
def first_slot(key: np.uint64, names: Names) -> np.int64:
    """Where the search for a key begins."""
    mixed = key * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(mixed >> np.uint64(32)) & (len(names.slots) - 1)


@compiled
def same_name(data: Bytes, at: int, length: int, names: Names, number: int) -> bool:
    """Whether the name at `at` is that of a ticker; their keys are equal, which for short names is enough."""
    if length < 8:
        return True
    if names.lengths[number] != length:
        return False
    start = names.starts[number]
    for k in range(length):
        if names.arena[start + k] != data[at + k]:
            return False
    return True


@compiled
def find_name(data: Bytes, at: int, length: int, names: Names) -> int:
    """The number of the ticker whose name stands at `at`, or UNKNOWN."""
    key = name_key(data, at, length)
    slot = first_slot(key, names)
    while True:
        number: int = names.slots[slot]
        if number == UNKNOWN or (names.keys[number] == key and same_name(data, at, length, names, number)):
            return number
        slot = (slot + 1) & (len(names.slots) - 1)


@letting_go
def find_names(data: Bytes, ends: Int64s, names: Names, number: Int32s) -> None:
    """The same for several that stand one behind the other, the first from 0 on."""
    at = 0
    for i in range(len(ends)):
        number[i] = find_name(data, at, ends[i] - at, names)
        at = ends[i]


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
def insert_names(first: int, end: int, names: Names) -> None:
    """The same for several, by their numbers."""
    for number in range(first, end):
        insert_name(number, names)


@compiled
def varint(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """A zigzag number and where it ends; the end is -1 where it is cut short, -2 where it is too long."""
    bits, shift = 0, 0
    while at < end:
        byte = data[at]
        at += 1
        if shift == 63 and byte > 1:
            return 0, -2
        bits |= (byte & 0x7F) << shift
        if byte < 128:
            return ((bits >> 1) & MAX_INT64) ^ -(bits & 1), at
        shift += 7
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
        written = written << 8 | data[start + k]
    return FAULT.NONE if written == schema_id else FAULT.OTHER_SCHEMA


@compiled
def blocks_price(code: int, blocks: Bytes, unlisted_blocks: bool) -> bool:
    """Whether a tick with this condition code must not move the price."""
    return blocks[code] != 0 if 0 <= code <= MAX_CONDITION_CODE else unlisted_blocks


@compiled
def block_size(data: Bytes, at: int, end: int) -> tuple[int, int, int]:
    """How many items the next block of an array or a map has, where they begin, and the fault.

    An item takes a byte or more, so that no count can hold the decoder up.
    """
    count, at = varint(data, at, end)
    if at >= 0 and count < 0:
        count = -count
        _, at = varint(data, at, end)
    if at < 0:
        return 0, at, varint_fault(at)
    if count < 0 or count > end - at:
        return 0, at, FAULT.ITEMS
    return count, at, FAULT.NONE


@compiled
def take_codes(
    data: Bytes, at: int, end: int, blocks: Bytes, unlisted_blocks: bool, i: int, out: Decoded
) -> tuple[int, int]:
    """Note whether the condition codes let the price move; returns where they end, and the fault."""
    room = MAX_CONDITIONS
    while True:
        count, at, fault = block_size(data, at, end)
        if count == 0:
            return at, fault
        room -= count
        if room < 0:
            return at, FAULT.CONDITIONS
        for _ in range(count):
            code, at = varint(data, at, end)
            if at < 0:
                return at, varint_fault(at)
            if blocks_price(code, blocks, unlisted_blocks):
                out.moves_price[i] = 0


@compiled
def next_item(data: Bytes, at: int, end: int, loop: int, left: Int64s) -> tuple[int, int]:
    """Count one item off, reading the size of the next block where this one is used up."""
    fault = FAULT.NONE
    if left[loop] == 0:
        left[loop], at, fault = block_size(data, at, end)
    left[loop] -= 1
    return at, fault


@compiled
def take_name(data: Bytes, at: int, end: int, names: Names, i: int, out: Decoded) -> tuple[int, int]:
    """Look the ticker up, or note where its name stands; returns where it ends, and the fault."""
    length, at = varint(data, at, end)
    if at < 0:
        return at, varint_fault(at)
    if length < 0 or length > end - at:
        return at, FAULT.LENGTH
    if length == 0:
        return at, FAULT.TICKER_EMPTY
    if length > MAX_TICKER_BYTES:
        return at, FAULT.TICKER_TOO_LONG
    number = find_name(data, at, length, names)
    out.ticker[i] = number
    if number == UNKNOWN:
        out.name_start[i], out.name_length[i] = at, length
    return at + length, FAULT.NONE


@compiled
def take_ts(data: Bytes, at: int, end: int, i: int, out: Decoded) -> tuple[int, int]:
    """Note the time; returns where it ends, and the fault."""
    ts_ms, at = varint(data, at, end)
    if at < 0:
        return at, varint_fault(at)
    out.ts_ms[i] = ts_ms
    return at, FAULT.NONE if MIN_TS_MS <= ts_ms < MAX_TS_MS else FAULT.TS


@compiled
def skip(step: int, size: int, data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Step over one value of no interest; returns where it ends, and the fault."""
    if step == SKIP_FIXED:
        return at + size, FAULT.NONE if size <= end - at else FAULT.TRUNCATED
    length, at = varint(data, at, end)
    if at < 0:
        return at, varint_fault(at)
    if step == SKIP_VARINT:
        return at, FAULT.NONE
    return at + length, FAULT.NONE if 0 <= length <= end - at else FAULT.LENGTH


@compiled
def take_branch(data: Bytes, at: int, end: int, branches: int) -> tuple[int, int, int]:
    """Which branch of a union was written, where its value begins, and the fault."""
    branch, at = varint(data, at, end)
    if at < 0:
        return 0, at, varint_fault(at)
    return branch, at, FAULT.NONE if 0 <= branch < branches else FAULT.BRANCH


@compiled
def take_way(step: int, argument: int, pc: int, data: Bytes, at: int, end: int, left: Int64s) -> tuple[int, int, int]:
    """A step that says where the plan goes on: returns that, where the value goes on, and the fault."""
    fault = FAULT.NONE
    if step == UNION:
        branch, at, fault = take_branch(data, at, end, argument)
        pc += branch * STEP_SIZE
    elif step == JUMP:
        pc = argument
    elif step == OPEN:
        left[argument] = 0
    elif step == ITEMS:
        at, fault = next_item(data, at, end, argument, left)
        if left[argument] >= 0:
            pc += STEP_SIZE
    else:
        fault = FAULT.MISSING
    return pc, at, fault


@compiled
def value_start(data: Bytes, at: int, end: int, schema_id: int) -> tuple[int, int]:
    """Where the Avro of a value begins, and the fault."""
    if at < 0 or end > len(data) or at > end:
        return at, FAULT.LENGTH
    if end - at > MAX_VALUE_BYTES:
        return at, FAULT.TOO_LONG
    if schema_id == NO_PREFIX:
        return at, FAULT.NONE
    return at + PREFIX_BYTES, prefix_fault(data, at, end, schema_id)


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
    """Decode every value; returns how many have a fault or a ticker that is not known yet."""
    unknown = 0
    for i in range(len(starts)):
        out.ticker[i], out.moves_price[i] = UNKNOWN, 1
        end = ends[i]
        at, fault = value_start(data, starts[i], end, schema_id)
        pc = 0
        while fault == FAULT.NONE:
            step, argument = plan[pc], plan[pc + 1]
            pc += STEP_SIZE
            if step <= SKIP_FIXED:
                at, fault = skip(step, argument, data, at, end)
            elif step == TICKER:
                at, fault = take_name(data, at, end, names, i, out)
            elif step == TS:
                at, fault = take_ts(data, at, end, i, out)
            elif step == CODES:
                at, fault = take_codes(data, at, end, blocks, unlisted_blocks, i, out)
            elif step == END:
                fault = FAULT.NONE if at == end else FAULT.TRAILING
                break
            else:
                pc, at, fault = take_way(step, argument, pc, data, at, end, out.left)
        out.fault[i] = fault
        if fault != FAULT.NONE:
            out.ticker[i] = UNKNOWN
        if out.ticker[i] == UNKNOWN:
            unknown += 1
    return unknown


long_decode = also_letting_go(decode, "long_decode")
"""For so many values that other threads should run meanwhile."""


@compiled
def find_again(data: Bytes, which: Int64s, names: Names, out: Decoded) -> None:
    """Look up the tickers of some values once more: they may have got numbers meanwhile."""
    for i in which:
        out.ticker[i] = find_name(data, out.name_start[i], out.name_length[i], names)


@letting_go
def judge_codes(codes: Int32s, ends: Ends, blocks: Bytes, unlisted_blocks: bool, moves_price: Bytes) -> None:
    """Whether each tick may move the price, from condition codes in columns."""
    start = 0
    for i in range(len(ends)):
        moves = 1
        for k in range(start, ends[i]):
            code = codes[k]
            if blocks_price(code, blocks, unlisted_blocks):
                moves = 0
        moves_price[i] = moves
        start = ends[i]


def judged(codes: Int32s, ends: Ends, blocks: Bytes, unlisted_blocks: bool) -> Bytes:
    """The same as a column."""
    moves_price = np.empty(len(ends), np.uint8)
    judge_codes(codes, ends, blocks, unlisted_blocks, moves_price)
    return moves_price


def decoded_columns(size: int) -> Decoded:
    """Room for `size` values."""
    narrow, wide, byte = np.int32, np.int64, np.uint8
    kinds = (narrow, wide, byte, byte, wide, narrow)
    return Decoded._make([*(np.empty(size, kind) for kind in kinds), np.empty(MAX_SCHEMA_DEPTH + 1, wide)])
