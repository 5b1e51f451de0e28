"""From fires in their order to encoded executions: grouped by strategy and bucket, then written as Avro.

`group` goes along the fires and gives each to the execution of its strategy and bucket, found by hashing. So
executions come up in the order of what fired first in them, and tickers within one in the order they fired.

A fire of a whole strategy is an execution of its own, without tickers. An execution that would grow past the
bound is closed, and the next ticker opens another one.
"""

from typing import Final, NamedTuple

import numpy as np

from streams.core.columns import Bytes, Int32s, Int64s, Places
from streams.core.decode import Names
from streams.core.jit import compiled
from streams.core.shard import Fires

HIGH_57_BITS_OFF: Final = (1 << 57) - 1
MIX_STRATEGY: Final = 0x2545F4914F6CDD1D
MIX_BUCKET: Final = 0x5851F42D4C957F2D
"""Any two large odd numbers: together they spread strategies and buckets over the slots."""

SHORT: Final = 7
"""Bytes of the names that their keys hold whole: see `decode.name_key`."""

BAR: Final = ord("|")
MINUS: Final = ord("-")
DIGIT_ZERO: Final = ord("0")


class Heads(NamedTuple):
    """One entry a strategy: where the part of an execution lies that is the same until the strategy changes.

    It is the id, the version, the mode and the timeframe, encoded; the id alone lies within it.
    """

    arena: Bytes
    start: Int64s
    end: Int64s
    id_start: Int64s
    id_end: Int64s


class Wire(NamedTuple):
    """What is the same in all executions of a shard, encoded."""

    prefix: Bytes
    place: Bytes
    """The input partition as it stands in ids: topic-partition@."""
    cause: Bytes
    """The input topic and partition as Avro."""
    some_tickers: Bytes
    """The scope of an execution with tickers."""
    whole_universe: Bytes
    """The scope of an execution without."""
    tail: Bytes
    """Metadata and run id."""


class Groups(NamedTuple):
    """Room for executions: one entry each. Ticks are numbers within the batch."""

    strategy: Int32s
    first_tick: Int32s
    last_tick: Int32s
    tickers: Int32s
    bucket_ms: Int64s
    ts_ms: Int64s
    ticker_bytes: Int64s
    member_start: Int64s


# The next one and `put_varint` stand in `records.py` too: compiled code never crosses files, see `jit.py`.
@compiled
def varint_size(number: int) -> int:
    """The bytes that a zigzag number takes."""
    bits, size = number << 1 ^ number >> 63, 1
    while bits & ~127:
        bits = bits >> 7 & HIGH_57_BITS_OFF
        size += 1
    return size


@compiled
def first_slot(strategy: int, bucket_ms: int, slots: Int32s) -> int:
    """Where the search for an execution begins."""
    mixed = strategy * MIX_STRATEGY + bucket_ms * MIX_BUCKET
    return (mixed ^ mixed >> 29) >> 17 & (len(slots) - 1)


@compiled
def open_group(e: int, strategy: int, bucket_ms: int, tick: int, ts_ms: int, out: Groups) -> None:
    """Begin an execution."""
    out.strategy[e], out.bucket_ms[e] = strategy, bucket_ms
    out.first_tick[e] = out.last_tick[e] = tick
    out.ts_ms[e] = ts_ms
    out.tickers[e] = out.ticker_bytes[e] = 0


@compiled
def group(fires: Fires, order: Int32s, names: Names, room: int, slots: Int32s, group_of: Int32s, out: Groups) -> int:
    """Give each fire, in this order, to its execution; returns how many there are.

    `room` is the most that the tickers of one execution may take; `slots` begins all at -1.
    """
    count = 0
    for k in range(len(order)):
        fire = order[k]
        strategy, bucket_ms, tick = fires.strategy[fire], fires.bucket_ms[fire], fires.tick[fire]
        ts_ms, t = fires.ts_ms[fire], fires.ticker[fire]
        if t < 0:
            open_group(count, strategy, bucket_ms, tick, ts_ms, out)
            group_of[k] = count
            count += 1
            continue
        slot = first_slot(strategy, bucket_ms, slots)
        e, size = slots[slot], varint_size(names.lengths[t]) + names.lengths[t]
        while e >= 0 and (out.strategy[e] != strategy or out.bucket_ms[e] != bucket_ms):
            slot = (slot + 1) & (len(slots) - 1)
            e = slots[slot]
        if e < 0 or out.ticker_bytes[e] + size > room:
            e = slots[slot] = count
            open_group(e, strategy, bucket_ms, tick, ts_ms, out)
            count += 1
        out.last_tick[e] = tick
        out.ts_ms[e] = min(out.ts_ms[e], ts_ms)
        out.tickers[e] += 1
        out.ticker_bytes[e] += size
        group_of[k] = e
    return count


