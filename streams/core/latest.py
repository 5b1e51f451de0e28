"""A compacted log in memory: the last value of each key, and where in the log it stood.

Taking a run of records makes nothing per record: keys are found by hashing, and a value is written over the one
before it where it fits. So reading a log that the broker has not compacted costs little more than one that it has.
"""

from typing import Final, NamedTuple

import numpy as np

from streams.core.columns import Bytes, Int32s, Int64s, grown
from streams.core.jit import compiled

FIRST_KEYS: Final = 64
FIRST_BYTES: Final = 1 << 12
FREE: Final = -1
GONE: Final = -1
"""Stands for the length of a value that was deleted."""

HASH_START: Final = 0x4BF29CE484222325
HASH_STEP: Final = 0x100000001B3


class RowRun(NamedTuple):
    """Records of one log, in order, as columns. A null starts and ends at -1."""

    buffer: Bytes
    offset: Int64s
    key_start: Int64s
    key_end: Int64s
    value_start: Int64s
    value_end: Int64s


class Entries(NamedTuple):
    """One entry a key: its hash, where it and its last value lie, and the offset of that."""

    key_hash: Int64s
    key_start: Int64s
    key_end: Int64s
    value_start: Int64s
    value_length: Int64s
    value_room: Int64s
    offset: Int64s


class BadRecordError(ValueError):
    """A record of a log of rows that cannot be one."""


@compiled
def bad_record(size: int, key_start: Int64s, key_end: Int64s, value_start: Int64s, value_end: Int64s) -> int:
    """The first record that has no key, or lies outside of the buffer; -1 where there is none."""
    for i in range(len(key_start)):
        if not 0 <= key_start[i] <= key_end[i] <= size:
            return i
        if not 0 <= value_start[i] <= value_end[i] <= size and not value_start[i] == value_end[i] == -1:
            return i
    return -1


@compiled
def hash_of(data: Bytes, start: int, end: int) -> int:
    """A number for a key."""
    mixed = HASH_START
    for k in range(start, end):
        mixed = (mixed ^ data[k]) * HASH_STEP
    return mixed ^ mixed >> 32


@compiled
def find(key_hash: int, data: Bytes, start: int, end: int, slots: Int32s, entries: Entries, arena: Bytes) -> int:
    """The slot of a key, or the free one that it belongs in."""
    slot = key_hash & (len(slots) - 1)
    while slots[slot] != FREE:
        e = slots[slot]
        if entries.key_hash[e] == key_hash and entries.key_end[e] - entries.key_start[e] == end - start:
            k = 0
            while k < end - start and arena[entries.key_start[e] + k] == data[start + k]:
                k += 1
            if k == end - start:
                break
        slot = (slot + 1) & (len(slots) - 1)
    return slot


@compiled
def room_for(length: int) -> int:
    """What a value is given, so that one a little longer fits where it was."""
    return length + (length >> 2) + 8


@compiled
def take(
    data: Bytes,
    offset: Int64s,
    key_start: Int64s,
    key_end: Int64s,
    value_start: Int64s,
    value_end: Int64s,
    first: int,
    slots: Int32s,
    entries: Entries,
    arena: Bytes,
    count: int,
    used: int,
) -> tuple[int, int, int]:
    """Take records from `first` on while there is room; returns which comes next, the keys, and the bytes used."""
    for i in range(first, len(offset)):
        key_length, length = key_end[i] - key_start[i], value_end[i] - value_start[i]
        if 2 * count >= len(slots) or count == len(entries.offset) or used + key_length + room_for(length) > len(arena):
            return i, count, used
        key_hash = hash_of(data, key_start[i], key_end[i])
        slot = find(key_hash, data, key_start[i], key_end[i], slots, entries, arena)
        e = slots[slot]
        if e == FREE:
            e = slots[slot] = count
            count += 1
            entries.key_hash[e], entries.key_start[e], entries.key_end[e] = key_hash, used, used + key_length
            for k in range(key_length):
                arena[used + k] = data[key_start[i] + k]
            used += key_length
            entries.value_room[e] = 0
        entries.offset[e], entries.value_length[e] = offset[i], length if value_start[i] >= 0 else GONE
        if length > entries.value_room[e]:
            entries.value_start[e], entries.value_room[e] = used, room_for(length)
            used += room_for(length)
        for k in range(length):
            arena[entries.value_start[e] + k] = data[value_start[i] + k]
    return len(offset), count, used


@compiled
def rehash(key_hash: Int64s, count: int, slots: Int32s) -> None:
    """Put all keys into slots that are free."""
    for e in range(count):
        slot = key_hash[e] & (len(slots) - 1)
        while slots[slot] != FREE:
            slot = (slot + 1) & (len(slots) - 1)
        slots[slot] = e


class Latest:
    """The last value of each key of one log."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._slots: Int32s = np.full(2 * FIRST_KEYS, FREE, np.int32)
        self._entries = Entries(*np.zeros((len(Entries._fields), FIRST_KEYS), np.int64))
        self.arena: Bytes = np.zeros(FIRST_BYTES, np.uint8)
        self._count = self._used = 0

    def take(self, run: RowRun) -> None:
        """Take records; they follow, in the log, those taken before."""
        data = run.buffer.view()
        data.flags.writeable = False  # one kind of buffer, so that nothing is compiled for another one later
        spans = (run.key_start, run.key_end, run.value_start, run.value_end)
        bad = bad_record(len(data), *spans)
        if bad >= 0:
            raise BadRecordError(f"{self.name}, offset {run.offset[bad]}: a record without a key, or out of its buffer")
        at = 0
        while True:
            at, self._count, self._used = take(
                data, run.offset, *spans, at, self._slots, self._entries, self.arena, self._count, self._used
            )
            if at == len(run.offset):
                return
            self._grow(int(run.key_end[at] - run.key_start[at] + run.value_end[at] - run.value_start[at]))

    def _grow(self, next_bytes: int) -> None:
        """Make room for another key, and for a record of so many bytes."""
        if 2 * (self._count + 1) > len(self._slots):
            self._slots = np.full(2 * len(self._slots), FREE, np.int32)
            rehash(self._entries.key_hash, self._count, self._slots)
        self._entries = Entries(*(grown(column, self._count + 1, 0) for column in self._entries))
        self.arena = grown(self.arena, self._used + 2 * next_bytes + 64, 0)

    def keys(self) -> list[bytes]:
        """Every key, those whose value is gone left out, in the order they were first met."""
        raw, entries = self.arena[: self._used].tobytes(), self._entries
        return [raw[entries.key_start[e] : entries.key_end[e]] for e in self._there()]

    def spans(self) -> tuple[Int64s, Int64s, Int64s]:
        """Where in `arena` the value of each of the keys starts and ends, and its offset."""
        there, entries = self._there(), self._entries
        starts = entries.value_start[there]
        return starts, starts + entries.value_length[there], entries.offset[there]

    def _there(self) -> Int64s:
        return np.flatnonzero(self._entries.value_length[: self._count] != GONE)
