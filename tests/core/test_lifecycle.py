"""A strategy's life: the table of moves, and what repeats, disorder and compaction may not change."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.events import Mode, Status, Strategy
from streams.core.lifecycle import MAX_VERSION, MOVES, REACHABLE, Verdict, problems, settle
from streams.core.limits import MAX_COALESCE_MS, MAX_STRATEGY_ID_BYTES, MAX_TICKER_BYTES, MAX_UNIVERSE

DRAFT, ACTIVE, PAUSED, DELETED = Status.DRAFT, Status.ACTIVE, Status.PAUSED, Status.DELETED


def strategy(version: int = 1, status: Status = ACTIVE, **changes: Any) -> Strategy:
    """A good strategy, to be spoilt."""
    return replace(Strategy("s1", "5m", frozenset({"AAPL"}), status, version), **changes)


LEGAL = {
    (None, DRAFT),
    (None, ACTIVE),
    (None, PAUSED),
    (DRAFT, DRAFT),
    (DRAFT, ACTIVE),
    (DRAFT, DELETED),
    (ACTIVE, ACTIVE),
    (ACTIVE, PAUSED),
    (ACTIVE, DELETED),
    (PAUSED, PAUSED),
    (PAUSED, ACTIVE),
    (PAUSED, DELETED),
    (DELETED, DRAFT),
    (DELETED, ACTIVE),
    (DELETED, PAUSED),
}
"""Spelt out once more, so that a slip in the table is seen."""

STARTS: list[Status | None] = [None, *Status]


@pytest.mark.parametrize("after", Status)
@pytest.mark.parametrize("before", STARTS)
def test_the_very_next_version_may_make_one_move_of_the_table(before: Status | None, after: Status) -> None:
    current = None if before is None else strategy(7, before)
    change = strategy(1 if before is None else 8, after, timeframe="1m")
    settled = settle(current, change)
    if (before, after) in LEGAL:
        assert settled == (Verdict.ACCEPTED, change, "")
    else:
        assert settled.verdict is Verdict.ILLEGAL
        assert settled.strategy is current


@pytest.mark.parametrize("after", Status)
@pytest.mark.parametrize("before", STARTS)
@pytest.mark.parametrize("missing", [1, 5])
def test_where_versions_are_missing_any_state_may_have_been_reached(
    before: Status | None, after: Status, missing: int
) -> None:
    current = None if before is None else strategy(7, before)
    change = strategy((0 if before is None else 7) + 1 + missing, after)
    assert settle(current, change) == (Verdict.ACCEPTED, change, "")


def test_an_activation_lost_to_compaction_does_not_make_the_pause_illegal() -> None:
    assert settle(strategy(1, DRAFT), strategy(2, PAUSED)).verdict is Verdict.ILLEGAL
    assert settle(strategy(1, DRAFT), strategy(3, PAUSED)).verdict is Verdict.ACCEPTED


def test_the_reachable_states_are_those_the_moves_lead_to() -> None:
    for start in STARTS:
        reached: set[Status | None] = {start}
        for _ in Status:
            reached |= {after for before in reached for after in MOVES[before]}
        after_a_move = {after for before in reached for after in MOVES[before]}
        assert REACHABLE[start] == after_a_move


def test_what_is_deleted_is_born_again_as_what_was_never_known() -> None:
    assert MOVES[DELETED] == MOVES[None]


def test_an_illegal_move_names_strategy_version_both_ends_and_the_remedy() -> None:
    reason = settle(strategy(7, PAUSED), strategy(8, DRAFT)).reason
    assert reason == (
        "strategy 's1' version 8: no move from paused to draft; "
        "send one of active, deleted, paused, or the moves between under versions of their own"
    )


def test_the_death_of_an_unknown_strategy_is_illegal_at_version_1() -> None:
    assert "no move from unknown strategy to deleted" in settle(None, strategy(1, DELETED)).reason


def test_the_same_change_again_is_repeated_and_changes_nothing() -> None:
    current = strategy(3)
    settled = settle(current, strategy(3))
    assert settled.verdict is Verdict.REPEATED
    assert settled.strategy is current


@pytest.mark.parametrize("status", Status)
def test_a_lower_version_is_stale_whatever_it_says(status: Status) -> None:
    current = strategy(3, DELETED)
    settled = settle(current, strategy(2, status, timeframe="1h"))
    assert settled.verdict is Verdict.STALE
    assert settled.strategy is current
    assert settled.reason == "strategy 's1' version 2: version 3 stands already"


OTHERS: dict[str, Any] = {
    "timeframe": "1m",
    "universe": frozenset({"MSFT"}),
    "status": PAUSED,
    "time_zone": "America/New_York",
    "session": "XNYS",
    "mode": Mode.LEGACY,
    "coalesce_ms": 0,
}


def test_the_test_below_knows_every_field() -> None:
    assert set(OTHERS) == {field.name for field in fields(Strategy)} - {"strategy_id", "version"}


@pytest.mark.parametrize("name", OTHERS)
def test_another_content_under_the_same_version_is_a_conflict_that_names_the_field(name: str) -> None:
    current = strategy(3)
    settled = settle(current, replace(current, **{name: OTHERS[name]}))
    assert settled.verdict is Verdict.CONFLICT
    assert settled.strategy is current
    assert settled.reason == (
        f"strategy 's1' version 3: stands already with another {name}; "
        "read what stands and send the change again as version 4"
    )


INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "version 0": ({"version": 0}, "version must be from 1"),
    "a negative version": ({"version": -1}, "version must be from 1"),
    "too high a version": ({"version": MAX_VERSION + 1}, "version must be from 1"),
    "no id": ({"strategy_id": ""}, "strategy_id is empty"),
    "a long id": ({"strategy_id": "x" * (MAX_STRATEGY_ID_BYTES + 1)}, "has 257 bytes in UTF-8, at most 256"),
    "an id of long letters": ({"strategy_id": "é" * (MAX_STRATEGY_ID_BYTES // 2 + 1)}, "has 258 bytes in UTF-8"),
    "half a letter in the id": ({"strategy_id": "\ud800"}, "strategy_id '\\ud800' is not Unicode text"),
    "an empty ticker": ({"universe": frozenset({"AAPL", ""})}, "universe: ticker is empty"),
    "a long ticker": ({"universe": frozenset({"A", "x" * (MAX_TICKER_BYTES + 1)})}, "has 65 bytes in UTF-8"),
    "a ticker of long letters": ({"universe": frozenset({"é" * (MAX_TICKER_BYTES // 2 + 1)})}, "has 66 bytes"),
    "half a letter in a ticker": ({"universe": frozenset({"A\udfff"})}, "ticker 'A\\udfff' is not Unicode text"),
    "a negative window": ({"coalesce_ms": -1}, "coalesce_ms is -1, must be from 0 to 60000"),
    "too long a window": ({"coalesce_ms": MAX_COALESCE_MS + 1}, "coalesce_ms is 60001"),
    "global as a mode": ({"mode": Mode.GLOBAL}, "mode cannot be global; leave the universe empty"),
}


@pytest.mark.parametrize("case", INVALID)
def test_what_goes_past_a_bound_is_refused_by_name_and_with_the_remedy(case: str) -> None:
    changes, message = INVALID[case]
    change = replace(strategy(), **changes)
    assert len(problems(change)) == 1
    assert message in problems(change)[0]
    settled = settle(None, change)
    assert settled.verdict is Verdict.INVALID
    assert settled.strategy is None
    assert message in settled.reason


ALLOWED: dict[str, dict[str, Any]] = {
    "the highest version": {"version": MAX_VERSION},
    "the longest id": {"strategy_id": "x" * MAX_STRATEGY_ID_BYTES},
    "the longest id of long letters": {"strategy_id": "é" * (MAX_STRATEGY_ID_BYTES // 2)},
    "the longest tickers": {"universe": frozenset({"x" * MAX_TICKER_BYTES, "é" * (MAX_TICKER_BYTES // 2)})},
    "every ticker": {"universe": frozenset()},
    "no window": {"coalesce_ms": 0},
    "the longest window": {"coalesce_ms": MAX_COALESCE_MS},
    "a mode of its own": {"mode": Mode.LEGACY},
    "a timeframe that nobody knows": {"timeframe": "fortnight"},
    "no timeframe": {"timeframe": ""},
    "a time zone that nobody knows": {"time_zone": "Mars/Olympus"},
}


@pytest.mark.parametrize("case", ALLOWED)
def test_what_stays_within_the_bounds_is_taken(case: str) -> None:
    change = replace(strategy(), **ALLOWED[case])
    assert problems(change) == []
    assert settle(None, change) == (Verdict.ACCEPTED, change, "")


def test_the_largest_universe_is_taken_and_one_ticker_more_is_refused() -> None:
    tickers = [f"T{number}" for number in range(MAX_UNIVERSE + 1)]
    assert problems(strategy(universe=frozenset(tickers[1:]))) == []
    assert problems(strategy(universe=frozenset(tickers))) == [
        "universe has 100001 tickers, at most 100000; leave it empty for all"
    ]


def test_of_many_bad_tickers_the_same_one_is_always_named() -> None:
    bad = frozenset(letter * 100 for letter in "qwertzuiop")
    assert problems(strategy(universe=bad)) == [f"universe: ticker '{'e' * 59} has 100 bytes in UTF-8, at most 64"]


def test_everything_wrong_is_told_at_once_and_shortly() -> None:
    change = strategy(0, strategy_id="x" * 10_000, coalesce_ms=-1, mode=Mode.GLOBAL, universe=frozenset({"y" * 10_000}))
    assert len(problems(change)) == 5
    assert len(settle(None, change).reason) < 600


def test_a_refused_change_leaves_what_stands() -> None:
    current = strategy(3)
    assert settle(current, strategy(4, coalesce_ms=-1)) == (
        Verdict.INVALID,
        current,
        "strategy 's1' version 4: coalesce_ms is -1, must be from 0 to 60000",
    )


def test_the_dead_letters_get_what_was_refused_and_nothing_else() -> None:
    assert {verdict for verdict in Verdict if verdict.is_refusal} == {
        Verdict.CONFLICT,
        Verdict.ILLEGAL,
        Verdict.INVALID,
    }


def test_a_change_of_another_strategy_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="change of 's2' was held against 's1'"):
        settle(strategy(), strategy(2, strategy_id="s2"))


@st.composite
def legal_histories(draw: st.DrawFn) -> list[Strategy]:
    """A life from its birth on, one legal move after the other; versions count up, by more than one now and then."""
    steps = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3), st.sampled_from(["1m", "5m"])), min_size=1))
    history: list[Strategy] = []
    status: Status | None = None
    version = 0
    for choice, step, timeframe in steps:
        moves = sorted(MOVES[status])
        status = moves[choice % len(moves)]
        version += step
        history.append(strategy(version, status, timeframe=timeframe))
    return history


@given(legal_histories(), st.data())
def test_a_legal_history_ends_in_its_last_version_however_it_arrives(
    history: list[Strategy], data: st.DataObject
) -> None:
    survivors = data.draw(st.lists(st.sampled_from(history)), label="repeated, reordered, compacted")
    arrivals = data.draw(st.permutations([*survivors, history[-1]]), label="arrivals")
    current: Strategy | None = None
    for change in arrivals:
        settled = settle(current, change)
        assert not settled.verdict.is_refusal, settled.reason
        current = settled.strategy
    assert current == history[-1]


@given(legal_histories())
def test_a_legal_history_in_order_is_accepted_step_by_step(history: list[Strategy]) -> None:
    current: Strategy | None = None
    for change in history:
        verdict, current, _ = settle(current, change)
        assert verdict is Verdict.ACCEPTED
        assert current is change


ANY_CHANGE = st.builds(
    strategy,
    st.integers(0, 6),
    st.sampled_from(Status),
    timeframe=st.sampled_from(["1m", "5m"]),
    coalesce_ms=st.sampled_from([None, -1]),
)


@given(st.lists(ANY_CHANGE))
def test_whatever_arrives_what_stands_is_valid_newer_than_before_and_reached_by_a_legal_move(
    changes: list[Strategy],
) -> None:
    current: Strategy | None = None
    for change in changes:
        verdict, after, reason = settle(current, change)
        if verdict is Verdict.ACCEPTED:
            version, status = (0, None) if current is None else (current.version, current.status)
            assert after is change
            assert problems(change) == []
            assert change.version > version
            assert change.version > version + 1 or change.status in MOVES[status]
        else:
            assert after is current
            assert reason
        assert settle(after, change).verdict is (Verdict.REPEATED if verdict is Verdict.ACCEPTED else verdict)
        current = after
