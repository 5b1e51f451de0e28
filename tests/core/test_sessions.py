"""Sessions of exchanges, and the buckets that hang on them: half days, breaks, daylight saving, holidays."""

import sys
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.limits import FOREVER
from streams.core.sessions import (
    SessionsNotInstalledError,
    UnknownSessionError,
    UnusableSessionError,
    session_segments,
)
from streams.core.timeframes import bucket_of, bucket_rule, bucket_start, parse_timeframe

# pandas 3.1 warns of what exchange_calendars 4.13 does; 3.0 does not.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CODES = ("XNYS", "XLON", "XHKG", "XTKS", "XSHG", "CMES", "24/7")
TEXTS = ("1s", "5m", "7m", "1h", "4h", "24h", "1d", "2d", "1w", "2w", "1mo", "3mo", "12mo")


def utc(text: str) -> int:
    """Milliseconds of a time in UTC."""
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        milliseconds=1
    )


def both(ts_ms: int, text: str, code: str) -> int | None:
    """Ask plainly and by the table; they must agree."""
    timeframe = parse_timeframe(text)
    plain = bucket_start(ts_ms, timeframe, session=code)
    assert bucket_of(bucket_rule(timeframe, session=code), ts_ms)[0] == plain
    return plain


def stretches(code: str, day: str) -> list[tuple[int, int]]:
    """When the exchange trades in the session of that date."""
    segments = session_segments(code)
    held = segments.dates == (date.fromisoformat(day) - date(1970, 1, 1)).days
    return list(zip(segments.opens[held].tolist(), segments.closes[held].tolist(), strict=True))


# --- the sessions


@pytest.mark.parametrize(
    ("code", "day", "expected"),
    [
        ("XNYS", "2024-11-27", [("2024-11-27T14:30", "2024-11-27T21:00")]),
        ("XNYS", "2024-11-28", []),  # Thanksgiving
        ("XNYS", "2024-11-29", [("2024-11-29T14:30", "2024-11-29T18:00")]),  # the half day after
        ("XNYS", "2024-03-08", [("2024-03-08T14:30", "2024-03-08T21:00")]),
        ("XNYS", "2024-03-11", [("2024-03-11T13:30", "2024-03-11T20:00")]),  # the clocks were changed between
        ("NASDAQ", "2024-03-11", [("2024-03-11T13:30", "2024-03-11T20:00")]),  # an alias
        ("XLON", "2024-12-24", [("2024-12-24T08:00", "2024-12-24T12:30")]),
        ("XHKG", "2024-05-20", [("2024-05-20T01:30", "2024-05-20T04:00"), ("2024-05-20T05:00", "2024-05-20T08:00")]),
        ("XHKG", "2024-12-24", [("2024-12-24T01:30", "2024-12-24T04:00")]),  # a half day has no break
        ("XTKS", "2024-05-20", [("2024-05-20T00:00", "2024-05-20T02:30"), ("2024-05-20T03:30", "2024-05-20T06:00")]),
        ("XTKS", "2024-11-06", [("2024-11-06T00:00", "2024-11-06T02:30"), ("2024-11-06T03:30", "2024-11-06T06:30")]),
        ("CMES", "2024-01-08", [("2024-01-07T23:00", "2024-01-08T23:00")]),  # Monday's session opens on Sunday
        ("24/7", "2024-01-06", [("2024-01-06", "2024-01-07")]),
    ],
)
def test_sessions_have_half_days_breaks_and_daylight_saving(
    code: str, day: str, expected: list[tuple[str, str]]
) -> None:
    assert stretches(code, day) == [(utc(opened), utc(closed)) for opened, closed in expected]


@pytest.mark.parametrize("code", CODES)
def test_stretches_ascend_apart_from_each_other_and_cannot_be_changed(code: str) -> None:
    opens, closes, dates = session_segments(code)
    assert (closes > opens).all()
    assert (opens[1:] >= closes[:-1]).all()
    assert (np.diff(dates) >= 0).all()
    for column in (opens, closes, dates):
        assert column.dtype == np.int64
        assert not column.flags.writeable


