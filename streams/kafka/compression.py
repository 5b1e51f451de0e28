"""The content of record batches, compressed and unpacked, by the codec that a batch names in its header.

Batches are unpacked one behind the other into one buffer, never past a bound. How large the content is cannot be
known before, or not be believed. So it is unpacked into room that is there, and into more where that fails; what does
not fit into the bound is refused.
"""

import struct
from collections.abc import Callable
from typing import Final

import cramjam
import numpy as np

from streams.core.columns import Bytes
from streams.kafka.batch_kernel import FAULT
from streams.kafka.lz4_frame import unpack_lz4

GZIP: Final = 1
SNAPPY: Final = 2
LZ4: Final = 3
ZSTD: Final = 4

CODECS: Final = {"none": 0, "gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}
"""As the setting names them."""

FRAMED_SNAPPY: Final = b"\x82SNAPPY\0"
"""How Java's producers begin: then two version numbers, and blocks with their lengths before them."""

FRAMED_SNAPPY_HEADER_BYTES: Final = 16
FRAMED_SNAPPY_VERSIONS: Final = struct.pack(">ii", 1, 1)
FRAMED_SNAPPY_BLOCK_BYTES: Final = 32 << 10

QUICKEST_LEVEL: Final = 1
"""Batches wait for their compression; higher levels save a tenth of the bytes, and take up to 30 times as long."""

SMALLEST_ROOM: Final = 64
FIRST_GUESS: Final = 6
"""How many times larger than what came in the room is made at first; more is asked for where it is needed."""


def unpack_snappy(packed: memoryview, room: memoryview) -> int:
    """Unpack snappy, bare or in Java's frame, into the room; returns how many bytes it has become."""
    if bytes(packed[: len(FRAMED_SNAPPY)]) != FRAMED_SNAPPY:
        return int(cramjam.snappy.decompress_raw_into(packed, room))
    at, used = FRAMED_SNAPPY_HEADER_BYTES, 0
    while at < len(packed):
        (length,) = struct.unpack_from(">i", packed, at)
        at += 4
        if length < 0 or length > len(packed) - at:
            raise ValueError("a block of snappy is longer than what is left")
        used += int(cramjam.snappy.decompress_raw_into(packed[at : at + length], room[used:]))
        at += length
    return used


UNPACK: Final[dict[int, Callable[[memoryview, memoryview], int]]] = {
    GZIP: lambda packed, room: int(cramjam.gzip.decompress_into(packed, room)),
    SNAPPY: unpack_snappy,
    LZ4: unpack_lz4,
    ZSTD: lambda packed, room: int(cramjam.zstd.decompress_into(packed, room)),
}


def pack_snappy(data: memoryview) -> bytes:
    """Compress in Java's frame: Java's readers take others only by luck."""
    blocks = [FRAMED_SNAPPY, FRAMED_SNAPPY_VERSIONS]
    for start in range(0, len(data), FRAMED_SNAPPY_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(data[start : start + FRAMED_SNAPPY_BLOCK_BYTES]))
        blocks += [struct.pack(">i", len(block)), block]
    return b"".join(blocks)


def pack_lz4(data: memoryview) -> bytes:
    """Compress in blocks that do not lean on each other: Java's readers take no others."""
    compressor = cramjam.lz4.Compressor(level=QUICKEST_LEVEL, content_checksum=False, block_linked=False)
    compressor.compress(data.tobytes())
    return bytes(compressor.finish())


PACK: Final[dict[int, Callable[[memoryview], bytes]]] = {
    GZIP: lambda data: bytes(cramjam.gzip.compress(data, level=QUICKEST_LEVEL)),
    SNAPPY: pack_snappy,
    LZ4: pack_lz4,
    ZSTD: lambda data: bytes(cramjam.zstd.compress(data, level=QUICKEST_LEVEL)),
}


def packed(data: Bytes, codec: int) -> tuple[bytes | memoryview, int]:
    """Compress; returns the codec too, since what would not become smaller is left as it is."""
    if codec in PACK:
        smaller = PACK[codec](data.data)
        if len(smaller) < len(data):
            return smaller, codec
    return data.data, 0


class Unpacked:
    """A buffer that grows by the contents of batches."""

    def __init__(self, expected_bytes: int, most_bytes_a_batch: int) -> None:
        self.buffer: Bytes = np.empty(max(expected_bytes, 1), np.uint8)
        self.used = 0
        self._most = most_bytes_a_batch

    def add(self, packed: memoryview, codec: int) -> int:
        """Unpack one batch behind the last; returns the fault."""
        if codec == 0:
            if len(packed) > self._most:
                return FAULT.SIZE
            self._make_room(len(packed))
            self.buffer[self.used : self.used + len(packed)] = packed
            self.used += len(packed)
            return FAULT.NONE
        unpack = UNPACK.get(codec)
        return FAULT.CODEC if unpack is None else self._unpack(packed, unpack)

    def _unpack(self, packed: memoryview, unpack: Callable[[memoryview, memoryview], int]) -> int:
        wanted = SMALLEST_ROOM
        while True:
            self._make_room(min(wanted, self._most))
            room = self.buffer[self.used : self.used + self._most].data
            try:
                self.used += unpack(packed, room)
            except (cramjam.DecompressionError, ValueError, struct.error):
                # The reason is a sentence, not a type: bad content and too little room look the same.
                if len(room) >= self._most:
                    return FAULT.CODEC
                wanted = max(4 * len(room), FIRST_GUESS * len(packed))
            else:
                return FAULT.NONE

    def _make_room(self, wanted: int) -> None:
        if len(self.buffer) - self.used < wanted:
            grown = np.empty(max(2 * len(self.buffer), self.used + wanted), np.uint8)
            grown[: self.used] = self.buffer[: self.used]
            self.buffer = grown
