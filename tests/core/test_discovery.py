"""What reports make of a universe: who may overwrite, how often, and what becomes of those that go to and fro."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.core.discovery import (
    Answer,
    History,
    Origin,
    Outcome,
    Report,
    Standing,
    decide,
    fits,
    origin_after,
    release,
)
from streams.core.events import Status, Strategy
from streams.core.lifecycle import MAX_VERSION, Verdict, settle
from streams.core.limits import (
    CALM_INTERVALS,
    CALM_REPORTS,
    MAX_BACK_MS,
    MAX_TICKER_BYTES,
    MAX_TS_MS,
    MAX_UNIVERSE,
    MAX_UNIVERSE_BYTES,
)

START_MS = 1_700_000_000_000
INTERVAL_MS = 10_000
CALM_MS = CALM_INTERVALS * INTERVAL_MS
A, B, C = frozenset({"A", "X"}), frozenset({"B", "X"}), frozenset({"C", "X"})
FIRST = Strategy("s", "1m", A)


@dataclass
class Owner:
    """The owner of one strategy's results: applies what is decided, as the log would."""

    standing: Standing = field(default_factory=lambda: Standing(FIRST, Origin(1)))
    history: History | None = None
    changes: list[tuple[int, frozenset[str]]] = field(default_factory=list)
    damped: int = 0

    @property
    def held(self) -> Report | None:
        """The report that waits, if any."""
        return self.history.held if self.history is not None else None

    @property
    def universe(self) -> frozenset[str]:
        return self.standing.strategy.universe

    def report(self, symbols: frozenset[str], at_ms: int, version: int | None = None) -> Outcome:
        """Let one report count, and then what is held where it is due."""
        report = Report(self.standing.strategy.version if version is None else version, START_MS + at_ms, symbols)
        answer = decide(self.standing, report, self.history, INTERVAL_MS)
        self.damped += answer.damped_now
        self._follow(answer, at_ms)
        self.pass_time(at_ms)
        return answer.outcome

    def pass_time(self, at_ms: int) -> None:
        """A result of another strategy has come."""
        if self.history is not None and self.held is not None:
            self._follow(release(self.standing, self.history, START_MS + at_ms, INTERVAL_MS), at_ms)

    def forget(self) -> None:
        """Be a new owner, who knows nothing of what went before."""
        self.history = None

    def edit(self, **changed: object) -> None:
        """Somebody writes the next version."""
        now = self.standing.strategy
        change = replace(now, **{"version": now.version + 1, **changed})  # type: ignore[arg-type]
        self.standing = Standing(change, origin_after(self.standing, change, None))

    def _follow(self, answer: Answer, at_ms: int) -> None:
        self.history = answer.history
        if answer.change is not None:
            assert answer.outcome is Outcome.CHANGED
            assert settle(self.standing.strategy, answer.change).verdict is Verdict.ACCEPTED
            origin = origin_after(self.standing, answer.change, START_MS + at_ms)
            self.standing = Standing(answer.change, origin)
            self.changes.append((at_ms, answer.change.universe))


def test_a_difference_is_the_next_version_at_once_and_nothing_else_of_the_strategy_changes() -> None:
    strategy = Strategy("s", "5m", A, Status.PAUSED, 7, "Asia/Tokyo", "XTKS", coalesce_ms=5)
    answer = decide(Standing(strategy, Origin(7)), Report(7, START_MS, B), None, INTERVAL_MS)
    assert answer.change == replace(strategy, universe=B, version=8)
    assert answer.outcome is Outcome.CHANGED


@pytest.mark.parametrize(("symbols", "outcome"), [(A, Outcome.SAME), (frozenset[str](), Outcome.EMPTY)])
def test_the_same_and_nothing_change_nothing(symbols: frozenset[str], outcome: Outcome) -> None:
    owner = Owner()
    assert owner.report(symbols, 0) is outcome
    assert owner.changes == []


def test_a_strategy_that_watches_every_ticker_goes_on_doing_so() -> None:
    owner = Owner(Standing(replace(FIRST, universe=frozenset()), Origin(1)))
    assert owner.report(A, 0) is Outcome.WHOLE
    assert owner.changes == []


def test_a_report_counts_until_somebody_changes_the_universe() -> None:
    owner = Owner()
    owner.edit(timeframe="5m")
    assert owner.report(B, 0, version=1) is Outcome.CHANGED
    owner.edit(timeframe="1h")
    owner.edit(universe=C)
    assert owner.report(A, CALM_MS, version=3) is Outcome.STALE
    assert owner.universe == C
    assert owner.report(A, CALM_MS, version=4) is Outcome.STALE
    owner.edit(timeframe="1d")
    assert owner.report(A, CALM_MS, version=5) is Outcome.CHANGED