def test_the_known_sessions_do_not_depend_on_today() -> None:
    segments = session_segments("XNYS")
    assert segments.opens[0] == utc("1990-01-02T14:30")
    assert segments.closes[-1] == utc("2049-12-31T21:00")


# --- buckets


CASES = [
    # steps from the open; the last is cut by the close
    ("XNYS", "1h", "2024-03-08T14:30", "2024-03-08T14:30"),
    ("XNYS", "1h", "2024-03-08T15:29:59.999", "2024-03-08T14:30"),
    ("XNYS", "1h", "2024-03-08T20:59:59.999", "2024-03-08T20:30"),
    ("XNYS", "4h", "2024-03-08T18:29:59.999", "2024-03-08T14:30"),
    ("XNYS", "4h", "2024-03-08T18:30", "2024-03-08T18:30"),
    ("XNYS", "7m", "2024-03-08T20:59:59.999", "2024-03-08T20:55"),
    ("XNYS", "24h", "2024-03-08T20:59:59.999", "2024-03-08T14:30"),
    # after the close, over the week-end and before the next open: still the last bucket
    ("XNYS", "1h", "2024-03-08T21:00", "2024-03-08T20:30"),
    ("XNYS", "5m", "2024-03-08T23:17", "2024-03-08T20:55"),
    ("XNYS", "1h", "2024-03-11T13:29:59.999", "2024-03-08T20:30"),
    # daylight saving: the open comes an hour earlier in UTC
    ("XNYS", "1h", "2024-03-11T13:30", "2024-03-11T13:30"),
    ("XNYS", "4h", "2024-03-11T17:30", "2024-03-11T17:30"),
    # a half day
    ("XNYS", "1h", "2024-11-29T17:59:59.999", "2024-11-29T17:30"),
    ("XNYS", "1h", "2024-11-29T20:00", "2024-11-29T17:30"),
    ("XNYS", "4h", "2024-11-29T18:45", "2024-11-29T14:30"),
    # lunch
    ("XHKG", "1h", "2024-05-20T03:59:59.999", "2024-05-20T03:30"),
    ("XHKG", "1h", "2024-05-20T04:30", "2024-05-20T03:30"),
    ("XHKG", "1h", "2024-05-20T05:00", "2024-05-20T05:00"),
    ("XHKG", "2h", "2024-05-20T07:59:59.999", "2024-05-20T07:00"),
    ("XHKG", "1h", "2024-12-24T06:00", "2024-12-24T03:30"),
    ("XTKS", "1h", "2024-05-20T03:00", "2024-05-20T02:00"),
    ("XTKS", "1h", "2024-05-20T03:30", "2024-05-20T03:30"),
    ("XTKS", "5m", "2024-11-06T06:29:59.999", "2024-11-06T06:25"),
    # days, weeks, months: from the first open to the next one's
    ("XNYS", "1d", "2024-07-03T13:30", "2024-07-03T13:30"),
    ("XNYS", "1d", "2024-07-04T15:00", "2024-07-03T13:30"),  # a holiday
    ("XNYS", "1d", "2024-07-05T13:29:59.999", "2024-07-03T13:30"),
    ("XNYS", "1d", "2024-07-05T13:30", "2024-07-05T13:30"),
    ("XHKG", "1d", "2024-05-20T06:00", "2024-05-20T01:30"),
    ("XNYS", "2d", "2024-07-08T14:00", "2024-07-08T13:30"),  # 1970-01-01 and 19,912 days
    ("XNYS", "2d", "2024-07-09T14:00", "2024-07-08T13:30"),
    ("XNYS", "1w", "2024-09-02T15:00", "2024-08-26T13:30"),  # Labor Day: the week begins on Tuesday
    ("XNYS", "1w", "2024-09-03T13:30", "2024-09-03T13:30"),
    ("XNYS", "1w", "2024-09-09T13:29:59.999", "2024-09-03T13:30"),
    ("XNYS", "1mo", "2024-09-01T12:00", "2024-08-01T13:30"),
    ("XNYS", "1mo", "2024-09-30T19:00", "2024-09-03T13:30"),
    ("XNYS", "3mo", "2024-09-30T19:00", "2024-07-01T13:30"),
    ("CMES", "1w", "2024-01-07T22:59:59.999", "2024-01-01T23:00"),
    ("CMES", "1w", "2024-01-07T23:00", "2024-01-07T23:00"),
    ("24/7", "1d", "2024-01-06T23:59:59.999", "2024-01-06"),
    ("24/7", "1h", "2024-01-06T23:59:59.999", "2024-01-06T23:00"),
]