@compiled
def gather_members(
    ticker: Int32s, order: Int32s, group_of: Int32s, count: int, groups: Groups, members: Int32s
) -> None:
    """Lay the tickers of each execution side by side, in the order they fired; `member_start` ends at its end."""
    at = 0
    for e in range(count):
        groups.member_start[e] = at
        at += groups.tickers[e]
    for k in range(len(order)):
        t, e = ticker[order[k]], group_of[k]
        if t >= 0:
            members[groups.member_start[e]] = t
            groups.member_start[e] += 1


@compiled
def put(out: Bytes, at: int, data: Bytes, start: int, end: int) -> int:
    """Write bytes; returns where they end. By way of slices the compiler sees one copy, and not a loop of bytes."""
    there, these = out[at : at + end - start], data[start:end]
    for k in range(len(these)):
        there[k] = these[k]
    return at + end - start


@compiled
def put_varint(out: Bytes, at: int, number: int) -> int:
    """Write a zigzag number; returns where it ends."""
    bits = number << 1 ^ number >> 63
    while bits & ~127:
        out[at] = bits & 127 | 128
        bits = bits >> 7 & HIGH_57_BITS_OFF
        at += 1
    out[at] = bits
    return at + 1


@compiled
def decimal_size(number: int) -> int:
    """The bytes that a number takes in decimal."""
    size, left = 1 + int(number < 0), abs(number)
    while left > 9:
        left //= 10
        size += 1
    return size


@compiled
def put_decimal(out: Bytes, at: int, number: int) -> int:
    """Write a number in decimal, from its end; returns where it ends."""
    end = at + decimal_size(number)
    if number < 0:
        out[at] = MINUS
    k, left = end - 1, abs(number)
    while left > 9:
        out[k] = DIGIT_ZERO + left % 10
        left //= 10
        k -= 1
    out[k] = DIGIT_ZERO + left
    return end


@compiled
def put_id(out: Bytes, at: int, heads: Heads, strategy: int, bucket_ms: int, place: Bytes, offset: int) -> int:
    """Write the execution's id: strategy|bucket|topic-partition@offset."""
    start, end = heads.id_start[strategy], heads.id_end[strategy]
    at = put_varint(out, at, end - start + 2 + decimal_size(bucket_ms) + len(place) + decimal_size(offset))
    at = put(out, at, heads.arena, start, end)
    out[at] = BAR
    at = put_decimal(out, at + 1, bucket_ms)
    out[at] = BAR
    at = put(out, at + 1, place, 0, len(place))
    return put_decimal(out, at, offset)


@compiled
def put_name(out: Bytes, at: int, names: Names, t: int) -> int:
    """Write a ticker; a short one out of its key, all seven bytes whatever its length, for that is one store."""
    length = int(names.lengths[t])
    at = put_varint(out, at, length)
    if length > SHORT:
        return put(out, at, names.arena, names.starts[t], names.starts[t] + length)
    key = np.int64(names.keys[t])
    for k in range(SHORT):
        out[at + k] = key >> 8 * k & 255
    return at + length


@compiled
def put_tickers(out: Bytes, at: int, members: Int32s, start: int, end: int, names: Names) -> int:
    """Write the tickers as an array of one block."""
    if end > start:
        at = put_varint(out, at, end - start)
    for m in range(start, end):
        t = members[m]
        at = put_name(out, at, names, t)
    out[at] = 0
    return at + 1


@compiled
def put_executions(
    groups: Groups,
    members: Int32s,
    names: Names,
    heads: Heads,
    wire: Wire,
    offsets: Int64s,
    out: Bytes,
    places: Places,
) -> int:
    """Write the executions; returns how much of the buffer is used."""
    at = 0
    for e in range(len(groups.strategy)):
        s, first, last = groups.strategy[e], offsets[groups.first_tick[e]], offsets[groups.last_tick[e]]
        scope = wire.some_tickers if groups.tickers[e] else wire.whole_universe
        places.value_start[e] = at
        at = put(out, at, wire.prefix, 0, len(wire.prefix))
        at = put_id(out, at, heads, s, groups.bucket_ms[e], wire.place, first)
        places.key_start[e] = at + heads.id_start[s] - heads.start[s]
        places.key_end[e] = at + heads.id_end[s] - heads.start[s]
        at = put(out, at, heads.arena, heads.start[s], heads.end[s])
        at = put_varint(out, at, groups.bucket_ms[e])
        end = groups.member_start[e]
        at = put_tickers(out, at, members, end - groups.tickers[e], end, names)
        at = put(out, at, scope, 0, len(scope))
        at = put_varint(out, at, groups.ts_ms[e])
        at = put(out, at, wire.cause, 0, len(wire.cause))
        at = put_varint(out, at, first)
        at = put_varint(out, at, last)
        at = put(out, at, wire.tail, 0, len(wire.tail))
        places.value_end[e] = at
    return at
