"""Points in time as people write and read them."""

from datetime import UTC, datetime, timedelta
from typing import Final

from streams.core.limits import MAX_TS_MS, MIN_TS_MS
from streams.errors import InputError, shortened

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_REMEDY: Final = "write such as 2026-03-02T14:30:00Z, or in ms since 1970"
_YEAR_DIGITS: Final = len("20260302")
"""So many digits may be a date; what has more is a number of ms."""


def read_moment(text: str, place: str) -> int:
    """A point in time as ms since 1970; UTC where it names no zone. Raises `InputError`, which names the place."""
    if text.isascii() and text.isdecimal() and len(text) > _YEAR_DIGITS:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(place, f"{shortened(text)} is no point in time", _REMEDY) from error
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MS


def read_time(text: str, place: str) -> int:
    """The same, where it may be the time of an event."""
    ts_ms = read_moment(text, place)
    if not MIN_TS_MS <= ts_ms < MAX_TS_MS:
        raise InputError(place, f"{shortened(text)} does not lie between 1970 and 2100", _REMEDY)
    return ts_ms


def shown_time(ts_ms: int) -> str:
    """A time for the eye, in UTC."""
    if not MIN_TS_MS <= ts_ms < MAX_TS_MS:
        return f"{ts_ms} ms"
    return (_EPOCH + ts_ms * _MS).isoformat(timespec="milliseconds").replace("+00:00", "Z")
