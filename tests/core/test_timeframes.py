"""Buckets of the epoch and of calendars: written out by hand, by brute force, and as properties of both forms."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core import timeframes
from streams.core.limits import FOREVER, MAX_TS_MS, MIN_TS_MS
from streams.core.timeframes import (
    InvalidTimeframeError,
    Timeframe,
    UnknownTimeZoneError,
    bucket_of,
    bucket_rule,
    bucket_start,
    find_zone,
    parse_timeframe,
)

DAY_MS = 86_400_000
ZONES = sorted(available_timezones() - {"localtime"})
INTRADAY = ("1s", "7s", "1m", "5m", "7m", "1h", "4h", "24h")
TEXTS = (*INTRADAY, "1d", "2d", "5d", "366d", "1w", "2w", "53w", "1mo", "3mo", "12mo")


def utc(text: str) -> int:
    """Milliseconds of a time in UTC."""
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        milliseconds=1
    )


def both(ts_ms: int, text: str, zone: str = "UTC") -> int | None:
    """Ask plainly and by the table; they must agree."""
    timeframe = parse_timeframe(text)
    plain = bucket_start(ts_ms, timeframe, zone)
    assert bucket_of(bucket_rule(timeframe, zone), ts_ms)[0] == plain
    return plain


@cache
def clock_changes(zone: str) -> list[int]:
    """Days of 1970 to 2100 in which the zone's clocks change, in milliseconds, and the ends of time."""
    days = np.arange("1970-01-01", "2100-01-01", dtype="datetime64[D]").astype("datetime64[us]").tolist()
    offsets = [ZoneInfo(zone).utcoffset(day) for day in days]
    changed = [at * DAY_MS for at in range(1, len(days)) if offsets[at] != offsets[at - 1]]
    return [MIN_TS_MS, *changed, MAX_TS_MS - 1]


@st.composite
def zone_and_times(draw: st.DrawFn) -> tuple[str, list[int]]:
    """A time zone with times of it, half of them close to a change of its clocks."""
    zone = draw(st.sampled_from(ZONES))
    anywhere = st.integers(MIN_TS_MS, MAX_TS_MS - 1)
    beside = st.builds(
        lambda change_ms, minutes, ms: min(max(change_ms + minutes * 60_000 + ms, MIN_TS_MS), MAX_TS_MS - 1),
        st.sampled_from(clock_changes(zone)),
        st.integers(-3 * 1440, 3 * 1440) | st.integers(-48, 48).map(lambda halves: halves * 30),
        st.integers(-1, 1),
    )
    return zone, sorted(draw(st.lists(anywhere | beside, min_size=1, max_size=20)))


# --- the text


@pytest.mark.parametrize(
    ("text", "count", "unit"),
    [("1s", 1, "s"), ("15m", 15, "m"), ("24h", 24, "h"), ("366d", 366, "d"), ("1w", 1, "w"), ("12mo", 12, "mo")],
)
def test_a_timeframe_is_a_count_and_a_unit(text: str, count: int, unit: str) -> None:
    assert parse_timeframe(text) == Timeframe(count, unit)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "m",
            "0m",
            "05m",
            "-5m",
            "+5m",
            "1.5h",
            "5m\n",
            " 5m",
            "٥m",
            "1٥m",
            "1y",
            "5mm",
            "m5",
            "1000000s",
            "9" * 10_000,
        ),
        *("86401s", "1441m", "25h", "36h", "367d", "54w", "13mo"),
    ],
)
def test_anything_else_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(InvalidTimeframeError, match=r"use e\.g\. 1m, 5m, 1h, 1d, 1w, 1mo") as caught:
        parse_timeframe(text)
    assert repr(text[:40]) in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("5min", "did you mean 5m?"),
        ("1M", "did you mean 1mo or 1m?"),
        ("60", "did you mean 60s or 60m?"),
        ("2000", "did you mean 2000s?"),
        ("1 h", "did you mean 1h?"),
        ("1H", "did you mean 1h?"),
        ("1D", "did you mean 1d?"),
        ("2 Weeks", "did you mean 2w?"),
        ("3months", "did you mean 3mo?"),
        ("05m", "did you mean 5m?"),
    ],
)
def test_a_near_miss_is_told_what_was_meant(text: str, hint: str) -> None:
    with pytest.raises(InvalidTimeframeError) as caught:
        parse_timeframe(text)
    assert str(caught.value).endswith(hint)


