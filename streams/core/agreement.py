"""How the shards come to know the same turns, none of them too late. What they tell each other stands on one topic.

1. **Call.** The home shard of a strategy that is unsettled calls for its turn, many strategies in one call. A home has
   one call open at a time; its calls count up.
2. **Note.** Every shard answers each open call with a note, written in the transaction of a checkpoint. It says a
   *bound*: the stream time of the shard when it came to know of the call, or a later time (`lead.py`). From then on,
   and until the turns are decided, the shard decides no bucket of these strategies that starts behind its bound. Where
   its ticks come to such a bucket, they wait.
3. **Decision.** Once the home has the notes of all shards it decides, in one transaction: `turn_ms` of each strategy
   called is the newest bound and one, and the call is closed.

Why a bucket has one way. Let a turn be decided for T. Each shard had noted a bound below T before. What it had decided
by then started at or before its stream time, so before T; what it decided from then on until it knew of T started at
or before its bound, so before T too. Before it knew of T it went by the turns before, and those are still the turns
of the buckets before T. So no shard ever decides a bucket in another way than the turns say that all know in the end.

Why it ends. A call is open until its home decides, and a home decides as soon as all have noted. A shard that waits at
its bound takes calls and decisions all the same, and has noted. Whoever recovers reads the topic to its end before its
first tick: an own note binds it as before, and a home that finds its own call open goes on with it. A note or decision
of an owner that was shut out is part of a transaction that never came to be. What a home calls for follows from its
own versions and flags alone, so it does not matter in which order others take these, or whether compaction shows
them all; a home that has changed its mind closes its call and opens the next.

At least once, executions go out before what is told with them. So there the stream time of a bound is that of the
rows' promise, where a shard that was recovered has not come so far, see `promise.py`; and who decides knows all notes
from the topic, so that a decision that is lost is made again for the same time.

A shard that has not had a tick yet and knows of an unsettled strategy waits for it before its first one: so a topic
that is read from its start is decided in the ways that were wanted from the start.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from streams.core.limits import MAX_TURNS_CALLED
from streams.core.turns import UNTURNED, Turns, Way, first_turn_ms, with_turn


class Called(NamedTuple):
    """One strategy's turn that is called for."""

    strategy_id: str
    way: Way


class Call(NamedTuple):
    """What a home wants to be agreed on; nothing, where its call is closed."""

    home: int
    number: int
    called: tuple[Called, ...]


class Note(NamedTuple):
    """A shard's answer to a call."""

    home: int
    number: int
    shard: int
    bound_ms: int


class Decision(NamedTuple):
    """The turns of one strategy, the new one last."""

    strategy_id: str
    number: int
    """Of the call that it decides."""
    turns: Turns


Told = Call | Note | Decision
"""What shards tell each other."""


def age(told: Told) -> tuple[int, bool]:
    """What is newer has a higher one. A call is closed after it was opened."""
    return told.number, isinstance(told, Call) and not told.called


def put_newer(known: dict[Any, Any], key: object, told: Told) -> bool:
    """Keep what was told, unless something as new is known; returns whether it was kept."""
    if key in known and age(known[key]) >= age(told):
        return False
    known[key] = told
    return True


class Ledger:
    """What was told so far. The last of each kind and key counts, as the topic is compacted."""

    def __init__(self) -> None:
        self.calls: dict[int, Call] = {}
        """By home."""
        self.notes: dict[tuple[int, int], Note] = {}
        """By home and shard."""
        self.decisions: dict[str, Decision] = {}
        """By strategy."""

    def take(self, told: Told) -> bool:
        """Take what was told, unless it is older than what is known: a shard knows its own before it reads it."""
        match told:
            case Call():
                return put_newer(self.calls, told.home, told)
            case Note():
                return put_newer(self.notes, (told.home, told.shard), told)
            case Decision():
                return put_newer(self.decisions, told.strategy_id, told)

    def number(self, home: int) -> int:
        """Of the last call of a home; 0 where there is none."""
        return self.calls[home].number if home in self.calls else 0

    def open_calls(self) -> list[Call]:
        """Those that are not decided."""
        return [call for _, call in sorted(self.calls.items()) if call.called]

    def noted(self, call: Call) -> dict[int, int]:
        """The bounds of those that have answered, by shard."""
        found = (note for note in self.notes.values() if (note.home, note.number) == (call.home, call.number))
        return {note.shard: note.bound_ms for note in found}

    def copied(self) -> "Ledger":
        """One that goes on by itself."""
        other = Ledger()
        other.calls, other.notes, other.decisions = dict(self.calls), dict(self.notes), dict(self.decisions)
        return other


