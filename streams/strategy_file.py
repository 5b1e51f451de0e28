"""Strategies out of a file that a person wrote, and back into one.

JSON lines (also a JSON list, or one object) or YAML. What cannot be meant is refused with its place and a
remedy; what can be lived with becomes a warning.
"""

import difflib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from streams.core.events import Strategy
from streams.core.limits import (
    MAX_PAIRS,
    MAX_STRATEGIES,
    MAX_TICKERS,
    MAX_UNIVERSE,
)
from streams.core.timeframes import InvalidTimeframeError, parse_timeframe
from streams.entry_files.entry import Entry
from streams.entry_files.json_entries import Lists, json_entries
from streams.entry_files.listed import Listed
from streams.entry_files.yaml_entries import yaml_entries
from streams.errors import InputError, os_trouble, shortened
from streams.strategy_fields import CHECKS, MAX_TEXT, REQUIRED, FieldError, check_ticker, described
from streams.strategy_universes import AsNames, Universes
from streams.whole_files import write_whole

MAX_FILE_BYTES: Final = 1 << 30
EVERY_TICKER: Final = "all"
_BOM: Final = b"\xef\xbb\xbf"
_SHOWN_REPEATS: Final = 5


class StrategyFile(NamedTuple):
    """What a file holds, in its order, and what is odd about it."""

    strategies: list[Strategy]
    warnings: list[str]


def read_strategies(path: Path) -> StrategyFile:
    """Read all strategies of a file, or raise `InputError` for the first that is wrong."""
    reader = StrategyReader(str(path))
    return StrategyFile([reader.strategy(entry) for entry in entries_of(path)], reader.warnings)


def write_strategies(strategies: Iterable[Strategy], path: Path) -> None:
    """Write strategies as JSON lines, whole or not at all; fields at their default are left out."""
    write_whole(path, (json.dumps(as_fields(strategy), ensure_ascii=False) + "\n" for strategy in strategies))


def entries_of(path: Path, lists: Lists | None = None) -> Iterator[Entry]:
    """The mappings of a file, its format told by the suffix; `lists` as `json_entries` takes it."""
    suffix = path.suffix.lower()
    if suffix not in {".jsonl", ".ndjson", ".json", ".yaml", ".yml"}:
        remedy = "name it .jsonl, .ndjson, .json, .yaml or .yml"
        raise InputError(str(path), "the format of a strategy file is told by its suffix", remedy)
    text = text_of(path)
    if not text.strip():
        raise InputError(str(path), "the file is empty", "write one strategy on each line, or [] for none")
    if suffix in {".yaml", ".yml"}:
        return yaml_entries(text, str(path), "strategies")
    return json_entries(text, str(path), by_line=suffix != ".json", lists=lists)


