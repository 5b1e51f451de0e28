"""A made-up market: ticks from a plan. Pure: seed and time stand in the plan, and nothing else decides.

    for ticks in parts(Plan(start_ms=...)):
        ...

The same plan gives the same ticks, however fast they are taken. So whoever has the plan can say later what was sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.core.columns import Int32s, Int64s

Floats = npt.NDArray[np.float64]

PART_TICKS: Final = 16_384
"""Ticks that are made at once. It is part of what a seed means: another number gives another market."""

MAX_TICKERS: Final = 100_000
SKEW: Final = 1.05
"""The ticker at place k trades in proportion to 1 / k ** SKEW: a few make most of the trades."""

CONDITIONS: Final = ((0, 14), (14, 41), (), (0,), (37,), (12, 37), (32,), (10,), (2,))
"""What stands on a trade. From the fifth on, the trade must not move the price."""

CONDITION_SHARES: Final = (0.40, 0.20, 0.20, 0.12, 0.05, 0.01, 0.01, 0.005, 0.005)

STEP: Final = 2e-4
"""Standard deviation of one step of the walk, as a share of the price."""

SHUFFLED_SHARE: Final = 0.02
SHUFFLED_MS: Final = 50
"""Ticks that arrive a little out of order, and by how much at most."""

LATE_SHARE: Final = 0.001
LATE_MEAN_MS: Final = 30_000
LATE_MOST_MS: Final = 600_000
"""Ticks that are late indeed: some belong to a bucket that is over."""

_NAME_LETTERS: Final = 26
_NAME_LENGTH: Final = 4
_NAME_STRIDE: Final = 77_773
"""Shares no factor with 26 ** 4, so that each number gets a name of its own."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that the ticks depend on."""

    start_ms: int
    """Event time of the first tick."""
    rate: float = 5_000.0
    """Ticks a second, as they are sent, once the opening is over."""
    seconds: float = 60.0
    tickers: int = 2_000
    seed: int = 7
    speed: float = 1.0
    """Seconds of the market that pass in one second."""
    opening_s: float = 3.0
    opening_times: float = 4.0
    """How many times the rate the market opens with, and for how long."""

    @property
    def total_ticks(self) -> int:
        """How many ticks there are."""
        return self.due_ticks(self.seconds)

    def due_ticks(self, elapsed_s: float) -> int:
        """How many are to be out after so long."""
        elapsed_s = max(0.0, min(elapsed_s, self.seconds))
        opening_s = min(elapsed_s, self.opening_s)
        return int(self.rate * (elapsed_s + (self.opening_times - 1) * opening_s))

    def moments_s(self, first: int, count: int) -> Floats:
        """When each of some ticks is due: what `due_ticks` says, turned round."""
        number = np.arange(first, first + count, dtype=np.float64)
        opening_ticks = self.rate * self.opening_times * self.opening_s
        in_opening = number / (self.rate * self.opening_times)
        return np.where(number < opening_ticks, in_opening, self.opening_s + (number - opening_ticks) / self.rate)


class Ticks(NamedTuple):
    """Ticks in columns, in the order they arrive."""

    ticker: Int32s
    """Its number; see `ticker_names`."""
    ts_ms: Int64s
    price: Floats
    size: Int32s
    conditions: npt.NDArray[np.integer]
    """Its place in `CONDITIONS`; of another feed's, the number that its encoder gave them."""


def ticker_names(count: int) -> list[str]:
    """The names of the first tickers: four letters each, all different."""
    assert 0 < count <= MAX_TICKERS
    return [_ticker_name(number) for number in range(count)]


def _ticker_name(number: int) -> str:
    left, letters = number * _NAME_STRIDE % _NAME_LETTERS**_NAME_LENGTH, ""
    for _ in range(_NAME_LENGTH):
        left, letter = divmod(left, _NAME_LETTERS)
        letters += chr(ord("A") + letter)
    return letters


def parts(plan: Plan) -> Iterator[Ticks]:
    """All ticks of a plan, some thousand at a time."""
    activity = np.cumsum(1 / np.arange(1, plan.tickers + 1) ** SKEW)
    activity /= activity[-1]
    log_price = np.random.default_rng([plan.seed]).normal(4.0, 0.8, plan.tickers)
    for number, first in enumerate(range(0, plan.total_ticks, PART_TICKS)):
        chance = np.random.default_rng([plan.seed, number])
        count = min(PART_TICKS, plan.total_ticks - first)
        ticks, log_price = _part(plan, activity, log_price, first, chance)
        yield Ticks._make(column[:count] for column in ticks)


def _part(
    plan: Plan, activity: Floats, log_price: Floats, first: int, chance: np.random.Generator
) -> tuple[Ticks, Floats]:
    """A whole part, so that the last one of a short plan is the beginning of that of a longer one."""
    ticker = np.searchsorted(activity, chance.random(PART_TICKS), side="right").astype(np.int32)
    path, log_price = walked(log_price, ticker, chance.normal(0.0, STEP, PART_TICKS))
    price = np.maximum(np.round(np.exp(path), 2), 0.01)
    size = (np.minimum(chance.exponential(2.0, PART_TICKS), 99).astype(np.int32) + 1) * 100
    shares = np.cumsum(CONDITION_SHARES)
    conditions = np.searchsorted(shares, chance.random(PART_TICKS) * shares[-1], side="right").astype(np.uint8)
    moments_ms = (plan.moments_s(first, PART_TICKS) * plan.speed * 1_000).astype(np.int64)
    ts_ms = np.maximum(plan.start_ms, plan.start_ms + moments_ms - _delays_ms(chance))
    return Ticks(ticker, ts_ms, price, size, conditions), log_price


def _delays_ms(chance: np.random.Generator) -> Int64s:
    """How much older than its place each tick is: mostly not at all."""
    luck = chance.random(PART_TICKS)
    shuffled = chance.integers(1, SHUFFLED_MS, PART_TICKS, endpoint=True)
    late = np.minimum(chance.exponential(LATE_MEAN_MS, PART_TICKS), LATE_MOST_MS).astype(np.int64)
    delays = np.where(luck < LATE_SHARE + SHUFFLED_SHARE, shuffled, 0)
    return np.where(luck < LATE_SHARE, late, delays)


def walked(value: Floats, who: Int32s, steps: Floats) -> tuple[Floats, Floats]:
    """Walk many values at once: the value of `who` after each step, and where all of them end."""
    order = np.argsort(who, kind="stable")
    walker, step = who[order], steps[order]
    first = np.flatnonzero(np.diff(walker, prepend=-1))
    risen = np.cumsum(step)
    of_those_before = np.repeat((risen - step)[first], np.diff(first, append=len(who)))
    path = np.empty_like(steps)
    path[order] = value[walker] + risen - of_those_before
    ends, last = value.copy(), np.append(first[1:], len(who)) - 1
    ends[walker[last]] = path[order[last]]
    return path, ends
