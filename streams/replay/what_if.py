"""What if: a YAML file that names variants of the strategies, each by what it changes.

A variant changes, in this order: the flag that tells how strategies are throttled which ask for no mode; timeframes,
all of one to another; and single strategies by id, whose fields are those of a strategy file. What is not named stays
as the strategy file has it.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from streams.core.events import Mode, Strategy
from streams.core.flags import NO_FLAGS, PER_TICKER_THROTTLE, Control, Flags, Scope
from streams.core.timeframes import InvalidTimeframeError, parse_timeframe
from streams.entry_files.entry import Entry
from streams.entry_files.yaml_entries import Node, yaml_entries
from streams.errors import InputError, shortened
from streams.replay.limits import MAX_VARIANTS
from streams.strategy_fields import CHECKS, FieldError, described
from streams.strategy_file import StrategyReader, as_fields, text_of

FIELDS: Final = {
    "name": "what to call the variant",
    "per_ticker_throttle": "true or false: how strategies are throttled that ask for no mode",
    "percentage": "for how many per cent of the strategies the throttle is so, from 0 to 100",
    "timeframes": "a timeframe, and what all that have it get, such as {5m: 1m}",
    "strategies": "a strategy's id, and what fields it gets, such as {s1: {timeframe: 1m}}",
}
_REMEDY: Final = "write a list of variants, each with a name and what it changes"


class Variant(NamedTuple):
    """One variant, put to the strategies."""

    name: str
    flags: Flags
    changed: dict[int, Strategy]
    """Those that differ from the strategy file's, by their place in it."""
    warnings: list[str]

    def mode_of(self, strategy: Strategy) -> Mode | None:
        """The mode that the strategy asks for, or that the flag gives it; None where its universe leaves no choice."""
        flagged = self.flags.mode(strategy.strategy_id, Mode.PER_TICKER)
        return strategy.mode_under(flagged) if strategy.universe else None


def read_what_if(path: Path, strategies: Sequence[Strategy]) -> list[Variant]:
    """Read all variants of a file, or raise `InputError` for the first thing that is wrong."""
    if path.suffix.lower() not in {".yaml", ".yml"}:
        raise InputError(str(path), "a what-if file is YAML, told by its suffix", "name it .yaml or .yml")
    reader = _Reader(path, strategies)
    for entry in yaml_entries(text_of(path), str(path), "variants", _REMEDY):
        reader.add(entry)
    if not reader.variants:
        raise InputError(str(path), "there is no variant in the file", _REMEDY)
    return list(reader.variants.values())


