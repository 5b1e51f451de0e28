"""What a shard took, in its order, out of topics that do not say so themselves: for whoever decides a day again.

Ticks stand in their order. When a change of a strategy or a clock record was taken among them is for the worker to
say, and it says so in the topic `journal`: from this tick on, so much of each other input was in force.

    in_order(ticks, entries, others)    # each event that the shard took, for an oracle
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Final, Generic, NamedTuple, TypeVar

from streams.core.limits import FOREVER
from streams.core.special_rows import NO_INPUTS, Inputs, Position

ORDER: Final = ("strategy-changes", "controls", "turns", "clock")
"""Of the topics that are taken between two ticks: those named first come first."""

Event = TypeVar("Event")
Placed = tuple[int, Event]
"""An event, behind the offset that it stands at."""


class Entry(NamedTuple):
    """One record of the journal."""

    next_offset: int
    """In the ticks: what is said holds from this one on."""
    inputs: Inputs


class Journal:
    """Knows what the journal of a shard says, and what is to be added."""

    def __init__(self, position: Position | None) -> None:
        self._next_offset = position.next_offset if position else 0
        self._inputs: Inputs = dict(position.inputs) if position else {}

    def entry(self, next_offset: int, inputs: Inputs) -> Entry | None:
        """What a checkpoint adds that comes to here; None where it took nothing but ticks."""
        entry = None if inputs == self._inputs else Entry(self._next_offset, dict(inputs))
        self._next_offset, self._inputs = next_offset, dict(inputs)
        return entry


class Taking(Generic[Event]):
    """What one shard takes beside its ticks, asked for as they go by.

    `others` holds partitions as `Position` names them, each in the order of its offsets. Up to `known` they are left
    out. Raises `ValueError` for entries that cannot follow each other.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        others: Mapping[tuple[str, int], Sequence[Placed[Event]]],
        known: Inputs = NO_INPUTS,
    ) -> None:
        self._entries, self._others, self._known = deque(entries), others, dict(known)
        self._last_offset = 0

    @property
    def next_offset(self) -> int:
        """Before this tick something may be taken; FOREVER: nothing more."""
        return self._entries[0].next_offset if self._entries else FOREVER

    def before(self, offset: int) -> Iterator[Event]:
        """What is taken before a tick, and was not told yet."""
        while self.next_offset <= offset:
            yield from self._taken(self._entries.popleft())

    def rest(self) -> Iterator[Event]:
        """What is taken behind the last tick."""
        while self._entries:
            yield from self._taken(self._entries.popleft())

    def _taken(self, entry: Entry) -> Iterator[Event]:
        """The events between what was known and what an entry says."""
        known = self._known
        behind = [place for place, offset in entry.inputs.items() if offset < known.get(place, 0)]
        if entry.next_offset < self._last_offset or behind:
            raise ValueError(f"the journal goes back at tick {entry.next_offset}: {behind or self._last_offset}")
        self._last_offset = entry.next_offset
        for place in sorted(entry.inputs, key=lambda each: (ORDER.index(each[0]), each[1])):
            events, start, end = self._others.get(place, ()), known.get(place, 0), entry.inputs[place]
            first, last = (bisect_left(events, offset, key=itemgetter(0)) for offset in (start, end))
            yield from (events[at][1] for at in range(first, last))
            known[place] = end


def in_order(
    ticks: Iterable[Placed[Event]],
    entries: Iterable[Entry],
    others: Mapping[tuple[str, int], Sequence[Placed[Event]]],
) -> Iterator[Event]:
    """Everything that one shard took, in the order it did; what stands behind the last entry was not taken."""
    taking = Taking(entries, others)
    for offset, event in ticks:
        yield from taking.before(offset)
        yield event
    yield from taking.rest()
