"""What a shard knows of one strategy."""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from streams.core.columns import Int32s
from streams.core.events import Mode, Status, Strategy
from streams.core.limits import NEVER
from streams.core.turns import Turn, Way, mode_in

NOBODY: Final[Int32s] = np.zeros(0, np.int32)
HELD_AS_NUMBERS: Final = frozenset({""})
"""Stands in an entry for a universe that is not empty; no universe has it."""


@dataclass(slots=True)
class Entry:
    """What the shard knows of one strategy. The universe is kept as numbers, of this shard's tickers only."""

    strategy: Strategy
    number: int
    universe_hash: int = 0
    own: Int32s = field(default_factory=lambda: NOBODY)
    """The version's universe."""
    before: Int32s = field(default_factory=lambda: NOBODY)
    """Where the version has emptied it: the universe of the version before, for as long as it decides by pairs."""
    universe: Int32s = field(default_factory=lambda: NOBODY)
    """The one that decides."""
    turn: Turn | None = None
    """What it decides under; None where it decides nothing."""
    by_pairs: bool = False
    as_whole: bool = False
    floor_ms: int = NEVER
    """The last bucket in which every ticker there is ran for it."""
    last_run_ms: int = NEVER
    """The last bucket in which it ran as a whole; kept up when it stops."""
    began_after_ms: int = NEVER
    """What its last trigger stood at when it began to decide as a whole, or when its runs were last remembered."""

    @property
    def mode(self) -> Mode:
        """How it is throttled at the moment."""
        return mode_in(self.turn.way if self.turn else Way.PAIRS, self.strategy)


def held(strategy: Strategy) -> Strategy:
    """The version as an entry has it: of its universe only whether it has one."""
    if not strategy.universe or strategy.universe is HELD_AS_NUMBERS:
        return strategy
    return replace(strategy, universe=HELD_AS_NUMBERS)


REMEMBERED: Final = 0
"""The version of a strategy of which only what it fired is known. No real version is 0."""


def remembered(strategy_id: str) -> Strategy:
    """What stands for one of which only what it fired is known."""
    return Strategy(strategy_id, "", version=REMEMBERED)


def before_of(entry: Entry | None, change: Strategy) -> Int32s:
    """The universe that a version goes on with by pairs, where it has none of its own."""
    if entry is None or change.universe or entry.strategy.status is not Status.ACTIVE:
        return NOBODY
    return entry.own if entry.strategy.universe else entry.before
