"""How the reader of a strategy file holds universes: as sets of names, or by the numbers of names.

Numbers take a twentieth of the memory, and who only puts strategies in force needs nothing else.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from streams.core.columns import Int32s
from streams.core.entry import HELD_AS_NUMBERS, NOBODY
from streams.entry_files.listed import Listed


class Universes(Protocol):
    """What the reader asks for."""

    @property
    def tickers(self) -> Mapping[str, object]:
        """All that were met."""

    @property
    def held(self) -> frozenset[str]:
        """What a strategy has for the universe that was taken last."""

    def meet(self, ticker: str) -> None:
        """Know a ticker from now on."""

    def take(self, tickers: list[Any] | Listed) -> int:
        """Take a universe; returns how many distinct tickers it has. KeyError, TypeError: one that was not met."""


class AsNames:
    """Sets of names: each name is one text, and equal universes are one set, however many strategies hold them."""

    def __init__(self) -> None:
        self.tickers: dict[str, str] = {}
        self.held: frozenset[str] = frozenset()
        self._known: dict[frozenset[str], frozenset[str]] = {}

    def meet(self, ticker: str) -> None:
        """Let it stand for itself."""
        self.tickers[ticker] = ticker

    def take(self, tickers: list[Any] | Listed) -> int:
        """Take it as a set."""
        universe = frozenset(map(self.tickers.__getitem__, tickers))
        self.held = self._known.setdefault(universe, universe)
        return len(universe)


class AsNumbers:
    """Numbers of names, in their order. A strategy says only whether it has a universe."""

    def __init__(self) -> None:
        self.tickers: dict[str, int] = {}
        self.numbers: Int32s = NOBODY
        """The universe that was taken last."""

    @property
    def held(self) -> frozenset[str]:
        """What stands for it."""
        return HELD_AS_NUMBERS if len(self.numbers) else frozenset()

    def meet(self, ticker: str) -> None:
        """Give it the next number."""
        self.tickers[ticker] = len(self.tickers)

    def take(self, tickers: list[Any] | Listed) -> int:
        """Take it as numbers, in order and each once."""
        if isinstance(tickers, Listed):
            numbers = tickers.called(self.tickers)
        else:
            numbers = np.fromiter(map(self.tickers.__getitem__, tickers), np.int32, len(tickers))
        numbers.sort()
        self.numbers = np.unique(numbers) if (numbers[1:] == numbers[:-1]).any() else numbers
        return len(self.numbers)
