"""What is saved where most tickers are quiet in most minutes, each figure beside what the systems before promised.

The market is one as they describe it. 1,000 strategies watch 40 tickers on average, most of them few and some of them
hundreds, and half of them look at each minute. Of 5,000 tickers a seventh trade in nine minutes of ten, twenty times a
minute; each of the others in one minute of ten, twice. So in a minute a fifth of a universe has news: they counted 50
tickers in a universe and a few of them updated, and put the work wasted on the rest at 90 %.

All in process, over the core: a broker adds the same to both sides. A checkpoint is 50 ms of the market's time, as a
shard makes them exactly once.
"""

import time
from collections.abc import Iterator
from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.timing import Candidate, Timing, in_turn, ratio
from streams.core.events import Mode, Strategy
from streams.core.executions import Executions
from streams.core.gathered import Step
from streams.core.shard import EVERY_TICKER, Fires, Shard, Ticks
from streams.core.warm import warm_up
from streams.reference_data import load_conditions

TICKERS: Final = 5_000
STRATEGIES: Final = 1_000
SIZES: Final = (5, 10, 20, 40, 60, 100, 200)
SIZE_SHARES: Final = (0.15, 0.2, 0.25, 0.15, 0.1, 0.1, 0.05)
TIMEFRAMES: Final = {"1m": 0.5, "5m": 0.25, "15m": 0.15, "1h": 0.1}
BUSY_SHARE: Final = 1 / 7
TRADES: Final = {True: (0.9, 20), False: (0.1, 2)}
"""Of busy tickers and of the others: the share of minutes in which they trade, and how often then."""