@pytest.mark.parametrize("text", ["36h", "36 h", "0m", "1y", "five minutes"])
def test_nothing_invalid_is_suggested(text: str) -> None:
    with pytest.raises(InvalidTimeframeError) as caught:
        parse_timeframe(text)
    assert "did you mean" not in str(caught.value)


# --- the time zone


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "America", "localtime", "../UTC", "/etc/localtime", "x" * 10_000])
def test_an_unknown_time_zone_is_refused_by_name_with_the_remedy(name: str) -> None:
    with pytest.raises(UnknownTimeZoneError, match=r"did you mean|use an IANA name such as America/New_York") as caught:
        bucket_rule(Timeframe(1, "d"), name)
    assert repr(name[:40]) in str(caught.value)
    with pytest.raises(UnknownTimeZoneError):
        bucket_start(0, Timeframe(1, "d"), name)


def test_a_misspelt_time_zone_is_told_its_name() -> None:
    with pytest.raises(UnknownTimeZoneError, match="did you mean America/New_York"):
        find_zone("america/new_york")


def test_a_machine_without_time_zones_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeframes, "_known_zones", frozenset)
    with pytest.raises(UnknownTimeZoneError, match="pip install tzdata"):
        find_zone("Europe/Atlantis")


def test_utc_needs_no_time_zone_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeframes, "_known_zones", frozenset)
    find_zone.cache_clear()
    assert both(utc("2024-02-29T12:00"), "11mo") == utc("2024-02-01")


# --- buckets, by hand


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/New_York"])
@pytest.mark.parametrize(
    ("text", "ts", "start"),
    [
        ("1s", "2024-03-10T07:59:59.999", "2024-03-10T07:59:59"),
        ("1m", "2024-03-10T07:59:59.999", "2024-03-10T07:59"),
        ("5m", "2024-03-10T08:00", "2024-03-10T08:00"),
        ("15m", "2024-03-10T08:14:59.999", "2024-03-10T08:00"),
        ("1h", "2024-03-10T07:30", "2024-03-10T07:00"),
        ("4h", "2024-03-10T07:30", "2024-03-10T04:00"),
        ("24h", "2024-03-10T23:59:59.999", "2024-03-10T00:00"),
        ("7m", "1970-01-01T00:20:59.999", "1970-01-01T00:14"),
        ("7m", "1970-01-01T00:21", "1970-01-01T00:21"),
    ],
)
def test_intraday_buckets_floor_on_the_epoch_in_every_time_zone(zone: str, text: str, ts: str, start: str) -> None:
    assert both(utc(ts), text, zone) == utc(start)


