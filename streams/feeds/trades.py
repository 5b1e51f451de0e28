"""Trades as feeds send them, on their way into ticks: times in ms, sizes whole, and what is refused. Pure.

A size is a whole number of 31 bits in `schemas/tick.avsc`, and exchanges of coins trade fractions: it is rounded down,
and cut off at the most there is. No rule looks at sizes; a trade left out for its size would be an alert lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from streams.core.columns import Int64s
from streams.core.conditions import ConditionTable
from streams.core.limits import MAX_TICKER_BYTES, MAX_TS_MS
from streams.feeds.encoded_ticks import TickEncoder
from streams.feeds.sequences import Jumps
from streams.feeds.synthetic import Ticks
from streams.kafka.bad_values import Reason

NS_FROM: Final = 10**17
"""From here on (March 1973) a time is one in ns. Times in ms end at `MAX_TS_MS`; what lies between is neither."""
NS_PER_MS: Final = 1_000_000
NO_TIME: Final = -1

MAX_KNOWN_TICKERS: Final = 1 << 20
MAX_KNOWN_CONDITIONS: Final = 1 << 14
"""Numbers that are given out before all are forgotten."""

MOST_SIZE: Final = (1 << 31) - 1
Codes = tuple[int, ...] | None

BAD_TIME: Final = Reason(
    "ts_out_of_range", "the time is neither in ms nor in ns, between 1973 and 2100", "ask the feed what its times are"
)
BAD_TICKER: Final = Reason(
    "bad_ticker", f"the ticker is empty, or has more than {MAX_TICKER_BYTES} bytes", "ask the feed what it names so"
)
MOST_GAPS: Final = 10
"""Of what is read at once, so many are named."""

NO_TICKS: Final = Ticks(
    np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int32), np.zeros(0, np.int32)
)


UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What a decoder raises for a message that is not as it should be."""


class UnansweredError(Exception):
    """The feed does not answer, or not now; another attempt may do."""


class Refused(NamedTuple):
    """Something that came and is no trade."""

    raw: bytes
    reason: Reason
    place: str


class Gap(NamedTuple):
    """Trades that are missing, or may be."""

    where: str
    start: str
    end: str
    missing: int
    """How many numbers are left out."""


class Read(NamedTuple):
    """What some messages hold."""

    ticks: Ticks
    refused: list[Refused]
    said: list[str]
    """What the feed says for people."""
    others: int
    """Events that are no trades, and do no harm."""
    resized: int = 0
    """Trades whose size was rounded or cut off."""
    repeated: int = 0
    """Trades that have come before, and are left out."""
    gaps: Sequence[Gap] = ()
    """Where numbers jump: the first few."""
    jumps: int = 0
    """How often they do in all."""
    missing: int = 0
    """How many numbers are left out."""
    behind: int = 0
    """Trades whose number is not above the one before."""


@dataclass(slots=True)
class Found:
    """What is found beside trades."""

    refused: list[Refused] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    others: int = 0

    def refuse(self, raw: bytes, reason: Reason, place: str) -> None:
        """Keep what is no trade."""
        self.refused.append(Refused(raw, reason, place))

    @property
    def read(self) -> Read:
        """This, and no trades."""
        return Read(NO_TICKS, self.refused, self.said, self.others)


class Columns(NamedTuple):
    """Trades side by side, as the feed says them."""

    tickers: Sequence[str]
    times: Sequence[int]
    prices: Sequence[float]
    sizes: Sequence[float]
    conditions: Sequence[Codes]


def in_ms(times: Int64s) -> Int64s:
    """Times in ms, those in ns rounded down; `NO_TIME` for what is neither."""
    ms = np.where(times >= NS_FROM, times // NS_PER_MS, times)
    known = (times >= 0) & ((times < MAX_TS_MS) | ((times >= NS_FROM) & (ms < MAX_TS_MS)))
    found: Int64s = np.where(known, ms, NO_TIME)
    return found


def whole_sizes(sizes: Sequence[float] | npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int32], int]:
    """Sizes rounded down and cut off, and how many that has changed."""
    exact = np.array(sizes, np.float64)
    whole = np.clip(np.floor(exact), 0, MOST_SIZE)
    return whole.astype(np.int32), int(np.count_nonzero(whole != exact))


def is_ticker(name: str) -> bool:
    """Whether it may be one."""
    try:
        return 0 < len(name.encode()) <= MAX_TICKER_BYTES
    except UnicodeEncodeError:  # half of a pair, which JSON can name
        return False


def unreadable(word: str, error: Exception) -> Reason:
    """What a decoder says of it."""
    return Reason(word, str(error) or type(error).__name__, "ask the feed what it sends there")


def knows_too_many(encoder: TickEncoder) -> bool:
    """Whether so many numbers are given out that all should be forgotten."""
    return len(encoder.names) > MAX_KNOWN_TICKERS or len(encoder.conditions) > MAX_KNOWN_CONDITIONS


def named_gaps(jumps: Jumps, encoder: TickEncoder) -> list[Gap]:
    """The first few, for people."""
    if not len(jumps.ticker):
        return []
    names = list(encoder.names)
    first = (column[:MOST_GAPS].tolist() for column in (jumps.ticker, jumps.before, jumps.after))
    return [
        Gap(names[ticker], f"number {before}", f"number {after}", after - before - 1)
        for ticker, before, after in zip(*first, strict=True)
    ]


def as_ticks(columns: Columns, encoder: TickEncoder) -> tuple[Ticks, int]:
    """Trades as ticks, those that have no proper time with `NO_TIME`; and how many sizes were changed."""
    size, resized = whole_sizes(columns.sizes)
    count = len(columns.tickers)
    ticker = np.fromiter(map(encoder.names.__getitem__, columns.tickers), np.int32, count)
    conditions = np.fromiter(map(encoder.conditions.__getitem__, columns.conditions), np.int32, count)
    ts_ms = in_ms(np.array(columns.times, np.int64))
    return Ticks(ticker, ts_ms, np.array(columns.prices, np.float64), size, conditions), resized


def relevant(ticks: Ticks, encoder: TickEncoder, table: ConditionTable) -> Ticks:
    """Those of them that may move the price, in their order."""
    used, codes = np.unique(ticks.conditions), list(encoder.conditions)
    moves = np.zeros(len(codes), np.bool_)
    moves[used] = [table.moves_price(codes[number] or ()) for number in used.tolist()]
    return Ticks._make(column[moves[ticks.conditions]] for column in ticks)
