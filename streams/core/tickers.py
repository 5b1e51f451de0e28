"""Tickers by number: each name that a shard has met gets the next number, and keeps it."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import accumulate
from typing import Final

import numpy as np

from streams.core.columns import Int32s, column_bytes, grown
from streams.core.decode import UNKNOWN, Names, insert_names
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
        return self._add([name]) if number is None else number

    def numbers(self, names: Collection[str]) -> Int32s:
        """The numbers of several names, or an error and none of them new. New ones are numbered by their order."""
        try:
            return np.fromiter(map(self.by_name.__getitem__, names), np.int32, len(names))
        except KeyError:
            new = sorted(set(names) - self.by_name.keys())
            if self.count + len(new) > self.limit:
                raise TooManyTickersError(self.limit) from None
            self._add(new)
            return np.fromiter(map(self.by_name.__getitem__, names), np.int32, len(names))

    def numbers_if_room(self, names: Sequence[str]) -> Int32s:
        """The numbers of several names, new ones numbered as they come; UNKNOWN for those that find no room."""
        known = self.by_name
        with suppress(KeyError):  # all are known, as nearly always
            return np.fromiter(map(known.__getitem__, names), np.int32, len(names))
        new = list(dict.fromkeys(name for name in names if name not in known))
        if room := max(self.limit - self.count, 0):
            self._add(new[:room])
        return np.fromiter((known.get(name, UNKNOWN) for name in names), np.int32, len(names))

    def all_names(self) -> list[str]:
        """Every name, in the order of the numbers."""
        return list(self.by_name)

    def _add(self, names: Sequence[str]) -> int:
        """Number names that are new, in their order, or none of them; returns the last number."""
        texts = [name.encode() for name in names]
        for text in texts:
            if not 0 < len(text) <= MAX_TICKER_BYTES:
                raise ValueError(f"a ticker of {len(text)} bytes; the limits are 1 and {MAX_TICKER_BYTES}")
        if self.count + len(texts) > self.limit:
            raise TooManyTickersError(self.limit)
        first, self.count = self.count, self.count + len(texts)
        starts = [*accumulate(map(len, texts), initial=self.used_bytes)]
        start, self.used_bytes = self.used_bytes, starts.pop()
        new, old = slice(first, self.count), self.names
        size = len(old.slots)
        while 2 * self.count > size:
            size *= 2
        rehash = size > len(old.slots)
        self.names = names_now = Names(
            np.full(size, UNKNOWN, np.int32) if rehash else old.slots,
            grown(old.keys, self.count, 0),
            grown(old.starts, self.count, 0),
            grown(old.lengths, self.count, 0),
            grown(old.arena, self.used_bytes, 0),
        )
        names_now.starts[new], names_now.lengths[new] = starts, [*map(len, texts)]
        names_now.arena[start : self.used_bytes] = np.frombuffer(b"".join(texts), np.uint8)
        insert_names(0 if rehash else first, self.count, names_now)
        self.by_name.update(zip(names, range(first, self.count), strict=True))
        return self.count - 1
