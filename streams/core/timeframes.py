"""Which bucket a time falls into: `bucket_start` tells it plainly, `bucket_rule` as a table for the kernel.

Seconds, minutes and hours floor on the UTC epoch, in every time zone. Days, weeks and months follow the
calendar of the time zone: a bucket begins at the first instant of its first date, or, where the clocks skip
that, at the first instant after. Several days count from 1970-01-01, several weeks from Monday 1970-01-05,
several months from 1970-01, so that 3mo are quarters. Clocks set back over midnight open no bucket again.

With a session (the code of an exchange) the buckets hang on its opens instead, and the time zone plays no
part. What comes after a close or in a lunch break belongs to the last bucket before. Where the exchange's
sessions are not known there is no bucket. Times outside of `limits` never get here.
"""

import difflib
import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import numpy.typing as npt

from streams.core.limits import FOREVER, MAX_TS_MS, MIN_TS_MS
from streams.core.sessions import session_segments

Int64s = npt.NDArray[np.int64]

MAX_COUNTS: Final = {"s": 86_400, "m": 1_440, "h": 24, "d": 366, "w": 53, "mo": 12}
"""How many of each unit: intraday at most 24 hours, calendars about a year."""

STEP_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000}
DAY_MS: Final = 86_400_000
_FIRST_DAY: Final = MIN_TS_MS // DAY_MS - 400  # the longest bucket that holds the first instant begins after it
_LAST_DAY: Final = MAX_TS_MS // DAY_MS + 2
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO, _MS = timedelta(0), timedelta(milliseconds=1)
_FIRST_MONDAY: Final = 4  # 1970-01-05, in days
_SHOWN_CHARACTERS: Final = 40


class InvalidTimeframeError(ValueError):
    """A text that is no timeframe."""

    def __init__(self, text: str) -> None:
        near = _near_misses(text[:_SHOWN_CHARACTERS])
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        limits = ", ".join(f"{count}{unit}" for unit, count in MAX_COUNTS.items())
        super().__init__(
            f"timeframe {text[:_SHOWN_CHARACTERS]!r} is not known; use e.g. 1m, 5m, 1h, 1d, 1w, 1mo "
            f"(at most {limits}){hint}"
        )