@pytest.mark.parametrize(("code", "text", "ts", "start"), CASES)
def test_buckets_hang_on_the_opens_of_the_exchange(code: str, text: str, ts: str, start: str) -> None:
    assert both(utc(ts), text, code) == utc(start)


@pytest.mark.parametrize("text", ["5m", "1d", "1mo"])
@pytest.mark.parametrize("code", CODES)
def test_before_the_first_open_and_from_the_last_close_on_there_is_no_bucket(code: str, text: str) -> None:
    first, last = int(session_segments(code).opens[0]), int(session_segments(code).closes[-1])
    rule = bucket_rule(parse_timeframe(text), session=code)
    assert both(first, text, code) == first
    assert both(first - 1, text, code) is None
    assert both(last - 1, text, code) is not None
    assert both(last, text, code) is None
    assert bucket_of(rule, first - 1) == (None, first)
    assert bucket_of(rule, last) == (None, FOREVER)


@pytest.mark.parametrize("text", ["5m", "1d"])
def test_a_session_wins_over_the_time_zone(text: str) -> None:
    timeframe, ts_ms = parse_timeframe(text), utc("2024-07-04T15:00")
    assert bucket_rule(timeframe, "Asia/Tokyo", "XNYS") is bucket_rule(timeframe, "UTC", "XNYS")
    assert bucket_start(ts_ms, timeframe, "Asia/Tokyo", "XNYS") == bucket_start(ts_ms, timeframe, "UTC", "XNYS")


@st.composite
def code_and_times(draw: st.DrawFn) -> tuple[str, list[int]]:
    """An exchange with times between its first open and last close, half of them close to an open or a close."""
    code = draw(st.sampled_from(CODES))
    opens, closes, _ = session_segments(code)
    first, last = int(opens[0]), int(closes[-1]) - 1
    beside = st.builds(
        lambda at, closing, ms: min(max(int((closes if closing else opens)[at]) + ms, first), last),
        st.integers(0, len(opens) - 1),
        st.booleans(),
        st.integers(-3, 3) | st.integers(-7_200_000, 7_200_000),
    )
    return code, sorted(draw(st.lists(st.integers(first, last) | beside, min_size=1, max_size=20)))


@settings(max_examples=150, deadline=None)
@given(code_and_times(), st.sampled_from(TEXTS))
def test_between_the_first_and_the_last_session_each_time_has_one_bucket(
    case: tuple[str, list[int]], text: str
) -> None:
    code, times = case
    rule = bucket_rule(parse_timeframe(text), session=code)
    last = None
    for ts_ms in times:
        start, until = bucket_of(rule, ts_ms)
        assert both(ts_ms, text, code) == start
        assert start is not None
        assert start <= ts_ms < until
        assert bucket_of(rule, start) == bucket_of(rule, until - 1) == (start, until)
        assert bucket_of(rule, until)[0] == (until if until < rule.until_ms else None)
        assert last is None or start >= last
        last = start


@settings(max_examples=100, deadline=None)
@given(code_and_times(), st.sampled_from(TEXTS))
def test_no_bucket_begins_when_the_exchange_is_closed(case: tuple[str, list[int]], text: str) -> None:
    code, times = case
    opens, closes, _ = session_segments(code)
    for ts_ms in times:
        start = both(ts_ms, text, code)
        assert start is not None
        assert start < closes[bisect_right(opens, start) - 1]


# --- what can't be used


@pytest.fixture
def _fresh_cache() -> Iterator[None]:
    session_segments.cache_clear()
    yield
    session_segments.cache_clear()


