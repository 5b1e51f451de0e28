"""Ticks that come with a list of names, as those of a file do: their tickers by the shard's numbers.

The list is the caller's, and only ever grows. A name is looked up once; from then on it costs a look into a table.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from streams.core.columns import Int32s, grown
from streams.core.jit import letting_go
from streams.core.tickers import Tickers

UNASKED: Final = -2
ASKED: Final = -3


@letting_go
def look_up(name_of: Int32s, numbers: Int32s, asked: Int32s, ticker: Int32s) -> int:
    """The number of each tick's ticker; returns how many names have no number yet, and notes them as they come."""
    count = 0
    for i in range(len(name_of)):
        name = name_of[i]
        number = numbers[name]
        if number == UNASKED:
            number = numbers[name] = ASKED
            asked[count] = name
            count += 1
        ticker[i] = number
    return count


class Numbered:
    """The numbers of a list's names, as far as they were asked for."""

    def __init__(self, tickers: Tickers) -> None:
        self._tickers = tickers
        self._names: Sequence[str] = ()
        self._numbers = np.zeros(0, np.int32)

    def of(self, names: Sequence[str], name_of: Int32s) -> Int32s:
        """The number of each tick's ticker; UNKNOWN for those that find no room. New ones are numbered as they come."""
        if names is not self._names:
            self._names, self._numbers = names, np.zeros(0, np.int32)
        self._numbers = grown(self._numbers, len(names), UNASKED)
        ticker, asked = np.empty(len(name_of), np.int32), np.empty(min(len(names), len(name_of)), np.int32)
        count = look_up(name_of, self._numbers, asked, ticker)
        if count:
            new = asked[:count]
            self._numbers[new] = self._tickers.numbers_if_room([names[at] for at in new.tolist()])
            look_up(name_of, self._numbers, asked, ticker)
        return ticker
