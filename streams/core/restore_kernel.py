"""The rows of a shard's changelogs, read into columns; `state_rows` tells what a row holds.

Every read is held against the end of its row before it is made. A row that is not whole and in bounds has a fault,
and nothing of it is used.
"""

from typing import Final, NamedTuple

from streams.core.columns import Bytes, Int32s, Int64s, PairColumns
from streams.core.jit import compiled
from streams.core.limits import MAX_TS_MS, MIN_TS_MS, NEVER
from streams.core.state_kernel import VERSION

ONLY_COUNT: Final = -1
"""In place of where to write a row's pairs."""


class RowFaults(NamedTuple):
    """Why a row cannot be read."""

    NONE: int = 0
    VERSION: int = 1
    NUMBER: int = 2
    TIME: int = 3
    COUNT: int = 4
    STRATEGY: int = 5
    TWICE: int = 6
    TRAILING: int = 7


FAULT: Final = RowFaults()


@compiled
def number(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """A number without a sign and where it ends: at -1 where it is cut short, too long, or begins at -1."""
    bits, shift = 0, 0
    while 0 <= at < end and shift < 63:
        byte: int = data[at]
        at += 1
        bits |= (byte & 127) << shift
        if byte < 128:
            return bits, at
        shift += 7
    return 0, -1


@compiled
def read_update(data: Bytes, start: int, end: int) -> tuple[int, int]:
    """The time in a row of last updates, and the fault."""
    if start == end or data[start] != VERSION:
        return 0, FAULT.VERSION
    bits, at = number(data, start + 1, end)
    ts_ms = bits >> 1 ^ -(bits & 1)
    if at < 0:
        return 0, FAULT.NUMBER
    if not MIN_TS_MS <= ts_ms < MAX_TS_MS:
        return 0, FAULT.TIME
    return ts_ms, FAULT.NONE if at == end else FAULT.TRAILING


@compiled
def read_updates(data: Bytes, starts: Int64s, ends: Int64s, ts_ms: Int64s) -> tuple[int, int]:
    """Read rows of last updates; returns the first that is bad, or their count, and its fault."""
    for i in range(len(starts)):
        ts_ms[i], fault = read_update(data, starts[i], ends[i])
        if fault != FAULT.NONE:
            return i, fault
    return len(starts), FAULT.NONE


@compiled
def read_bucket(data: Bytes, at: int, end: int, first: bool, newer_ms: int) -> tuple[int, int, int, int]:
    """The head of a group: its bucket, how many pairs it has, where they begin, and the fault."""
    bits, at = number(data, at, end)
    count, at = number(data, at, end)
    if at < 0:
        return 0, 0, at, FAULT.NUMBER
    bucket_ms = bits >> 1 ^ -(bits & 1) if first else newer_ms - bits
    if not NEVER < bucket_ms < MAX_TS_MS or (not first and bits == 0):
        return 0, 0, at, FAULT.TIME
    if not 0 < count <= end - at:  # a pair takes a byte or more
        return 0, 0, at, FAULT.COUNT
    return bucket_ms, count, at, FAULT.NONE


@compiled
def read_strategy(data: Bytes, at: int, end: int, strategy_of: Int32s, before: int) -> tuple[int, int, int]:
    """The log number behind another one, where it ends, and the fault."""
    gap, at = number(data, at, end)
    if at < 0:
        return 0, at, FAULT.NUMBER
    if gap >= len(strategy_of) - before - 1 or strategy_of[before + gap + 1] < 0:
        return 0, at, FAULT.STRATEGY
    return before + gap + 1, at, FAULT.NONE


@compiled
def read_row(
    data: Bytes,
    start: int,
    end: int,
    strategy_of: Int32s,
    seen: Int32s,
    row: int,
    into: PairColumns,
    j: int,
) -> tuple[int, int]:
    """Read a row of last buckets; returns how many pairs it has, written from `j` on or only counted, and the fault.

    `seen` notes for each strategy the row that it was met in last, so that none is taken twice.
    """
    if start == end or data[start] != VERSION:
        return 0, FAULT.VERSION
    groups, at = number(data, start + 1, end)
    if at < 0:
        return 0, FAULT.NUMBER
    pairs = bucket_ms = 0
    for g in range(groups):
        bucket_ms, count, at, fault = read_bucket(data, at, end, g == 0, bucket_ms)
        if fault != FAULT.NONE:
            return 0, fault
        log_number = -1
        for _ in range(count):
            log_number, at, fault = read_strategy(data, at, end, strategy_of, log_number)
            if fault == FAULT.NONE and seen[log_number] == row:
                fault = FAULT.TWICE
            if fault != FAULT.NONE:
                return 0, fault
            seen[log_number] = row
            if j >= 0:
                into.strategy[j + pairs], into.last_bucket[j + pairs] = strategy_of[log_number], bucket_ms
            pairs += 1
    return pairs, FAULT.NONE if at == end else FAULT.TRAILING


@compiled
def count_pairs(
    data: Bytes, starts: Int64s, ends: Int64s, strategy_of: Int32s, seen: Int32s, into: PairColumns, counts: Int32s
) -> tuple[int, int]:
    """Count the pairs of each row; returns the first row that is bad, or their count, and its fault."""
    for i in range(len(starts)):
        counts[i], fault = read_row(data, starts[i], ends[i], strategy_of, seen, i, into, ONLY_COUNT)
        if fault != FAULT.NONE:
            return i, fault
    return len(starts), FAULT.NONE


@compiled
def read_rows(
    data: Bytes, starts: Int64s, ends: Int64s, strategy_of: Int32s, seen: Int32s, into: PairColumns, at: Int64s
) -> None:
    """Write the pairs of each row, which `count_pairs` has found good, from its place on."""
    for i in range(len(starts)):
        read_row(data, starts[i], ends[i], strategy_of, seen, i, into, at[i])
