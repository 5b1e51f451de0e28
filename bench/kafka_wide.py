"""A wide market, for state rather than speed: 10,000 strategies of 100 of 10,000 tickers each, a million pairs."""

from typing import Final

import numpy as np

from bench import reference, workload

TICKERS: Final = 10_000
STRATEGIES: Final = 10_000
TICKERS_OF_A_STRATEGY: Final = 100
PAIRS: Final = STRATEGIES * TICKERS_OF_A_STRATEGY
NAMES: Final = [workload.ticker_name(i) for i in range(TICKERS)]
FIRST_MS: Final = workload.START_MS - workload.START_MS % 86_400_000
"""The filling lies in the first second of a day, so in one bucket of every timeframe."""

RawStrategies = dict[str, list]  # type: ignore[type-arg] # as the workload has them


def strategies(rng: np.random.Generator) -> RawStrategies:
    """Every timeframe the same number of times."""
    frames = workload.TIMEFRAMES_MS
    picked = (rng.choice(TICKERS, TICKERS_OF_A_STRATEGY, replace=False).tolist() for _ in range(STRATEGIES))
    return {f"s{i}": [frames[i % len(frames)], [NAMES[at] for at in each]] for i, each in enumerate(picked)}


def filling(rng: np.random.Generator) -> tuple[reference.Int32s, reference.Int64s]:
    """One tick of each ticker: every pair fires once, and a worker holds all of them after it."""
    return rng.permutation(TICKERS).astype(np.int32), FIRST_MS + np.arange(TICKERS, dtype=np.int64) // 10


def market(raw: RawStrategies, who: reference.Int32s, when: reference.Int64s) -> reference.Workload:
    """Strategies and ticks without their answer, which takes long to hash for many millions."""
    return reference.Workload(NAMES, who, when, raw, count_pairs(raw, who, when), "")


def count_pairs(raw: RawStrategies, who: reference.Int32s, when: reference.Int64s) -> int:
    """How many pairs the ticks fire: each ticker touched in a bucket, times the strategies that watch it so."""
    number = {name: at for at, name in enumerate(NAMES)}
    watchers = {timeframe_ms: np.zeros(TICKERS, np.int64) for timeframe_ms in workload.TIMEFRAMES_MS}
    for timeframe_ms, universe in raw.values():
        watchers[timeframe_ms][[number[ticker] for ticker in universe]] += 1
    pairs = 0
    for timeframe_ms, by_ticker in watchers.items():
        touched = np.unique((when // timeframe_ms) * TICKERS + who)
        pairs += int(by_ticker[touched % TICKERS].sum())
    return pairs
