"""Kafka's record batches, format 2, read where they lie: headers, checksums, what is visible, records.

A batch is a header of 61 bytes, big-endian, and then its records, maybe compressed together:

     0 base offset, 8      12 leader epoch, 4   21 attributes, 2          35 largest timestamp, 8    51 epoch, 2
     8 length behind       16 magic, 1          23 last offset delta, 4   43 producer id, 8          53 sequence, 4
       here, 4             17 CRC-32C, 4        27 base timestamp, 8                                 57 count, 4

A record is a row of zigzag numbers and bytes: length, attributes (1 byte), timestamp delta, offset delta, key length,
key, value length, value, count of headers, and each header's key and value with their lengths.

Every read is held against the end of what holds it before it is made. What is wrong is noted as the batch's fault;
nothing behind a faulty batch is looked at.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.core.columns import Bytes, Int64s, Words
from streams.core.jit import also_letting_go, compiled

PREFIX_BYTES: Final = 12
HEADER_BYTES: Final = 61
SHORTEST_RECORD_BYTES: Final = 7
MOST_RECORDS: Final = 1 << 20
"""In one batch. The count is believed before the records are read, so it is bounded."""

HIGHEST_OFFSET: Final = 1 << 62
MAX_INT64: Final = (1 << 63) - 1

CODEC: Final = 0x07
LOG_APPEND_TIME: Final = 0x08
TRANSACTIONAL: Final = 0x10
CONTROL: Final = 0x20

WAITING: Final = 0
OPEN: Final = 1
CLOSED: Final = 2
"""How far an aborted transaction has come: before its first record, within it, after its marker."""


class BatchFaults(NamedTuple):
    """Why a batch cannot be read."""

    NONE: int = 0
    LENGTH: int = 1
    MAGIC: int = 2
    CHECKSUM: int = 3
    COUNT: int = 4
    OFFSETS: int = 5
    CODEC: int = 6
    SIZE: int = 7
    RECORD: int = 8
    TRAILING: int = 9


FAULT: Final = BatchFaults()


class Batches(NamedTuple):
    """One entry a batch of a fetch response."""

    start: Int64s
    end: Int64s
    base_offset: Int64s
    last_offset: Int64s
    attributes: Int64s
    base_ts: Int64s
    max_ts: Int64s
    producer: Int64s
    records: Int64s
    fault: Int64s


class Spans(NamedTuple):
    """Room for what is read of records: one entry a record. A null starts and ends at -1."""

    offset: Int64s
    ts_ms: Int64s
    key_start: Int64s
    key_end: Int64s
    value_start: Int64s
    value_end: Int64s
    header_start: Int64s
    header_end: Int64s


def checksum_table() -> npt.NDArray[np.uint32]:
    """What each byte adds to a CRC-32C, for each of 16 places before the end of a piece of 16 bytes."""
    table = np.zeros((16, 256), np.uint32)
    for byte in range(256):
        rest = byte
        for _ in range(8):
            rest = rest >> 1 ^ (0x82F63B78 if rest & 1 else 0)
        table[0, byte] = rest
    for place in range(1, 16):
        before = table[place - 1]
        table[place] = before >> np.uint32(8) ^ table[0][before & np.uint32(255)]
    return table


CHECKSUM_TABLE: Final = checksum_table()


@compiled
def big_endian(data: Bytes, at: int, size: int) -> int:
    """A signed number of 2, 4 or 8 bytes."""
    number: int = data[at]
    if number > 127:
        number -= 256
    for k in range(1, size):
        number = number << 8 | data[at + k]
    return number


@compiled
def checksum(data: Bytes, at: int, end: int, table: Words) -> int:
    """The CRC-32C of some bytes, 16 at a time."""
    crc = np.uint32(0xFFFFFFFF)
    while at + 16 <= end:
        rest = table[11, data[at + 4]]
        for k in range(5, 16):
            rest ^= table[15 - k, data[at + k]]
        for k in range(4):
            rest ^= table[15 - k, data[at + k] ^ (crc >> np.uint32(8 * k)) & np.uint32(255)]
        crc = rest
        at += 16
    while at < end:
        crc = crc >> np.uint32(8) ^ table[0, (crc ^ data[at]) & np.uint32(255)]
        at += 1
    return int(crc ^ np.uint32(0xFFFFFFFF))


@compiled
def next_batch(data: Bytes, at: int) -> tuple[int, int]:
    """Where the batch at `at` ends, and its fault. It ends at -1 where the broker cut it short, or nothing is left."""
    left = len(data) - at - PREFIX_BYTES
    if left < 0:
        return -1, FAULT.NONE
    length = big_endian(data, at + 8, 4)
    if length > left:
        return -1, FAULT.NONE
    if length > 4 and data[at + 16] != 2:
        return at + PREFIX_BYTES, FAULT.MAGIC
    if length < HEADER_BYTES - PREFIX_BYTES:
        return at + PREFIX_BYTES, FAULT.LENGTH
    return at + PREFIX_BYTES + length, FAULT.NONE


@compiled
def count_batches(data: Bytes) -> int:
    """How many batches there are up to the end, or up to the first whose end cannot be told, with it."""
    at = found = 0
    while True:
        at, fault = next_batch(data, at)
        if at < 0:
            return found
        found += 1
        if fault != FAULT.NONE:
            return found


@compiled
def scan(data: Bytes, check_sums: int, table: Words, out: Batches) -> None:
    """Read the headers of all batches that `count_batches` found."""
    at, last_offset = 0, -1
    for b in range(len(out.start)):
        end, fault = next_batch(data, at)
        out.start[b], out.end[b], out.base_offset[b] = at, end, big_endian(data, at, 8)
        if fault == FAULT.NONE:
            fault = read_header(data, at, b, out, last_offset)
            last_offset = out.last_offset[b]
        if fault == FAULT.NONE and check_sums:
            stated = big_endian(data, at + 17, 4) & 0xFFFFFFFF
            unsigned = stated == 0 and out.attributes[b] & CONTROL  # librdkafka's embedded broker ends transactions so
            if not unsigned and checksum(data, at + 21, end, table) != stated:
                fault = FAULT.CHECKSUM
        out.fault[b] = fault
        at = end


@compiled
def read_header(data: Bytes, at: int, b: int, out: Batches, offset_before: int) -> int:
    """Read one header; returns the fault."""
    delta = big_endian(data, at + 23, 4)
    base = out.base_offset[b]
    out.last_offset[b] = base + delta
    out.attributes[b] = big_endian(data, at + 21, 2)
    out.base_ts[b] = big_endian(data, at + 27, 8)
    out.max_ts[b] = big_endian(data, at + 35, 8)
    out.producer[b] = big_endian(data, at + 43, 8)
    out.records[b] = records = big_endian(data, at + 57, 4)
    if delta < 0 or base <= offset_before or base > HIGHEST_OFFSET:
        return FAULT.OFFSETS
    if records < 0 or records > delta + 1 or records > MOST_RECORDS:
        return FAULT.COUNT
    return FAULT.NONE


@compiled
def mark_visible(batches: Batches, producers: Int64s, first_offsets: Int64s, states: Bytes, out: Bytes) -> None:
    """Mark the batches whose records are shown: no control batches, and none of the aborted transactions.

    They come by producer and first offset, in the order of their first offsets. One is over at its
    producer's next control batch: that is its abort marker, since a producer has one transaction at a time.
    """
    begun = 0
    for b in range(len(batches.start)):
        out[b] = 0
        if batches.fault[b] != FAULT.NONE:
            return
        control = batches.attributes[b] & CONTROL
        producer = batches.producer[b]
        if not batches.attributes[b] & TRANSACTIONAL:
            out[b] = control == 0
            continue
        while begun < len(producers) and first_offsets[begun] <= batches.last_offset[b]:
            states[begun] = OPEN
            begun += 1
        if control:
            for k in range(begun):
                if producers[k] == producer:
                    states[k] = CLOSED
            continue
        out[b] = 1
        for k in range(begun):
            if producers[k] == producer and states[k] == OPEN:
                out[b] = 0


@compiled
def varint(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """A zigzag number and where it ends: at -1 where it is cut short, is longer than 64 bits, or begins at -1."""
    bits, shift = 0, 0
    while 0 <= at < end:
        byte: int = data[at]
        at += 1
        if shift == 63 and byte > 1:
            return 0, -1
        bits |= (byte & 127) << shift
        if byte < 128:
            return (bits >> 1 & MAX_INT64) ^ -(bits & 1), at
        shift += 7
    return 0, -1


@compiled
def read_span(data: Bytes, at: int, end: int) -> tuple[int, int, int]:
    """Bytes with their length before them: start, end, and where to read on. Null is at -1; bad reads on at -1."""
    length, at = varint(data, at, end)
    if at < 0 or length > end - at:
        return -1, -1, -1
    if length < 0:
        return -1, -1, at
    return at, at + length, at + length


@compiled
def skip_headers(data: Bytes, at: int, end: int, count: int) -> int:
    """Where so many headers end; -1 where one is bad."""
    for _ in range(count):
        start, _, at = read_span(data, at, end)
        if start < 0:  # bad or null, and a header's name is never null
            return -1
        _, _, at = read_span(data, at, end)
    return at


@compiled
def read_record(data: Bytes, at: int, end: int, n: int, out: Spans) -> tuple[int, int, int]:
    """One record: where it ends, -1 where it is bad, with its timestamp's and its offset's delta."""
    length, at = varint(data, at, end)
    if at < 0 or length < 0 or length > end - at:
        return -1, 0, 0
    end = at + length
    ts_delta, at = varint(data, at + 1, end)
    offset_delta, at = varint(data, at, end)
    out.key_start[n], out.key_end[n], at = read_span(data, at, end)
    out.value_start[n], out.value_end[n], at = read_span(data, at, end)
    headers, after = varint(data, at, end)
    out.header_start[n] = out.header_end[n] = end
    if headers > 0:
        out.header_start[n] = at
        after = skip_headers(data, after, end, headers)
    if headers < 0 or after != end:
        return -1, 0, 0
    return end, ts_delta, offset_delta


@compiled
def read_records(
    data: Bytes, starts: Int64s, ends: Int64s, which: Int64s, batches: Batches, position: int, out: Spans
) -> tuple[int, int]:
    """Read the records of these batches, uncompressed from `starts` to `ends`, leaving out those before `position`.

    Returns how many records were read, and of how many batches: none of a batch that turns out bad.
    """
    n = 0
    for k in range(len(which)):
        b, at, first = which[k], starts[k], n
        fault = FAULT.NONE
        for _ in range(batches.records[b]):
            at, ts_delta, offset_delta = read_record(data, at, ends[k], n, out)
            if at < 0:
                fault = FAULT.RECORD
                break
            offset = batches.base_offset[b] + offset_delta
            if offset_delta > batches.last_offset[b] - batches.base_offset[b]:
                fault = FAULT.OFFSETS
                break
            if offset_delta < 0 or offset < position:
                continue
            position = offset + 1
            out.offset[n] = offset
            out.ts_ms[n] = batches.base_ts[b] + ts_delta
            if batches.attributes[b] & LOG_APPEND_TIME:
                out.ts_ms[n] = batches.max_ts[b]
            n += 1
        if fault == FAULT.NONE and at != ends[k]:
            fault = FAULT.TRAILING
        if fault != FAULT.NONE:
            batches.fault[b] = fault
            return first, k
    return n, len(which)


long_scan = also_letting_go(scan, "long_scan")
long_read_records = also_letting_go(read_records, "long_read_records")
"""For responses so large that other threads should run meanwhile."""
