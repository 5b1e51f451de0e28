"""The numbers that feeds give their trades: where some are missing, and where one is not above the one before. Pure."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.core.columns import Int32s, Int64s

NO_NUMBER: Final = -1


class Jumps(NamedTuple):
    """Where numbers of one ticker go on by more than one."""

    ticker: Int32s
    before: Int64s
    after: Int64s
    behind: int
    """How many numbers were not above the one before of their ticker."""

    @property
    def missing(self) -> int:
        """How many numbers they leave out."""
        return int((self.after - self.before - 1).sum(dtype=np.float64))


class Sequences:
    """The last number of each ticker; tickers are numbers themselves."""

    def __init__(self) -> None:
        self._last: Int64s = np.full(256, NO_NUMBER, np.int64)

    def look(self, ticker: Int32s, numbers: Sequence[int] | Int64s) -> Jumps:
        """Take the numbers of trades in their order; those without one say nothing."""
        number = np.asarray(numbers, np.int64)
        said: npt.NDArray[np.bool_] = number >= 0
        if not said.all():
            ticker, number = ticker[said], number[said]
        self._make_room(int(ticker.max(initial=0)))
        order = np.argsort(ticker, kind="stable")
        who, number = ticker[order], number[order]
        first = np.flatnonzero(np.diff(who, prepend=-1))
        before = np.empty_like(number)
        before[1:] = number[:-1]
        before[first] = self._last[who[first]]
        known = before >= 0
        jumps = np.flatnonzero(known & (number > before + 1))
        behind = int(np.count_nonzero(known & (number <= before)))
        if len(first):
            last = np.append(first[1:], len(who)) - 1
            self._last[who[last]] = number[last]
        return Jumps(who[jumps], before[jumps], number[jumps], behind)

    def _make_room(self, ticker: int) -> None:
        short = ticker + 1 - len(self._last)
        if short > 0:
            more = max(short, len(self._last))
            self._last = np.pad(self._last, (0, more), constant_values=NO_NUMBER)
