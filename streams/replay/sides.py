"""Two runs side by side: one list of names for both, and their rows in parts that are compared at once."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from streams.core.limits import FOREVER, NEVER
from streams.replay.limits import MAX_COMPARED_ROWS
from streams.replay.matching import MODES, Matched, matched, pair_of
from streams.replay.result_folder import Result, Rows, joined
from streams.replay.tick_columns import Int32s, Int64s


class Sides:
    """The two runs, and one list of names for both."""

    def __init__(self, a: Result, b: Result) -> None:
        self.runs = (a, b)
        self.strategy_ids = sorted({*a.strategy_ids, *b.strategy_ids})
        self.strategies = {strategy_id: number for number, strategy_id in enumerate(self.strategy_ids)}
        self.places = [self._places(run) for run in self.runs]
        self.shared = shared(a, b)
        self.tickers: dict[str, int] = {}
        strategies = len(self.strategy_ids)
        self.executions = np.zeros((2, strategies), np.int64)
        self.first_bucket, self.last_bucket = np.full(strategies, FOREVER), np.full(strategies, NEVER)
        self.kept: list[Rows] | None = None
        self._count()

    def _places(self, run: Result) -> Int32s:
        """Of each strategy: where it stands in the run's definitions; -1 where it does not."""
        places = np.full(len(self.strategy_ids), -1, np.int32)
        numbers = [self.strategies[strategy_id] for strategy_id in run.strategy_ids]
        places[numbers] = np.arange(len(numbers), dtype=np.int32)
        return places

    def _count(self) -> None:
        """Count the executions to compare, and learn the tickers; numbered by their names from here on."""
        kept: list[list[Rows]] | None = [[], []]
        """Where all rows are compared at once, they are read once."""
        for side in (0, 1):
            for rows in self.rows(side):
                self.executions[side] += np.bincount(rows.strategy, minlength=len(self.strategy_ids))
                np.minimum.at(self.first_bucket, rows.strategy, rows.bucket_ms)
                np.maximum.at(self.last_bucket, rows.strategy, rows.bucket_ms)
                if kept is not None:
                    kept[side].append(rows)
                    kept = kept if self.executions.sum() <= MAX_COMPARED_ROWS else None
        met = list(self.tickers)
        self.tickers = {ticker: number for number, ticker in enumerate(sorted(met))}
        if kept is not None:
            number = np.array([*(self.tickers[ticker] for ticker in met), -1], np.int32)
            all_rows = [joined(*pieces) for pieces in kept]
            self.kept = [rows._replace(ticker=number[rows.ticker]) for rows in all_rows]

    def rows(self, side: int) -> Iterator[Rows]:
        """The executions of one run that are not the other's own, too."""
        modes = {mode: number for number, mode in enumerate(MODES)}
        return self.runs[side].rows(self.strategies, self.tickers, modes, self.shared)

    def shared_fires(self) -> Int64s:
        """By strategy: what both runs fired under definitions that they share."""
        fires = np.zeros(len(self.strategy_ids), np.int64)
        run, places = self.runs[0], np.flatnonzero(np.isin(self.runs[0].numbers, self.shared))
        fired = run.definitions.column("fired_pairs").to_numpy()
        numbers = [self.strategies[run.strategy_ids[place]] for place in places.tolist()]
        fires[numbers] = fired[places]
        return fires

    def of(self, side: int, column: str) -> Any:  # noqa: ANN401 - pyarrow has no types
        """What the run's definitions say of each strategy; null where it has none."""
        places = self.places[side]
        return self.runs[side].definitions.column(column).combine_chunks().take(pa.array(places, mask=places < 0))

    def universe(self, side: int, strategies: range) -> Int64s:
        """The pairs of some strategies, as far as their tickers were met, in order."""
        places = self.places[side][strategies.start : strategies.stop]
        there = np.flatnonzero(places >= 0)
        lists = self.runs[side].universes.take(pa.array(places[there]))
        if not len(lists.flatten()):
            return np.zeros(0, np.int64)
        coded = lists.flatten().dictionary_encode()
        number = np.array([self.tickers.get(name, -1) for name in coded.dictionary.to_pylist()], np.int32)
        ticker = number[coded.indices.to_numpy()]
        owner = np.repeat(there + strategies.start, lists.value_lengths().to_numpy()).astype(np.int32)
        return np.sort(pair_of(owner, ticker)[ticker >= 0])


def shared(a: Result, b: Result) -> Int32s:
    """The definitions that two variants of one replay share."""
    if a.variant is None or b.variant is None or a.folder.resolve() != b.folder.resolve():
        return np.zeros(0, np.int32)
    return np.intersect1d(a.numbers, b.numbers)


class Border(NamedTuple):
    """Some strategies, and some of their buckets. What matches has both in common."""

    strategies: range
    buckets: range

    def within(self, rows: Rows) -> Rows:
        """Those within it."""
        wanted = (rows.strategy >= self.strategies.start) & (rows.strategy < self.strategies.stop)
        wanted &= (rows.bucket_ms >= self.buckets.start) & (rows.bucket_ms < self.buckets.stop)
        return rows.only(wanted)


class Part(NamedTuple):
    """The rows of both runs within a border."""

    strategies: range
    rows: tuple[Rows, Rows]

    def matched(self, sides: Sides) -> tuple[Matched, Matched]:
        """Hold its rows against each other."""
        by_whole = any(bool((rows.ticker < 0).any()) for rows in self.rows)
        none = np.zeros(0, np.int64)
        universes = [sides.universe(side, self.strategies) if by_whole else none for side in (0, 1)]
        return matched(*self.rows, (universes[0], universes[1]))


def parts(sides: Sides) -> Iterator[Part]:
    """The rows of both runs, strategy by strategy in the order of the ids, so many at once as may be."""
    if sides.kept is not None:
        yield Part(range(len(sides.strategy_ids)), (sides.kept[0], sides.kept[1]))
        return
    for border in borders(sides.executions.sum(axis=0), sides.first_bucket, sides.last_bucket):
        a, b = (joined(*(border.within(rows) for rows in sides.rows(side))) for side in (0, 1))
        yield Part(border.strategies, (a, b))


def borders(executions: Int64s, first: Int64s, last: Int64s) -> Iterator[Border]:
    """Cut strategies into runs of so many executions as are compared at once; one with more is cut by its buckets."""
    every = range(-FOREVER, FOREVER)
    start = rows = 0
    for strategy, more in enumerate(executions.tolist()):
        if rows and rows + more > MAX_COMPARED_ROWS:
            yield Border(range(start, strategy), every)
            start, rows = strategy, 0
        rows += more
        pieces = -(-rows // MAX_COMPARED_ROWS)
        if pieces > 1:
            length_ms = -(-(int(last[strategy]) + 1 - int(first[strategy])) // pieces)
            for piece in range(pieces):
                from_ms = int(first[strategy]) + piece * length_ms
                yield Border(range(strategy, strategy + 1), range(from_ms, from_ms + length_ms))
            start, rows = strategy + 1, 0
    if rows:
        yield Border(range(start, len(executions)), every)
