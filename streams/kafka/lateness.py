"""Says what a worker waits for, once it takes long: until it is ready, and where a shard that has ticks does not move.

What goes wrong mostly says so by itself. This is for what does not: a rebalance that does not end, an answer that does
not come. It goes by the clock that is handed in.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from streams.instruments import ShardStatus

LATE_S: Final = 15.0
"""A million pairs are recovered in five seconds, and a rebalance waits for the slowest of the group for about ten."""


class Seen(Protocol):
    """What is looked at: all shards of a worker."""

    ready: bool
    waits_for: str

    @property
    def shards(self) -> Sequence[ShardStatus]:
        """How each stands."""


class Standstill(NamedTuple):
    """Something that has not moved."""

    at: int
    since_s: float
    say_at_s: float


class Lateness:
    """Looks now and then, and remembers since when something stands still."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._standing: dict[str, Standstill] = {}

    def look(self, now_s: float) -> list[str]:
        """What stands still for long, in words; again when it has taken twice as long."""
        before, self._standing, said = self._standing, {}, []
        for who, at, why in self._waiting():
            stands = before.get(who)
            if stands is None or stands.at != at:
                stands = Standstill(at, now_s, now_s + LATE_S)
            if now_s >= stands.say_at_s:
                waited_s = now_s - stands.since_s
                said.append(f"{who} for {waited_s:.0f} s: {why}")
                stands = stands._replace(say_at_s=stands.since_s + 2 * waited_s)
            self._standing[who] = stands
        return said

    def _waiting(self) -> Iterator[tuple[str, int, str]]:
        """Who waits, where it stands, and what is known of it."""
        if not self._seen.ready:
            yield "the worker has not been ready", 0, f"it waits for {self._seen.waits_for}"
            return
        for status in self._seen.shards:
            if status.lag:
                told = status.reason or "nothing has been heard of a failure"
                what = f"it is {status.state} at {status.position} of {status.end}; {told}"
                yield f"shard {status.partition} has not moved", status.position, what