class Agreement:
    """One shard's part in it."""

    def __init__(
        self,
        shard: int,
        shards: int,
        is_home: Callable[[str], bool],
        ledger: Ledger | None = None,
        *,
        sends_ahead: bool = False,
    ) -> None:
        """Make one that knows a ledger. One that `sends_ahead` lets executions out before what it tells with them."""
        self.shard, self.shards, self._is_home, self._sends_ahead = shard, shards, is_home, sends_ahead
        self.ledger = Ledger() if ledger is None else ledger
        self.bounds: dict[int, Note] = {}
        """Of each home whose call is open, what this shard has noted or is to note."""

    def take(self, told: Told, stream_ms: int) -> bool:
        """Take what was told, at a stream time; False where it is not new. Turns are the caller's to put in force."""
        is_new = self.ledger.take(told)
        self.bind(stream_ms)
        return is_new

    def bind(self, stream_ms: int) -> None:
        """Let each open call bind this shard: as it has noted, or from this stream time on."""
        before, self.bounds = self.bounds, {}
        for call in self.ledger.open_calls():
            known = (self.ledger.notes.get((call.home, self.shard)), before.get(call.home))
            fresh = Note(call.home, call.number, self.shard, stream_ms)
            self.bounds[call.home] = next((note for note in known if note and note.number == call.number), fresh)

    def has_to_tell(self, unsettled: Collection[str]) -> bool:
        """Whether `tell` would tell something."""
        if any(self._has_to_note(call) for call in self.ledger.open_calls()):
            return True
        mine = self.ledger.calls.get(self.shard)
        if mine is not None and mine.called:
            return len(self.ledger.noted(mine)) == self.shards
        return any(self._is_home(strategy_id) for strategy_id in unsettled)

    def tell(self, unsettled: Mapping[str, Way], stream_ms: int) -> list[Told]:
        """What this shard tells with its next checkpoint; taken here already. Turns are the caller's, as above."""
        told: list[Told] = []
        left = {each: way for each, way in unsettled.items() if self._is_home(each)}
        while more := self._next(left, told):
            for each in more:
                self.take(each, stream_ms)
                if isinstance(each, Decision) and left.get(each.strategy_id) is each.turns[-1].way:
                    del left[each.strategy_id]
            told += more
        return told

    def _next(self, unsettled: Mapping[str, Way], told: Sequence[Told]) -> list[Told]:
        """One step further than what is told already; nothing where others must come first.

        Who sends ahead decides on notes that stand: were all of it lost, a successor would decide for another time.
        """
        mine = self.ledger.calls.get(self.shard)
        if unsettled and (mine is None or not mine.called):
            first = sorted(unsettled.items())[:MAX_TURNS_CALLED]
            called = tuple(Called(strategy_id, way) for strategy_id, way in first)
            return [Call(self.shard, self.ledger.number(self.shard) + 1, called)]
        notes: list[Told] = [self.bounds[call.home] for call in self.ledger.open_calls() if self._has_to_note(call)]
        if notes:
            return notes
        if mine is None or not mine.called or (self._sends_ahead and self.bounds[self.shard] in told):
            return []
        return self._decided(mine)

    def _has_to_note(self, call: Call) -> bool:
        return self.shard not in self.ledger.noted(call)

    def _decided(self, call: Call) -> list[Told]:
        """The decisions, and the closed call behind them; nothing while a note is missing."""
        noted = self.ledger.noted(call)
        if len(noted) < self.shards:
            return []
        turn_ms = first_turn_ms(max(noted.values()))
        decisions: list[Told] = [
            Decision(strategy_id, call.number, with_turn(self.turns_of(strategy_id), turn_ms, way))
            for strategy_id, way in call.called
        ]
        return [*decisions, call._replace(called=())]

    def turns_of(self, strategy_id: str) -> Turns:
        """What is agreed on for a strategy."""
        decision = self.ledger.decisions.get(strategy_id)
        return decision.turns if decision else UNTURNED

    def bound(self) -> dict[str, int]:
        """The strategies that are bound, and up to where each may be decided. A decision lets go of its strategy."""
        found, decisions = dict[str, int](), self.ledger.decisions
        for home, note in self.bounds.items():
            for strategy_id, _ in self.ledger.calls[home].called:
                if strategy_id not in decisions or decisions[strategy_id].number < note.number:
                    found[strategy_id] = note.bound_ms
        return found

    def missing(self) -> list[int]:
        """The shards that open calls wait for; their homes, where all have answered."""
        calls, shards = self.ledger.open_calls(), set(range(self.shards))
        absent = {number for call in calls for number in shards - self.ledger.noted(call).keys()}
        return sorted(absent or {call.home for call in calls})
