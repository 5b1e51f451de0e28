"""The rows of a shard's changelogs, written from its columns; `state_rows` tells what a row holds.

A row of buckets is written in three strokes: its pairs are told apart by bucket, the buckets are put in order, the
newest first, and the strategies of each in ascending order of their log numbers. So the bytes of a row are a
function of what it says, not of the order in which its pairs lie.
"""

from typing import Final, NamedTuple

from streams.core.columns import Bytes, Int32s, Int64s, PairColumns, Places, TickerColumns
from streams.core.decode import Names
from streams.core.jit import compiled
from streams.core.limits import NEVER

VERSION: Final = 1
ESCAPE: Final = 0
"""The first byte of a key that is no ticker, or a ticker that itself begins with this byte."""
TICKER_MARK: Final = ord("t")

NO_LOG_NUMBER: Final = -1
ASKED_FOR: Final = -2
"""Stands in place of a log number while one is asked for."""

MOST_ROW_BYTES: Final = 11
"""Of a row of updates, or of what stands in a row of buckets before its pairs."""
MOST_PAIR_BYTES: Final = 20
"""A pair with a bucket of its own: 10 bytes for the bucket, 5 for a count, 3 for the strategy."""

HIGH_57_BITS_OFF: Final = (1 << 57) - 1
MIX: Final = 0x5851F42D4C957F2D
"""Any large odd number: it spreads buckets over the slots."""


class Scratch(NamedTuple):
    """Room for the pairs of one row. `slots` is all -1 between two rows, and twice as long as the longest row."""

    log_number: Int32s
    group_of: Int32s
    in_order: Int32s
    group_bucket_ms: Int64s
    group_count: Int32s
    group_start: Int32s
    group_slot: Int32s
    group_order: Int32s
    slots: Int32s


# `put_varint` of `records.py` without the zigzag: compiled code never crosses files, see `jit.py`.
@compiled
def put_number(out: Bytes, at: int, bits: int) -> int:
    """Write a number without a sign; returns where it ends."""
    while bits & ~127:
        out[at] = bits & 127 | 128
        bits = bits >> 7 & HIGH_57_BITS_OFF
        at += 1
    out[at] = bits
    return at + 1


@compiled
def put_gap(out: Bytes, at: int, gap: int) -> int:
    """Write a number, mostly of one byte or two: which of them cannot be guessed, so it costs no branch."""
    if gap > 16_383:
        return put_number(out, at, gap)
    more = int(gap > 127)
    out[at] = gap & 127 | more << 7
    out[at + 1] = gap >> 7
    return at + 1 + more


@compiled
def put_key(out: Bytes, at: int, names: Names, t: int) -> int:
    """Write a ticker as the key of its row."""
    start, length = names.starts[t], int(names.lengths[t])
    if names.arena[start] == ESCAPE:
        out[at], out[at + 1] = ESCAPE, TICKER_MARK
        at += 2
    for k in range(length):
        out[at + k] = names.arena[start + k]
    return at + length


@compiled
def put_updates(last_update: Int64s, which: Int64s, names: Names, out: Bytes, places: Places) -> int:
    """Write the rows of last updates of these tickers; returns how much of the buffer is used."""
    at = 0
    for n in range(len(which)):
        places.key_start[n] = at
        at = put_key(out, at, names, which[n])
        places.key_end[n] = places.value_start[n] = at
        out[at] = VERSION
        ts_ms = last_update[which[n]]
        at = put_number(out, at + 1, ts_ms << 1 ^ ts_ms >> 63)
        places.value_end[n] = at
    return at


@compiled
def survey(
    tickers: TickerColumns, pairs: PairColumns, which: Int64s, log_of: Int32s, unseen: Int32s
) -> tuple[int, int, int]:
    """Count the pairs that the rows of these tickers will hold, and those of the longest row.

    Strategies that have no log number yet are written to `unseen`; the third answer is how many.
    """
    total = longest = asked = 0
    for t in which:
        start = tickers.row_start[t]
        longest = max(longest, tickers.row_used[t])
        for j in range(start, start + tickers.row_used[t]):
            if pairs.last_bucket[j] == NEVER:
                continue
            total += 1
            strategy = pairs.strategy[j]
            if log_of[strategy] == NO_LOG_NUMBER:
                log_of[strategy] = ASKED_FOR
                unseen[asked] = strategy
                asked += 1
    return total, longest, asked


