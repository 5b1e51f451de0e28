"""Trades of the last hour, triggers and proposals of a cycle, out of what comes in any order and more than once."""

from hypothesis import given
from hypothesis import strategies as st

from streams.trader.activity import HOUR_MS, Activity, Fill, Once

START_MS = 1_760_000_000_000


def filled(activity: Activity, fill_id: str, ts_ms: int, now_ms: int = 0) -> int:
    return activity.result(f"e-{fill_id}", ts_ms, 0, [Fill(ts_ms, fill_id)], now_ms)


def test_the_hour_rolls_with_the_events_and_with_the_time_that_passes_behind_them() -> None:
    activity = Activity()
    assert activity.trades_per_hour(10**9) == 0
    filled(activity, "a", START_MS)
    filled(activity, "b", START_MS + HOUR_MS // 2, now_ms=1_000)
    assert activity.trades_per_hour(1_000) == 2
    assert activity.trades_per_hour(1_000 + HOUR_MS // 2 - 1) == 2
    assert activity.trades_per_hour(1_000 + HOUR_MS // 2) == 1
    assert activity.trades_per_hour(1_000 + HOUR_MS) == 0
    filled(activity, "c", START_MS + 10 * HOUR_MS, now_ms=1_001 + HOUR_MS)
    assert activity.trades_per_hour(1_001 + HOUR_MS) == 1


def test_events_that_are_no_newer_do_not_hold_time_up() -> None:
    activity = Activity()
    filled(activity, "a", START_MS)
    activity.proposal("p", START_MS, HOUR_MS)
    assert activity.trades_per_hour(HOUR_MS) == 0


def test_a_fill_counts_once_and_one_that_is_late_by_an_hour_is_a_trade_and_none_of_this_hour() -> None:
    activity = Activity()
    assert filled(activity, "a", START_MS + 2 * HOUR_MS) == 1
    assert filled(activity, "a", START_MS + 2 * HOUR_MS) == 0
    assert filled(activity, "late", START_MS) == 1
    assert activity.trades_per_hour(0) == 1


def test_a_cycle_counts_triggers_and_proposals_once_each() -> None:
    activity = Activity()
    for execution_id, triggers in (("e1", 3), ("e2", 7), ("e1", 3), ("e3", 0)):
        activity.result(execution_id, START_MS, triggers, (), 0)
    for proposal_id in ("p1", "p2", "p1", "p3"):
        activity.proposal(proposal_id, START_MS, 0)
    assert activity.end_cycle() == (10, 3)
    assert activity.end_cycle() == (0, 0)


def test_a_result_of_fills_that_comes_before_its_triggers_does_not_hide_them() -> None:
    activity = Activity()
    activity.result("e1", START_MS, 0, [Fill(START_MS, "f")], 0)
    activity.result("e1", START_MS, 4, (), 0)
    assert activity.end_cycle() == (4, 0)


@given(st.lists(st.tuples(st.integers(0, 3 * HOUR_MS), st.integers(0, 30)), min_size=1, max_size=60))
def test_in_any_order_it_is_the_fills_of_the_hour_before_the_newest(came: list[tuple[int, int]]) -> None:
    activity, first = Activity(), dict[int, int]()
    for ts_ms, number in came:
        first.setdefault(number, ts_ms)
        filled(activity, str(number), START_MS + ts_ms)
    newest = max(ts_ms for ts_ms, _ in came)
    assert activity.trades_per_hour(0) == sum(each > newest - HOUR_MS for each in first.values())


def test_what_is_remembered_is_bounded_and_the_oldest_is_forgotten() -> None:
    once = Once(2)
    assert [once.is_new(key) for key in "aabcb"] == [True, False, True, True, False]
    assert once.is_new("a")