CALENDAR_CASES = [
    # 23 hours and 25 hours
    ("America/New_York", "1d", "2024-03-10T04:59:59.999", "2024-03-09T05:00"),
    ("America/New_York", "1d", "2024-03-10T05:00", "2024-03-10T05:00"),
    ("America/New_York", "1d", "2024-03-11T03:59:59.999", "2024-03-10T05:00"),
    ("America/New_York", "1d", "2024-03-11T04:00", "2024-03-11T04:00"),
    ("America/New_York", "1d", "2024-11-04T04:59:59.999", "2024-11-03T04:00"),
    ("America/New_York", "1d", "2024-11-04T05:00", "2024-11-04T05:00"),
    # a week begins on Monday, also when the clocks change on its Sunday
    ("UTC", "1w", "2024-03-10T23:59:59.999", "2024-03-04"),
    ("UTC", "1w", "2024-03-11", "2024-03-11"),
    ("America/New_York", "1w", "2024-03-11T03:59:59.999", "2024-03-04T05:00"),
    ("America/New_York", "1w", "2024-03-11T04:00", "2024-03-11T04:00"),
    ("America/New_York", "1w", "2024-11-04T04:59:59.999", "2024-10-28T04:00"),
    # months and quarters
    ("America/New_York", "1mo", "2024-12-01T04:59:59.999", "2024-11-01T04:00"),
    ("America/New_York", "1mo", "2024-12-01T05:00", "2024-12-01T05:00"),
    ("America/New_York", "3mo", "2024-06-30T12:00", "2024-04-01T04:00"),
    ("UTC", "3mo", "2024-12-31T23:59:59.999", "2024-10-01"),
    ("UTC", "1mo", "2024-02-29T23:59:59.999", "2024-02-01"),
    ("UTC", "12mo", "2024-12-31", "2024-01-01"),
    # several days count from 1970-01-01, several weeks from Monday 1970-01-05
    ("UTC", "2d", "1970-01-02T23:59", "1970-01-01"),
    ("UTC", "2d", "2000-01-01", "1999-12-31"),
    ("UTC", "2w", "1970-01-18T23:59:59.999", "1970-01-05"),
    ("UTC", "2w", "1970-01-19", "1970-01-19"),
    ("UTC", "2w", "1970-01-04T12:00", "1969-12-22"),
    # midnight does not exist: the day begins at one o'clock
    ("America/Sao_Paulo", "1d", "2018-11-04T02:59:59.999", "2018-11-03T03:00"),
    ("America/Sao_Paulo", "1d", "2018-11-04T03:00", "2018-11-04T03:00"),
    ("America/Sao_Paulo", "1d", "2018-11-05T02:00", "2018-11-05T02:00"),
    ("Asia/Beirut", "1d", "2021-03-27T22:00", "2021-03-27T22:00"),
    ("Asia/Beirut", "1d", "2021-03-28T20:59:59.999", "2021-03-27T22:00"),
    # a date that does not exist
    ("Pacific/Apia", "1d", "2011-12-30T09:59:59.999", "2011-12-29T10:00"),
    ("Pacific/Apia", "1d", "2011-12-30T10:00", "2011-12-30T10:00"),
    ("Pacific/Apia", "1d", "2011-12-31T09:59:59.999", "2011-12-30T10:00"),
    ("Pacific/Apia", "1d", "2011-12-31T10:00", "2011-12-31T10:00"),
    ("Pacific/Kwajalein", "1d", "1993-08-21T11:59:59.999", "1993-08-20T12:00"),
    ("Pacific/Kwajalein", "1d", "1993-08-21T12:00", "1993-08-21T12:00"),
    # midnight comes twice: the first counts
    ("America/Havana", "1d", "2024-11-03T03:59:59.999", "2024-11-02T04:00"),
    ("America/Havana", "1d", "2024-11-03T04:00", "2024-11-03T04:00"),
    ("America/Havana", "1d", "2024-11-03T05:00", "2024-11-03T04:00"),
    ("America/Havana", "1d", "2024-11-04T05:00", "2024-11-04T05:00"),
    # clocks set back at midnight to 23:00: the day goes on for an hour
    ("America/Nuuk", "1d", "2024-10-27T01:30", "2024-10-26T01:00"),
    ("America/Nuuk", "1d", "2024-10-27T02:00", "2024-10-27T02:00"),
    # clocks set back at 00:01 to 23:01: the new day has begun and goes on
    ("America/St_Johns", "1d", "2010-11-07T02:29:59.999", "2010-11-06T02:30"),
    ("America/St_Johns", "1d", "2010-11-07T02:30", "2010-11-07T02:30"),
    ("America/St_Johns", "1d", "2010-11-07T03:00", "2010-11-07T02:30"),
    ("America/St_Johns", "1d", "2010-11-07T03:30", "2010-11-07T02:30"),
    ("America/St_Johns", "1d", "2010-11-08T03:30", "2010-11-08T03:30"),
    # an offset with seconds
    ("Africa/Monrovia", "1d", "1970-06-01T00:44:29.999", "1970-05-31T00:44:30"),
    ("Africa/Monrovia", "1d", "1970-06-01T00:44:30", "1970-06-01T00:44:30"),
    # the first and the last instants
    ("America/New_York", "1d", "1970-01-01T00:00", "1969-12-31T05:00"),
    ("America/New_York", "1mo", "1970-01-01T00:00", "1969-12-01T05:00"),
    ("America/New_York", "12mo", "1970-01-01T00:00", "1969-01-01T05:00"),
    ("Pacific/Auckland", "1d", "1970-01-01T00:00", "1969-12-31T12:00"),
    ("Pacific/Kiritimati", "1d", "2099-12-31T23:59:59.999", "2099-12-31T10:00"),
    ("America/New_York", "1d", "2099-12-31T23:59:59.999", "2099-12-31T05:00"),
]