@compiled
def tell_apart(
    tickers: TickerColumns, pairs: PairColumns, t: int, log_of: Int32s, scratch: Scratch
) -> tuple[int, int, bool]:
    """Note the group, one for each bucket, of every pair of a row.

    Returns how many pairs and groups there are, and whether the log numbers ascend as the pairs lie.
    """
    n = groups = 0
    before, ascend = -1, True
    slots, start = scratch.slots, tickers.row_start[t]
    for j in range(start, start + tickers.row_used[t]):
        bucket_ms = pairs.last_bucket[j]
        if bucket_ms == NEVER:
            continue
        mixed = bucket_ms * MIX
        slot = (mixed ^ mixed >> 29) >> 17 & (len(slots) - 1)
        while slots[slot] >= 0 and scratch.group_bucket_ms[slots[slot]] != bucket_ms:
            slot = (slot + 1) & (len(slots) - 1)
        g = slots[slot]
        if g < 0:
            g = slots[slot] = groups
            scratch.group_bucket_ms[g], scratch.group_slot[g], scratch.group_count[g] = bucket_ms, slot, 0
            groups += 1
        scratch.group_count[g] += 1
        log_number = log_of[pairs.strategy[j]]
        scratch.group_of[n], scratch.log_number[n] = g, log_number
        ascend &= log_number > before
        before = log_number
        n += 1
    for g in range(groups):
        slots[scratch.group_slot[g]] = -1
    return n, groups, ascend


@compiled
def newest_first(scratch: Scratch, groups: int) -> None:
    """Put the groups in the order of their buckets, the newest first, by Shell's method."""
    order, bucket_ms = scratch.group_order, scratch.group_bucket_ms
    for g in range(groups):
        order[g] = g
    gap = groups >> 1
    while gap > 0:
        for i in range(gap, groups):
            held, j = order[i], i
            while j >= gap and bucket_ms[order[j - gap]] < bucket_ms[held]:
                order[j] = order[j - gap]
                j -= gap
            order[j] = held
        gap >>= 1


@compiled
def sort_ascending(numbers: Int32s, start: int, end: int) -> None:
    """Sort a part, by Shell's method."""
    gap = (end - start) >> 1
    while gap > 0:
        for i in range(start + gap, end):
            held, j = numbers[i], i
            while j - gap >= start and numbers[j - gap] > held:
                numbers[j] = numbers[j - gap]
                j -= gap
            numbers[j] = held
        gap >>= 1


@compiled
def put_groups(scratch: Scratch, n: int, groups: int, ascend: bool, out: Bytes, at: int) -> int:
    """Write the groups of one row, whose pairs lie in ascending order or not; returns where they end."""
    start = 0
    for k in range(groups):
        g = scratch.group_order[k]
        scratch.group_start[g] = start
        start += scratch.group_count[g]
    for i in range(n):
        g = scratch.group_of[i]
        scratch.in_order[scratch.group_start[g]] = scratch.log_number[i]
        scratch.group_start[g] += 1
    at = put_number(out, at, groups)
    newer_ms = 0
    for k in range(groups):
        g = scratch.group_order[k]
        bucket_ms, count, end = scratch.group_bucket_ms[g], scratch.group_count[g], scratch.group_start[g]
        at = put_number(out, at, newer_ms - bucket_ms if k else bucket_ms << 1 ^ bucket_ms >> 63)
        at = put_number(out, at, count)
        if not ascend:
            sort_ascending(scratch.in_order, end - count, end)
        before = -1
        for i in range(end - count, end):
            at = put_gap(out, at, scratch.in_order[i] - before - 1)
            before = scratch.in_order[i]
        newer_ms = bucket_ms
    return at


@compiled
def put_buckets(
    tickers: TickerColumns,
    pairs: PairColumns,
    which: Int64s,
    names: Names,
    log_of: Int32s,
    scratch: Scratch,
    out: Bytes,
    places: Places,
) -> int:
    """Write the rows of last buckets of these tickers; returns how much of the buffer is used."""
    at = 0
    for row in range(len(which)):
        t = which[row]
        places.key_start[row] = at
        at = put_key(out, at, names, t)
        places.key_end[row] = places.value_start[row] = at
        out[at] = VERSION
        n, groups, ascend = tell_apart(tickers, pairs, t, log_of, scratch)
        newest_first(scratch, groups)
        at = put_groups(scratch, n, groups, ascend, out, at + 1)
        places.value_end[row] = at
    return at