def test_a_discovered_universe_is_no_reason_to_leave_out_what_ran_before_it() -> None:
    owner = Owner()
    owner.report(B, 0)
    assert owner.report(C, INTERVAL_MS, version=1) is Outcome.CHANGED
    assert owner.universe == C


def test_what_comes_too_soon_is_held_and_the_latest_counts_once_it_is_due() -> None:
    owner = Owner()
    owner.report(B, 0)
    assert owner.report(C, 1) is Outcome.HELD
    assert owner.report(C | {"D"}, INTERVAL_MS - 1) is Outcome.HELD
    assert owner.universe == B
    owner.pass_time(INTERVAL_MS)
    assert owner.universe == C | {"D"}
    assert [at_ms for at_ms, _ in owner.changes] == [0, INTERVAL_MS]


def test_what_is_held_is_void_once_what_stands_is_reported_again_or_somebody_writes_a_universe() -> None:
    owner = Owner()
    owner.report(B, 0)
    owner.report(B | C, 1)
    assert owner.report(B, 2) is Outcome.SAME
    owner.pass_time(INTERVAL_MS)
    assert owner.universe == B
    owner.report(C, INTERVAL_MS - 1)
    owner.edit(universe=A)
    owner.pass_time(INTERVAL_MS)
    assert owner.universe == A


def test_a_deleted_strategy_lets_go_of_what_is_held() -> None:
    owner = Owner()
    owner.report(B, 0)
    owner.report(C, 1)
    owner.edit(status=Status.DELETED)
    owner.pass_time(INTERVAL_MS)
    assert owner.universe == B


def test_reports_that_go_to_and_fro_are_united_and_that_is_told_once() -> None:
    owner = Owner()
    for k in range(40):
        owner.report((B, A)[k % 2], 1_000 * k)
    assert owner.universe == A | B
    assert len(owner.changes) == 2
    assert owner.damped == 1


def test_what_goes_round_is_united_too() -> None:
    owner = Owner()
    for k in range(12):
        owner.report((B, C, A)[k % 3], INTERVAL_MS * k)
    assert owner.universe == A | B | C
    assert len(owner.changes) == 4


def test_what_is_held_of_those_that_go_to_and_fro_is_united_and_not_only_the_latest() -> None:
    owner = Owner()
    for at_ms, symbols in enumerate((B, A, C, B)):
        owner.report(symbols, at_ms)
    assert owner.universe == B
    owner.pass_time(INTERVAL_MS)
    assert owner.universe == A | B | C


