"""Which strategies are hidden: the last record of their key does not count, and compaction may leave just that one.

Whoever starts then knows nothing else, and comes to another strategy than those who read it all, or to none. So what
stands must be written behind it once more: `mended`. This follows from the log alone: a worker that has read all of it
knows what is hidden, and once the record is written, that is seen there too.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from streams.core.events import Strategy, Tombstone
from streams.core.lifecycle import problems

MOST_HIDDEN: Final = 10_000
"""More are not kept: who floods the topic with keys that never were does not fill the memory."""

ONE_MOVE: Final = 1
"""The very next version may be no legal move from a bad one; from the one behind it on, any is."""

ANYWAY_REFUSED: Final = 0
"""Stands for the version of a record that whoever reads it refuses, whatever else is known."""


class Hidden(NamedTuple):
    """What hides a strategy."""

    partition: int
    """Where its last record lies, and so where to write."""
    version: int
    """The highest that whoever meets its bad records alone takes for the strategy's."""
    seen: int
    """How many records have hidden something by then: tells one hiding from the next."""


class HiddenStrategies:
    """By id, in the order in which they were hidden last."""

    def __init__(self) -> None:
        self._hidden: dict[str, Hidden] = {}
        self._seen = 0

    def items(self) -> Iterator[tuple[str, Hidden]]:
        """All of them, as they are now."""
        return iter(list(self._hidden.items()))

    def get(self, strategy_id: str) -> Hidden | None:
        """What hides a strategy; None where nothing does."""
        return self._hidden.get(strategy_id)

    def hide(self, strategy_id: str, partition: int, bad: Strategy | None) -> str:
        """Note a record that does not count; `bad` is what it says, if anything. Returns whom this leaves out."""
        before, self._seen = self._hidden.pop(strategy_id, None), self._seen + 1
        version = ANYWAY_REFUSED if bad is None or problems(bad) else bad.version
        self._hidden[strategy_id] = Hidden(partition, max(version, before.version if before else 0), self._seen)
        if len(self._hidden) <= MOST_HIDDEN:
            return ""
        oldest = next(iter(self._hidden))
        del self._hidden[oldest]
        return oldest

    def show(self, counts: Strategy | Tombstone) -> None:
        """Note a record that counts, or repeats what does: behind it nothing is hidden, if it is high enough."""
        hidden = self._hidden.get(counts.strategy_id)
        if hidden and (isinstance(counts, Tombstone) or is_above(counts, hidden)):
            del self._hidden[counts.strategy_id]


def is_above(strategy: Strategy, hidden: Hidden) -> bool:
    """Whether a version counts for whoever reads it right behind what hides the strategy."""
    return hidden.version == ANYWAY_REFUSED or strategy.version > hidden.version + ONE_MOVE


def mended_version(standing: Mapping[str, Strategy], strategy_id: str, hidden: Hidden) -> int:
    """Under which version what stands is to be written behind what hides it; 0: as a tombstone, as nothing stands."""
    stands = standing.get(strategy_id)
    return 0 if stands is None else max(stands.version, hidden.version) + ONE_MOVE + 1
