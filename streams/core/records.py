"""Records on their way out, as columns: one buffer, and where in it each key and value lies.

A record goes to the partition that its key hashes to, as Java's producer has it. From here there are two ways
into a batch: `append_all` through a producer's builder, record by record, and `section`, which lays out all
records at once as Kafka's record format 2 has them behind the header of a batch: each a row of zigzag numbers
and bytes: length, attributes (1 byte), timestamp delta, offset delta, key length, key, value length, value,
count of headers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np

from streams.core.columns import Bytes, Int32s, Int64s
from streams.core.jit import compiled

APPEND_AT_ONCE: Final = 4096
"""Records whose places are made Python numbers at a time: a batch seldom takes more."""

MOST_RECORD_OVERHEAD: Final = 46
"""Bytes of a record beside its key and value: two numbers of 10 bytes, five of 5, and the attributes."""

NULL: Final = -1
"""Where a value starts and ends that is null."""

HIGH_57_BITS_OFF: Final = (1 << 57) - 1


@dataclass(frozen=True, slots=True, eq=False)
class EncodedRecords:
    """Records as columns, in the order to send them. A null value starts and ends at -1; no key is null."""

    data: Bytes
    key_start: Int64s
    key_end: Int64s
    value_start: Int64s
    value_end: Int64s
    ts_ms: Int64s

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self.ts_ms)

    def key(self, i: int) -> bytes:
        """One record's key."""
        return self.data[self.key_start[i] : self.key_end[i]].tobytes()

    def value(self, i: int) -> bytes | None:
        """One record's value."""
        return None if self.value_start[i] < 0 else self.data[self.value_start[i] : self.value_end[i]].tobytes()

    def picked(self, which: Int64s | slice) -> "EncodedRecords":
        """Some of the records; the buffer is shared."""
        starts = (self.key_start[which], self.key_end[which], self.value_start[which], self.value_end[which])
        return EncodedRecords(self.data, *starts, self.ts_ms[which])


