"""What a shard took, in its order, out of topics that do not say so themselves: for whoever decides a day again.

Ticks stand in their order. When a change of a strategy or a clock record was taken among them is for the worker to
say, and it says so in the topic `journal`: from this tick on, so much of each other input was in force.

    in_order(ticks, entries, others)    # each event that the shard took, for an oracle
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from streams.core.special_rows import Inputs, Position

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


def in_order(
    ticks: Iterable[Placed[Event]],
    entries: Iterable[Entry],
    others: Mapping[tuple[str, int], Sequence[Placed[Event]]],
) -> Iterator[Event]:
    """Everything that one shard took, in the order it did. `others` holds partitions as `Position` names them.

    What stands behind the last entry was not taken. Raises `ValueError` for entries that cannot follow each other.
    """
    known: dict[tuple[str, int], int] = {}
    waiting, next_offset = list(entries), 0
    for offset, event in ticks:
        while waiting and waiting[0].next_offset <= offset:
            next_offset = _checked(waiting[0], next_offset, known)
            yield from _taken(waiting.pop(0), known, others)
        yield event
    for entry in waiting:
        next_offset = _checked(entry, next_offset, known)
        yield from _taken(entry, known, others)


def _checked(entry: Entry, next_offset: int, known: Inputs) -> int:
    """Where the entry stands in the ticks."""
    behind = [place for place, offset in entry.inputs.items() if offset < known.get(place, 0)]
    if entry.next_offset < next_offset or behind:
        raise ValueError(f"the journal goes back at tick {entry.next_offset}: {behind or next_offset}")
    return entry.next_offset


def _taken(
    entry: Entry, known: dict[tuple[str, int], int], others: Mapping[tuple[str, int], Sequence[Placed[Event]]]
) -> Iterator[Event]:
    """The events between what was known and what an entry says."""
    for place in sorted(entry.inputs, key=lambda each: (ORDER.index(each[0]), each[1])):
        start, end = known.get(place, 0), entry.inputs[place]
        yield from (event for offset, event in others.get(place, ()) if start <= offset < end)
        known[place] = end
