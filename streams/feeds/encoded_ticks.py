"""Ticks as the records that a worker reads: Avro by `schemas/tick.avsc`, Confluent framing, the ticker as the key.

Each field is a matrix of bytes, one row a tick, and a mask of those that count. All fields side by side, the mask
picks the bytes of all values in one step.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from streams.core.columns import Bytes, Int64s
from streams.core.decode import PREFIX_BYTES
from streams.core.limits import MAX_TICKER_BYTES
from streams.core.records import EncodedRecords
from streams.feeds.synthetic import CONDITIONS, Ticks

SCHEMA_ID: Final = 1
"""What `schemas/registry.json` calls `schemas/tick.avsc`; a registry may call it something else."""

FIRST_ROWS: Final = 256
_MORE: Final = 128
_ONE_BYTE: Final = 63
"""Up to here the length of a name takes one byte."""

K = TypeVar("K", bound=Hashable)


class Field(NamedTuple):
    """Bytes of one field, a row a tick."""

    data: Bytes
    counts: npt.NDArray[np.bool_]
    """Which of the bytes are there."""


def long_field(numbers: npt.NDArray[np.integer]) -> Field:
    """Whole numbers as Avro has them: zigzag, seven bits a byte, the lowest first."""
    wide = numbers.astype(np.int64)
    bits = ((wide << 1) ^ (wide >> 63)).view(np.uint64)
    width = max(1, -(-int(bits.max(initial=0)).bit_length() // 7))
    left = bits[:, np.newaxis] >> np.arange(0, 7 * width, 7, dtype=np.uint64)
    counts = left > 0
    counts[:, 0] = True
    more = np.where(left >= _MORE, np.uint64(_MORE), np.uint64(0))
    return Field(((left & np.uint64(_MORE - 1)) | more).astype(np.uint8), counts)


class Written(dict[K, int]):
    """Numbers for the few things that stand in many ticks, given out as they are met, and their bytes by number."""

    def __init__(self, write: Callable[[K], bytes], known: Iterable[K] = ()) -> None:
        super().__init__()
        self._write = write
        self._data: Bytes = np.zeros((FIRST_ROWS, 1), np.uint8)
        self._lengths = np.zeros(FIRST_ROWS, np.int64)
        for each in known:
            self[each]

    def __missing__(self, key: K) -> int:
        written = np.frombuffer(self._write(key), np.uint8)
        number, (rows, width) = len(self), self._data.shape
        if number == rows or len(written) > width:
            more = ((0, rows if number == rows else 0), (0, max(0, len(written) - width)))
            self._data, self._lengths = np.pad(self._data, more), np.pad(self._lengths, more[0])
        self._data[number, : len(written)] = written
        self._lengths[number] = len(written)
        self[key] = number
        return number

    def rows(self, which: npt.NDArray[np.integer]) -> Field:
        """The bytes of these numbers, in that order."""
        lengths = self._lengths[which]
        width = int(lengths.max(initial=0))
        return Field(self._data[:, :width][which], np.arange(width) < lengths[:, np.newaxis])

    def lengths(self, which: npt.NDArray[np.integer]) -> Int64s:
        """How many bytes each takes."""
        taken: Int64s = self._lengths[which]
        return taken


def fixed_field(numbers: npt.NDArray[np.float64]) -> Field:
    """Doubles, eight bytes each."""
    data = numbers.astype("<f8").view(np.uint8).reshape(len(numbers), 8)
    return Field(data, np.ones(data.shape, np.bool_))


def _long(number: int) -> bytes:
    """One whole number, as `long_field` has it."""
    field = long_field(np.array([number], np.int64))
    return field.data[field.counts].tobytes()


def _written_conditions(codes: tuple[int, ...] | None) -> bytes:
    """An array of numbers: its length, the numbers, and the end."""
    return b"".join(map(_long, (len(codes), *codes, 0))) if codes else _long(0)


class TickEncoder:
    """Encodes ticks whose tickers and conditions it has given their numbers."""

    def __init__(
        self,
        names: Iterable[str] = (),
        schema_id: int = SCHEMA_ID,
        conditions: Iterable[tuple[int, ...] | None] = CONDITIONS,
    ) -> None:
        self._frame = b"\0" + schema_id.to_bytes(4, "big")
        self.names = Written(self._written_name, names)
        """Numbers of tickers, by name."""
        self.conditions = Written(_written_conditions, conditions)
        """Numbers of condition codes, by the codes of a tick."""

    def _written_name(self, name: str) -> bytes:
        written = name.encode()
        assert len(written) <= MAX_TICKER_BYTES, f"a name takes {len(written)} bytes, {MAX_TICKER_BYTES} are the limit"
        return self._frame + _long(len(written)) + written

    def records(self, ticks: Ticks) -> EncodedRecords:
        """One record for each tick."""
        fields = (
            self.names.rows(ticks.ticker),
            long_field(ticks.ts_ms),
            fixed_field(ticks.price),
            long_field(ticks.size),
            self.conditions.rows(ticks.conditions),
        )
        counts = np.hstack([field.counts for field in fields])
        data = np.hstack([field.data for field in fields])[counts]
        ends: Int64s = np.cumsum(counts.sum(axis=1), dtype=np.int64)
        starts = np.concatenate((np.zeros(1, np.int64), ends[:-1]))[: len(ends)]
        name_end = self.names.lengths(ticks.ticker)
        name_at = PREFIX_BYTES + 1 + (name_end > PREFIX_BYTES + 1 + _ONE_BYTE)
        return EncodedRecords(data, starts + name_at, starts + name_end, starts, ends, ticks.ts_ms)
