"""Made-up strategies for a made-up market: of all sizes, and of every kind there is. Pure, as the market is."""

from typing import Final

import numpy as np

from streams.core.events import Mode, Strategy

SIZES: Final = (3, 8, 25, 80, 250, 800, 1_500)
"""Tickers in a universe: all size classes that are counted. None is larger than the market."""

SIZE_SHARES: Final = (0.20, 0.20, 0.20, 0.18, 0.12, 0.07, 0.03)
TIMEFRAMES: Final = ("1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w")
TIMEFRAME_SHARES: Final = (0.30, 0.25, 0.15, 0.08, 0.10, 0.05, 0.05, 0.02)

EVERY_TICKER: Final = (50, 0)
LEGACY: Final = (20, 3)
SESSIONS: Final = (25, 2)
LOCAL_TIMES: Final = (10, 1)
"""Every how many strategies there is one of the kind, and which of them it is."""

SESSION: Final = "XNYS"
LOCAL_TIME: Final = "America/New_York"


def made_up_strategies(count: int, tickers: list[str], seed: int, *, sessions: bool) -> list[Strategy]:
    """So many strategies over these tickers; `sessions` says whether exchange calendars are there."""
    chance = np.random.default_rng([seed, count])
    return [_strategy(number, tickers, chance, sessions=sessions) for number in range(1, count + 1)]


def _strategy(number: int, tickers: list[str], chance: np.random.Generator, *, sessions: bool) -> Strategy:
    """One strategy; its number says of which kind it is."""
    timeframe = str(chance.choice(TIMEFRAMES, p=np.divide(TIMEFRAME_SHARES, sum(TIMEFRAME_SHARES))))
    size = min(int(chance.choice(SIZES, p=SIZE_SHARES)), len(tickers))
    picked = chance.choice(len(tickers), size, replace=False)
    return Strategy(
        f"s{number:05d}",
        timeframe,
        frozenset() if _is(number, EVERY_TICKER) else frozenset(tickers[at] for at in picked.tolist()),
        time_zone=LOCAL_TIME if _is(number, LOCAL_TIMES) else "UTC",
        session=SESSION if sessions and _is(number, SESSIONS) else "",
        mode=Mode.LEGACY if _is(number, LEGACY) else None,
    )


def _is(number: int, kind: tuple[int, int]) -> bool:
    each, which = kind
    return number % each == which
