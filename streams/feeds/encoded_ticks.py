"""Ticks as the records that a worker reads: Avro by `schemas/tick.avsc`, Confluent framing, the ticker as the key.

Each field is a matrix of bytes, one row a tick, and a mask of those that count. All fields side by side, the mask
picks the bytes of all values in one step.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.core.columns import Bytes, Int32s, Int64s
from streams.core.decode import PREFIX_BYTES
from streams.core.records import EncodedRecords
from streams.feeds.synthetic import CONDITIONS, Ticks

SCHEMA_ID: Final = 1
"""What `schemas/registry.json` calls `schemas/tick.avsc`; a registry may call it something else."""

MAX_NAME_BYTES: Final = 63
"""Up to here the length of a name takes one byte, so that the key is found at one place."""

_KEY_AT: Final = PREFIX_BYTES + 1
_MORE: Final = 128


class Field(NamedTuple):
    """Bytes of one field, a row a tick."""

    data: Bytes
    counts: npt.NDArray[np.bool_]
    """Which of the bytes are there."""

    def rows(self, which: npt.NDArray[np.integer]) -> "Field":
        """Some of the rows, in that order."""
        return Field(self.data[which], self.counts[which])


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


def bytes_field(values: list[bytes]) -> Field:
    """Bytes of any length, as they are."""
    lengths = np.array([len(value) for value in values])
    width = int(lengths.max(initial=0))
    data = np.frombuffer(b"".join(value.ljust(width, b"\0") for value in values), np.uint8)
    return Field(data.reshape(len(values), width), np.arange(width) < lengths[:, np.newaxis])


def fixed_field(numbers: npt.NDArray[np.float64]) -> Field:
    """Doubles, eight bytes each."""
    data = numbers.astype("<f8").view(np.uint8).reshape(len(numbers), 8)
    return Field(data, np.ones(data.shape, np.bool_))


def _written_conditions(codes: tuple[int, ...]) -> bytes:
    """An array of small numbers: its length, the numbers, and the end."""
    numbers = [len(codes), *codes, 0] if codes else [0]
    return bytes(2 * number for number in numbers)


_CONDITIONS: Final = bytes_field([_written_conditions(codes) for codes in CONDITIONS])


class TickEncoder:
    """Encodes the ticks of one market; made once, for the names."""

    def __init__(self, names: list[str], schema_id: int = SCHEMA_ID) -> None:
        frame = b"\0" + schema_id.to_bytes(4, "big")
        written = [name.encode() for name in names]
        longest = max(map(len, written))
        assert longest <= MAX_NAME_BYTES, f"a name takes {longest} bytes, {MAX_NAME_BYTES} are the limit"
        self._names = bytes_field([frame + bytes([2 * len(name)]) + name for name in written])
        self._name_bytes = np.array([len(name) for name in written], np.int64)

    def records(self, ticks: Ticks) -> EncodedRecords:
        """One record for each tick."""
        fields = (
            self._names.rows(ticks.ticker),
            long_field(ticks.ts_ms),
            fixed_field(ticks.price),
            long_field(ticks.size),
            _CONDITIONS.rows(ticks.conditions),
        )
        counts = np.hstack([field.counts for field in fields])
        data = np.hstack([field.data for field in fields])[counts]
        ends: Int64s = np.cumsum(counts.sum(axis=1), dtype=np.int64)
        starts = np.concatenate((np.zeros(1, np.int64), ends[:-1]))[: len(ends)]
        key_start = starts + _KEY_AT
        return EncodedRecords(data, key_start, key_start + self._key_bytes(ticks.ticker), starts, ends, ticks.ts_ms)

    def _key_bytes(self, ticker: Int32s) -> Int64s:
        return self._name_bytes[ticker]
