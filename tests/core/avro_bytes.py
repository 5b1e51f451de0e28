"""Avro and its framing by hand, byte by byte: also what no writer would write."""

import struct
from collections.abc import Sequence
from typing import Final

import numpy as np

from streams.core.columns import Bytes, Int64s

TICK: Final = {
    "type": "record",
    "name": "Tick",
    "fields": [
        {"name": "ticker", "type": "string"},
        {"name": "ts", "type": "long"},
        {"name": "price", "type": "double"},
        {"name": "size", "type": "int"},
        {"name": "conditions", "type": {"type": "array", "items": "int"}},
    ],
}
"""Schema id 1, spelt out once more."""

TS_MS: Final = 1_760_000_000_000


def number(value: int) -> bytes:
    """An int or a long. Numbers past 64 bits come out longer than a reader may take."""
    zigzag, out = (value << 1) ^ -(value < 0), bytearray()
    while zigzag > 0x7F:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    return bytes([*out, zigzag])


def text(value: bytes) -> bytes:
    """A string, or bytes."""
    return number(len(value)) + value


def block(items: Sequence[bytes], *, sized: bool = False) -> bytes:
    """One block of an array or a map; with its size, the count is negative."""
    body = b"".join(items)
    return (number(-len(items)) + number(len(body)) if sized else number(len(items))) + body


def array(items: Sequence[bytes]) -> bytes:
    """An array or a map in one block."""
    return (block(items) if items else b"") + b"\0"


def framed(value: bytes, schema_id: int = 1) -> bytes:
    """A value behind magic 0 and the id of its schema."""
    return b"\0" + struct.pack(">I", schema_id) + value


def tick(ticker: bytes = b"AAPL", ts_ms: int = TS_MS, conditions: bytes = b"\0") -> bytes:
    """A tick of schema id 1, framed; the conditions are told in bytes."""
    return framed(text(ticker) + number(ts_ms) + struct.pack("<d", 187.5) + number(100) + conditions)


def codes(*conditions: int) -> bytes:
    """Condition codes in one block."""
    return array([number(code) for code in conditions])


def joined(values: Sequence[bytes]) -> tuple[Bytes, Int64s, Int64s]:
    """Values one behind the other, as a fetched run of records holds them."""
    lengths = np.array([len(value) for value in values], np.int64)
    ends = np.cumsum(lengths)
    return np.frombuffer(b"".join(values), np.uint8), ends - lengths, ends