@pytest.mark.usefixtures("_fresh_cache")
def test_without_the_package_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    with pytest.raises(SessionsNotInstalledError, match=r"'XNYS'.*pip install tickgate\[sessions\]"):
        session_segments("XNYS")


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("nyse", "did you mean NYSE"),
        ("xlon", "did you mean XLON?"),
        ("", "use an exchange code such as XNYS"),
        ("é" * 10_000, "use an exchange code such as XNYS"),
    ],
)
def test_an_unknown_code_is_told_what_is_near(code: str, hint: str) -> None:
    with pytest.raises(UnknownSessionError) as caught:
        session_segments(code)
    assert repr(code[:40]) in str(caught.value)
    assert hint in str(caught.value)
    assert len(str(caught.value)) < 200


def fake_package(opens: list[str], closes: list[str], dates: list[str]) -> SimpleNamespace:
    """Stand in for the package: one exchange, known for 2020 to 2025; `asked` keeps the dates it was asked for."""
    columns = {"open": opens, "break_start": [None] * len(opens), "break_end": [None] * len(opens), "close": closes}
    schedule = pd.DataFrame({name: pd.to_datetime(pd.Series(times), utc=True) for name, times in columns.items()})
    schedule.index = pd.DatetimeIndex(dates)
    earliest, latest = pd.Timestamp("2020-01-01"), pd.Timestamp("2025-12-31")
    calendar = SimpleNamespace(schedule=schedule, bound_min=lambda: earliest, bound_max=lambda: latest)
    asked: list[tuple[str, str]] = []

    def get_calendar(code: str, start: str, end: str) -> SimpleNamespace:
        assert code == "XFAK"
        asked.append((start, end))
        if pd.Timestamp(start) < earliest or pd.Timestamp(end) > latest:
            raise ValueError(start)
        return calendar

    return SimpleNamespace(get_calendar_names=lambda: ["XFAK"], get_calendar=get_calendar, asked=asked)


@pytest.mark.usefixtures("_fresh_cache")
def test_a_calendar_is_asked_for_fixed_dates_within_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    days = ["2024-05-20", "2024-05-21"]
    package = fake_package([f"{day}T01:00" for day in days], [f"{day}T07:00" for day in days], days)
    monkeypatch.setitem(sys.modules, "exchange_calendars", package)
    assert session_segments("XFAK").opens.tolist() == [utc("2024-05-20T01:00"), utc("2024-05-21T01:00")]
    assert package.asked == [("1990-01-01", "2049-12-31"), ("2024-01-01", "2024-12-31"), ("2020-01-01", "2025-12-31")]


@pytest.mark.usefixtures("_fresh_cache")
def test_a_calendar_that_cannot_be_built_is_told_by_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    package = fake_package([], [], [])
    package.get_calendar = {}.popitem
    monkeypatch.setitem(sys.modules, "exchange_calendars", package)
    with pytest.raises(UnusableSessionError, match=r"XFAK can't be built .*TypeError: .*other versions"):
        session_segments("XFAK")


@pytest.mark.usefixtures("_fresh_cache")
@pytest.mark.parametrize(
    ("opens", "closes", "dates"),
    [
        ([], [], []),
        (["2024-05-20T01:00"], ["2024-05-20T01:00"], ["2024-05-20"]),
        (
            ["2024-05-20T01:00", "2024-05-20T06:59"],
            ["2024-05-20T07:00", "2024-05-21T07:00"],
            ["2024-05-20", "2024-05-21"],
        ),
        (
            ["2024-05-20T01:00", "2024-05-21T01:00"],
            ["2024-05-20T07:00", "2024-05-21T07:00"],
            ["2024-05-21", "2024-05-20"],
        ),
    ],
)
def test_sessions_that_are_empty_overlap_or_go_back_are_refused(
    monkeypatch: pytest.MonkeyPatch, opens: list[str], closes: list[str], dates: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "exchange_calendars", fake_package(opens, closes, dates))
    with pytest.raises(UnusableSessionError, match="empty, overlap or go back"):
        session_segments("XFAK")
