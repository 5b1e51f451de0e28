"""Strategies by id, each universe packed: a million tickers in universes take megabytes here, and a hundred as sets."""

import marshal
from collections.abc import Iterator, MutableMapping
from dataclasses import replace
from typing import NamedTuple

from streams.core.events import Status, Strategy


class Packed(NamedTuple):
    """One strategy."""

    bare: Strategy
    """Without its universe."""
    universe: bytes
    size: int


class PackedStrategies(MutableMapping[str, Strategy]):
    """A mapping as any other; what is read is made anew each time."""

    def __init__(self) -> None:
        self._packed: dict[str, Packed] = {}

    def __getitem__(self, strategy_id: str) -> Strategy:
        packed = self._packed[strategy_id]
        universe = frozenset(marshal.loads(packed.universe))  # noqa: S302 - only this module has written it
        return replace(packed.bare, universe=universe)

    def __setitem__(self, strategy_id: str, strategy: Strategy) -> None:
        universe = marshal.dumps(sorted(strategy.universe))
        self._packed[strategy_id] = Packed(replace(strategy, universe=frozenset()), universe, len(strategy.universe))

    def __delitem__(self, strategy_id: str) -> None:
        del self._packed[strategy_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    def version(self, strategy_id: str) -> int:
        """Which stands of a strategy; 0 where there is none."""
        packed = self._packed.get(strategy_id)
        return packed.bare.version if packed else 0

    def active_sizes(self) -> list[int]:
        """How many tickers each active strategy watches; 0 stands for every ticker."""
        return [packed.size for packed in self._packed.values() if packed.bare.status is Status.ACTIVE]
