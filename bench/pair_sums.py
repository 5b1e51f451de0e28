"""Fired pairs counted and summed up in columns: what executions hold, and what a workload must fire.

The workload's own digest hashes a text for each pair, in a microsecond; here are tens of millions of them, so a number
of each is mixed instead. The sum does not hang on the order; a pair that is missing, wrong or there twice spoils it.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from bench import reference
from bench.kafka_answer import Record, execution_of

AT_ONCE: Final = 10_000
MULTIPLIERS: Final = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
SHIFTS: Final = (30, 27, 31)

UInt64s = npt.NDArray[np.uint64]


class Fired(NamedTuple):
    """How many pairs, and the sum of their mixed numbers."""

    pairs: int
    digest: str


class Sum:
    """Adds pairs up. A pair is (number of the strategy, number of the ticker, start of the bucket)."""

    def __init__(self, tickers: int) -> None:
        self._tickers, self._pairs, self._total = tickers, 0, np.uint64(0)

    def add(self, strategy: reference.Int64s, ticker: reference.Int64s, bucket_ms: reference.Int64s) -> None:
        """Some more."""
        mixed = (strategy * self._tickers + ticker).astype(np.uint64) * np.uint64(MULTIPLIERS[0])
        mixed += bucket_ms.astype(np.uint64)
        for multiplier, shift in zip(MULTIPLIERS[1:], SHIFTS[:-1], strict=True):
            mixed = (mixed ^ mixed >> np.uint64(shift)) * np.uint64(multiplier)
        mixed ^= mixed >> np.uint64(SHIFTS[-1])
        self._pairs += len(mixed)
        self._total = np.add(self._total, mixed.sum(dtype=np.uint64))

    @property
    def fired(self) -> Fired:
        """Of all so far."""
        return Fired(self._pairs, f"{int(self._total):016x}")


def of_executions(records: Iterable[Record], work: reference.Workload) -> Fired:
    """What executions hold."""
    strategies = {name: number for number, name in enumerate(work.raw_strategies)}
    tickers = {name: number for number, name in enumerate(work.names)}
    total = Sum(len(tickers))
    left = iter(records)
    while some := list(islice(left, AT_ONCE)):
        found = [execution_of(value) for _, value in some]
        counts = [len(each["tickers"]) for each in found]
        strategy = np.array([strategies[each["strategy_id"]] for each in found], np.int64)
        bucket_ms = np.array([each["bucket_ms"] for each in found], np.int64)
        ticker = np.array([tickers[name] for each in found for name in each["tickers"]], np.int64)
        total.add(np.repeat(strategy, counts), ticker, np.repeat(bucket_ms, counts))
    return total.fired


def of_workload(work: reference.Workload) -> Fired:
    """What must fire: each ticker touched in a bucket, for each strategy that watches it so."""
    total, size = Sum(len(work.names)), len(work.names)
    number = {name: at for at, name in enumerate(work.names)}
    for timeframe_ms in sorted({timeframe_ms for timeframe_ms, _ in work.raw_strategies.values()}):
        watchers: list[list[int]] = [[] for _ in work.names]
        for strategy, (each_ms, universe) in enumerate(work.raw_strategies.values()):
            if each_ms == timeframe_ms:
                for ticker in universe:
                    watchers[number[ticker]].append(strategy)
        touched = np.unique((work.when // timeframe_ms) * size + work.who)
        ticker, bucket_ms = touched % size, touched // size * timeframe_ms
        counts = np.array([len(each) for each in watchers])
        flat = np.array([strategy for each in watchers for strategy in each], np.int64)
        repeats = counts[ticker]
        ends = np.cumsum(repeats)
        within = np.arange(ends[-1]) - np.repeat(ends - repeats, repeats)
        strategy_of = flat[np.repeat((np.cumsum(counts) - counts)[ticker], repeats) + within]
        total.add(strategy_of, np.repeat(ticker, repeats), np.repeat(bucket_ms, repeats))
    return total.fired
