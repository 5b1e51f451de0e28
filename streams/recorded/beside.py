"""What comes to a shard beside its ticks, and when each shard took it: what a day is decided by."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from streams.core.events import Clock, Mode, Strategy, Tombstone
from streams.core.flags import Control
from streams.core.journal import Entry, Taking
from streams.core.journal import Placed as Standing
from streams.core.restore import Recovery
from streams.core.special_rows import Inputs, Position
from streams.core.turns import Turns
from streams.topic_names import CLOCK, CONTROLS, STRATEGY_CHANGES

TAKEN: Final = (STRATEGY_CHANGES, CONTROLS, CLOCK)
"""What shards take beside ticks. Turns are known from the start."""


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


class Start(NamedTuple):
    """How one shard stood at a checkpoint before the range; the ticks from there to the range fire nothing."""

    recovery: Recovery
    position: Position | None
    """None: it had seen nothing."""
    strategies: Sequence[Stands]
    controls: Sequence[Control]
    tells_from: int
    """The tick that the range begins with."""
    from_ms: int
    """And its time, where it begins with one: by that it is judged which clock records fire. NEVER: by ticks too."""

    @property
    def known(self) -> Inputs:
        """Up to where the inputs are in the strategies and controls, and in the state."""
        taken = self.position.inputs if self.position is not None else {}
        return {place: end for place, end in taken.items() if place[0] in TAKEN}


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
    starts: Mapping[int, Start] = {}
    """Of all shards, in place of what is said above of the start, where they begin with what changelogs hold."""

    def taking(self, shard: int) -> Taking[Event]:
        """What one shard takes as its ticks go by."""
        known = self.starts[shard].known if shard in self.starts else self.known
        return Taking(self.entries.get(shard, ()), self.others, known)


def of_strategies(strategies: Sequence[Strategy], default_mode: Mode) -> Beside:
    """Strategies that stay as they are, in a shard that is the only one."""
    return Beside(1, default_mode, [Stands(each) for each in strategies], [], {}, {}, {}, {})
