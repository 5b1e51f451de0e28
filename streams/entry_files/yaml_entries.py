"""Mappings out of YAML: a list of them, alone or under a key of its own, or a single one.

The tree is built here from the parser's events: that keeps the lines, loads no objects, ends at a small depth,
and an alias is the node it names, not a copy, so that a short text cannot grow into a large tree.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from streams.entry_files.entry import Entry
from streams.errors import InputError, shortened

MAX_DEPTH: Final = 6
"""How deep lists and mappings may nest: twice what a file of strategies needs."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER: Final = yaml.resolver.Resolver()
_TAG: Final = "tag:yaml.org,2002:"
_DECIMAL: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_FRACTION: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,14})\.[0-9]{1,15}")
_NODE_REMEDY: Final = "write a list of mappings, each with strategy_id, timeframe and universe"


class Node(NamedTuple):
    """A scalar as a value, a list as nodes, or a mapping as nodes by name."""

    line: int
    value: Any

    def plain(self) -> Any:  # noqa: ANN401 - whatever the file holds
        """The value without lines, one level deep: what is nested in a list stays as it is, to be refused."""
        if isinstance(self.value, list):
            return [item.value for item in self.value]
        return self.value


def yaml_entries(text: str, file: str, key: str, remedy: str = _NODE_REMEDY) -> Iterator[Entry]:
    """The mappings in order: of the list, of the list under `key`, or the only one."""
    root = yaml_tree(text, file)
    if root is None:
        raise InputError(file, "there is nothing but comments in the file", "write a list, or [] for none")
    if isinstance(root.value, dict) and list(root.value) == [key]:
        root = root.value[key]
    nodes = root.value if isinstance(root.value, list) else [root]
    for node in nodes:
        if not isinstance(node.value, dict):
            raise InputError(f"{file}, line {node.line}", "a mapping with fields belongs here", remedy)
        yield _entry(node)


def _entry(node: Node) -> Entry:
    lists = {name: field.value for name, field in node.value.items() if isinstance(field.value, list)}
    return Entry(
        line=node.line,
        fields={name: field.plain() for name, field in node.value.items()},
        field_lines={name: field.line for name, field in node.value.items()},
        item_lines={name: [item.line for item in items] for name, items in lists.items()},
    )


def yaml_tree(text: str, file: str) -> Node | None:
    """The tree of the only document; None where there is none."""
    try:
        return _Builder(file, yaml.parse(text, Loader=_LOADER)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{file}{at}", f"malformed YAML, {error.problem}", "mend the YAML there") from error
    except yaml.YAMLError as error:
        reason = getattr(error, "reason", str(error))
        raise InputError(_character_place(error, text, file), f"malformed YAML, {reason}", "remove it") from error


def _character_place(error: yaml.YAMLError, text: str, file: str) -> str:
    """Where a character stands that YAML does not allow."""
    odd = yaml.reader.Reader.NON_PRINTABLE.search(text)
    at = odd.start() if odd else getattr(error, "position", 0)
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    return f"{file}, line {text.count(chr(10), 0, at) + 1}, column {column}"


class _Builder:
    """Makes nodes of events."""

    def __init__(self, file: str, events: Iterator[Event]) -> None:
        self.file = file
        self.events = events
        self.anchors: dict[str, Node] = {}
        self.values: dict[str, Any] = {}

    def document(self) -> Node | None:
        """The root of the stream's document."""
        root = None
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                if root is not None:
                    raise self._error(event, "a second document", "keep one document in the file, without ---")
                root = self._node(next(self.events), MAX_DEPTH)
        return root

    def _node(self, event: Event, depth: int) -> Node:
        """The node that begins with an event."""
        if isinstance(event, AliasEvent):
            if event.anchor not in self.anchors:
                raise self._error(event, f"*{event.anchor} names nothing above", "write out what it stands for")
            return self.anchors[event.anchor]
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise self._error(event, f"the tag {shortened(tag)}", "remove it; tags are not used here")
        node = Node(_position(event)[0], self._value(event, depth))
        if isinstance(event, NodeEvent) and event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _value(self, event: Event, depth: int) -> Any:  # noqa: ANN401 - whatever the file holds
        if isinstance(event, ScalarEvent):
            return self._plain_value(event.value) if event.implicit[0] else event.value
        if not depth:
            raise self._error(event, "lists or mappings are nested too deeply", "a strategy is one flat mapping")
        if isinstance(event, SequenceStartEvent):
            return [self._node(item, depth - 1) for item in self._until(yaml.SequenceEndEvent)]
        assert isinstance(event, MappingStartEvent)
        fields: dict[str, Node] = {}
        for key_event in self._until(yaml.MappingEndEvent):
            key = self._node(key_event, depth - 1).value
            if not isinstance(key, str):
                raise self._error(key_event, "the name of a field is not text", "put it in quotes")
            if key in fields:
                raise self._error(key_event, f"field {shortened(key)} is there twice", "keep one of them")
            fields[key] = self._node(next(self.events), depth - 1)
        return fields

    def _until(self, end: type[Event]) -> Iterator[Event]:
        """First events of the nodes that come before an end."""
        for event in self.events:
            if isinstance(event, end):
                return
            yield event

    def _plain_value(self, text: str) -> Any:  # noqa: ANN401 - whatever the file holds
        """What YAML reads a text without quotes as. Texts repeat: each is looked at once."""
        if text not in self.values:
            self.values[text] = _read_plain(text)
        return self.values[text]

    def _error(self, event: Event, problem: str, remedy: str) -> InputError:
        line, column = _position(event)
        return InputError(f"{self.file}, line {line}, column {column}", problem, remedy)


def _position(event: Event) -> tuple[int, int]:
    """Line and column of the beginning, from 1."""
    mark = event.start_mark
    assert mark is not None, "the parser marks every event"
    return mark.line + 1, mark.column + 1


def _read_plain(text: str) -> Any:  # noqa: ANN401 - whatever the file holds
    """A text without quotes by the rules of YAML 1.1; odd numbers and dates are a float that is no number."""
    kind = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False)).removeprefix(_TAG)  # type: ignore[no-untyped-call]
    if kind in {"str", "merge", "value"}:
        return text
    if kind == "null":
        return None
    if kind == "bool":
        return yaml.SafeLoader.bool_values[text.lower()]
    if kind == "float" and _FRACTION.fullmatch(text):
        return float(text)
    return int(text) if kind == "int" and _DECIMAL.fullmatch(text) else math.nan
