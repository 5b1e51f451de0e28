"""Ticks picked out of a batch, and batches put together: what sorting and merging are made of."""

from collections.abc import Sequence

import numpy as np

from streams.replay.tick_columns import Int64s, TickBatch


def together(batches: Sequence[TickBatch]) -> TickBatch:
    """The ticks of several batches one behind the other; the rows refused among them are left out."""
    if len(batches) == 1:
        return batches[0]._replace(rejects=[])
    names = list(dict.fromkeys(name for batch in batches for name in batch.names))
    number = {name: at for at, name in enumerate(names)}
    numbers = (np.array([number[name] for name in batch.names], np.int32)[batch.name_of] for batch in batches)
    counts = np.concatenate([_code_counts(batch) for batch in batches])
    return TickBatch(
        first_row=batches[0].first_row,
        rows=np.concatenate([batch.rows for batch in batches]),
        names=names,
        name_of=np.concatenate(list(numbers)),
        ts_ms=np.concatenate([batch.ts_ms for batch in batches]),
        code_ends=np.cumsum(counts),
        codes=np.concatenate([batch.codes for batch in batches]),
        rejects=[],
    )


def picked(batch: TickBatch, which: Int64s) -> TickBatch:
    """These ticks of a batch, in this order."""
    counts = _code_counts(batch)
    starts, lengths = (batch.code_ends - counts)[which], counts[which]
    ends = np.cumsum(lengths)
    places = np.arange(lengths.sum()) + np.repeat(starts - (ends - lengths), lengths)
    return batch._replace(
        rows=batch.rows[which],
        name_of=batch.name_of[which],
        ts_ms=batch.ts_ms[which],
        code_ends=ends,
        codes=batch.codes[places],
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
