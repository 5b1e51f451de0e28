"""What comes to a shard beside its ticks, and when each shard took it: what a day is decided by."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from streams.core.events import Clock, Mode, Strategy, Tombstone
from streams.core.flags import Control
from streams.core.journal import Entry, Taking
from streams.core.journal import Placed as Standing
from streams.core.special_rows import Inputs
from streams.core.turns import Turns


class Stands(NamedTuple):
    """A strategy's version that counts, or its tombstone."""

    stands: Strategy | Tombstone
    before: frozenset[str] = frozenset()
    """What a version that has emptied the universe goes on with by pairs, until it turns."""

    @property
    def strategy_id(self) -> str:
        """Whose it is."""
        return self.stands.strategy_id


Event = Stands | Control | Clock
Others = Mapping[tuple[str, int], Sequence[Standing[Event]]]
"""By topic, its name without the prefix, and partition: what came later than the start, behind its offset."""


class Beside(NamedTuple):
    """All that the ticks of a range of topics were decided by."""

    shards: int
    """Partitions of the ticks."""
    default_mode: Mode
    strategies: Sequence[Stands]
    """As every shard had them at the start."""
    controls: Sequence[Control]
    """The same."""
    turns: Mapping[str, Turns]
    """Of each strategy that has turned, all that are known."""
    known: Inputs
    """Up to where the inputs are in the strategies and controls."""
    others: Others
    entries: Mapping[int, Sequence[Entry]]
    """By shard: from which tick on it had taken how much."""

    def taking(self, shard: int) -> Taking[Event]:
        """What one shard takes as its ticks go by."""
        return Taking(self.entries.get(shard, ()), self.others, self.known)


def of_strategies(strategies: Sequence[Strategy], default_mode: Mode) -> Beside:
    """Strategies that stay as they are, in a shard that is the only one."""
    return Beside(1, default_mode, [Stands(each) for each in strategies], [], {}, {}, {}, {})