class UnknownTimeZoneError(ValueError):
    """A name that is no time zone."""

    def __init__(self, name: str) -> None:
        near = difflib.get_close_matches(name[:_SHOWN_CHARACTERS].title(), sorted(_known_zones()), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "use an IANA name such as America/New_York"
        if not _known_zones():
            hint = "this machine has no time zone data; pip install tzdata"
        super().__init__(f"time zone {name[:_SHOWN_CHARACTERS]!r} is unknown; {hint}")


class Timeframe(NamedTuple):
    """The length of a bucket, such as 5 m."""

    count: int  # type: ignore[assignment]  # hides a method of tuples that nobody needs here
    unit: str
    """s, m, h, d, w or mo."""


@dataclass(frozen=True, slots=True, eq=False)
class BucketRule:
    """The buckets of one timeframe as segments, each cut into steps of one length."""

    step_ms: int
    """Length of a bucket within a segment; 0: the segment is one bucket."""
    starts: Int64s
    """Where segments start, strictly ascending."""
    ends: Int64s
    """Where their steps stop; what comes then, up to the next start, belongs to the last bucket."""
    until_ms: int
    """Nothing is known from here on."""


@lru_cache(maxsize=1024)
def parse_timeframe(text: str) -> Timeframe:
    """Read a timeframe such as "5m", or raise `InvalidTimeframeError`."""
    match = re.fullmatch("([1-9][0-9]{0,5})(s|m|h|d|w|mo)", text)
    if match is None or int(match[1]) > MAX_COUNTS[match[2]]:
        raise InvalidTimeframeError(text)
    return Timeframe(int(match[1]), match[2])


def _near_misses(text: str) -> list[str]:
    """What the text may have been meant to be."""
    match = re.fullmatch(r"\s*0*([1-9][0-9]{0,5})[\s_-]*([A-Za-z]*)\s*", text)
    if match is None:
        return []
    count, word = match.groups()
    unit = "mo" if word.lower().startswith("mo") else word[:1].lower()
    units = {"": ("s", "m"), "M": ("mo", "m")}.get(word, (unit,))
    return [f"{count}{unit}" for unit in units if int(count) <= MAX_COUNTS.get(unit, 0)]


@lru_cache(maxsize=1)
def _known_zones() -> frozenset[str]:
    return frozenset(available_timezones() - {"localtime"})  # that one is another zone on each machine


@lru_cache(maxsize=1024)
def find_zone(name: str) -> tzinfo:
    """Find the time zone, or raise `UnknownTimeZoneError`. UTC needs no time zone data."""
    if name == "UTC":
        return UTC
    if name not in _known_zones():
        raise UnknownTimeZoneError(name)
    return ZoneInfo(name)


def bucket_start(ts_ms: int, timeframe: Timeframe, time_zone: str = "UTC", session: str = "") -> int | None:
    """The start of the bucket that holds the time; None where there is none. Plain, and the reference for the rest."""
    if not MIN_TS_MS <= ts_ms < MAX_TS_MS:
        return None
    if session:
        return _session_start(ts_ms, timeframe, session)
    if timeframe.unit in STEP_MS:
        step_ms = timeframe.count * STEP_MS[timeframe.unit]
        return ts_ms // step_ms * step_ms
    zone = find_zone(time_zone)
    today = _local_date(ts_ms, zone)
    # Tomorrow has begun already where the clocks were set back over midnight. It then goes on.
    start = _first_instant(_floor_date(today + timedelta(days=1), timeframe), zone)
    return start if start <= ts_ms else _first_instant(_floor_date(today, timeframe), zone)


def _session_start(ts_ms: int, timeframe: Timeframe, session: str) -> int | None:
    opens, closes, dates = session_segments(session)
    if not opens[0] <= ts_ms < closes[-1]:
        return None
    at = bisect_right(opens, ts_ms) - 1
    if timeframe.unit in STEP_MS:
        step_ms = timeframe.count * STEP_MS[timeframe.unit]
        traded_ms = min(ts_ms, int(closes[at]) - 1) - int(opens[at])
        return int(opens[at]) + traded_ms // step_ms * step_ms
    first_date = _floor_date(_EPOCH.date() + timedelta(days=int(dates[at])), timeframe)
    return int(opens[bisect_left(dates, (first_date - _EPOCH.date()).days)])


def _local_date(ts_ms: int, zone: tzinfo) -> date:
    return (_EPOCH + timedelta(milliseconds=ts_ms)).astimezone(zone).date()


def _floor_date(day: date, timeframe: Timeframe) -> date:
    """The first date of the day's bucket."""
    count, unit = timeframe
    if unit == "mo":
        years, months = divmod(((day.year - 1970) * 12 + day.month - 1) // count * count, 12)
        return date(1970 + years, 1 + months, 1)
    days = (day - _EPOCH.date()).days
    return day - timedelta(days=(days - _FIRST_MONDAY) % (7 * count) if unit == "w" else days % count)


def _first_instant(day: date, zone: tzinfo) -> int:
    """When the clocks first show the date, or a later one where they skip it."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    late, early = ((midnight.replace(fold=fold) - _EPOCH) // _MS for fold in (0, 1))
    while late - early > 1:  # only where midnight is skipped: the jump lies between
        middle = (early + late) // 2
        early, late = (middle, late) if _local_date(middle, zone) < day else (early, middle)
    return late


def bucket_rule(timeframe: Timeframe, time_zone: str = "UTC", session: str = "") -> BucketRule:
    """The same buckets as a table. Equal rules are one object while they are in the cache."""
    if session or timeframe.unit in STEP_MS:
        time_zone = "UTC"
    return _bucket_rule(timeframe, time_zone, session)


@lru_cache(maxsize=128)
def _bucket_rule(timeframe: Timeframe, time_zone: str, session: str) -> BucketRule:
    step_ms = timeframe.count * STEP_MS.get(timeframe.unit, 0)
    if session and step_ms:
        opens, closes, _ = session_segments(session)
        return BucketRule(step_ms, opens, closes, int(closes[-1]))
    if session:
        opens, closes, dates = session_segments(session)
        floors = _floor_days(dates, timeframe)
        return _whole_segments(opens[_rises(floors)], int(closes[-1]))
    if step_ms:
        return BucketRule(step_ms, _frozen(np.array([MIN_TS_MS])), _frozen(np.array([MAX_TS_MS])), MAX_TS_MS)
    floors = _floor_days(np.arange(MIN_TS_MS // DAY_MS - 1, _LAST_DAY), timeframe)
    starts = _day_starts(time_zone)[floors[_rises(floors)] - _FIRST_DAY]
    starts = starts[_rises(starts)]  # a skipped date starts with the next one
    held = (starts < MAX_TS_MS) & (np.append(starts[1:], FOREVER) > MIN_TS_MS)
    return _whole_segments(starts[held], MAX_TS_MS)


def _rises(ascending: Int64s) -> npt.NDArray[np.bool_]:
    """Where a value is the first of its kind."""
    return np.diff(ascending, prepend=ascending[0] - 1) > 0


def _whole_segments(starts: Int64s, until_ms: int) -> BucketRule:
    bounds = _frozen(np.append(starts, until_ms))
    return BucketRule(0, bounds[:-1], bounds[1:], until_ms)


def _frozen(column: Int64s) -> Int64s:
    column.setflags(write=False)
    return column


def _floor_days(days: Int64s, timeframe: Timeframe) -> Int64s:
    """`_floor_date` for many, in days since 1970-01-01."""
    count, unit = timeframe
    if unit == "mo":
        months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) // count * count
        return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return days - ((days - _FIRST_MONDAY) % (7 * count) if unit == "w" else days % count)


@lru_cache(maxsize=16)
def _day_starts(time_zone: str) -> Int64s:
    """`_first_instant` of each day from `_FIRST_DAY` on."""
    days = np.arange(_FIRST_DAY, _LAST_DAY)
    if time_zone == "UTC":
        return _frozen(days * DAY_MS)
    zone = find_zone(time_zone)
    midnights: list[datetime] = days.astype("datetime64[D]").astype("datetime64[us]").tolist()
    starts = days * DAY_MS - np.array([(zone.utcoffset(midnight) or _ZERO) // _MS for midnight in midnights])
    # A midnight that is skipped has been told by the clocks before, and the next one by those after.
    for at in np.flatnonzero(np.diff(starts) != DAY_MS):
        starts[at] = _first_instant(midnights[at].date(), zone)
    return _frozen(starts)


def bucket_of(rule: BucketRule, ts_ms: int) -> tuple[int | None, int]:
    """Walk the table as the kernel does: (start of the bucket or None, when the answer changes next)."""
    if ts_ms >= rule.until_ms:
        return None, FOREVER
    at = bisect_right(rule.starts, ts_ms) - 1
    until = int(rule.starts[at + 1]) if at + 1 < len(rule.starts) else rule.until_ms
    if at < 0:
        return None, until
    start, end = int(rule.starts[at]), int(rule.ends[at])
    if rule.step_ms:
        start += (min(ts_ms, end - 1) - start) // rule.step_ms * rule.step_ms
        until = start + rule.step_ms if start + rule.step_ms < end else until
    return start, until
