"""Ticks picked out of a batch, and batches put together: what sorting and merging are made of."""

from collections.abc import Sequence

import numpy as np

from streams.replay.picked_kernel import copy_codes, count_codes
from streams.replay.tick_columns import Int32s, Int64s, TickBatch


def together(batches: Sequence[TickBatch]) -> TickBatch:
    """The ticks of several batches one behind the other; the rows refused among them are left out."""
    if len(batches) == 1:
        return batches[0]._replace(rejects=[])
    names, numbers = _named(batches)
    counts = np.concatenate([_code_counts(batch) for batch in batches])
    return TickBatch(
        first_row=batches[0].first_row,
        rows=np.concatenate([batch.rows for batch in batches]),
        names=names,
        name_of=np.concatenate(numbers),
        ts_ms=np.concatenate([batch.ts_ms for batch in batches]),
        code_ends=np.cumsum(counts),
        codes=np.concatenate([batch.codes for batch in batches]),
        rejects=[],
    )


def _named(batches: Sequence[TickBatch]) -> tuple[list[str], list[Int32s]]:
    """The names of all, and of each batch which of them its ticks have. Parts of one file share their names."""
    names = batches[0].names
    if all(batch.names is names for batch in batches):
        return names, [batch.name_of for batch in batches]
    names = list(dict.fromkeys(name for batch in batches for name in batch.names))
    number = {name: at for at, name in enumerate(names)}
    return names, [np.array([number[name] for name in batch.names], np.int32)[batch.name_of] for batch in batches]


def picked(batch: TickBatch, which: Int64s) -> TickBatch:
    """These ticks of a batch, in this order."""
    ends = np.empty(len(which), np.int64)
    codes = np.empty(count_codes(which, batch.code_ends, ends), np.int32)
    copy_codes(which, batch.code_ends, batch.codes, codes)
    return batch._replace(
        rows=batch.rows[which],
        name_of=batch.name_of[which],
        ts_ms=batch.ts_ms[which],
        code_ends=ends,
        codes=codes,
        rejects=[],
    )


def part_of(batch: TickBatch, start: int, end: int) -> TickBatch:
    """A run of the ticks of a batch, without the rows refused among them."""
    first_code = int(batch.code_ends[start - 1]) if start else 0
    ends = batch.code_ends[start:end]
    return batch._replace(
        rows=batch.rows[start:end],
        name_of=batch.name_of[start:end],
        ts_ms=batch.ts_ms[start:end],
        code_ends=ends - first_code,
        codes=batch.codes[first_code : int(ends[-1]) if len(ends) else first_code],
        rejects=[],
    )


def _code_counts(batch: TickBatch) -> Int64s:
    return np.diff(batch.code_ends, prepend=0)
