"""Two runs side by side: one list of names for both."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from streams.replay.matching import MODES, pair_of
from streams.replay.result_folder import Result, Rows
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
        self.executions = np.stack([self._fired(run, shared_too=False) for run in self.runs])
        """To be compared, by run and strategy, as the definitions tell."""
        self.shared_fires = self._fired(a, shared_too=True)
        """By strategy: what both runs fired under definitions that they share."""

    def _places(self, run: Result) -> Int32s:
        """Of each strategy: where it stands in the run's definitions; -1 where it does not."""
        places = np.full(len(self.strategy_ids), -1, np.int32)
        numbers = [self.strategies[strategy_id] for strategy_id in run.strategy_ids]
        places[numbers] = np.arange(len(numbers), dtype=np.int32)
        return places

    def _fired(self, run: Result, *, shared_too: bool) -> Int64s:
        """What each strategy fired, by definitions that both runs share or by others."""
        fired = np.zeros(len(self.strategy_ids), np.int64)
        chosen = np.isin(run.numbers, self.shared) == shared_too
        numbers = np.array([self.strategies[strategy_id] for strategy_id in run.strategy_ids], np.int32)
        fired[numbers[chosen]] = run.definitions.column("fired_pairs").to_numpy()[chosen]
        return fired

    def number_tickers(self) -> Int32s:
        """Number the tickers by their names, once all are met; returns the new number of each."""
        met = list(self.tickers)
        self.tickers = {ticker: number for number, ticker in enumerate(sorted(met))}
        return np.array([*(self.tickers[ticker] for ticker in met), -1], np.int32)

    def rows(self, side: int) -> Iterator[Rows]:
        """The executions of one run that are not the other's own, too."""
        modes = {mode: number for number, mode in enumerate(MODES)}
        return self.runs[side].rows(self.strategies, self.tickers, modes, self.shared)

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
