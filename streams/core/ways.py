"""The way each strategy of a shard decides: what it has turned to, when it turns next, and what it wants.

A strategy is *unsettled* where its version and the flags want another way than its last turn. A shard alone settles
that by itself, with a turn behind what it has decided; one among several leaves it to the agreement.
"""

from collections.abc import Mapping
from heapq import heappop, heappush
from typing import Final

from streams.core.events import Mode, Strategy
from streams.core.flags import NO_FLAGS
from streams.core.limits import FOREVER
from streams.core.timeframes import BucketRule, bucket_of
from streams.core.turns import UNTURNED, Turn, Turns, Way, first_turn_ms, next_turn_ms, turn_at, way_wanted, with_turn

NO_TURN: Final = FOREVER


class Ways:
    """Of all strategies of a shard."""

    def __init__(self, default_mode: Mode, *, alone: bool) -> None:
        self.default_mode, self._alone = default_mode, alone
        self.flags = NO_FLAGS
        self.turns: dict[str, Turns] = {}
        """Of those that have turned."""
        self.wanted: dict[str, Way] = {}
        """Of those that decide."""
        self.unsettled: set[str] = set()
        self.bounds: Mapping[str, int] = {}
        """Of those whose turn is called for and not decided: no bucket that starts behind this is anybody's yet."""
        self._due_ms: dict[str, int] = {}
        self._due: list[tuple[int, str]] = []
        """The same, the earliest first; what was overtaken is left in it until it comes up."""

    def turns_of(self, strategy_id: str) -> Turns:
        """Its turns, one at least."""
        return self.turns.get(strategy_id, UNTURNED)

    def want(self, strategy: Strategy, stream_ms: int) -> bool:
        """A version decides from now on, at a stream time; returns whether it has got another turn by that."""
        strategy_id = strategy.strategy_id
        wanted = way_wanted(strategy, self.flags.mode(strategy_id, self.default_mode))
        self.wanted[strategy_id] = wanted
        self._judge(strategy_id)
        if self._alone and strategy_id in self.unsettled:
            self.take(strategy_id, with_turn(self.turns_of(strategy_id), first_turn_ms(stream_ms), wanted))
            return True
        return False

    def stop(self, strategy_id: str) -> None:
        """It decides no more."""
        self.wanted.pop(strategy_id, None)
        self._due_ms.pop(strategy_id, None)
        self._judge(strategy_id)

    def take(self, strategy_id: str, turns: Turns) -> None:
        """These are its turns."""
        self.turns[strategy_id] = turns
        self._judge(strategy_id)

    def in_force(self, strategy_id: str, rule: BucketRule, now_ms: int) -> Turn | None:
        """The turn that it decides under at a time, if that is known; the next one is kept in mind."""
        turns, start_ms = self.turns_of(strategy_id), start_of(rule, now_ms)
        if start_ms > self.bounds.get(strategy_id, start_ms):
            self._due_ms.pop(strategy_id, None)
            return None
        coming_ms = next_turn_ms(turns, start_ms)
        if coming_ms is None:
            self._due_ms.pop(strategy_id, None)
        else:
            due_ms = self._due_ms[strategy_id] = first_in(rule, coming_ms)
            heappush(self._due, (due_ms, strategy_id))
        return turn_at(turns, start_ms)

    @property
    def due_ms(self) -> int:
        """When the next strategy turns; FOREVER where none does."""
        while self._due and self._due_ms.get(self._due[0][1]) != self._due[0][0]:
            heappop(self._due)
        return self._due[0][0] if self._due else NO_TURN

    def due_at(self, now_ms: int) -> list[str]:
        """The strategies whose turn has come; each is told once."""
        found = []
        while self.due_ms <= now_ms:
            found.append(heappop(self._due)[1])
            del self._due_ms[found[-1]]
        return found

    def _judge(self, strategy_id: str) -> None:
        wanted = self.wanted.get(strategy_id)
        if wanted is None or wanted is self.turns_of(strategy_id)[-1].way:
            self.unsettled.discard(strategy_id)
        else:
            self.unsettled.add(strategy_id)


def start_of(rule: BucketRule, ts_ms: int) -> int:
    """The start of the bucket that holds a time; where there is none, the time itself."""
    start, _ = bucket_of(rule, ts_ms)
    return ts_ms if start is None else start


def first_in(rule: BucketRule, turn_ms: int) -> int:
    """The first time whose bucket starts at or after a turn."""
    start, until = bucket_of(rule, turn_ms)
    return turn_ms if start is None or start == turn_ms else until
