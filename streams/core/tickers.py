"""Tickers by number: each name that a shard has met gets the next number, and keeps it."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Final

import numpy as np

from streams.core.columns import Int32s, column_bytes, grown
from streams.core.decode import UNKNOWN, Names, insert_name
from streams.core.limits import MAX_TICKER_BYTES, MAX_TICKERS

FIRST_SIZE: Final = 256


class TooManyTickersError(ValueError):
    """The shard holds as many tickers as it may."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} tickers in one shard; spread the topic over more partitions")


class Tickers:
    """Names to numbers, and back."""

    def __init__(self, limit: int = MAX_TICKERS) -> None:
        self.limit = limit
        self.count = 0
        self.by_name: dict[str, int] = {}
        self.used_bytes = 0
        self.names = Names(
            np.full(2 * FIRST_SIZE, UNKNOWN, np.int32),
            np.zeros(FIRST_SIZE, np.uint64),
            np.zeros(FIRST_SIZE, np.int64),
            np.zeros(FIRST_SIZE, np.int32),
            np.zeros(8 * FIRST_SIZE, np.uint8),
        )

    @property
    def nbytes(self) -> int:
        """What the table takes."""
        return column_bytes(self.names)

    def number(self, name: str) -> int:
        """The number of a name, the next free one where it is new."""
        number = self.by_name.get(name)
        return self._add(name) if number is None else number

    def numbers(self, names: Collection[str]) -> Int32s:
        """The numbers of several names, or an error and none of them new. New ones are numbered by their order."""
        try:
            return np.fromiter(map(self.by_name.__getitem__, names), np.int32, len(names))
        except KeyError:
            if self.count + len(set(names) - self.by_name.keys()) > self.limit:
                raise TooManyTickersError(self.limit) from None
            for name in sorted(names):
                self.number(name)
            return np.fromiter(map(self.by_name.__getitem__, names), np.int32, len(names))

    def numbers_if_room(self, names: Sequence[str]) -> Int32s:
        """The numbers of several names, new ones numbered as they come; UNKNOWN for those that find no room."""
        known = self.by_name
        with suppress(KeyError):  # all are known, as nearly always
            return np.fromiter(map(known.__getitem__, names), np.int32, len(names))
        numbers = np.fromiter((known.get(name, UNKNOWN) for name in names), np.int32, len(names))
        for at in np.flatnonzero(numbers == UNKNOWN).tolist():
            with suppress(TooManyTickersError):
                numbers[at] = self.number(names[at])
        return numbers

    def all_names(self) -> list[str]:
        """Every name, in the order of the numbers."""
        return list(self.by_name)

    def _add(self, name: str) -> int:
        text = np.frombuffer(name.encode(), np.uint8)
        if not 0 < len(text) <= MAX_TICKER_BYTES:
            raise ValueError(f"a ticker of {len(text)} bytes; the limits are 1 and {MAX_TICKER_BYTES}")
        if self.count == self.limit:
            raise TooManyTickersError(self.limit)
        number, start = self.count, self.used_bytes
        self.count, self.used_bytes = number + 1, start + len(text)
        names = self.names
        rehash = 2 * self.count > len(names.slots)
        slots = np.full(2 * len(names.slots), UNKNOWN, np.int32) if rehash else names.slots
        self.names = names = Names(
            slots,
            grown(names.keys, self.count, 0),
            grown(names.starts, self.count, 0),
            grown(names.lengths, self.count, 0),
            grown(names.arena, self.used_bytes, 0),
        )
        names.starts[number], names.lengths[number] = start, len(text)
        names.arena[start : self.used_bytes] = text
        for known in range(self.count) if rehash else (number,):
            insert_name(known, names)
        self.by_name[name] = number
        return number
