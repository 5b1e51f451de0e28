"""What comes in and what goes out, as small frozen records.

A strategy is one record too: its whole state, with a version. The latest version is the strategy;
nothing is edited in place.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Status(StrEnum):
    """Where a strategy stands in its life; `lifecycle` holds the legal moves."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    DELETED = "deleted"


class Mode(StrEnum):
    """How a strategy is throttled."""

    PER_TICKER = "per_ticker"
    """One fire a bucket for each ticker of the universe."""
    LEGACY = "legacy"
    """One fire a bucket for the whole strategy, universe given."""
    GLOBAL = "global"
    """One fire a bucket for the whole strategy, every ticker its universe."""


class Tick(NamedTuple):
    """One trade of one ticker, with the event's own time."""

    ticker: str
    ts_ms: int
    price: float = 0.0
    size: int = 0
    conditions: tuple[int, ...] = ()


class Clock(NamedTuple):
    """Moves stream time on where no tick does."""

    ts_ms: int


@dataclass(frozen=True, slots=True)
class Strategy:
    """One version of one strategy. An empty universe means every ticker."""

    strategy_id: str
    timeframe: str
    universe: frozenset[str] = frozenset()
    status: Status = Status.ACTIVE
    version: int = 1
    time_zone: str = "UTC"
    session: str = ""
    mode: Mode | None = None
    """PER_TICKER or LEGACY where the strategy asks for one; None takes the flag's."""
    coalesce_ms: int | None = None
    """How long fires may gather, in stream time; None takes the default's."""

    def mode_under(self, default: Mode) -> Mode:
        """The throttle that decides for this strategy, given the flag's."""
        if not self.universe:
            return Mode.GLOBAL
        return self.mode or default


class Tombstone(NamedTuple):
    """The end of a strategy. Behind it nothing is known of it any more, but for what it fired."""

    strategy_id: str


class Fire(NamedTuple):
    """The first tick of a pair in a bucket. `ticker` is empty where the whole universe runs."""

    strategy_id: str
    ticker: str
    bucket_ms: int
    ts_ms: int
    mode: Mode
