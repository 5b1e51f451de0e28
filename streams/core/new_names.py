"""Numbers for the tickers that a batch of values names for the first time."""

import numpy as np

from streams.core import kernel
from streams.core.columns import Bytes
from streams.core.decode import FAULT, UNKNOWN, Decoded
from streams.core.index import Index
from streams.core.tickers import TooManyTickersError


def number_new_names(index: Index, data: Bytes, out: Decoded) -> None:
    """Give a number to each ticker met for the first time that may move the price."""
    numbers: dict[bytes, tuple[int, int]] = {}
    new = np.flatnonzero((out.ticker == UNKNOWN) & (out.fault == FAULT.NONE) & (out.moves_price == 1))
    for i in new.tolist():
        start = int(out.name_start[i])
        name = data[start : start + int(out.name_length[i])].tobytes()
        if name not in numbers:
            numbers[name] = _number(index, name)
        out.ticker[i], out.fault[i] = numbers[name]
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