class _Reader:
    """Makes variants of entries."""

    def __init__(self, path: Path, strategies: Sequence[Strategy]) -> None:
        self.path = path
        self.strategies = strategies
        self.places = {strategy.strategy_id: place for place, strategy in enumerate(strategies)}
        self.variants: dict[str, Variant] = {}

    def add(self, entry: Entry) -> None:
        """Read one variant."""
        for field in entry.fields:
            if field not in FIELDS:
                near = difflib.get_close_matches(field, FIELDS, n=1)
                remedy = f"did you mean {near[0]}?" if near else f"the fields are {', '.join(FIELDS)}"
                raise self._error(entry.line_of(field), shortened(field), "unknown field", remedy)
        name = self._name(entry)
        changed = self._moved(entry)
        warnings = self._edit(entry, changed)
        self.variants[name] = Variant(name, self._flags(entry), changed, warnings)
        if len(self.variants) > MAX_VARIANTS:
            remedy = "spread them over several files, and replay each"
            raise self._error(entry.line, "name", f"more than {MAX_VARIANTS} variants", remedy)

    def _error(self, line: int, field: str, problem: str, remedy: str) -> InputError:
        return InputError(f"{self.path}, line {line}, {field}", problem, remedy)

    def _name(self, entry: Entry) -> str:
        line = entry.line_of("name")
        if "name" not in entry.fields:
            raise self._error(line, "name", "the field is missing", f"add {FIELDS['name']}")
        try:
            name = str(CHECKS["strategy_id"](entry.fields["name"]))
        except FieldError as error:
            raise self._error(line, "name", error.problem, error.remedy) from error
        if name in self.variants:
            raise self._error(line, "name", f"{shortened(name)} is there already", "give each variant its own name")
        return name

    def _flags(self, entry: Entry) -> Flags:
        """The flag as a control would set it."""
        value, percentage = entry.fields.get(PER_TICKER_THROTTLE), entry.fields.get("percentage")
        if value is None and percentage is None:
            return NO_FLAGS
        if not isinstance(value, bool):
            line, remedy = entry.line_of(PER_TICKER_THROTTLE), FIELDS[PER_TICKER_THROTTLE]
            raise self._error(line, PER_TICKER_THROTTLE, described(value), f"write {remedy}")
        if percentage is None:
            return NO_FLAGS.with_control(Control(PER_TICKER_THROTTLE, value))
        if isinstance(percentage, bool) or not isinstance(percentage, int | float) or not 0 <= percentage <= 100:  # noqa: PLR2004 - per cent
            remedy = f"write {FIELDS['percentage']}"
            raise self._error(entry.line_of("percentage"), "percentage", described(percentage), remedy)
        return NO_FLAGS.with_control(Control(PER_TICKER_THROTTLE, value, Scope.PERCENTAGE, percentage=percentage))

    def _moved(self, entry: Entry) -> dict[int, Strategy]:
        """The strategies whose timeframe all of its kind lose."""
        moves = {old: self._timeframe(old, node) for old, node in self._mapping(entry, "timeframes")}
        known = {strategy.timeframe for strategy in self.strategies}
        for old in moves:
            if old not in known:
                line, words = entry.line_of("timeframes"), f"no strategy has the timeframe {shortened(old)}"
                raise self._error(line, "timeframes", words, f"those there are {', '.join(sorted(known))}")
        return {
            place: replace(strategy, timeframe=moves[strategy.timeframe])
            for place, strategy in enumerate(self.strategies)
            if strategy.timeframe in moves
        }

    def _timeframe(self, old: str, node: Node) -> str:
        try:
            parse_timeframe(node.value if isinstance(node.value, str) else described(node.value))
        except InvalidTimeframeError as error:
            problem, _, remedy = str(error).partition("; ")
            raise self._error(node.line, f"timeframes, {old}", problem, remedy or "write one such as 5m") from error
        return str(node.value)

    def _edit(self, entry: Entry, changed: dict[int, Strategy]) -> list[str]:
        """Put the fields of single strategies in place of their own; returns the warnings."""
        reader = StrategyReader(str(self.path))
        for strategy_id, node in self._mapping(entry, "strategies"):
            place = self.places.get(strategy_id)
            if place is None:
                near = difflib.get_close_matches(strategy_id, self.places, n=1)
                remedy = f"did you mean {near[0]}?" if near else "name one of the strategy file"
                raise self._error(node.line, "strategies", f"no strategy {shortened(strategy_id)}", remedy)
            if not isinstance(node.value, dict) or "strategy_id" in node.value:
                problem, remedy = "fields other than its id belong here", "write {timeframe: 1m} or the like"
                raise self._error(node.line, f"strategies, {shortened(strategy_id)}", problem, remedy)
            fields = as_fields(changed.get(place, self.strategies[place]))
            fields |= {name: field.plain() for name, field in node.value.items()}
            lines = {name: field.line for name, field in node.value.items()}
            changed[place] = reader.strategy(Entry(node.line, fields, lines, {}))
        return reader.warnings

    def _mapping(self, entry: Entry, field: str) -> Iterator[tuple[str, Node]]:
        """What stands under a field, by name."""
        value = entry.fields.get(field)
        if value is None:
            return
        if not isinstance(value, Mapping):
            raise self._error(entry.line_of(field), field, described(value), f"write {FIELDS[field]}")
        yield from value.items()
