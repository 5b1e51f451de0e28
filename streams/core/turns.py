"""A strategy decides *by pairs* or *as a whole*. Going from one to the other is a turn, and this is when it counts.

**A bucket of a strategy is decided in one way, on all shards.** A turn has a time, `turn_ms`. The buckets that start
at or after it are decided in the new way, those that start before in the way before. So the way of a bucket follows
from its start and from the strategy's turns alone, and whoever knows these turns knows the way. How shards come to
know the same turns, none of them too late, is told in `agreement.py`.

A tick that is late by more than a turn fires nothing: its bucket was decided in a way that is no more.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from streams.core.events import Mode, Status, Strategy
from streams.core.limits import MAX_TURNS_KEPT, NEVER


class Way(StrEnum):
    """How a strategy decides."""

    PAIRS = "pairs"
    """Each ticker of the universe by itself, in the shard that the ticker belongs to."""
    WHOLE = "whole"
    """The whole universe at once, in the strategy's home shard."""


class Turn(NamedTuple):
    """From the first bucket that starts at or after this time: this way."""

    turn_ms: int
    way: Way


Turns = tuple[Turn, ...]
"""Of one strategy, the oldest first."""

UNTURNED: Final[Turns] = (Turn(NEVER, Way.PAIRS),)
"""Of a strategy that has never turned: every one begins by pairs."""


def way_wanted(strategy: Strategy, flagged: Mode) -> Way:
    """The way that a version asks for, given what the flag says of it."""
    return Way.PAIRS if strategy.mode_under(flagged) is Mode.PER_TICKER else Way.WHOLE


def mode_in(way: Way, strategy: Strategy) -> Mode:
    """How a strategy is throttled that decides in this way."""
    if way is Way.PAIRS:
        return Mode.PER_TICKER
    return Mode.LEGACY if strategy.universe else Mode.GLOBAL


def turn_at(turns: Turns, start_ms: int) -> Turn | None:
    """The turn that a bucket is decided under; None before the first that is known: no more is decided there."""
    found = None
    for turn in turns:
        if turn.turn_ms > start_ms:
            break
        found = turn
    return found


def next_turn_ms(turns: Turns, start_ms: int) -> int | None:
    """The time of the first turn that a bucket is too early for."""
    return next((turn.turn_ms for turn in turns if turn.turn_ms > start_ms), None)


def with_turn(turns: Turns, turn_ms: int, way: Way) -> Turns:
    """The turns and one more. It comes last, also where an earlier one has the same time; the oldest may give way."""
    later = max(turn_ms, turns[-1].turn_ms)
    return (*turns, Turn(later, way))[-MAX_TURNS_KEPT:]


def first_turn_ms(stream_ms: int) -> int:
    """The earliest time of a turn behind what has been decided up to a stream time."""
    return NEVER if stream_ms == NEVER else stream_ms + 1


def last_old_bucket(turn: Turn) -> int:
    """No bucket up to here is decided under the turn."""
    return NEVER if turn.turn_ms == NEVER else turn.turn_ms - 1


def told(turns: Turns) -> Iterator[str]:
    """Each turn in words."""
    for turn in turns:
        yield f"{'from the start' if turn.turn_ms == NEVER else turn.turn_ms} {turn.way}"


def universe_before(old: Strategy | None, before: frozenset[str], new: Strategy) -> frozenset[str]:
    """What a version goes on with by pairs that has emptied the universe, until it turns; `before` as `old` had it."""
    if old is None or new.universe or {old.status, new.status} != {Status.ACTIVE}:
        return frozenset()
    return old.universe or before
