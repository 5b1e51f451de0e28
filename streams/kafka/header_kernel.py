"""Finds the header that names a record's schema, compiled: a look at every header of a run.

Every read is held against the end of the record's headers before it is made.
"""

from typing import Final

from streams.core.columns import Bytes, Int32s, Int64s
from streams.core.jit import compiled

NO_GROUP: Final = -1


@compiled
def varint(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """A zigzag number, as record batches write it, and where it ends; -1 where it is cut short or too long."""
    bits, shift = 0, 0
    while at < end and shift < 63:
        byte = data[at]
        at += 1
        bits |= (byte & 0x7F) << shift
        if byte < 128:
            return (bits >> 1) ^ -(bits & 1), at
        shift += 7
    return 0, -1


@compiled
def same(data: Bytes, at: int, end: int, other: Bytes, other_at: int, other_end: int) -> bool:
    """Whether two stretches hold the same bytes."""
    if end - at != other_end - other_at:
        return False
    for k in range(end - at):
        if data[at + k] != other[other_at + k]:
            return False
    return True


@compiled
def find_text(data: Bytes, at: int, end: int, name: Bytes) -> tuple[int, int]:
    """Where the text of the schema's header lies among the headers of one record; starts at -1 where it has none."""
    found_start, found_end = -1, -1
    count, at = varint(data, at, end)
    while count > 0 and at >= 0:
        count -= 1
        length, name_at = varint(data, at, end)
        if name_at < 0 or length < 0:
            break
        name_end = name_at + length
        length, start = varint(data, name_end, end)  # cut short, too, where the name goes past the end
        if start < 0 or length > end - start:
            break
        at = start + max(length, 0)
        if length >= 0 and same(data, name_at, name_end, name, 0, len(name)):
            found_start, found_end = start, at
    return found_start, found_end


@compiled
def group_texts(
    data: Bytes, starts: Int64s, ends: Int64s, values: Int64s, name: Bytes, group: Int32s, head: Int64s, stop: Int64s
) -> int:
    """Give each record with a value and a schema's header a group, and each group its text; returns how many."""
    groups = 0
    for i in range(len(starts)):
        group[i] = NO_GROUP
        if values[i] < 0 or starts[i] >= ends[i]:
            continue
        start, end = find_text(data, starts[i], ends[i], name)
        if start < 0:
            continue
        if groups == 0 or not same(data, start, end, data, head[groups - 1], stop[groups - 1]):
            head[groups], stop[groups] = start, end
            groups += 1
        group[i] = groups - 1
    return groups