@pytest.mark.parametrize(("zone", "text", "ts", "start"), CALENDAR_CASES)
def test_days_weeks_and_months_follow_the_calendar_of_the_time_zone(zone: str, text: str, ts: str, start: str) -> None:
    assert both(utc(ts), text, zone) == utc(start)


@pytest.mark.parametrize("text", ["1m", "1d", "1w", "1mo"])
def test_outside_of_the_known_times_there_is_no_bucket(text: str) -> None:
    rule = bucket_rule(parse_timeframe(text))
    assert both(MAX_TS_MS, text) is None
    assert bucket_of(rule, MAX_TS_MS) == (None, FOREVER)
    before = int(rule.starts[0]) - 1
    assert both(before, text) is None
    assert bucket_of(rule, before) == (None, before + 1)


class JumpOverMidnight(tzinfo):
    """A zone whose clocks jump once, from 23:30 to 00:30. Real ones did so only before 1970."""

    before, after = timedelta(hours=-5), timedelta(hours=-4)
    jump = datetime(2020, 6, 2, 4, 30)  # noqa: DTZ001 - in UTC, to compare with what tzinfo is handed

    def utcoffset(self, moment: datetime | None) -> timedelta:
        """As PEP 495 has it: in the gap the first fold takes the offset before, the second the one after."""
        assert moment is not None
        turned = self.jump + (self.before if moment.fold else self.after)
        return self.before if moment.replace(tzinfo=None) < turned else self.after

    def fromutc(self, moment: datetime) -> datetime:
        """Show what the clocks show."""
        return moment + (self.before if moment.replace(tzinfo=None) < self.jump else self.after)

    def dst(self, moment: datetime | None) -> None:
        """Not told."""

    def tzname(self, moment: datetime | None) -> None:
        """Not told."""


@pytest.mark.parametrize(
    ("ts", "start"),
    [
        ("2020-06-02T04:29:59.999", "2020-06-01T05:00"),
        ("2020-06-02T04:30", "2020-06-02T04:30"),
        ("2020-06-02T04:45", "2020-06-02T04:30"),
        ("2020-06-03T03:59:59.999", "2020-06-02T04:30"),
        ("2020-06-03T04:00", "2020-06-03T04:00"),
    ],
)
def test_a_day_begins_at_the_jump_that_skips_its_midnight(monkeypatch: pytest.MonkeyPatch, ts: str, start: str) -> None:
    monkeypatch.setattr(timeframes, "find_zone", lambda _: JumpOverMidnight())
    assert both(utc(ts), "1d", "Test/Jump") == utc(start)


# --- tables