MINUTES: Final = 60
MINUTE_MS: Final = 60_000
START_MS: Final = 1_760_000_400_000 - 1_760_000_400_000 % 3_600_000
CHECKPOINT_MS: Final = 50
WINDOWS_MS: Final = (0, 100, 1_000, 5_000)
FRAME_MS: Final = {"1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000}

Int64s = npt.NDArray[np.int64]


class Market(NamedTuple):
    """Who watches what, and an hour of ticks in their order."""

    strategies: list[Strategy]
    names: list[str]
    who: npt.NDArray[np.int32]
    when: Int64s


class Ran(NamedTuple):
    """What an hour came to."""

    executions: int
    tickers: int
    """Summed over the executions."""
    evaluations: int


def report(seed: int, rounds: int) -> list[str]:
    """Run the hour in each way, and say it in lines."""
    warm_up(load_conditions())
    market = made(seed)
    universe = sum(len(each.universe) for each in market.strategies) / STRATEGIES
    quiet = 1 - share_of_minutes(market)
    hour_of = f"an hour of {TICKERS:,} tickers, {STRATEGIES:,} strategies of {universe:.0f}, {len(market.who):,} ticks"
    head = f"pattern: {hour_of}, seed {seed}; of all tickers and minutes {quiet:.0%} are quiet"
    return [head, *runs_saved(market), *windows_tried(market), *tracking_tried(market, rounds)]


def made(seed: int) -> Market:
    """The market of a seed."""
    rng = np.random.default_rng(seed)
    names = [f"Q{i:04d}" for i in range(TICKERS)]
    frames = rng.choice(list(TIMEFRAMES), STRATEGIES, p=list(TIMEFRAMES.values())).tolist()
    sizes = rng.choice(SIZES, STRATEGIES, p=SIZE_SHARES).tolist()
    strategies = [
        Strategy(f"s{i:04d}", frame, frozenset(names[at] for at in rng.choice(TICKERS, size, replace=False).tolist()))
        for i, (frame, size) in enumerate(zip(frames, sizes, strict=True))
    ]
    busy = rng.random(TICKERS) < BUSY_SHARE
    who, when = zip(*(minute_of_ticks(rng, busy, START_MS + m * MINUTE_MS) for m in range(MINUTES)), strict=True)
    return Market(strategies, names, np.concatenate(who), np.concatenate(when))


def minute_of_ticks(
    rng: np.random.Generator, busy: npt.NDArray[np.bool_], from_ms: int
) -> tuple[npt.NDArray[np.int32], Int64s]:
    """The ticks of one minute, at any moments in it."""
    often, seldom = TRADES[True], TRADES[False]
    trades = rng.random(TICKERS) < np.where(busy, often[0], seldom[0])
    counts = np.where(trades, 1 + rng.poisson(np.where(busy, often[1] - 1, seldom[1] - 1)), 0)
    who = np.repeat(np.arange(TICKERS, dtype=np.int32), counts)
    when = np.sort(rng.integers(from_ms, from_ms + MINUTE_MS, len(who)))
    return rng.permutation(who), when


def share_of_minutes(market: Market) -> float:
    """Of all tickers and minutes, how many had a tick."""
    return len(np.unique(market.when // MINUTE_MS * TICKERS + market.who)) / (TICKERS * MINUTES)


def pairs_with_news(market: Market) -> int:
    """Every (strategy, ticker, bucket) in which the ticker traded, counted apart from the core."""
    number, found = {name: at for at, name in enumerate(market.names)}, 0
    for frame, frame_ms in FRAME_MS.items():
        watchers = np.zeros(TICKERS, np.int64)
        for each in market.strategies:
            if each.timeframe == frame:
                watchers[[number[name] for name in each.universe]] += 1
        found += int(watchers[np.unique(market.when // frame_ms * TICKERS + market.who) % TICKERS].sum())
    return found


def shard_of(market: Market, mode: Mode = Mode.PER_TICKER, window_ms: int = 0, *, tracked: bool = True) -> Shard:
    """A shard with every strategy in force."""
    shard = Shard(load_conditions(), mode, tracked=tracked)
    shard.index.windows.default_ms = window_ms
    for strategy in market.strategies:
        shard.change(strategy)
    return shard


def checkpoints(market: Market, shard: Shard) -> Iterator[tuple[Ticks, Int64s]]:
    """The ticks of each checkpoint that has any, and their offsets."""
    numbers = shard.index.tickers.numbers(market.names)
    edges = np.arange(START_MS, START_MS + MINUTES * MINUTE_MS + CHECKPOINT_MS, CHECKPOINT_MS)
    ends = np.searchsorted(market.when, edges).tolist()
    for start, end in pairwise(ends):
        if end > start:
            who, when = numbers[market.who[start:end]], market.when[start:end]
            yield Ticks(who, when, np.ones(end - start, np.uint8)), np.arange(start, end, dtype=np.int64)


def hour(market: Market, shard: Shard) -> Ran:
    """Decide all of it, and make the executions."""
    executions, made, tickers = Executions(shard, "ticks", 0, 3), 0, 0
    whole = np.array([len(each.universe) for each in market.strategies])
    for ticks, offsets in checkpoints(market, shard):
        before_ms = shard.stream_ms
        fires = shard.step(ticks)
        tickers += tickers_of(fires, whole)
        at_once = shard.gathered.take(fires, Step(ticks, offsets, before_ms), shard.rank(), executions.room)
        shard.gathered.close_due(shard.stream_ms)
        made += executions.encode_gathered(shard.gathered.take_closed(shard.rank())).count
        made += executions.encode(at_once, offsets).count
    shard.gathered.close_due(START_MS + 2 * MINUTES * MINUTE_MS)
    made += executions.encode_gathered(shard.gathered.take_closed(shard.rank())).count
    return Ran(made, tickers, shard.counts["looks"])


def tickers_of(fires: Fires, whole: Int64s) -> int:
    """Tickers that are to be run: one for each pair, all of a universe for a whole strategy."""
    is_whole = fires.ticker == EVERY_TICKER
    return int(np.count_nonzero(~is_whole)) + int(whole[fires.strategy[is_whole]].sum())


def runs_saved(market: Market) -> list[str]:
    """Tickers run for each ticker's own sake, against whole universes."""
    wanted = pairs_with_news(market)
    legacy, per_ticker = (hour(market, shard_of(market, mode)) for mode in (Mode.LEGACY, Mode.PER_TICKER))
    missed = wanted - per_ticker.tickers
    saved = f"{1 - per_ticker.tickers / legacy.tickers:.0%} fewer (promised 60 to 80%)"
    return [
        f"  tickers run: legacy {legacy.tickers:,}, per ticker {per_ticker.tickers:,}: {saved}",
        f"    strategy, ticker and bucket with a trade: {wanted:,}; missed per ticker: {missed:,} (promised 0)",
    ]


def windows_tried(market: Market) -> list[str]:
    """How many executions that makes, with windows."""
    lines = ["  executions, by the coalescing window; the same tickers in each:"]
    tickers = set()
    for window_ms in WINDOWS_MS:
        ran = hour(market, shard_of(market, window_ms=window_ms))
        tickers.add(ran.tickers)
        lines.append(f"    {window_ms:>5,} ms: {ran.executions:9,}, of {ran.tickers / ran.executions:.1f} tickers each")
    assert len(tickers) == 1, "a window takes no pair away, and adds none"
    return lines


def tracking_tried(market: Market, rounds: int) -> list[str]:
    """What update tracking saves, and what it costs."""
    looks: dict[bool, int] = {}
    steps: dict[bool, list[float]] = {True: [], False: []}

    def candidate(*, tracked: bool) -> Candidate:
        def run(shard: Shard) -> None:
            for ticks, _ in checkpoints(market, shard):
                began = time.perf_counter()
                shard.step(ticks)
                steps[tracked].append(time.perf_counter() - began)
            looks[tracked] = shard.counts["looks"]

        return Candidate(lambda: shard_of(market, tracked=tracked), run)

    timings: dict[str, Timing] = in_turn({"on": candidate(tracked=True), "off": candidate(tracked=False)}, rounds)
    on, off = (1e6 * np.quantile(steps[tracked], (0.5, 0.99)) for tracked in (True, False))
    fewer = f"{1 - looks[True] / looks[False]:.2%} fewer (promised 80%)"
    less = f"{1 - 1 / ratio(timings['on'], timings['off']):.0%} less (promised half), median of {rounds} rounds"
    off_s, on_s = (median(timings[name].seconds) for name in ("off", "on"))
    return [
        f"  evaluations, pairs looked at: tracking off {looks[False]:,}, on {looks[True]:,}: {fewer}",
        f"    time of the steps of the hour, on one core: off {off_s:.2f} s, on {on_s:.2f} s: {less}",
        f"    a step: off {off[0]:.0f} µs, p99 {off[1]:.0f}; on {on[0]:.0f} µs, p99 {on[1]:.0f} (promised: no later)",
    ]
