"""Pairs that come to the rows: of strategies that begin to decide by them, and of one that has run as a whole.

Compiled code is called once for many strategies: what a call costs, with all its columns, is most of what a strategy
with some hundred tickers would cost by itself.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate

import numpy as np

from streams.core import kernel, rows
from streams.core.columns import Columns
from streams.core.entry import Entry


class Waking:
    """Of one shard. Columns come in and go out with how much of the pairs is used."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        """By number. They decide by pairs that have still to be woken."""
        self.pairs = 0
        """How many these are."""
        self._waits = False
        self._new_from = 0
        """Strategies with this number and above have no pairs yet."""

    @property
    def is_due(self) -> bool:
        """Whether there is something to wake, and more is not to come."""
        return bool(self._entries) and not self._waits

    def holds(self, entry: Entry) -> bool:
        """Whether it has still to be woken."""
        return entry.number in self._entries

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is added within is due at the end."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False

    def have_pairs(self, strategies: int) -> None:
        """So many strategies may have pairs."""
        self._new_from = strategies

    def add(self, entry: Entry) -> None:
        """Its universe has still to be woken."""
        self._entries[entry.number] = entry
        self.pairs += len(entry.universe)

    def wake(self, columns: Columns, used: int, strategies: int) -> tuple[Columns, int]:
        """Let all pairs that were added fire, in buckets after the last in which every ticker ran."""
        entries, self._entries, self.pairs = [*self._entries.values()], {}, 0
        if not entries:
            return columns, used
        new_from, placing = self._new_from, placing_of(entries)
        columns, used = self._with_room(columns, used, placing, strategies)
        floor = np.array([entry.floor_ms for entry in entries], np.int64)
        groups = (columns.tickers, columns.pairs, columns.strategies)
        return columns, rows.wake(*groups, placing, floor, new_from, used)

    def mark(self, columns: Columns, used: int, entry: Entry, bucket_ms: int, strategies: int) -> tuple[Columns, int]:
        """Remember that the tickers of a strategy ran in a bucket."""
        new_from, placing = self._new_from, placing_of([entry])
        columns, used = self._with_room(columns, used, placing, strategies)
        return columns, rows.mark(columns.tickers, columns.pairs, placing, bucket_ms, new_from, used)

    def _with_room(self, columns: Columns, used: int, placing: rows.Placing, strategies: int) -> tuple[Columns, int]:
        """The rows may change: what is counted of them as a whole is counted before, and there is room."""
        kernel.count_late_where_any(columns, placing.which)
        columns, used = rows.with_room(columns, used, placing, self._new_from)
        self._new_from = strategies
        return columns, used


def placing_of(entries: Sequence[Entry]) -> rows.Placing:
    """The pairs of strategies with the universes that decide."""
    universes, numbers = [entry.universe for entry in entries], [entry.number for entry in entries]
    which = universes[0] if len(universes) == 1 else np.concatenate(universes)
    ends = np.array([*accumulate(map(len, universes))], np.int64)
    return rows.Placing(which, ends, np.array(numbers, np.int32))