def records_of(pairs: Iterable[tuple[bytes, bytes | None]], ts_ms: int) -> EncodedRecords:
    """Records from keys and values, all of one time. No value: it is null."""
    given = [part for pair in pairs for part in pair]
    parts = [part or b"" for part in given]
    ends = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    data = np.frombuffer(bytearray(b"".join(parts)), np.uint8)
    times = np.full(len(parts) // 2, ts_ms, np.int64)
    is_null = np.array([value is None for value in given[1::2]], bool)
    values = (np.where(is_null, NULL, ends[1::2]), np.where(is_null, NULL, ends[2::2]))
    return EncodedRecords(data, ends[:-1:2], ends[1::2], *values, times)


def concatenated(parts: Sequence[EncodedRecords]) -> EncodedRecords:
    """The records of several, one behind the other."""
    sizes, counts = [len(part.data) for part in parts], [part.count for part in parts]
    base = np.repeat(np.cumsum([0, *sizes[:-1]], dtype=np.int64), counts)
    data, key_start, key_end, value_start, value_end, ts_ms = (
        np.concatenate([getattr(part, column) for part in parts]) for column in EncodedRecords.__slots__
    )
    base_of_value = np.where(value_start < 0, 0, base)
    spans = (key_start + base, key_end + base, value_start + base_of_value, value_end + base_of_value)
    return EncodedRecords(data, *spans, ts_ms)


NO_RECORDS: Final = EncodedRecords(np.zeros(0, np.uint8), *np.zeros((5, 0), np.int64))


class Builder(Protocol):
    """A batch that a producer makes and takes back; None from `append`: it is full."""

    def append(self, *, timestamp: int | None, key: bytes | None, value: bytes | None) -> object:
        """Add one record."""


class Section(NamedTuple):
    """Records of one batch, uncompressed, and what the header of the batch says of them."""

    data: Bytes
    records: int
    base_ts_ms: int
    max_ts_ms: int


# This one and the next stand in `execution_kernel.py` too: compiled code never crosses files, see `jit.py`.
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
def varint_size(number: int) -> int:
    """The bytes that a zigzag number takes."""
    bits, size = number << 1 ^ number >> 63, 1
    while bits & ~127:
        bits = bits >> 7 & HIGH_57_BITS_OFF
        size += 1
    return size


@compiled
def put_bytes(out: Bytes, at: int, data: Bytes, start: int, end: int) -> int:
    """Write bytes with their length before them, or null where they start at -1; returns where they end."""
    if start < 0:
        return put_varint(out, at, -1)
    at = put_varint(out, at, end - start)
    there, these = out[at : at + end - start], data[start:end]  # so the compiler sees one copy, and not a loop of bytes
    for k in range(len(these)):
        there[k] = these[k]
    return at + end - start


@compiled
def bytes_size(start: int, end: int) -> int:
    """What `put_bytes` writes."""
    return 1 if start < 0 else varint_size(end - start) + end - start


@compiled
def room_for(key_start: Int64s, key_end: Int64s, value_start: Int64s, value_end: Int64s, first: int, most: int) -> int:
    """What the records from `first` on may take, and no more than `most` where there are several."""
    room = 0
    for i in range(first, len(key_start)):
        room += key_end[i] - key_start[i] + value_end[i] - value_start[i] + MOST_RECORD_OVERHEAD
        if room >= most:
            return room if i == first else most
    return room


@compiled
def put_records(
    data: Bytes,
    key_start: Int64s,
    key_end: Int64s,
    value_start: Int64s,
    value_end: Int64s,
    ts_ms: Int64s,
    first: int,
    max_bytes: int,
    out: Bytes,
) -> tuple[int, int]:
    """Lay out records from `first` on until `max_bytes`, but one at least; returns which comes next, and the bytes."""
    at = 0
    for i in range(first, len(ts_ms)):
        ts_delta, offset_delta = ts_ms[i] - ts_ms[first], i - first
        length = 2 + varint_size(ts_delta) + varint_size(offset_delta)
        length += bytes_size(key_start[i], key_end[i]) + bytes_size(value_start[i], value_end[i])
        if i > first and at + varint_size(length) + length > max_bytes:
            return i, at
        at = put_varint(out, at, length)
        out[at] = 0
        at = put_varint(out, at + 1, ts_delta)
        at = put_varint(out, at, offset_delta)
        at = put_bytes(out, at, data, key_start[i], key_end[i])
        at = put_bytes(out, at, data, value_start[i], value_end[i])
        out[at] = 0
        at += 1
    return len(ts_ms), at


@compiled
def murmur2(data: Bytes, start: int, end: int) -> int:
    """Kafka's hash of a key, as Java computes it, without its sign."""
    m, low32 = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ end - start
    while end - start >= 4:
        k = data[start] | data[start + 1] << 8 | data[start + 2] << 16 | data[start + 3] << 24
        k = k * m & low32
        k = (k ^ k >> 24) * m & low32
        h = h * m & low32 ^ k
        start += 4
    if end > start:
        for k in range(end - start):
            h ^= data[start + k] << 8 * k
        h = h * m & low32
    h = (h ^ h >> 13) * m & low32
    return (h ^ h >> 15) & 0x7FFFFFFF


@compiled
def put_partitions(data: Bytes, key_start: Int64s, key_end: Int64s, partitions: int, out: Int32s) -> None:
    """Write the partition of each key."""
    for i in range(len(key_start)):
        out[i] = murmur2(data, key_start[i], key_end[i]) % partitions


def partitions_of(records: EncodedRecords, partitions: int) -> Int32s:
    """The partition that each record's key hashes to."""
    out = np.empty(records.count, np.int32)
    put_partitions(records.data, records.key_start, records.key_end, partitions, out)
    return out


def by_partition(records: EncodedRecords, partitions: int) -> list[tuple[int, EncodedRecords]]:
    """The records that go to each partition, in the order they were in; partitions without any are left out."""
    where = partitions_of(records, partitions)
    ordered = records.picked(np.argsort(where, kind="stable"))
    ends = np.cumsum(np.bincount(where, minlength=partitions)).tolist()
    spans = zip([0, *ends], ends, strict=False)
    return [(p, ordered.picked(slice(start, end))) for p, (start, end) in enumerate(spans) if end > start]


def append_all(builder: Builder, records: EncodedRecords, at: int = 0) -> int:
    """Append records from `at` on until the batch is full; returns which comes next."""
    data = records.data.tobytes()
    columns = (records.key_start, records.key_end, records.value_start, records.value_end, records.ts_ms)
    while at < records.count:
        part = slice(at, at + APPEND_AT_ONCE)
        for key, key_end, value, value_end, ts_ms in zip(*(column[part].tolist() for column in columns), strict=True):
            whole = None if value < 0 else data[value:value_end]
            if builder.append(timestamp=ts_ms, key=data[key:key_end], value=whole) is None:
                return at
            at += 1
    return at


def section(records: EncodedRecords, at: int, max_bytes: int) -> tuple[Section, int]:
    """Lay out records from `at` on until `max_bytes`, but one at least; returns which comes next."""
    spans = (records.key_start, records.key_end, records.value_start, records.value_end)
    out = np.empty(room_for(*spans, at, max_bytes), np.uint8)
    after, used = put_records(records.data, *spans, records.ts_ms, at, max_bytes, out)
    times = records.ts_ms[at:after]
    return Section(out[:used], after - at, int(times[0]), int(times.max())), after