def test_one_rule_serves_all_that_ask_for_the_same_buckets() -> None:
    assert bucket_rule(Timeframe(5, "m"), "America/New_York") is bucket_rule(Timeframe(5, "m"), "Asia/Tokyo")
    assert bucket_rule(Timeframe(1, "d"), "America/New_York") is not bucket_rule(Timeframe(1, "d"), "Asia/Tokyo")


@pytest.mark.parametrize("zone", ["UTC", "America/Havana", "Pacific/Apia", "Africa/Casablanca", "Pacific/Kiritimati"])
@pytest.mark.parametrize("text", TEXTS)
def test_a_table_ascends_covers_all_event_times_and_cannot_be_changed(text: str, zone: str) -> None:
    rule = bucket_rule(parse_timeframe(text), zone)
    assert rule.starts[0] <= MIN_TS_MS
    assert len(rule.starts) == 1 or rule.starts[1] > MIN_TS_MS
    assert (np.diff(rule.starts) > 0).all()
    assert (rule.ends > rule.starts).all()
    assert (rule.ends[:-1] <= rule.starts[1:]).all()
    assert rule.until_ms == rule.ends[-1] == MAX_TS_MS
    for column in (rule.starts, rule.ends):
        assert column.dtype == np.int64
        assert column.flags.c_contiguous
        assert not column.flags.writeable


# --- properties


@settings(max_examples=150, deadline=None)
@given(zone_and_times(), st.sampled_from(TEXTS))
def test_the_plain_form_and_the_table_agree(case: tuple[str, list[int]], text: str) -> None:
    zone, times = case
    for ts_ms in times:
        assert both(ts_ms, text, zone) is not None


@settings(max_examples=150, deadline=None)
@given(zone_and_times(), st.sampled_from(TEXTS))
def test_buckets_hold_their_times_ascend_and_end_where_the_next_begins(case: tuple[str, list[int]], text: str) -> None:
    zone, times = case
    rule = bucket_rule(parse_timeframe(text), zone)
    last = None
    for ts_ms in times:
        start, until = bucket_of(rule, ts_ms)
        assert start is not None
        assert start <= ts_ms < until
        assert bucket_of(rule, start) == bucket_of(rule, until - 1) == (start, until)
        assert bucket_of(rule, until)[0] == (until if until < MAX_TS_MS else None)
        assert last is None or start >= last
        last = start


@settings(max_examples=60, deadline=None)
@given(zone_and_times())
def test_a_day_begins_when_the_clocks_first_show_its_date(case: tuple[str, list[int]]) -> None:
    zone, times = case
    ts_ms = max(times[0], utc("1973-01-01")) // 60_000 * 60_000  # offsets are whole minutes since then
    first_shown: dict[date, int] = {}
    latest = date.min
    for minute_ms in range(ts_ms - 3 * DAY_MS, ts_ms + 60_000, 60_000):
        shown = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=minute_ms)).astimezone(ZoneInfo(zone)).date()
        latest = max(latest, shown)
        first_shown.setdefault(latest, minute_ms)
    assert both(ts_ms, "1d", zone) == first_shown[latest]


@settings(max_examples=100, deadline=None)
@given(st.integers(MIN_TS_MS, MAX_TS_MS - 1), st.integers(1, 3))
def test_weeks_and_months_in_utc_are_those_of_the_calendar(ts_ms: int, count: int) -> None:
    day = datetime.fromtimestamp(ts_ms // 1000, UTC).date()
    week, month = both(ts_ms, f"{count}w"), both(ts_ms, f"{count}mo")
    assert week is not None
    assert month is not None
    monday = datetime.fromtimestamp(week / 1000, UTC)
    assert monday.isoweekday() == 1
    assert 0 <= (day - monday.date()).days < 7 * count
    first = datetime.fromtimestamp(month / 1000, UTC)
    assert first.day == 1
    assert 0 <= (day.year - first.year) * 12 + day.month - first.month < count
