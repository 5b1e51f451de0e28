"""The rows of two runs in parts that are compared at once: some strategies, or some buckets of one.

What matches has strategy and bucket in common, so it lies in one part. Each run is read once. Where there are several
parts, rows wait in files of their own, one for each run and part, in a folder that is gone afterwards.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import numpy as np

from streams.core.limits import FOREVER
from streams.errors import InputError, os_trouble
from streams.replay.limits import MAX_COMPARED_ROWS
from streams.replay.matching import Matched, matched
from streams.replay.result_folder import EXECUTIONS, Rows, bounds_of, joined
from streams.replay.sides import Sides
from streams.replay.tick_columns import Int32s, Int64s

ROW: Final = np.dtype([("strategy", "i4"), ("ticker", "i4"), ("bucket_ms", "i8"), ("ts_ms", "i8"), ("mode", "i4")])
"""A row that waits."""


class Part(NamedTuple):
    """Rows of both runs."""

    strategies: range
    rows: tuple[Rows, Rows]

    def matched(self, sides: Sides) -> tuple[Matched, Matched]:
        """Hold its rows against each other."""
        by_whole = any(bool((rows.ticker < 0).any()) for rows in self.rows)
        none = np.zeros(0, np.int64)
        universes = [sides.universe(side, self.strategies) if by_whole else none for side in (0, 1)]
        return matched(*self.rows, (universes[0], universes[1]))


class Cut(NamedTuple):
    """Which part each row is in."""

    strategies: list[range]
    """By part."""
    first_part: Int64s
    """By strategy."""
    piece_ms: Int64s
    """By strategy: how much of the buckets' time a part holds of it; FOREVER: all."""
    first_ms: int

    def part_of(self, rows: Rows) -> Int64s:
        """The part of each row."""
        piece: Int64s = (rows.bucket_ms - self.first_ms) // self.piece_ms[rows.strategy]
        return self.first_part[rows.strategy] + piece


def cut(executions: Int64s, first_ms: int, last_ms: int) -> Cut:
    """Cut strategies into runs of so many executions as are compared at once; one with more is cut by its buckets.

    Their buckets lie from one time to the other.
    """
    found: list[range] = []
    first_part, piece_ms = np.zeros(len(executions), np.int64), np.full(len(executions), FOREVER)
    start = rows = 0
    for strategy, more in enumerate(executions.tolist()):
        pieces = -(-more // MAX_COMPARED_ROWS)
        if rows and rows + more > MAX_COMPARED_ROWS:
            found.append(range(start, strategy))
            start, rows = strategy, 0
        first_part[strategy] = len(found)
        rows += more
        if pieces > 1:
            piece_ms[strategy] = -(-(last_ms + 1 - first_ms) // pieces)
            found += [range(strategy, strategy + 1)] * pieces
            start, rows = strategy + 1, 0
    if rows:
        found.append(range(start, len(executions)))
    return Cut(found, first_part, piece_ms, first_ms)


def parts(sides: Sides) -> Iterator[Part]:
    """The rows of both runs, strategy by strategy in the order of the ids, so many at once as may be."""
    bounds = [bounds_of(run.folder / EXECUTIONS, "bucket_ms") for run in sides.runs]
    first_ms, last_ms = min(low for low, _ in bounds), max(high for _, high in bounds)
    how = cut(sides.executions.sum(axis=0), first_ms, last_ms)
    if len(how.strategies) == 1:
        read = [joined(*sides.rows(side)) for side in (0, 1)]
        number = sides.number_tickers()
        a, b = (_numbered(rows, number) for rows in read)
        yield Part(how.strategies[0], (a, b))
    elif how.strategies:
        with TemporaryDirectory(prefix="tickgate-compare-") as folder:
            yield from _by_files(sides, how, Path(folder))


def _by_files(sides: Sides, how: Cut, folder: Path) -> Iterator[Part]:
    """Lay the rows aside by their parts, and take part by part."""
    try:
        for side in (0, 1):
            for rows in sides.rows(side):
                _lay_aside(rows, how.part_of(rows), folder, side)
    except OSError as error:
        remedy = "make room there, or let TMPDIR name another folder"
        raise InputError(str(folder), f"rows cannot be laid aside ({os_trouble(error)})", remedy) from error
    number = sides.number_tickers()
    for part, strategies in enumerate(how.strategies):
        a, b = (_numbered(_taken(folder / f"{side}-{part}"), number) for side in (0, 1))
        yield Part(strategies, (a, b))


def _lay_aside(rows: Rows, part: Int64s, folder: Path, side: int) -> None:
    order = np.argsort(part, kind="stable")
    table = np.empty(len(order), ROW)
    for name, column in rows._asdict().items():
        table[name] = column[order]
    there, starts = np.unique(part[order], return_index=True)
    for number, run in zip(there.tolist(), np.split(table, starts[1:]), strict=True):
        with (folder / f"{side}-{number}").open("ab") as file:
            file.write(run.tobytes())


def _taken(path: Path) -> Rows:
    table = np.fromfile(path, ROW) if path.exists() else np.zeros(0, ROW)
    path.unlink(missing_ok=True)
    return Rows._make(np.ascontiguousarray(table[name]) for name in Rows._fields)


def _numbered(rows: Rows, number: Int32s) -> Rows:
    """Tickers by the numbers that they have now."""
    return rows._replace(ticker=number[rows.ticker])
