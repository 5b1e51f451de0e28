"""LZ4 frames unpacked block by block: the same as a decoder of frames makes of them, or a clear failure."""

import random

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.lz4_frame import blocks_of, unpack_lz4

BLOCK_BYTES = 64 << 10
TOO_LARGE = (cramjam.DecompressionError, ValueError)


def frame(data: bytes, *, linked: bool, checksum: bool = False, parts: int = 1) -> bytes:
    """As a producer makes one; each part is a block or more."""
    made = cramjam.lz4.Compressor(level=1, content_checksum=checksum, block_linked=linked)
    found = b""
    for part in range(parts):
        made.compress(data[len(data) * part // parts : len(data) * (part + 1) // parts])
        found += bytes(made.flush())
    return found + bytes(made.finish())


def unpacked(packed: bytes, room_bytes: int) -> bytes:
    room = bytearray(room_bytes)
    return bytes(room[: unpack_lz4(memoryview(packed), memoryview(room))])


@given(st.binary(max_size=300), st.integers(1, 40), st.booleans(), st.booleans(), st.integers(1, 3))
def test_frames_are_unpacked_as_a_decoder_of_frames_does(
    data: bytes, times: int, linked: bool, checksum: bool, parts: int
) -> None:
    data *= times
    packed = frame(data, linked=linked, checksum=checksum, parts=parts)
    assert unpacked(packed, len(data) + 1) == bytes(cramjam.lz4.decompress(packed)) == data


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("compressible", [False, True])
def test_several_large_blocks(*, linked: bool, compressible: bool) -> None:
    data = bytes(3 * BLOCK_BYTES) if compressible else random.Random(5).randbytes(3 * BLOCK_BYTES)
    packed = frame(data, linked=linked)
    assert (blocks_of(memoryview(packed)) is None) == linked, "blocks that lean on each other are the decoder's"
    assert unpacked(packed, len(data) + 1) == data


def test_a_header_may_tell_the_size_of_the_content_or_name_a_dictionary() -> None:
    head, rest = frame(b"ticks" * 20, linked=False)[:6], frame(b"ticks" * 20, linked=False)[6:]
    size = (100).to_bytes(8, "little")
    with_size = head[:4] + bytes([head[4] | 0x08]) + head[5:] + size + rest
    assert unpacked(with_size, 101) == b"ticks" * 20
    with_dictionary = head[:4] + bytes([head[4] | 0x01]) + head[5:] + b"\1\0\0\0" + b"\0" + rest[1:]
    assert blocks_of(memoryview(with_dictionary)) is None


@given(st.binary(min_size=1, max_size=300), st.booleans(), st.integers(0, 299))
def test_too_little_room_is_never_taken_for_enough(data: bytes, linked: bool, room: int) -> None:
    packed = frame(data, linked=linked)
    if room < len(data):
        with pytest.raises(TOO_LARGE):
            unpacked(packed, room)


@given(st.binary(min_size=1, max_size=200), st.booleans(), st.integers(0, 1 << 30))
def test_what_is_cut_off_or_changed_fails_or_stays_in_its_room(data: bytes, linked: bool, where: int) -> None:
    packed = bytearray(frame(data, linked=linked))
    if where % 2:
        packed = packed[: where % len(packed)]
    else:
        packed[where % len(packed)] ^= 1 << where % 8
    room = bytearray(b"." * (2 * len(data) + 8))
    try:
        used = unpack_lz4(memoryview(packed), memoryview(room)[: len(room) - 8])
    except TOO_LARGE:
        used = 0
    assert used <= len(room) - 8
    assert room[-8:] == b"." * 8
