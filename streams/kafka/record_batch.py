"""Fetch responses as columns: a run of records is one buffer, and where in it each key, value and header lies.

Nothing is made per record. What is wrong with a batch is a value, not an exception: the run ends before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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
    FAULT.MARKER: "its transaction marker cannot be read",
}


class Limits(NamedTuple):
    """How large a run may grow. One batch is taken whole, however large it is within its own bound."""

    run_records: int = 100_000
    run_bytes: int = 16 << 20
    batch_bytes: int = 64 << 20
    """Uncompressed; more is refused as a decompression bomb."""


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
        aborted: Sequence[tuple[int, int]] | None = None,
        *,
        check_sums: bool = True,
        limits: Limits | None = None,
    ) -> None:
        """Read the headers. `aborted` names transactions by producer and first offset; None shows uncommitted ones."""
        self.position = position
        self._data = memoryview(data)
        self._limits = limits or Limits()
        raw = np.frombuffer(data, np.uint8)
        self._batches = Batches(*np.empty((len(Batches._fields), batch_kernel.count_batches(raw)), np.int64))
        batch_kernel.scan(raw, int(check_sums), CHECKSUM_TABLE, self._batches)
        self._visible = _visible(raw, self._batches, aborted)
        self._at = 0

    @property
    def bad(self) -> BadBatch | None:
        """The batch at which it ends, if there it cannot be read."""
        if self._at == len(self._batches.fault) or self._batches.fault[self._at] == FAULT.NONE:
            return None
        reason = REASONS[int(self._batches.fault[self._at])]
        return BadBatch(int(self._batches.base_offset[self._at]), reason)

    def next_run(self) -> Run | None:
        """Read on, as far as the limits allow; None at the end, or before a bad batch."""
        taken = self._take()
        columns = self._read(taken)
        if self._at == taken.start:
            return None
        self.position = max(self.position, int(self._batches.last_offset[self._at - 1]) + 1)
        return Run(columns, self.position)

    def _take(self) -> range:
        """Choose the batches of the next run, by their headers."""
        first = at = self._at
        records = size = 0
        for at in range(first, len(self._visible) + 1):
            if at == len(self._visible) or self._batches.fault[at] != FAULT.NONE:
                break
            if self._visible[at]:
                records += int(self._batches.count[at])
                size += int(self._batches.end[at] - self._batches.start[at])
                if records > self._limits.run_records and at > first:
                    break
        return range(first, at)
