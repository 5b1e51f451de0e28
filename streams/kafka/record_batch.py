"""Fetch responses as columns: a run of records is one buffer, and where in it each key, value and header lies.

Nothing is made per record. What is wrong with a batch is a value, not an exception: the run ends before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.core.columns import Bytes, Int64s
from streams.kafka import batch_kernel
from streams.kafka.batch_kernel import CHECKSUM_TABLE, CODEC, FAULT, HEADER_BYTES, SHORTEST_RECORD_BYTES, Batches, Spans
from streams.kafka.compression import FIRST_GUESS, Unpacked

REASONS: Final = {
    FAULT.LENGTH: "its length is shorter than a header",
    FAULT.MAGIC: "it is not in format 2; brokers before Kafka 4 may hold older ones",
    FAULT.CHECKSUM: "its checksum does not match its content",
    FAULT.COUNT: "it states an impossible count of records",
    FAULT.OFFSETS: "its offsets are out of order",
    FAULT.CODEC: "it cannot be decompressed within the bound, or its codec is unknown",
    FAULT.SIZE: "it is larger than the bound",
    FAULT.RECORD: "a record is cut short or states an impossible length",
    FAULT.TRAILING: "bytes are left behind its last record",
}


class Limits(NamedTuple):
    """How large a run may grow. One batch is taken whole, however large it is within its own bound."""

    run_records: int = 100_000
    run_bytes: int = 16 << 20
    batch_bytes: int = 64 << 20
    """Uncompressed; more is refused as a decompression bomb."""
    lets_go: bool = False
    """Whether other threads run while one is read: for those who read large ones."""


class BadBatch(NamedTuple):
    """A batch that cannot be read."""

    base_offset: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class RecordColumns:
    """Records as columns; a null key or value starts and ends at -1. Offsets rise, and may have gaps."""

    buffer: Bytes
    offset: Int64s
    ts_ms: Int64s
    key_start: Int64s
    key_end: Int64s
    value_start: Int64s
    value_end: Int64s
    header_start: Int64s
    """Where the count of headers stands; where a record has none, it equals the end."""
    header_end: Int64s

    def __len__(self) -> int:
        return len(self.offset)

    def part(self, start: int, end: int) -> "RecordColumns":
        """Some of the records, one behind the other; the buffer is shared."""
        columns = (getattr(self, each.name)[start:end] for each in fields(self) if each.name != "buffer")
        return RecordColumns(self.buffer, *columns)

    def key(self, i: int) -> bytes | None:
        """One record's key."""
        return self._bytes(self.key_start[i], self.key_end[i])

    def value(self, i: int) -> bytes | None:
        """One record's value."""
        return self._bytes(self.value_start[i], self.value_end[i])

    def headers(self, i: int) -> list[tuple[str, bytes | None]]:
        """One record's headers, in their order."""
        at, end = int(self.header_start[i]), int(self.header_end[i])
        found = []
        count, at = batch_kernel.varint(self.buffer, at, end) if at < end else (0, at)
        for _ in range(count):
            start, stop, at = batch_kernel.read_span(self.buffer, at, end)
            name = self._bytes(start, stop) or b""
            start, stop, at = batch_kernel.read_span(self.buffer, at, end)
            found.append((name.decode(errors="replace"), self._bytes(start, stop)))
        return found

    def _bytes(self, start: int, end: int) -> bytes | None:
        return None if start < 0 else self.buffer[start:end].tobytes()


NO_TRANSACTIONS: Final = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8)

NOTHING: Final = RecordColumns(np.empty(0, np.uint8), *np.empty((8, 0), np.int64))


class Run(NamedTuple):
    """Records of some batches, all of those up to `position` that are to be seen."""

    columns: RecordColumns
    position: int
    """The offset to go on from. It is past batches that show nothing, such as transaction markers."""


