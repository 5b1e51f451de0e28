"""The limiter never lets more through than there may be, and says how much is used, by properties."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.universes.rate_limit import ALERT_PCT, Level, Limit, RateLimiter, level_of


class Call(NamedTuple):
    """One call, so long after the one before."""

    after_ms: int
    critical: bool


CALLS = st.lists(st.builds(Call, st.integers(0, 300), st.booleans()), max_size=80)
LIMITS = st.builds(Limit, st.integers(1, 20), st.integers(1, 1_000))


def one(limit: Limit) -> RateLimiter:
    return RateLimiter({"list": limit}, Limit(1, 1))


@given(LIMITS, CALLS)
def test_no_window_holds_more_calls_than_it_may(limit: Limit, calls: list[Call]) -> None:
    limiter, now_ms, made = one(limit), 0, list[int]()
    for call in calls:
        now_ms += call.after_ms
        answer = limiter.ask("list", now_ms, critical=call.critical)
        if not answer.wait_ms:
            made.append(now_ms)
        used = sum(each > now_ms - limit.window_ms for each in made)
        assert used <= limit.calls
        assert answer.utilisation_pct == pytest.approx(100 * used / limit.calls)
        assert 0 <= answer.utilisation_pct <= 100


@given(LIMITS, CALLS)
def test_a_wait_is_as_long_as_it_must_be_and_no_longer(limit: Limit, calls: list[Call]) -> None:
    limiter, now_ms = one(limit), 0
    for call in calls:
        now_ms += call.after_ms
        wait_ms = limiter.ask("list", now_ms, critical=call.critical).wait_ms
        if wait_ms:
            assert limiter.ask("list", now_ms + wait_ms - 1, critical=call.critical).wait_ms == 1
            now_ms += wait_ms
            assert limiter.ask("list", now_ms, critical=call.critical).wait_ms == 0


@given(st.builds(Limit, st.integers(2, 40), st.just(1_000)), st.lists(st.booleans(), max_size=80))
def test_what_is_not_critical_leaves_room_for_what_is(limit: Limit, calls: list[bool]) -> None:
    limiter = one(limit)
    for critical in calls:
        before_pct = limiter.utilisation_pct("list", 0)
        answer = limiter.ask("list", 0, critical=critical)
        if not critical and not answer.wait_ms:
            assert answer.utilisation_pct <= ALERT_PCT
        if critical and before_pct < 100:
            assert not answer.wait_ms


@given(st.integers(1, 5_000), st.integers(0, 5_000))
def test_an_endpoint_that_was_shut_is_full_until_it_opens(for_ms: int, after_ms: int) -> None:
    limiter = one(Limit(10, 1_000))
    limiter.shut("list", 0, for_ms)
    answer = limiter.ask("list", after_ms)
    assert answer.wait_ms == max(0, for_ms - after_ms)
    assert answer.utilisation_pct == (100 if after_ms < for_ms else 10)
    limiter.shut("list", after_ms, 0)
    assert limiter.ask("list", after_ms).wait_ms == answer.wait_ms, "it is not opened by a shorter one"


def test_warnings_come_from_80_per_cent_and_alerts_above_90() -> None:
    limiter = one(Limit(100, 1_000))
    levels = [limiter.ask("list", 0).level for _ in range(100)]
    assert levels == [*[Level.FINE] * 79, *[Level.WARNING] * 11, *[Level.ALERT] * 10]
    assert [level_of(each) for each in (79.9, 80.0, 90.0, 90.1)] == ["fine", "warning", "warning", "alert"]
    assert limiter.ask("list", 0).wait_ms == 1_000


def test_a_call_that_is_not_critical_waits_until_there_is_room_for_it_and_not_only_for_others() -> None:
    limiter = one(Limit(10, 1_000))
    for now_ms in range(10):
        assert not limiter.ask("list", now_ms).wait_ms
    answer = limiter.ask("list", 10, critical=False)
    assert answer.wait_ms == 991, "two must be over: that of 0 ms and that of 1 ms"
    assert not limiter.ask("list", 10 + answer.wait_ms, critical=False).wait_ms


def test_each_endpoint_has_a_limit_of_its_own() -> None:
    limiter = RateLimiter({"list": Limit(2, 1_000)}, Limit(1, 1_000))
    waits = [limiter.ask(name, 0).wait_ms for name in ("list", "other", "list", "other", "list")]
    assert waits == [0, 0, 0, 1_000, 1_000]
    assert limiter.endpoints == ["list", "other"]


def test_time_that_goes_back_opens_nothing() -> None:
    limiter = one(Limit(1, 1_000))
    limiter.ask("list", 5_000)
    assert limiter.ask("list", 0).wait_ms == 1_000
