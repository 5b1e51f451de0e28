"""When an exchange trades, from `exchange_calendars`: the one file of the core that knows that package.

The package is an optional extra, so it is imported where it is used. It is asked for fixed dates and never for
"today", so the same versions give the same sessions on any day.
"""

import difflib
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

FIRST_DATE: Final = "1990-01-01"
LAST_DATE: Final = "2049-12-31"
"""Sessions are known between these dates, or for less where the package knows less (XSHG: to the end of 2026)."""

_PROBE_DATES: Final = ("2024-01-01", "2024-12-31")
"""Dates every calendar knows. Only from a calendar that was built can its bounds be read in public."""

_CALENDARS_KEPT: Final = 16
_SHOWN_CHARACTERS: Final = 40


class SessionError(ValueError):
    """A session that can't be used; the message says why and what helps."""


class SessionsNotInstalledError(SessionError):
    """The optional package is missing."""

    def __init__(self, code: str) -> None:
        super().__init__(
            f"session {code[:_SHOWN_CHARACTERS]!r} needs the optional calendars; pip install tickgate[sessions]"
        )


class UnknownSessionError(SessionError):
    """No exchange has this code."""

    def __init__(self, code: str, known: list[str]) -> None:
        near = difflib.get_close_matches(code[:_SHOWN_CHARACTERS].upper(), known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "use an exchange code such as XNYS, XLON, XHKG or 24/7"
        super().__init__(f"session {code[:_SHOWN_CHARACTERS]!r} is unknown; {hint}")


class UnusableSessionError(SessionError):
    """The package knows the code and fails to build its calendar."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(
            f"session {code} can't be built by the installed exchange_calendars and pandas ({reason[:200]}); "
            "install other versions of them, or leave the session out"
        )


class Segments(NamedTuple):
    """Stretches of trade, ascending and apart from each other; a session with a break has two."""

    opens: npt.NDArray[np.int64]
    """First millisecond of each stretch."""
    closes: npt.NDArray[np.int64]
    """The millisecond after its last."""
    dates: npt.NDArray[np.int64]
    """The date of its session, in days since 1970-01-01. A session may open on the evening before its date."""


@lru_cache(maxsize=_CALENDARS_KEPT)
def session_segments(code: str) -> Segments:
    """All stretches of trade of the exchange, or a `SessionError`."""
    schedule = _calendar(code).schedule
    opens, break_starts = _milliseconds(schedule["open"]), _milliseconds(schedule["break_start"])
    closes, break_ends = _milliseconds(schedule["close"]), _milliseconds(schedule["break_end"])
    dates = schedule.index.to_numpy().astype("datetime64[D]").astype(np.int64)
    broken = ~np.isnat(break_starts)
    first_closes = np.where(broken, break_starts, closes)
    all_opens = np.concatenate([opens, break_ends[broken]]).astype(np.int64)
    order = np.argsort(all_opens)
    segments = Segments(
        all_opens[order],
        np.concatenate([first_closes, closes[broken]]).astype(np.int64)[order],
        np.concatenate([dates, dates[broken]])[order],
    )
    _check(code, segments)
    for column in segments:
        column.setflags(write=False)
    return segments


def _milliseconds(column: Any) -> npt.NDArray[np.datetime64]:  # noqa: ANN401 - a pandas Series, which is optional
    """Instants of the column in UTC; NaT stays NaT."""
    times: npt.NDArray[np.datetime64] = column.dt.tz_convert(None).to_numpy().astype("datetime64[ms]")
    return times


def _check(code: str, segments: Segments) -> None:
    """Refuse stretches that no bucket rule could be made of."""
    opens, closes, dates = segments
    if not len(opens) or (closes <= opens).any() or (opens[1:] < closes[:-1]).any() or (np.diff(dates) < 0).any():
        raise UnusableSessionError(code, "its sessions are empty, overlap or go back")


def _calendar(code: str) -> Any:  # noqa: ANN401 - a type of the optional package
    """Build the calendar over its part of the fixed dates."""
    try:
        import exchange_calendars  # noqa: PLC0415 - optional, and slow to import
    except ImportError as error:
        raise SessionsNotInstalledError(code) from error
    known = exchange_calendars.get_calendar_names()
    if code not in known:
        raise UnknownSessionError(code, known)
    try:
        return _built(exchange_calendars, code)
    except Exception as error:  # whatever goes wrong in there, the strategy's owner must read which session it was
        raise UnusableSessionError(code, f"{type(error).__name__}: {error}") from error


def _built(exchange_calendars: Any, code: str) -> Any:  # noqa: ANN401 - the optional package
    """Build over all the dates, or between the calendar's bounds where it has some."""
    try:
        return exchange_calendars.get_calendar(code, start=FIRST_DATE, end=LAST_DATE)
    except ValueError:  # the dates are out of its bounds; asking for them first would double the time for all others
        probe = exchange_calendars.get_calendar(code, start=_PROBE_DATES[0], end=_PROBE_DATES[1])
    earliest, latest = probe.bound_min(), probe.bound_max()
    start = FIRST_DATE if earliest is None else max(FIRST_DATE, str(earliest.date()))
    end = LAST_DATE if latest is None else min(LAST_DATE, str(latest.date()))
    return exchange_calendars.get_calendar(code, start=start, end=end)