def text_of(path: Path) -> str:
    """What the file holds, a byte order mark left out."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(str(path), f"larger than {MAX_FILE_BYTES} bytes", "split the file")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(str(path), f"cannot be read ({os_trouble(error)})", "check the path") from error
    try:
        return data.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        at = error.start + (len(_BOM) if data.startswith(_BOM) else 0)
        line = data.count(b"\n", 0, at) + 1
        raise InputError(f"{path}, line {line}", f"not UTF-8 at byte {at}", "save the file in UTF-8") from error


class StrategyReader:
    """Makes strategies of entries, and holds what must be known of those before."""

    def __init__(self, file: str, universes: Universes | None = None) -> None:
        self.file = file
        self.warnings: list[str] = []
        self.lines_by_id: dict[str, int] = {}
        self.universes: Universes = AsNames() if universes is None else universes
        self.memberships = 0

    def strategy(self, entry: Entry) -> Strategy:
        """One strategy, its fields checked."""
        self._check_names(entry)
        values: dict[str, Any] = {}
        for field, value in entry.fields.items():
            if value is None and field not in REQUIRED:
                continue
            try:
                values[field] = self._universe(entry, value) if field == "universe" else CHECKS[field](value)
            except FieldError as error:
                raise InputError(self._place(entry, field), error.problem, error.remedy) from error
        values.pop("name", None)
        strategy = Strategy(**values)
        self._check_id(entry, strategy.strategy_id)
        self._look_at_timeframe(entry, strategy.timeframe)
        return strategy

    def _place(self, entry: Entry, field: str, item: int | None = None) -> str:
        return f"{self.file}, line {entry.line_of(field, item)}, {field}"

    def _check_names(self, entry: Entry) -> None:
        """Every field known, and those there that must be."""
        for field in entry.fields:
            if field not in CHECKS:
                near = difflib.get_close_matches(field[:MAX_TEXT], CHECKS, n=1)
                remedy = f"did you mean {near[0]}?" if near else f"the fields are {', '.join(CHECKS)}"
                place = f"{self.file}, line {entry.line_of(field)}, {shortened(field)}"
                raise InputError(place, "unknown field", remedy)
        for field in REQUIRED:
            if field not in entry.fields:
                raise InputError(self._place(entry, field), "the field is missing", f"add {REQUIRED[field]}")

    def _check_id(self, entry: Entry, strategy_id: str) -> None:
        """Each id once, and no more of them than there may be."""
        if strategy_id in self.lines_by_id:
            problem = f"{shortened(strategy_id)} is there already, on line {self.lines_by_id[strategy_id]}"
            remedy = "give each strategy an id of its own, or remove one of the two"
            raise InputError(self._place(entry, "strategy_id"), problem, remedy)
        self.lines_by_id[strategy_id] = entry.line_of("strategy_id")
        if len(self.lines_by_id) > MAX_STRATEGIES:
            problem = f"more than {MAX_STRATEGIES} strategies"
            raise InputError(self._place(entry, "strategy_id"), problem, "spread them over several systems")

    def _look_at_timeframe(self, entry: Entry, timeframe: str) -> None:
        """Warn of one that is not known: that strategy is skipped, and the others go on."""
        try:
            parse_timeframe(timeframe)
        except InvalidTimeframeError as error:
            self.warnings.append(f"{self._place(entry, 'timeframe')}: {error}; the strategy is skipped")

    def _universe(self, entry: Entry, value: Any) -> frozenset[str]:  # noqa: ANN401 - whatever the file holds
        """The tickers, each once, as `universes` holds them; none stands for every ticker."""
        if value == EVERY_TICKER:
            return frozenset()
        if not isinstance(value, list | Listed):
            raise FieldError(f"{described(value)}, where a list belongs", 'write ["AAPL", "MSFT"], or "all"')
        try:
            size = self.universes.take(value)
        except (KeyError, TypeError):  # a ticker that was not met, or is none
            known = self.universes.tickers
            for i, ticker in enumerate(value):
                if type(ticker) is not str or ticker not in known:
                    self._new_ticker(entry, ticker, i)
            size = self.universes.take(value)
        if size > MAX_UNIVERSE:
            raise FieldError(f"{size} tickers, the limit is {MAX_UNIVERSE}", 'split it, or write "all"')
        if size < len(value):
            self._warn_of_repeats(entry, value)
        self.memberships += size
        if self.memberships > MAX_PAIRS:
            raise FieldError(f"more than {MAX_PAIRS} tickers in all universes together", "split the file")
        return self.universes.held

    def _new_ticker(self, entry: Entry, ticker: Any, item: int) -> None:  # noqa: ANN401 - whatever the file holds
        """Check a ticker that was not met before."""
        try:
            check_ticker(ticker)
        except FieldError as error:
            raise InputError(self._item(entry, item), error.problem, error.remedy) from error
        self.universes.meet(ticker)
        if len(self.universes.tickers) > MAX_TICKERS:
            raise InputError(self._item(entry, item), f"more than {MAX_TICKERS} different tickers", "split the file")

    def _item(self, entry: Entry, item: int) -> str:
        return f"{self._place(entry, 'universe', item)}, ticker {item + 1}"

    def _warn_of_repeats(self, entry: Entry, tickers: Iterable[str]) -> None:
        """Name the tickers that are there more than once; each counts once."""
        seen: set[str] = set()
        repeats: dict[str, int] = {}
        for i, ticker in enumerate(tickers):
            if ticker in seen:
                repeats.setdefault(ticker, i)
            seen.add(ticker)
        shown = [f"{ticker} (line {entry.line_of('universe', i)})" for ticker, i in repeats.items()][:_SHOWN_REPEATS]
        more = f" and {len(repeats) - len(shown)} more" if len(repeats) > len(shown) else ""
        place = self._place(entry, "universe", next(iter(repeats.values())))
        self.warnings.append(f"{place}: there more than once: {', '.join(shown)}{more}; each counts once")


_DEFAULTS: Final = Strategy(strategy_id="", timeframe="")


def as_fields(strategy: Strategy) -> dict[str, Any]:
    """A strategy as the fields of one line, always in the same order."""
    fields: dict[str, Any] = {
        "strategy_id": strategy.strategy_id,
        "timeframe": strategy.timeframe,
        "universe": sorted(strategy.universe) or EVERY_TICKER,
    }
    for field in ("status", "version", "time_zone", "session", "mode", "coalesce_ms"):
        value = getattr(strategy, field)
        if value != getattr(_DEFAULTS, field):
            fields[field] = value
    return fields
