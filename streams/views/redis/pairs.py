"""The last bucket of every pair as columns, and which of them Redis does not hold yet.

A pair is one number: the strategy in the upper half and the ticker in the lower, so that in ascending order those of
a strategy lie together. A pair takes 17 bytes. A bucket only ever rises: runs of rows may come twice, in any order.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from streams.core.columns import Int32s, Int64s

Bools = npt.NDArray[np.bool_]

MOST_PAIRS: Final = 1 << 26
"""Beyond this the view ends with words rather than with the memory of the machine."""

_TICKER_BITS: Final = 32
_TICKER_MASK: Final = (1 << _TICKER_BITS) - 1


class TooManyPairsError(Exception):
    """The tables are larger than a view can be."""

    def __init__(self) -> None:
        super().__init__(f"more than {MOST_PAIRS} pairs of strategy and ticker; follow fewer shards by one view")


class Pairs:
    """Sorted by strategy and ticker."""

    def __init__(self) -> None:
        self.numbers: Int64s = np.empty(0, np.int64)
        self.bucket_ms: Int64s = np.empty(0, np.int64)
        self.to_write: Bools = np.empty(0, np.bool_)

    def __len__(self) -> int:
        return len(self.numbers)

    def put(self, strategy: Int32s, ticker: Int64s, bucket_ms: Int64s, to_write: Bools) -> None:
        """Take last buckets, of each pair one; where `to_write` is false, Redis holds them already."""
        numbers = strategy.astype(np.int64) << _TICKER_BITS | ticker
        order = np.argsort(numbers)
        numbers, bucket_ms, to_write = numbers[order], bucket_ms[order], to_write[order]
        assert (numbers[1:] > numbers[:-1]).all(), "a row holds a strategy once, and a ticker has one row"
        at = np.searchsorted(self.numbers, numbers)
        there = np.zeros(len(numbers), np.bool_)
        inside = at < len(self.numbers)
        there[inside] = self.numbers[at[inside]] == numbers[inside]
        risen = np.flatnonzero(there)[bucket_ms[there] > self.bucket_ms[at[there]]]
        self.bucket_ms[at[risen]] = bucket_ms[risen]
        self.to_write[at[risen]] |= to_write[risen]
        new = ~there
        if new.any():
            if len(self) + int(new.sum()) > MOST_PAIRS:
                raise TooManyPairsError
            self.numbers = np.insert(self.numbers, at[new], numbers[new])
            self.bucket_ms = np.insert(self.bucket_ms, at[new], bucket_ms[new])
            self.to_write = np.insert(self.to_write, at[new], to_write[new])

    def of(self, strategy: int) -> slice:
        """Where those of a strategy lie."""
        bounds = np.array([strategy, strategy + 1], np.int64) << _TICKER_BITS
        first, end = np.searchsorted(self.numbers, bounds).tolist()
        return slice(first, end)

    def strategies(self, which: Int64s) -> Int64s:
        """The strategy of each of some pairs."""
        return self.numbers[which] >> _TICKER_BITS

    def tickers(self, which: Int64s) -> Int64s:
        """The ticker of each."""
        return self.numbers[which] & _TICKER_MASK