def test_once_they_are_calm_what_is_reported_is_the_universe_again() -> None:
    owner = Owner()
    for k in range(6):
        owner.report((B, A)[k % 2], INTERVAL_MS * k)
    assert owner.universe == A | B
    start_ms = 6 * INTERVAL_MS
    for k in range(CALM_REPORTS):
        assert owner.universe == A | B
        owner.report(B, start_ms + k * CALM_MS // (CALM_REPORTS - 1))
    assert owner.universe == B


def test_many_reports_at_once_are_no_calm_and_neither_is_one_after_a_long_time() -> None:
    for gap_ms, count in ((1, 10 * CALM_REPORTS), (10 * CALM_MS, CALM_REPORTS - 1)):
        owner = Owner()
        for k in range(4):
            owner.report((B, A)[k % 2], INTERVAL_MS * k)
        for k in range(count):
            owner.report(B, 5 * INTERVAL_MS + gap_ms * k)
        assert owner.universe == A | B


def test_a_new_owner_of_a_discovered_universe_takes_nothing_out_before_it_is_calm() -> None:
    owner = Owner()
    owner.report(A | B, 0)
    owner.history = None
    owner.report(A, CALM_MS)
    assert owner.universe == A | B
    for _ in range(CALM_REPORTS):
        owner.report(A, 3 * CALM_MS)
    assert owner.universe == A


def test_one_time_that_is_still_to_come_does_not_shut_out_the_others() -> None:
    owner = Owner()
    owner.report(B, 10 * MAX_BACK_MS)
    assert owner.report(C, 0) is Outcome.CHANGED
    assert owner.universe >= C


@pytest.mark.parametrize(
    ("report", "word"),
    [
        (Report(2, START_MS, B), "unknown_version"),
        (Report(0, START_MS, B), "unknown_version"),
        (Report(1, -1, B), "ts_out_of_range"),
        (Report(1, MAX_TS_MS, B), "ts_out_of_range"),
        (Report(1, START_MS, frozenset({""})), "bad_symbol"),
        (Report(1, START_MS, frozenset({"L" * (MAX_TICKER_BYTES + 1)})), "bad_symbol"),
        (Report(1, START_MS, frozenset(map(str, range(MAX_UNIVERSE + 1)))), "too_many_symbols"),
        (Report(1, START_MS, frozenset(f"{k:050}" for k in range(MAX_UNIVERSE_BYTES // 50))), "too_many_symbols"),
    ],
)
def test_what_cannot_be_is_refused_with_reason_and_remedy(report: Report, word: str) -> None:
    answer = decide(Standing(FIRST, Origin(1)), report, None, INTERVAL_MS)
    assert answer.outcome is Outcome.REFUSED
    assert answer.refusal is not None
    assert answer.refusal.word == word
    assert answer.refusal.detail
    assert answer.refusal.remedy
    assert answer.change is None


def test_unknown_and_deleted_strategies_and_those_without_another_version_are_refused() -> None:
    deleted = Standing(replace(FIRST, status=Status.DELETED), Origin(1))
    last = Standing(replace(FIRST, version=MAX_VERSION), Origin(1))
    for standing, word in ((None, "unknown_strategy"), (deleted, "deleted_strategy"), (last, "no_version_left")):
        answer = decide(standing, Report(1, START_MS, B), None, INTERVAL_MS)
        assert answer.refusal is not None
        assert answer.refusal.word == word


def test_the_largest_universe_is_taken_and_a_union_that_goes_beyond_gives_way_to_the_report() -> None:
    most, other, third = (frozenset(f"{part}{k}" for k in range(MAX_UNIVERSE)) for part in "abc")
    owner = Owner()
    assert owner.report(most, 0) is Outcome.CHANGED
    owner.report(other, INTERVAL_MS)
    owner.report(third, 2 * INTERVAL_MS)
    assert owner.history is not None
    assert owner.history.dropped == other, "of two that are too much together, the latter is remembered"
    owner.report(other, 3 * INTERVAL_MS)
    assert owner.universe == other


def test_of_a_universe_whose_history_is_compacted_away_nothing_older_is_left_out_but_by_whom_it_was_written() -> None:
    change = replace(FIRST, version=9)
    assert origin_after(None, change, None) == Origin(9)
    assert origin_after(None, change, START_MS) == Origin(1, START_MS)
    born_again = Standing(replace(FIRST, status=Status.DELETED, version=8), Origin(1))
    assert origin_after(born_again, change, None) == Origin(9)


SETS = st.frozensets(st.sampled_from("ABCDE"), max_size=4)
STEPS = st.lists(
    st.tuples(SETS, st.integers(0, 2 * INTERVAL_MS), st.sampled_from(["report"] * 6 + ["edit", "universe", "owner"])),
    max_size=60,
)


@given(STEPS)
def test_whatever_is_reported(steps: Sequence[tuple[frozenset[str], int, str]]) -> None:
    """Changes lie an interval apart, the last report is within the universe or held, and calm ends in it exactly."""
    owner, at_ms, last = Owner(), 0, None
    for symbols, pause_ms, what in steps:
        at_ms += pause_ms
        if what == "edit":
            owner.edit(timeframe="5m" if owner.standing.strategy.timeframe == "1m" else "1m")
        elif what == "universe":
            owner.edit(universe=symbols or A)
            last = None
        elif what == "owner":
            if owner.held is None:  # else its report comes again
                owner.history = None
        elif owner.report(symbols, at_ms) in {Outcome.CHANGED, Outcome.SAME, Outcome.HELD}:
            last = symbols
        held = owner.held
        assert last is None or last <= owner.universe or (held is not None and last <= held.symbols)
    for _ in range(CALM_REPORTS):
        at_ms += CALM_MS
        owner.report(last or B, at_ms)
    assert owner.universe == (last or B)
    discovered = [at for at, _ in owner.changes]
    assert all(universe and fits(universe) for _, universe in owner.changes)
    if not any(what == "universe" for *_, what in steps):
        assert all(b - a >= INTERVAL_MS for a, b in pairwise(discovered))


NOTHING = frozenset[str]()


@example([(A, 0, "report"), (B, 0, "report"), *[(NOTHING, 0, "report")] * 3])
@given(STEPS.map(lambda steps: [step for step in steps if step[2] == "report"]))
def test_reports_that_come_again_end_where_they_ended(steps: Sequence[tuple[frozenset[str], int, str]]) -> None:
    """A crash: the next owner meets the last results once more, and what stands then is not less than before.

    What is held keeps the position that is committed, so that comes again too, and all behind it.
    """
    owner, at_ms, told, committed = Owner(), 0, [], 0
    for number, (symbols, pause_ms, _) in enumerate(steps):
        at_ms += pause_ms
        told.append((symbols, at_ms, owner.standing.strategy.version))
        was_held = owner.held is not None
        owner.report(*told[-1])
        if owner.held is None:
            committed = number + 1
        elif not was_held:
            committed = number
    before = owner.universe
    owner.forget()
    for each in told[max(0, min(committed, len(told) - 3)) :]:
        owner.report(*each)
    asked = [symbols for symbols, *_ in told if symbols]
    held = owner.held
    assert not asked or asked[-1] <= owner.universe | (held.symbols if held else frozenset())
    assert not owner.changes or before <= owner.universe | (held.symbols if held else frozenset())
