"""An LZ4 frame unpacked block by block, where that can be done.

A decoder of frames makes room for two blocks of the largest size, and to make it takes longer than to unpack the small
batches that come at a steady rate: 29 µs in place of 5 for fifty ticks. A frame is

    4 magic, 1 flags, 1 block size, 8 content size if the flags say so, 1 checksum of the header,
    and then blocks: 4 length (the highest bit: not compressed), the bytes, 4 checksum if the flags say so;
    a length of 0 ends it.

Dictionaries are left to the decoder, and blocks that lean on the one before. Checksums are not looked at: the batch
around the frame has one.
"""

import struct
from typing import Final

import cramjam

MAGIC: Final = b"\x04\x22\x4d\x18"
HEAD: Final = struct.Struct("<4sBB")
LENGTH: Final = struct.Struct("<I")
VERSION_BITS: Final = 0xC0
VERSION: Final = 0x40
STANDS_ALONE: Final = 0x20
CONTENT_SIZE: Final = 0x08
BLOCK_CHECKSUMS: Final = 0x10
DICTIONARY: Final = 0x01
NOT_COMPRESSED: Final = 1 << 31
CONTENT_SIZE_BYTES: Final = 8
HEADER_CHECKSUM_BYTES: Final = 1
BLOCK_CHECKSUM_BYTES: Final = 4


def unpack_lz4(packed: memoryview, room: memoryview) -> int:
    """Unpack into the room; returns how many bytes it has become. Raises where that fails, or the room is too small."""
    blocks = blocks_of(packed)
    if blocks is None:
        return int(cramjam.lz4.decompress_into(packed, room))
    used = 0
    for block, is_compressed in blocks:
        if is_compressed:
            used += int(cramjam.lz4.decompress_block_into(block, room[used:], output_len=len(room) - used))
        else:
            room[used : used + len(block)] = block  # raises where it is too small
            used += len(block)
    return used


def blocks_of(packed: memoryview) -> list[tuple[memoryview, bool]] | None:
    """The blocks, and whether each is compressed; None where a decoder of frames has to see to it."""
    if len(packed) < HEAD.size:
        return None
    magic, flags, _ = HEAD.unpack_from(packed)
    if magic != MAGIC or flags & VERSION_BITS != VERSION or flags & DICTIONARY:
        return None
    at = HEAD.size + (CONTENT_SIZE_BYTES if flags & CONTENT_SIZE else 0) + HEADER_CHECKSUM_BYTES
    found: list[tuple[memoryview, bool]] = []
    behind = BLOCK_CHECKSUM_BYTES if flags & BLOCK_CHECKSUMS else 0
    while len(packed) >= at + LENGTH.size:
        told = LENGTH.unpack_from(packed, at)[0]
        if told == 0:
            return found if len(found) <= 1 or flags & STANDS_ALONE else None
        start, end = at + LENGTH.size, at + LENGTH.size + (told & ~NOT_COMPRESSED)
        if end > len(packed):
            return None
        found.append((packed[start:end], not told & NOT_COMPRESSED))
        at = end + behind
    return None
