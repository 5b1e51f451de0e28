"""The marker: who follows, and up to where the topics are in Redis. Each transaction of the view rewrites it.

So it is as old as what stands beside it, whatever happens to Redis. Gone: Redis was flushed, or came back empty. Older
than the one that was written last: a failover or an old snapshot has lost some. Another's: somebody else follows.
A transaction counts only if the marker is still the one that was read before it; two who follow cannot write past each
other, and what a frozen Redis carries out late is either in order or nothing.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

Positions = Mapping[tuple[str, int], int]
"""Up to which offset each partition has been read, by kind of topic and number."""


class Marker(NamedTuple):
    """What the key holds."""

    view_of: str
    """The environment whose topics are followed."""
    run: str
    """Who follows; empty where it has ended in good order."""
    step: int
    positions: Positions
    """Up to where all is in Redis; none while it is filled anew."""

    def encoded(self) -> bytes:
        """As it is written."""
        positions = {f"{kind}/{partition}": offset for (kind, partition), offset in sorted(self.positions.items())}
        told: dict[str, Any] = {"view_of": self.view_of, "run": self.run, "step": self.step, "positions": positions}
        return json.dumps(told).encode()

    @classmethod
    def read(cls, text: bytes | None) -> Self | None:
        """Read it; one that cannot be read is none."""
        if text is None:
            return None
        try:
            told = json.loads(text)
            positions = {_place(name): int(offset) for name, offset in told["positions"].items()}
            return cls(str(told["view_of"]), str(told["run"]), int(told["step"]), positions)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def covers(self, positions: Positions) -> bool:
        """Whether all up to there is in Redis."""
        return all(self.positions.get(place, 0) >= offset for place, offset in positions.items())


def _place(name: str) -> tuple[str, int]:
    kind, _, partition = name.rpartition("/")
    return kind, int(partition)
