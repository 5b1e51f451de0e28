"""Numbers for the tickers that a batch of values names for the first time."""

from typing import Final

import numpy as np

from streams.core import kernel
from streams.core.columns import Bytes
from streams.core.decode import FAULT, UNKNOWN, Decoded, find_again
from streams.core.index import Index
from streams.core.tickers import TooManyTickersError

AT_ONCE: Final = 1 << 10
"""Values that are looked at one by one; what has a number after those is found by compiled code."""


def number_new_names(index: Index, data: Bytes, out: Decoded, *, every: bool = False) -> None:
    """Give a number to each ticker met for the first time that may move the price, or to every one."""
    numbers: dict[bytes, tuple[int, int]] = {}
    new = np.flatnonzero((out.ticker == UNKNOWN) & (out.fault == FAULT.NONE) & (every | (out.moves_price == 1)))
    while len(new):
        for i in new[:AT_ONCE].tolist():
            start = int(out.name_start[i])
            name = data[start : start + int(out.name_length[i])].tobytes()
            if name not in numbers:
                numbers[name] = _number(index, name)
            out.ticker[i], out.fault[i] = numbers[name]
        new = new[AT_ONCE:]
        find_again(data, new, index.tickers.names, out)
        new = new[out.ticker[new] == UNKNOWN]
    out.ticker[out.fault != FAULT.NONE] = kernel.NO_TICK


def _number(index: Index, name: bytes) -> tuple[int, int]:
    """The number of a ticker; or why it has none here."""
    owns = index.owns
    try:
        ticker = name.decode()
        if owns is not None and not owns(ticker):
            return UNKNOWN, FAULT.WRONG_PARTITION  # its pairs are in another shard: here it would fire nothing
        return index.tickers.number(ticker), FAULT.NONE
    except UnicodeDecodeError:
        return UNKNOWN, FAULT.TICKER_NOT_UTF8
    except TooManyTickersError:
        return UNKNOWN, FAULT.TOO_MANY_TICKERS
