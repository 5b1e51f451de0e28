"""Each distinct strategy of all variants once, and which variant holds which.

Strategies decide independently of each other: what one fires follows from its definition and the ticks alone. So one
shard that holds each distinct definition decides every variant, and what two variants have in common is decided, put
in order and written once. A definition is a strategy as it stands in some variant, its mode settled.

They are numbered by the strategies' ids, then by the variants. So within one tick the fires of any one variant stand
in the order of its ids, as if it had been replayed alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from streams.core.events import Mode, Strategy
from streams.core.turns import Way, mode_in
from streams.replay.numbered_file import NumberedFile
from streams.replay.tick_columns import Int32s
from streams.replay.what_if import Variant


class Universes(NamedTuple):
    """Of each definition its tickers, by their places in a list of names."""

    names: Sequence[str]
    tickers: Sequence[Int32s]


def universes_of(strategies: Iterable[Strategy], own: Iterable[Int32s], number_of: Mapping[str, int]) -> Universes:
    """The tickers of each, as a shard has them by its numbers. Those that it did not keep are looked up by name."""
    number, found = dict(number_of), list[Int32s]()
    for strategy, kept in zip(strategies, own, strict=True):
        tickers = kept
        if len(kept) < len(strategy.universe):
            tickers = np.array([number.setdefault(each, len(number)) for each in sorted(strategy.universe)], np.int32)
        found.append(tickers)
    return Universes([*number], found)


class Definitions(NamedTuple):
    """Strategies by the number of their definition."""

    strategies: list[Strategy]
    held: list[Int32s]
    """By variant: the definition of each strategy, in the order of the ids."""
    universes: Universes | None = None
    """Their universes, where the strategies say only whether they have one; each in the order of the places."""

    @property
    def ids(self) -> list[str]:
        """The strategy's id of each."""
        return [strategy.strategy_id for strategy in self.strategies]

    @property
    def whole_modes(self) -> list[Mode]:
        """How each is throttled where it decides as a whole."""
        return [mode_in(Way.WHOLE, strategy) for strategy in self.strategies]


def as_they_are(strategies: Sequence[Strategy]) -> Definitions:
    """The strategies of a file, and no variants of them."""
    return Definitions(sorted(strategies, key=lambda strategy: strategy.strategy_id), [])


def as_read(file: NumberedFile) -> Definitions:
    """The same, with universes as numbers."""
    order = sorted(range(len(file.strategies)), key=lambda at: file.strategies[at].strategy_id)
    universes = Universes(file.names, [file.universes[at] for at in order])
    return Definitions([file.strategies[at] for at in order], [], universes)


def definitions_of(strategies: Sequence[Strategy], variants: Sequence[Variant]) -> Definitions:
    """The distinct definitions of all variants of the strategies."""
    gathered = _Gathered(strategies)
    rows = [gathered.row_of(variant) for variant in variants]
    places = np.array(gathered.places, np.int32)
    order = np.argsort(gathered.rank[places], kind="stable")
    number = np.empty(len(order), np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    by_id = np.argsort(gathered.rank)
    return Definitions([gathered.found[at] for at in order.tolist()], [number[row[by_id]] for row in rows])


class _Gathered:
    """Definitions as they come up, variant by variant."""

    def __init__(self, strategies: Sequence[Strategy]) -> None:
        self.strategies = strategies
        self.found: list[Strategy] = []
        self.places: list[int] = []
        """Of each found: where its strategy stands in the file."""
        ids = [strategy.strategy_id for strategy in strategies]
        self.rank = np.empty(len(ids), np.int32)
        self.rank[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids), dtype=np.int32)
        self._numbers: dict[Strategy, int] = {}
        self._unchanged: dict[tuple[int, Mode | None], int] = {}

    def row_of(self, variant: Variant) -> Int32s:
        """The definition of each strategy in a variant, in the order of the file."""
        row = np.empty(len(self.strategies), np.int32)
        for place, strategy in enumerate(self.strategies):
            mode = variant.mode_of(strategy)
            changed = variant.changed.get(place)
            if changed is not None:
                row[place] = self._number(place, changed, variant.mode_of(changed))
            elif (place, mode) in self._unchanged:
                row[place] = self._unchanged[place, mode]
            else:
                row[place] = self._unchanged[place, mode] = self._number(place, strategy, mode)
        return row

    def _number(self, place: int, strategy: Strategy, mode: Mode | None) -> int:
        settled = replace(strategy, mode=mode, version=1)
        number = self._numbers.setdefault(settled, len(self.found))
        if number == len(self.found):
            self.found.append(settled)
            self.places.append(place)
        return number
