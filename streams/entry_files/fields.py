"""Fields of a YAML file, checked by tables: what each may hold, what it means, and what it is where it is not said.

A check takes a node and its place (`FILE|FIELD, FIELD`), and gives the value or an `InputError` with the line.
"""

import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from streams.entry_files.yaml_entries import Node
from streams.errors import InputError, shortened
from streams.setting_readers import host as read_host
from streams.setting_readers import url as read_url
from streams.strategy_fields import FieldError, check_ticker, described


class Place(NamedTuple):
    """Where in a file something stands."""

    file: str
    path: tuple[str, ...] = ()

    def error(self, node: Node, problem: str, remedy: str) -> InputError:
        """What is wrong there."""
        return InputError(", ".join((f"{self.file}, line {node.line}", *self.path)), problem, remedy)

    def at(self, name: str) -> "Place":
        """A field of what stands here."""
        return Place(self.file, (*self.path, name if name.isidentifier() else shortened(name)))


Check = Callable[[Node, Place], Any]
NOTHING: Final = object()


class Field(NamedTuple):
    """One field. Without a default it must be there."""

    check: Check
    means: str
    default: Any = NOTHING


def mapping(table: Mapping[str, Field]) -> Check:
    """A mapping with the fields of a table, as a dictionary with all of them."""

    def check(node: Node, place: Place) -> dict[str, Any]:
        given = _mapping(node, place, f"write fields such as {next(iter(table))}")
        for name, each in given.items():
            if name not in table:
                near = difflib.get_close_matches(name, table, n=1)
                remedy = f"did you mean {near[0]}?" if near else f"the fields are {', '.join(table)}"
                raise place.at(name).error(each, "unknown field", remedy)
        for name, field in table.items():
            if name not in given and field.default is NOTHING:
                raise place.at(name).error(node, "the field is missing", f"add {field.means}")
        return {
            name: field.check(given[name], place.at(name)) if name in given else field.default
            for name, field in table.items()
        }

    return check


def by_name(table: Mapping[str, Field]) -> Check:
    """A mapping of any names, each with the fields of a table."""
    fields = mapping(table)

    def check(node: Node, place: Place) -> dict[str, Any]:
        given = _mapping(node, place, "write names, each with its fields")
        return {name: fields(each, place.at(name)) for name, each in given.items()}

    return check


def list_of(table: Mapping[str, Field], most: int) -> Check:
    """A list of mappings with the fields of a table; each gets its `line` beside them."""
    fields = mapping(table)

    def check(node: Node, place: Place) -> list[dict[str, Any]]:
        if not isinstance(node.value, list):
            raise place.error(node, f"{described(node.value)}, where a list belongs", "begin each with a dash")
        if len(node.value) > most:
            raise place.error(node, f"{len(node.value)} of them, the limit is {most}", "spread them over several files")
        return [{**fields(each, place), "line": each.line} for each in node.value]

    return check


def value(read: Callable[[Any], Any]) -> Check:
    """A single value, by a check that raises `FieldError`."""

    def check(node: Node, place: Place) -> Any:  # noqa: ANN401 - each field has a type of its own
        try:
            return read(node.value)
        except FieldError as error:
            raise place.error(node, error.problem, error.remedy) from error

    return check


def setting(read: Callable[[str], Any]) -> Check:
    """A text, by a reader of settings."""

    def check(given: Any) -> Any:  # noqa: ANN401 - each field has a type of its own
        try:
            return read(given if isinstance(given, str) else described(given))
        except ValueError as error:
            problem, _, remedy = str(error).partition("; ")
            raise FieldError(f"{shortened(str(given))} {problem}", remedy) from error

    return value(check)


url: Final = setting(read_url)
host: Final = setting(read_host)


def number(low: float, high: float, *, whole: bool = False) -> Check:
    """A number within bounds, both included."""
    remedy = f"write {'a whole number' if whole else 'one'} from {low:g} to {high:g}"

    def check(given: Any) -> float:  # noqa: ANN401 - whatever the file holds
        if isinstance(given, bool) or not isinstance(given, int if whole else int | float) or math.isnan(given):
            raise FieldError(f"{described(given)}, where a number belongs", remedy)
        if not low <= given <= high:
            raise FieldError(f"{given} is out of range", remedy)
        return given if whole else float(given)

    return value(check)


def names(least: int, most: int, read: Callable[[Any], Any] | None = None) -> Check:
    """A list of names, each once: tickers, where nothing else is said."""

    def check(node: Node, place: Place) -> frozenset[str]:
        if not isinstance(node.value, list):
            raise place.error(
                node, f"{described(node.value)}, where a list belongs", "write such as [BTC-USD, ETH-USD]"
            )
        if not least <= len(node.value) <= most:
            raise place.error(node, f"{len(node.value)} of them", f"write from {least} to {most}")
        return frozenset(value(read or _ticker)(each, place) for each in node.value)

    return check


def _ticker(given: Any) -> str:  # noqa: ANN401 - whatever the file holds
    check_ticker(given)
    return str(given)


def texts(node: Node, place: Place) -> dict[str, str]:
    """A mapping of names to texts or whole numbers."""
    found = {}
    for name, each in _mapping(node, place, "write such as {product_type: SPOT}").items():
        if isinstance(each.value, bool) or not isinstance(each.value, str | int):
            raise place.at(name).error(each, f"{described(each.value)}, where text belongs", "put it in quotes")
        found[name] = str(each.value)
    return found


def _mapping(node: Node, place: Place, remedy: str) -> dict[str, Node]:
    if not isinstance(node.value, dict):
        raise place.error(node, f"{described(node.value)}, where fields belong", remedy)
    return node.value
