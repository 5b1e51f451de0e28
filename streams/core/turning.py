"""A shard and its part in the agreement, put together: what it tells, how far it may go, and when it turns.

turning.take(told)                      # from the topic, between two steps
told = turning.tell()                   # for the next checkpoint
free = turning.free(ticks, begun=...)   # so many of them may be stepped; the others wait, or turn first
"""

from collections.abc import Iterable
from typing import NamedTuple

from streams.core.agreement import Agreement, Decision, Ledger, Told
from streams.core.limits import FOREVER, NEVER
from streams.core.shard import Shard, Ticks
from streams.core.tick_columns import reaches
from streams.core.turns import first_turn_ms
from streams.core.ways import first_in


class Free(NamedTuple):
    """How many ticks may be stepped, and what the next waits for."""

    ticks: int
    halted: bool
    """Other shards."""
    outran: bool = False
    """Rows that promise more time, see `promise.py`."""


def alone(shard: Shard) -> "Turning":
    """Of a shard that is the only one: it agrees with itself."""
    return Turning(shard, Agreement(0, 1, lambda _: True))


class Turning:
    """See the head of this file."""

    def __init__(self, shard: Shard, agreement: Agreement) -> None:
        self.shard, self.agreement, self._promised_ms = shard, agreement, NEVER
        self._lead_ms = 0
        """How far ahead it binds itself, see `lead.py`."""

    @property
    def decided_ms(self) -> int:
        """Up to here buckets may have been decided, by this owner or by one before it that went ahead of its rows."""
        return max(self.shard.stream_ms, self._promised_ms)

    @property
    def _bound_ms(self) -> int:
        return NEVER if self.decided_ms == NEVER else self.decided_ms + self._lead_ms

    def stand(self, ledger: Ledger, promised_ms: int = NEVER) -> None:
        """Take all that was told, and promised, before this shard was recovered; its strategies come after."""
        self.agreement.ledger, self._promised_ms = ledger, promised_ms
        self.agreement.bind(self._bound_ms)
        self._bind()
        for decision in ledger.decisions.values():
            self.shard.index.turn(decision.strategy_id, decision.turns)

    def take(self, told: Told) -> None:
        """Take what a shard has told, this one included: what comes again changes nothing."""
        if self.agreement.take(told, self._bound_ms):
            self._bind()
            self._turn([told])

    @property
    def has_to_tell(self) -> bool:
        """Whether a checkpoint should be made, though there may be no ticks."""
        return self.agreement.has_to_tell(self.shard.index.ways.unsettled)

    def tell(self, lead_ms: int = 0) -> list[Told]:
        """What goes out with the next checkpoint. It counts here from now on, and so does the lead."""
        self._lead_ms, ways = lead_ms, self.shard.index.ways
        told = self.agreement.tell({each: ways.wanted[each] for each in ways.unsettled}, self._bound_ms)
        self._bind()
        self._turn(told)
        return told

    def _bind(self) -> None:
        """Let the strategies know how far they are bound."""
        self.shard.index.ways.bounds = self.agreement.bound()

    def _turn(self, told: Iterable[Told]) -> None:
        for each in told:
            if isinstance(each, Decision):
                self.shard.index.turn(each.strategy_id, each.turns)

    @property
    def halts_at_ms(self) -> int:
        """No tick that brings stream time here may be taken yet; NEVER: none at all; FOREVER: any may."""
        stream_ms, index = self.shard.stream_ms, self.shard.index
        if self.decided_ms == NEVER and index.ways.unsettled:
            return NEVER
        halts_at_ms = FOREVER
        for strategy_id, bound_ms in index.ways.bounds.items():
            if strategy_id in index.ways.wanted:
                beyond_ms = first_in(index.rule_of(strategy_id), first_turn_ms(bound_ms))
                halts_at_ms = min(halts_at_ms, NEVER if beyond_ms <= stream_ms else beyond_ms)
        return halts_at_ms

    def free(self, ticks: Ticks, *, begun: bool, until_ms: int = FOREVER) -> Free:
        """How many ticks may be stepped as strategies are now, up to a stream time.

        Where none has begun yet, those strategies that are due turn.
        """
        ways, halts_at_ms, count = self.shard.index.ways, self.halts_at_ms, len(ticks.ticker)
        ahead = count if until_ms == FOREVER else reaches(ticks, until_ms + 1)
        if halts_at_ms == ways.due_ms == FOREVER:
            return Free(ahead, halted=False, outran=ahead < count)
        halt, first = reaches(ticks, halts_at_ms), reaches(ticks, NEVER)
        if not begun and first < min(halt, ahead):
            self.shard.index.reach(int(ticks.ts_ms[first]))
        end = min(halt, ahead, reaches(ticks, ways.due_ms))
        return Free(end, halted=end == halt < count, outran=end == ahead < min(halt, count))

    def told_why(self) -> str:
        """Why ticks wait, in words."""
        calls = self.agreement.ledger.open_calls()
        if not calls:
            strategy_id = min(self.shard.index.ways.unsettled, default="")
            return (
                f"strategies such as {strategy_id!r} are to decide in another way, and their home shards have not "
                "called for it; see that these move, and that all workers have the same PER_TICKER_THROTTLE"
            )
        count, shards = sum(len(call.called) for call in calls), ", ".join(map(str, self.agreement.missing()))
        named = f"{count} strategies are to decide in another way, {calls[0].called[0].strategy_id!r} among them"
        return f"{named}; it waits for shards {shards}"
