"""Which schemas the headers of a run of records name: newer serializers put the id there, not in front of the value.

A record names one in its last header of that name that has a value. Records that follow each other with the same
header make one group, so that a run of one schema costs one look at its text.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from streams.core.columns import Int64s
from streams.kafka.codec import GUID_HEADER_BYTES, SCHEMA_HEADER
from streams.kafka.header_kernel import NO_GROUP, group_texts
from streams.kafka.record_batch import RecordColumns

NAME: Final = np.frombuffer(SCHEMA_HEADER.encode(), np.uint8)


def named_in_headers(run: RecordColumns) -> list[tuple[bytes, Int64s]]:
    """Each text of a schema's header, with the records that have it. One too long to be any is cut."""
    if not np.count_nonzero(run.header_start != run.header_end):
        return []
    group = np.empty(len(run), np.int32)
    head, stop = np.empty((2, len(run)), np.int64)
    count = group_texts(run.buffer, run.header_start, run.header_end, run.value_start, NAME, group, head, stop)
    if not count:
        return []
    longest = head[:count] + GUID_HEADER_BYTES + 1
    spans = zip(head[:count].tolist(), np.minimum(stop[:count], longest).tolist(), strict=True)
    numbers: dict[bytes, int] = {}
    number = np.array([numbers.setdefault(run.buffer[at:end].tobytes(), len(numbers)) for at, end in spans])
    rows = np.flatnonzero(group != NO_GROUP)
    texts = list(numbers)
    return [(texts[key], part) for key, part in split(number[group[rows]], rows)]


def split(keys: Int64s, rows: Int64s) -> Iterator[tuple[int, Int64s]]:
    """Each key, and the rows that have it, in their order."""
    if len(keys) and (keys == keys[0]).all():
        yield int(keys[0]), rows
        return
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    for part in np.split(order, np.flatnonzero(np.diff(ordered)) + 1):
        if len(part):
            yield int(keys[part[0]]), rows[part]
