"""A strategy's life: which change may follow which, and what becomes of each change that arrives.

A change is the whole strategy with a version, never a difference. So there is one question to ask of it,
`settle(current, change)`, and the same answer comes out wherever it is asked: in every worker, in a replay,
on the first delivery and on the tenth. The moves stand in a table, `MOVES`. The rest of the file is about
what the log between the writer and us does to the order of things:

- It repeats. A change that arrives again, the same in every field, is REPEATED: nothing happens.
- It reorders, when several writers or a retry are at work. A lower version than the one in force is STALE,
  whatever it says. So the end of a history does not depend on the order it came in, and a test holds that.
- It forgets. The topic is compacted: of one key, only the last record is sure to stay. Whoever reads it late
  sees draft (1), paused (3), and never the activation between. Judged as one move that would be illegal.
  So only a change that is the very next version is held against the table as one move; where versions are
  missing, every state is allowed that the table can reach by any number of moves.

Two changes with the same version and different content are a CONFLICT: two writers edited the same state,
and the later one did not know of the first. The first stays. The writer must read again and use a new version.

Warts, and why they stay:

- As the table is, two moves lead from anywhere to anywhere. So a writer that skips a version number gets
  every move through. Versions that count up by one are what the table can protect.
- What was refused is not counted as a version. The next good change after a refused one has a gap before it,
  and is judged generously. That is right: the refused one may have been the bad half of two.
- The log keeps what it got last, not what was accepted. If a record is refused or stale and no good one
  follows, compaction may leave just that one, and a worker that starts later knows nothing else. So what stands
  is written behind it (`hidden.py`): a tombstone, where nothing stands; else two versions above both. To write
  what stands once more under its own version is not enough: where compaction has come just past the bad record, that
  would be stale to who starts then; and the very next version may be no legal move from the bad one.
- A tombstone is not a change and does not come here: it deletes whatever is there, an active strategy too. Behind
  it nothing is known of the strategy any more, for anybody, as if it had never been: its next version is a birth,
  whatever its number. Compaction takes away first what stood before the tombstone, and then the tombstone, so who
  counted on from what stood before would see another strategy than who starts later. The price: an old record that
  is repeated behind the tombstone is born again. So whoever deletes writes a deleted version first, which conflicts
  with what another writer makes of the same state, and then the tombstone.
- What a strategy fired is not known here but in the shards, and stays there: never twice holds across a tombstone.
- To be made again, a deleted strategy goes through a birth like an unknown one: whether the deleted state is
  still known depends on its tombstone, so both must allow the same.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from enum import StrEnum
from typing import Final, NamedTuple

from streams.core.entry import HELD_AS_NUMBERS
from streams.core.events import Mode, Status, Strategy
from streams.core.limits import MAX_COALESCE_MS, MAX_STRATEGY_ID_BYTES, MAX_TICKER_BYTES, MAX_UNIVERSE

DRAFT, ACTIVE, PAUSED, DELETED = Status.DRAFT, Status.ACTIVE, Status.PAUSED, Status.DELETED

MAX_VERSION: Final = (1 << 63) - 1
"""What a 64-bit version holds, on the wire and in a column."""

BIRTHS: Final = frozenset({DRAFT, ACTIVE, PAUSED})

MOVES: Final[Mapping[Status | None, frozenset[Status]]] = {
    None: BIRTHS,
    DRAFT: frozenset({DRAFT, ACTIVE, DELETED}),
    ACTIVE: frozenset({ACTIVE, PAUSED, DELETED}),
    PAUSED: frozenset({PAUSED, ACTIVE, DELETED}),
    DELETED: BIRTHS,
}
"""From each status, those the very next version may have. None: a strategy nothing is known of. To stay is to edit."""


def _reachable(start: Status | None) -> frozenset[Status]:
    found: frozenset[Status] = MOVES[start]
    while True:
        more = found.union(*(MOVES[status] for status in found))
        if more == found:
            return found
        found = more


REACHABLE: Final[Mapping[Status | None, frozenset[Status]]] = {start: _reachable(start) for start in MOVES}
"""From each status, those a later version may have where the ones between are missing."""


class Verdict(StrEnum):
    """What becomes of a change."""

    ACCEPTED = "accepted"
    """It is the strategy now."""
    REPEATED = "repeated"
    """It is what stands already. Nothing happens."""
    STALE = "stale"
    """A newer one stands already. Nothing happens."""
    CONFLICT = "conflict"
    """Another content stands under its version. To the dead letters."""
    ILLEGAL = "illegal"
    """The table has no such move. To the dead letters."""
    INVALID = "invalid"
    """It goes past a bound, whatever stands. To the dead letters."""

    @property
    def is_refusal(self) -> bool:
        """Whether the change goes to the dead letters."""
        return self in REFUSALS


REFUSALS: Final = frozenset({Verdict.CONFLICT, Verdict.ILLEGAL, Verdict.INVALID})


class Settled(NamedTuple):
    """The answer to one change."""

    verdict: Verdict
    strategy: Strategy | None
    """What stands after it."""
    reason: str = ""
    """Why it was not accepted and, where it was refused, what to do; empty where it was accepted."""


def settle(current: Strategy | None, change: Strategy) -> Settled:
    """Decide what becomes of a change, given what stands. Pure: it keeps nothing and changes nothing."""
    if current is not None and current.strategy_id != change.strategy_id:
        raise ValueError(f"a change of {_shown(change.strategy_id)} was held against {_shown(current.strategy_id)}")
    name = f"strategy {_shown(change.strategy_id)} version {_shown(change.version)}"
    found = problems(change)
    if found:
        return Settled(Verdict.INVALID, current, f"{name}: {'; '.join(found)}")
    if current is not None and change.version < current.version:
        return Settled(Verdict.STALE, current, f"{name}: version {current.version} stands already")
    if current is not None and change.version == current.version:
        return _settle_same_version(current, change, name)
    before = None if current is None else current.status
    missing = change.version - (0 if current is None else current.version) - 1
    allowed = (REACHABLE if missing else MOVES)[before]
    if change.status not in allowed:
        what = "unknown strategy" if before is None else before
        remedy = f"send one of {_listed(allowed)}, or the moves between under versions of their own"
        return Settled(Verdict.ILLEGAL, current, f"{name}: no move from {what} to {change.status}; {remedy}")
    return Settled(Verdict.ACCEPTED, change)


def _settle_same_version(current: Strategy, change: Strategy, name: str) -> Settled:
    differing = [
        field.name for field in fields(Strategy) if getattr(current, field.name) != getattr(change, field.name)
    ]
    if not differing:
        return Settled(Verdict.REPEATED, current, f"{name}: stands already")
    remedy = f"read what stands and send the change again as version {current.version + 1}"
    return Settled(Verdict.CONFLICT, current, f"{name}: stands already with another {_listed(differing)}; {remedy}")


def problems(strategy: Strategy) -> list[str]:
    """What is wrong with a strategy by itself; empty where nothing is.

    Its timeframe, time zone and session are not looked at: a strategy with a timeframe that nobody
    understands is kept, skipped and counted (rule 7).
    """
    found = []
    if not 1 <= strategy.version <= MAX_VERSION:
        found.append(f"version must be from 1 to {MAX_VERSION}; count up from 1")
    found += _text_problems("strategy_id", strategy.strategy_id, MAX_STRATEGY_ID_BYTES)
    if len(strategy.universe) > MAX_UNIVERSE:
        found.append(f"universe has {len(strategy.universe)} tickers, at most {MAX_UNIVERSE}; leave it empty for all")
    elif strategy.universe is not HELD_AS_NUMBERS:  # else whoever read the numbers has looked at the names
        found += _first_ticker_problem(strategy.universe)
    if strategy.coalesce_ms is not None and not 0 <= strategy.coalesce_ms <= MAX_COALESCE_MS:
        found.append(f"coalesce_ms is {_shown(strategy.coalesce_ms)}, must be from 0 to {MAX_COALESCE_MS}")
    if strategy.mode is Mode.GLOBAL:
        found.append("mode cannot be global; leave the universe empty for that")
    return found


def _first_ticker_problem(universe: Collection[str]) -> list[str]:
    """One problem is told, the first by name, so that the message is short and always the same."""
    # The texts as one: to ask each of a million costs three times as much.
    if "" not in universe and max(map(len, universe), default=0) <= MAX_TICKER_BYTES and "".join(universe).isascii():
        return []  # as good as always: a million tickers pass here when a worker starts
    bad = [ticker for ticker in universe if _text_problems("", ticker, MAX_TICKER_BYTES)]
    return _text_problems("universe: ticker", min(bad), MAX_TICKER_BYTES) if bad else []


def _text_problems(what: str, text: str, max_bytes: int) -> list[str]:
    if not text:
        return [f"{what} is empty; give it a name"]
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        return [f"{what} {_shown(text)} is not Unicode text; it has half of a surrogate pair"]
    return [] if length <= max_bytes else [f"{what} {_shown(text)} has {length} bytes in UTF-8, at most {max_bytes}"]


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


def _shown(value: object) -> str:
    """Print a value from outside in a message, however long it is."""
    return f"{value!r:.60}"
