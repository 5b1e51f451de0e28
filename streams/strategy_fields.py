"""What each field of a strategy may hold, and what to do where it holds something else."""

import unicodedata
from collections.abc import Callable
from typing import Any, Final

from streams.core.events import Mode, Status
from streams.core.limits import MAX_COALESCE_MS, MAX_STRATEGY_ID_BYTES, MAX_TICKER_BYTES
from streams.core.timeframes import UnknownTimeZoneError, find_zone
from streams.errors import shortened

MAX_TEXT: Final = 256
_MAX_VERSION: Final = (1 << 63) - 1


class FieldError(Exception):
    """A value that its field cannot take; the place is added where it is known."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy


def described(value: Any) -> str:  # noqa: ANN401 - whatever the file holds
    """What a value is, in words."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return f"the number {shortened(str(value))[1:-1]}"
    if isinstance(value, str):
        return f"the text {shortened(value)}"
    names = {float: "a number that is not whole, or a date", list: "a list", dict: "an object", type(None): "nothing"}
    return names.get(type(value), "something else")


def _text_field(value: Any) -> str:  # noqa: ANN401 - whatever the file holds
    """Any text of sensible length."""
    if not isinstance(value, str):
        words = "; YAML reads yes, no, on and off as true or false" if isinstance(value, bool) else ""
        raise FieldError(f"{described(value)}, where text belongs", "put it in quotes" + words)
    if len(value) > MAX_TEXT:
        raise FieldError(f"text of {len(value)} characters, the limit is {MAX_TEXT}", "shorten it")
    # What can be printed has none of these: so much is told at once, and not letter by letter.
    if not value.isprintable() and any(unicodedata.category(character) in {"Cc", "Cs"} for character in value):
        raise FieldError(f"{shortened(value)} has a control character or half a character in it", "remove it")
    return value


def _name(value: Any, max_bytes: int) -> str:  # noqa: ANN401 - whatever the file holds
    """A text that names something."""
    if isinstance(value, str) and len(value) <= min(max_bytes, MAX_TEXT) and value.isascii() and value.isalnum():
        return value  # as nearly always: nothing below has anything against it
    if isinstance(value, str) and not value:
        raise FieldError("the text is empty", "write a name")
    if isinstance(value, str) and len(value.encode(errors="replace")) > max_bytes:
        size = len(value.encode(errors="replace"))
        raise FieldError(f"{shortened(value)} has {size} bytes in UTF-8, the limit is {max_bytes}", "shorten it")
    text = _text_field(value)
    if text != text.strip():
        raise FieldError(f"{shortened(text)} begins or ends with a space", "remove the space")
    return text


def check_ticker(value: Any) -> None:  # noqa: ANN401 - whatever the file holds
    """Refuse what cannot be a ticker."""
    _name(value, MAX_TICKER_BYTES)


def _whole_number(low: int, high: int) -> Callable[[Any], int]:
    """A check of a whole number within limits, both included."""

    def check(value: Any) -> int:  # noqa: ANN401 - whatever the file holds
        if type(value) is not int:
            raise FieldError(f"{described(value)}, where a whole number belongs", f"write one from {low} to {high}")
        if not low <= value <= high:
            raise FieldError(f"{described(value)} is out of range", f"write one from {low} to {high}")
        return value

    return check


def _choice(*values: str) -> Callable[[Any], str]:
    """A check of a text that is one of a few."""

    def check(value: Any) -> str:  # noqa: ANN401 - whatever the file holds
        if value not in values:
            raise FieldError(f"{described(value)} is not known", f"write {' or '.join(values)}")
        return str(value)

    return check


def _mode(value: Any) -> Mode:  # noqa: ANN401 - whatever the file holds
    """How to throttle. Every ticker is the universe's matter, not the mode's."""
    if value == Mode.GLOBAL:
        raise FieldError("the mode global follows from the universe", 'leave it out, and write "universe": "all"')
    return Mode(_choice(Mode.PER_TICKER, Mode.LEGACY)(value))


def _time_zone(value: Any) -> str:  # noqa: ANN401 - whatever the file holds
    """The name of a time zone that this machine knows."""
    name = _text_field(value)
    try:
        find_zone(name)
    except UnknownTimeZoneError as error:
        problem, _, remedy = str(error).partition("; ")
        raise FieldError(problem, remedy) from error
    return name


CHECKS: Final[dict[str, Callable[[Any], Any]]] = {
    "strategy_id": lambda value: _name(value, MAX_STRATEGY_ID_BYTES),
    "timeframe": _text_field,
    "universe": lambda value: value,  # by the reader, which knows the tickers
    "status": lambda value: Status(_choice(*Status)(value)),
    "version": _whole_number(1, _MAX_VERSION),
    "time_zone": _time_zone,
    "session": _text_field,
    "mode": _mode,
    "coalesce_ms": _whole_number(0, MAX_COALESCE_MS),
    "name": _text_field,
}

REQUIRED: Final = {
    "strategy_id": 'a name of its own, such as "strategy_id": "s1"',
    "timeframe": 'one such as "timeframe": "5m"',
    "universe": 'the tickers, such as "universe": ["AAPL"], or "all"',
}
