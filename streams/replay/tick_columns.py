"""From a chunk of a tick file, as columns, to the ticks that can be used and a reason for each row that cannot.

What both formats share: each reader fills in a `RawColumns`, `sift` judges it.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.core.columns import Ends
from streams.core.limits import MAX_CONDITIONS, MAX_TS_MS, MIN_TS_MS
from streams.replay.rejects import Fault, Reject, detail
from streams.replay.sift_kernel import take_good

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Faults = npt.NDArray[np.uint8]


class TickBatch(NamedTuple):
    """A run of rows of the file: the ticks kept as columns, and those refused."""

    first_row: int
    """Number of the first row of the run, kept or not. Rows count from 1."""
    rows: Int64s
    """Row number of each tick kept."""
    names: list[str]
    """Distinct tickers, those of the ticks kept among them. The batches of a file may share one list, and it grows."""
    name_of: Int32s
    """Which of `names`, for each tick."""
    ts_ms: Int64s
    code_ends: Ends
    """Conditions of tick i are `codes[code_ends[i-1]:code_ends[i]]`, the first ones from 0."""
    codes: Int32s
    rejects: list[Reject]


class Names(NamedTuple):
    """The tickers of a dictionary: any entry of it may be bad, unused, or there twice."""

    texts: list[str]
    """Tickers that can be used, each once, those of the dictionary among them."""
    text_of: Int32s
    """Which of `texts`, for each entry of the dictionary, and one more at the end for no ticker."""
    faults: Faults
    """What is wrong with the entry, if anything; its text does not count then."""


class RawColumns(NamedTuple):
    """A chunk of a file, judged only in what the format alone can tell."""

    first_row: int
    end_row: int
    """The row after the last."""
    rows: Int64s
    names: Names
    entry_of: Int32s
    """Which entry of the dictionary that `names` were read from; -1 where the row has no ticker."""
    ts_ms: Int64s
    ts_faults: Faults
    code_ends: Ends
    """Of the codes of each row."""
    codes: Int32s
    code_faults: Faults
    rejects: list[Reject]
    """Rows of the chunk that could not be taken apart; they are not among `rows`."""
    cell: Callable[[int, str], Any]
    """What stands in the i-th of `rows` in a column, for the detail of a reject."""


def sift(raw: RawColumns) -> TickBatch:
    """Keep the ticks that can be used, and say of each other row why not."""
    name_of = np.empty(len(raw.rows), np.int32)
    told = raw.ts_faults.any() or raw.code_faults.any()
    names = raw.names
    given = (raw.entry_of, names.text_of, names.faults, raw.ts_ms, raw.code_ends)
    if not told and take_good(*given, name_of):  # much quicker to tell than which row has a fault
        times_and_codes = (raw.ts_ms, raw.code_ends, raw.codes)
        return TickBatch(raw.first_row, raw.rows, names.texts, name_of, *times_and_codes, raw.rejects)
    counts = np.diff(raw.code_ends, prepend=0)
    faults = _faults(raw, counts)
    keep = faults == 0
    return TickBatch(
        first_row=raw.first_row,
        rows=raw.rows[keep],
        names=raw.names.texts,
        name_of=raw.names.text_of[raw.entry_of[keep]],
        ts_ms=raw.ts_ms[keep],
        code_ends=np.cumsum(counts[keep]),
        codes=raw.codes[np.repeat(keep, counts)],
        rejects=sorted([*raw.rejects, *_rejects(raw, faults)]),
    )


def _faults(raw: RawColumns, code_counts: Ends) -> Faults:
    """The first fault of each row."""
    faults = raw.names.faults[raw.entry_of]
    absurd = np.where((raw.ts_ms < MIN_TS_MS) | (raw.ts_ms >= MAX_TS_MS), np.uint8(Fault.TS_OUT_OF_RANGE), np.uint8(0))
    many = np.where(code_counts > MAX_CONDITIONS, np.uint8(Fault.CONDITIONS_TOO_MANY), np.uint8(0))
    for more in (raw.ts_faults, absurd, many, raw.code_faults):
        np.copyto(faults, more, where=faults == 0)
    return faults


def slices(batch: TickBatch, rows_at_most: int, end_row: int) -> Iterator[TickBatch]:
    """Cut a batch that ends before `end_row` into runs of so many rows of the file."""
    if end_row - batch.first_row <= rows_at_most:
        yield batch
        return
    firsts = np.append(np.arange(batch.first_row, end_row, rows_at_most), end_row)
    ticks = np.searchsorted(batch.rows, firsts).tolist()
    rejects = np.searchsorted([reject.row for reject in batch.rejects], firsts).tolist()
    for i, first_row in enumerate(firsts[:-1].tolist()):
        yield _run(batch, first_row, slice(*ticks[i : i + 2]), batch.rejects[slice(*rejects[i : i + 2])])


def _run(batch: TickBatch, first_row: int, ticks: slice, rejects: list[Reject]) -> TickBatch:
    """One run of ticks, its conditions counted from 0."""
    ends = batch.code_ends[ticks]
    first_code = int(batch.code_ends[ticks.start - 1]) if ticks.start else 0
    last_code = int(ends[-1]) if len(ends) else first_code
    return TickBatch(
        first_row=first_row,
        rows=batch.rows[ticks],
        names=batch.names,
        name_of=batch.name_of[ticks],
        ts_ms=batch.ts_ms[ticks],
        code_ends=ends - first_code,
        codes=batch.codes[first_code:last_code],
        rejects=rejects,
    )


def _rejects(raw: RawColumns, faults: Faults) -> Iterator[Reject]:
    """Tell of each faulty row the reason, and what stood there."""
    for i in np.flatnonzero(faults).tolist():
        fault = Fault(faults[i])
        yield Reject(int(raw.rows[i]), fault.reason, detail(fault, partial(raw.cell, i)))
