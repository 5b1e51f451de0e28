"""Why a row of a tick file is refused: the reasons by name, and the words for each."""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, NamedTuple

from streams.core.limits import MAX_CONDITIONS, MAX_TICKER_BYTES, MAX_TS_MS
from streams.errors import shortened

_MAX_DIGITS: Final = 40
_PLAUSIBLE_MS: Final = range(315_532_800_000, MAX_TS_MS)  # from 1980


class Fault(IntEnum):
    """What can be wrong with a row. The names, in small letters, are the reasons that a reject gives.

    A row with several faults is refused for the first of them.
    """

    NONE = 0
    LINE_MALFORMED = 1
    FIELD_COUNT = 2
    TICKER_EMPTY = 3
    TICKER_TOO_LONG = 4
    TICKER_NOT_UTF8 = 5
    TS_MISSING = 6
    TS_NOT_A_NUMBER = 7
    TS_OUT_OF_RANGE = 8
    CONDITIONS_TOO_MANY = 9
    CONDITION_MISSING = 10
    CONDITION_NOT_A_NUMBER = 11
    CONDITION_OUT_OF_RANGE = 12

    @property
    def reason(self) -> str:
        """The short code that stands in `rejected.jsonl`."""
        return self.name.lower()


class Reject(NamedTuple):
    """A row that was left out. Rows count from 1, without the header: row 1 of a CSV file is its line 2."""

    row: int
    reason: str
    detail: str


def detail(fault: Fault, cell: Callable[[str], Any]) -> str:
    """Say what stood there, for a fault in a cell; `cell` gives what a column holds."""
    return _DETAILS[fault](cell)


def unit_hint(value: int) -> str:
    """What unit an absurd time seems to be in, where it looks like one."""
    if value // 1_000_000 in _PLAUSIBLE_MS:
        return "; looks like nanoseconds, divide by 1000000"
    if value // 1_000 in _PLAUSIBLE_MS:
        return "; looks like microseconds, divide by 1000"
    return ""


def shown(cell: Any) -> str:  # noqa: ANN401 - whatever a file holds
    """A cell as short printable text."""
    if isinstance(cell, bytes):
        return shortened(cell[:200].decode(errors="backslashreplace"))
    return str(cell) if isinstance(cell, int) else shortened(str(cell))


def _long_ticker(cell: Any) -> str:  # noqa: ANN401 - whatever a file holds
    return f"{len(cell)} bytes in UTF-8, the limit is {MAX_TICKER_BYTES}; it begins {shown(cell[:20])}"


def _absurd_ts(cell: Any) -> str:  # noqa: ANN401 - whatever a file holds
    short_text = cell if isinstance(cell, int) or len(cell) <= _MAX_DIGITS else ""
    try:
        hint = unit_hint(int(short_text))
    except ValueError:
        hint = ""
    return f"{shown(cell)} is not a time from 1970 to 2099 in milliseconds{hint}"


_DETAILS: Final[dict[Fault, Callable[[Callable[[str], Any]], str]]] = {
    Fault.TICKER_EMPTY: lambda _cell: "a tick needs a ticker",
    Fault.TICKER_TOO_LONG: lambda cell: _long_ticker(cell("ticker")),
    Fault.TICKER_NOT_UTF8: lambda cell: f"{shown(cell('ticker'))} is not UTF-8",
    Fault.TS_MISSING: lambda _cell: "a tick needs a time",
    Fault.TS_NOT_A_NUMBER: lambda cell: f"{shown(cell('ts'))} is not a whole number of milliseconds",
    Fault.TS_OUT_OF_RANGE: lambda cell: _absurd_ts(cell("ts")),
    Fault.CONDITIONS_TOO_MANY: lambda _cell: f"more than {MAX_CONDITIONS} condition codes",
    Fault.CONDITION_MISSING: lambda cell: f"a code is missing in {shown(cell('conditions'))}",
    Fault.CONDITION_NOT_A_NUMBER: lambda cell: f"{shown(cell('conditions'))} is not a list of condition codes",
    Fault.CONDITION_OUT_OF_RANGE: lambda cell: f"a code in {shown(cell('conditions'))} is beyond 32 bits",
}
