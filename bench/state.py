"""What a large shard costs: the memory of its state, and a strategy change while ticks keep flowing."""

import time
from collections.abc import Iterator
from typing import Final

import numpy as np

from bench.core import loaded_shard
from streams.core.events import Strategy
from streams.core.shard import Shard, Ticks
from streams.core.warm import warm_up
from streams.reference_data import load_conditions

TICKERS: Final = 10_000
STRATEGIES: Final = 10_000
TICKERS_OF_A_STRATEGY: Final = 100
TICKERS_OF_A_CHANGE: Final = 1_000
STEP_TICKS: Final = 6_000
STEPS: Final = 600
STEPS_PER_CHANGE: Final = 3
TIMEFRAMES: Final = ("1m", "5m", "15m", "1h", "1d")


def large_shard(rng: np.random.Generator) -> Shard:
    """10,000 strategies of 100 of 10,000 tickers each: a million pairs."""
    names = np.array([f"T{i:05d}" for i in range(TICKERS)])
    return loaded_shard(
        [
            Strategy(f"s{i:05d}", TIMEFRAMES[i % len(TIMEFRAMES)], frozenset(picked(rng, names, TICKERS_OF_A_STRATEGY)))
            for i in range(STRATEGIES)
        ]
    )


def picked(rng: np.random.Generator, names: "np.ndarray[tuple[int], np.dtype[np.str_]]", count: int) -> list[str]:
    """Some of the names."""
    found: list[str] = rng.choice(names, count, replace=False).tolist()
    return found


def flow(rng: np.random.Generator, shard: Shard) -> Iterator[Ticks]:
    """Steps of ticks of random tickers, a second of event time each."""
    moves = np.ones(STEP_TICKS, np.uint8)
    for second in range(STEPS):
        when = np.full(STEP_TICKS, 1_760_000_000_000 + 1000 * second) + np.arange(STEP_TICKS) // 6
        yield Ticks(rng.integers(0, shard.index.tickers.count, STEP_TICKS, np.int32), when, moves)


def report(seed: int) -> list[str]:
    """Fill the shard, let ticks flow, change strategies between the steps, and time both."""
    warm_up(load_conditions())
    rng = np.random.default_rng(seed)
    shard = large_shard(rng)
    names = np.array(shard.index.tickers.all_names())
    pairs = int(shard.index.columns.tickers.row_awake.sum())
    lines = [f"state: {TICKERS:,} tickers, {STRATEGIES:,} strategies, {pairs:,} pairs, seed {seed}"]
    lines.append(f"  columns, names and universes: {shard.index.nbytes / 1e6:.1f} MB (bound 64)")
    steps, changes = [], []
    for number, ticks in enumerate(flow(rng, shard)):
        if number % STEPS_PER_CHANGE == 0:
            universe = frozenset(picked(rng, names, TICKERS_OF_A_CHANGE))
            change = Strategy(f"s{number % 50:05d}", "1m", universe, version=2 + number)
            began = time.perf_counter()
            shard.change(change)
            changes.append(time.perf_counter() - began)
        began = time.perf_counter()
        shard.step(ticks)
        steps.append(time.perf_counter() - began)
    changed, stepped = np.array(changes) * 1e3, np.array(steps) * 1e3
    lines.append(
        f"  a change of {TICKERS_OF_A_CHANGE:,} tickers, in force: median {np.median(changed):.2f} ms, "
        f"p99 {np.quantile(changed, 0.99):.2f} ms, most {changed.max():.2f} ms (bound 50)"
    )
    lines.append(
        f"  a step of {STEP_TICKS:,} ticks meanwhile: median {np.median(stepped):.2f} ms, "
        f"p99 {np.quantile(stepped, 0.99):.2f} ms; {STEP_TICKS * len(steps) / stepped.sum() / 1e3:.2f} million ticks/s"
    )
    lines.append(f"  after them: {shard.index.nbytes / 1e6:.1f} MB")
    return lines