class Response:
    """What one fetch brought of one partition, read run by run."""

    def __init__(
        self,
        data: bytes,
        position: int,
        aborted: Sequence[tuple[int, int]] = (),
        *,
        check_sums: bool = True,
        limits: Limits | None = None,
    ) -> None:
        """Read the headers. `aborted` names the transactions to leave out, by producer and first offset."""
        self.position = position
        self._data = memoryview(data)
        self._limits = limits or Limits()
        raw = np.frombuffer(data, np.uint8)
        self._batches = Batches(*np.empty((len(Batches._fields), batch_kernel.count_batches(raw)), np.int64))
        scan = batch_kernel.long_scan if self._limits.lets_go else batch_kernel.scan
        scan(raw, int(check_sums), CHECKSUM_TABLE, self._batches)
        self._visible = _visible(self._batches, aborted)
        self._at = 0

    @property
    def bad(self) -> BadBatch | None:
        """The batch before which the runs end because it cannot be read, once they have come there."""
        if self._at == len(self._visible) or self._batches.fault[self._at] == FAULT.NONE:
            return None
        return BadBatch(int(self._batches.base_offset[self._at]), REASONS[int(self._batches.fault[self._at])])

    def next_run(self) -> Run | None:
        """Read on, as far as the limits allow; None at the end, or before a bad batch."""
        first = self._at
        columns = self._read_records(*self._unpack())
        if self._at == first:
            return None
        self.position = max(self.position, int(self._batches.last_offset[self._at - 1]) + 1)
        return Run(columns, self.position)

    def _unpack(self) -> tuple[Unpacked, list[int], list[int]]:
        """Take batches, and unpack those that are to be seen; returns the others' numbers and where each ends."""
        batches, limits = self._batches, self._limits
        unpacked = Unpacked(min(FIRST_GUESS * self._packed_bytes(), limits.run_bytes), limits.batch_bytes)
        which: list[int] = []
        ends: list[int] = []
        records = 0
        while self._at < len(self._visible) and batches.fault[self._at] == FAULT.NONE:
            b = self._at
            if self._visible[b]:
                count = int(batches.records[b])
                if which and (records + count > limits.run_records or unpacked.used >= limits.run_bytes):
                    break
                batches.fault[b] = self._unpack_one(unpacked, b, count)
                if batches.fault[b] != FAULT.NONE:
                    break
                records += count
                which.append(b)
                ends.append(unpacked.used)
            self._at += 1
        return unpacked, which, ends

    def _packed_bytes(self) -> int:
        """How many bytes the next run has at most as it came."""
        if self._at == len(self._batches.start) - 1:
            return int(self._batches.end[self._at] - self._batches.start[self._at])
        records = np.cumsum(self._batches.records[self._at :])
        if len(records) == 0:
            return 0
        last = min(int(np.searchsorted(records, self._limits.run_records)), len(records) - 1)
        return int(self._batches.end[self._at + last] - self._batches.start[self._at])

    def _unpack_one(self, unpacked: Unpacked, b: int, count: int) -> int:
        start = unpacked.used
        packed = self._data[self._batches.start[b] + HEADER_BYTES : self._batches.end[b]]
        fault = unpacked.add(packed, int(self._batches.attributes[b]) & CODEC)
        if fault == FAULT.NONE and count * SHORTEST_RECORD_BYTES > unpacked.used - start:
            return FAULT.COUNT
        return fault

    def _read_records(self, unpacked: Unpacked, which: list[int], ends: list[int]) -> RecordColumns:
        """Read the batches' records; where one is bad, the run ends before it."""
        if not which:
            return NOTHING
        numbers, stops = np.array(which, np.int64), np.array(ends, np.int64)
        starts = np.concatenate([np.zeros(1, np.int64), stops[:-1]])
        room = np.empty((len(Spans._fields), int(self._batches.records[numbers].sum())), np.int64)
        read_records = batch_kernel.long_read_records if self._limits.lets_go else batch_kernel.read_records
        records, read = read_records(
            unpacked.buffer, starts, stops, numbers, self._batches, self.position, Spans(*room)
        )
        if read < len(which):
            self._at = which[read]
        return RecordColumns(unpacked.buffer[: unpacked.used], *room[:, :records])


def behind(data: bytes, position: int) -> int:
    """The offset to go on from behind a response to who asked for `position`, as far as its headers are sound."""
    raw = np.frombuffer(data, np.uint8)
    batches = Batches(*np.empty((len(Batches._fields), batch_kernel.count_batches(raw)), np.int64))
    batch_kernel.scan(raw, 0, CHECKSUM_TABLE, batches)
    sound = batches.last_offset[batches.fault == FAULT.NONE]
    return max(position, int(sound[-1]) + 1) if len(sound) else position


def _visible(batches: Batches, aborted: Sequence[tuple[int, int]]) -> npt.NDArray[np.uint8]:
    """Which batches hold records that are to be seen."""
    visible = np.zeros(len(batches.start), np.uint8)
    if not aborted:  # as nearly always, and to sort nothing takes a sixth of what it takes to read fifty ticks
        batch_kernel.mark_visible(batches, *NO_TRANSACTIONS, visible)
        return visible
    ordered = sorted(aborted, key=lambda each: each[1])
    producers, first_offsets = np.array(ordered, np.int64).reshape(-1, 2).T.copy()
    states = np.full(len(ordered), batch_kernel.WAITING, np.uint8)
    batch_kernel.mark_visible(batches, producers, first_offsets, states, visible)
    return visible
