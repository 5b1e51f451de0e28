"""Mappings out of JSON: one object a line, a list of objects, or a single object. The content tells which."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from streams.entry_files.entry import Entry
from streams.errors import InputError, shortened

OfLine = Callable[[int], dict[str, Any] | None]
"""The object of a line, counted from 0; None where the parser is to be asked."""
Lists = Callable[[str, Callable[[str], Any]], OfLine]

_WHITESPACE: Final = " \t\r\n"
_MEND: Final = "mend the JSON there"


class _OddityError(ValueError):
    """Something that the JSON parser lets through, but is a mistake."""


def json_entries(text: str, file: str, *, by_line: bool, lists: Lists | None = None) -> Iterator[Entry]:
    """The objects in order. `by_line` says that the file's name promises one a line.

    `lists` makes something of the text that knows the objects of some lines, given the parser.
    """
    start = text.lstrip(_WHITESPACE)[:1]
    if start == "[":
        return _list_entries(text, file)
    if start == "{" and not _first_line_is_whole(text) and (not by_line or _is_whole(text)):
        return _single_entry(text, file)
    return _line_entries(text, file, lists and lists(text, _DECODER.decode))


def _line_entries(text: str, file: str, known: OfLine | None) -> Iterator[Entry]:
    """One object on each line; blank lines are passed over."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip(_WHITESPACE):
            continue
        place = f"{file}, line {number}"
        value = known and known(number - 1)
        try:
            value = _DECODER.decode(line) if value is None else value
        except json.JSONDecodeError as error:
            raise InputError(f"{place}, column {error.colno}", _words(error), _MEND) from error
        except (ValueError, RecursionError) as error:
            raise _refused(place, error) from error
        yield _entry(value, place, number)


def _list_entries(text: str, file: str) -> Iterator[Entry]:
    """The objects of one list. It is walked here, as the parser would forget their lines."""
    at = _past_whitespace(text, text.index("[") + 1)
    line, counted_to = 1, 0
    while text[at : at + 1] != "]":
        line, counted_to = line + text.count("\n", counted_to, at), at
        value, at = _decoded(text, at, file, line)
        yield _entry(value, f"{file}, line {line}", line)
        at = _past_whitespace(text, at)
        if text[at : at + 1] == ",":
            at = _past_whitespace(text, at + 1)
            if text[at : at + 1] == "]":
                raise _misplaced(text, at, file, "a comma with nothing after it")
        elif text[at : at + 1] != "]":
            raise _misplaced(text, at, file, "a comma or the end of the list is missing")
    _check_end(text, at + 1, file)


def _single_entry(text: str, file: str) -> Iterator[Entry]:
    """The one object of a file, over several lines."""
    start = _past_whitespace(text, 0)
    line = text.count("\n", 0, start) + 1
    value, end = _decoded(text, start, file, line)
    _check_end(text, end, file)
    yield _entry(value, f"{file}, line {line}", line)


def _decoded(text: str, at: int, file: str, line: int) -> tuple[Any, int]:
    """The value that begins at a place, and where it ends."""
    try:
        value, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        place = f"{file}, line {error.lineno}, column {error.colno}"
        raise InputError(place, _words(error), _MEND) from error
    except (ValueError, RecursionError) as error:
        raise _refused(f"{file}, line {line}", error) from error
    return value, end


def _check_end(text: str, at: int, file: str) -> None:
    """Refuse anything behind the one value of a file."""
    at = _past_whitespace(text, at)
    if at < len(text):
        raise _misplaced(text, at, file, "more text after the end of the value")


def _entry(value: object, place: str, line: int) -> Entry:
    if not isinstance(value, dict):
        remedy = 'write {"strategy_id": ..., "timeframe": ..., "universe": [...]}'
        raise InputError(place, "an object with fields belongs here", remedy)
    return Entry(line, value, {}, {})


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its fields, each there once."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _OddityError(f"field {shortened(twice)} is there twice in one object; keep one of them")
    return fields


def _no_constant(name: str) -> float:
    raise _OddityError(f"{name} is not JSON; write a number")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unrepeated, parse_constant=_no_constant)


def _refused(place: str, error: Exception) -> InputError:
    """An error of a value that has no column of its own."""
    if isinstance(error, RecursionError):
        return InputError(place, "lists or objects are nested too deeply", "a strategy is one flat object")
    if isinstance(error, _OddityError):
        problem, _, remedy = str(error).partition("; ")
        return InputError(place, problem, remedy)
    return InputError(place, "a number is too long", "write a number of sensible size")


def _misplaced(text: str, at: int, file: str, problem: str) -> InputError:
    error = json.JSONDecodeError("", text, at)
    return InputError(f"{file}, line {error.lineno}, column {error.colno}", problem, _MEND)


def _words(error: json.JSONDecodeError) -> str:
    return f"malformed JSON, {error.msg[:1].lower()}{error.msg[1:]}"


def _past_whitespace(text: str, at: int) -> int:
    while at < len(text) and text[at] in _WHITESPACE:
        at += 1
    return at


def _first_line_is_whole(text: str) -> bool:
    """Whether the first line that is not blank is an object of its own."""
    return _is_whole(text.lstrip(_WHITESPACE).partition("\n")[0])


def _is_whole(text: str) -> bool:
    """Whether a text is one JSON value; a mistake in what it says does not matter here."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
