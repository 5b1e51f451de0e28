"""What deviates between the tables and Redis: found by one look, and believed by a second.

While the system of old still writes, and the tables still move, much differs at any one moment. So a deviation counts
only if it is there at both looks, and if Redis has the same value both times; what somebody writes meanwhile is
`moving`, and no fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

Value = int | str
"""What an item holds: a time; for a member of a set, 1. Text is what is no number at all."""

MISSING: Final = "missing"
DIFFERENT: Final = "different"
LEFT_OVER: Final = "left over"
MOVING: Final = "moving"
KINDS: Final = (MISSING, DIFFERENT, LEFT_OVER, MOVING)


class Deviation(NamedTuple):
    """One item of one key. None: it is not there."""

    key: str
    item: str
    wanted: Value | None
    found: Value | None

    @property
    def kind(self) -> str:
        """What sort of deviation it is."""
        return MISSING if self.found is None else LEFT_OVER if self.wanted is None else DIFFERENT

    def __str__(self) -> str:
        wanted = "nothing" if self.wanted is None else self.wanted
        return f"{self.key} {self.item}: {'nothing' if self.found is None else self.found} instead of {wanted}"


def deviations(key: str, wanted: Mapping[str, Value], found: Mapping[str, Value]) -> list[Deviation]:
    """What one look at one key finds."""
    items = sorted(item for item in wanted.keys() | found.keys() if wanted.get(item) != found.get(item))
    return [Deviation(key, item, wanted.get(item), found.get(item)) for item in items]


def is_moving(first: Deviation, second: Deviation) -> bool:
    """Whether somebody has written the item between two looks, or is about to: the tables have moved towards it."""
    return first.found != second.found or (second.found is not None and first.wanted != second.wanted)


@dataclass
class Report:
    """What was found of one kind of key, and what became of it."""

    name: str
    equal: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    mended: int = 0
    examples: list[str] = field(default_factory=list)

    def noted(self, kind: str, deviation: Deviation, most_examples: int) -> None:
        """Count one."""
        self.counts[kind] += 1
        if kind != MOVING and len(self.examples) < most_examples:
            self.examples.append(f"{kind}: {deviation}")

    @property
    def left(self) -> int:
        """Deviations that still are."""
        return sum(self.counts.values()) - self.counts[MOVING] - self.mended

    def lines(self) -> list[str]:
        """For people."""
        found = ", ".join(f"{count} {kind}" for kind, count in self.counts.items())
        return [f"{self.name}: {self.equal} equal, {found}; {self.mended} mended", *(f"  {e}" for e in self.examples)]
