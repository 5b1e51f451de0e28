"""The few Avro values that are written, or read back, one at a time; those that come by the million have kernels."""

from collections.abc import Mapping
from typing import Final

MORE: Final = 128
"""Set in a byte that is not the last of its number."""

NO_COUNTS: Final[Mapping[str, int]] = {}


class BadBytesError(ValueError):
    """The bytes are not what they should be."""


def unsigned(number: int) -> bytes:
    """A number without a sign, seven bits a byte, the lowest first."""
    out = bytearray()
    while number >= MORE:
        out.append(number % MORE | MORE)
        number >>= 7
    return bytes([*out, number])


def long(number: int) -> bytes:
    """A number of 64 bits, zigzag."""
    return unsigned((number << 1 ^ number >> 63) & (1 << 64) - 1)


def string(text: str) -> bytes:
    """A string."""
    raw = text.encode()
    return long(len(raw)) + raw


def long_map(numbers: Mapping[str, int]) -> bytes:
    """A map of numbers, in one block."""
    entries = b"".join(string(name) + long(number) for name, number in numbers.items())
    return long(len(numbers)) + entries + b"\0" if numbers else b"\0"


def read_unsigned(data: bytes, at: int) -> tuple[int, int]:
    """A number without a sign, and where it ends."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise BadBytesError("it is cut short")
        number |= data[at] % MORE << shift
        at += 1
        if data[at - 1] < MORE and not number >> 64:
            return number, at
    raise BadBytesError("a number in it is longer than 64 bits")


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    bits, at = read_unsigned(data, at)
    return bits >> 1 ^ -(bits & 1), at


def read_string(data: bytes, at: int) -> tuple[str, int]:
    """A string, and where it ends."""
    length, at = read_long(data, at)
    if not 0 <= length <= len(data) - at:
        raise BadBytesError("a string states an impossible length")
    try:
        return data[at : at + length].decode(), at + length
    except UnicodeDecodeError:
        raise BadBytesError("a string is not UTF-8") from None


def read_long_map(data: bytes, at: int) -> tuple[dict[str, int], int]:
    """A map of numbers in one block, as `long_map` writes it, and where it ends."""
    found: dict[str, int] = {}
    count, at = read_long(data, at)
    if not 0 <= count <= len(data) - at:
        raise BadBytesError("a map states an impossible count")
    for _ in range(count):
        name, at = read_string(data, at)
        found[name], at = read_long(data, at)
    end, at = read_long(data, at) if count else (0, at)
    if end or len(found) != count:
        raise BadBytesError("a map has another block, or a name twice")
    return found, at
