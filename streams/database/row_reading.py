"""Between a row as the database gives it and a strategy: checked as a strategy file is, the column named."""

import json
from typing import Any, Final, NamedTuple

from streams.core.events import Strategy
from streams.core.limits import MAX_TICKERS, MAX_UNIVERSE
from streams.core.timeframes import InvalidTimeframeError, parse_timeframe
from streams.database.reconciling import Agreed, Row
from streams.database.table import COLUMNS, TABLE, UNIVERSE
from streams.errors import shortened
from streams.strategy_fields import CHECKS, FieldError, check_ticker, described

REQUIRED: Final = frozenset({"timeframe", UNIVERSE})
EVERY_TICKER: Final = "all"
WRITE: Final = 'write such as ["AAPL", "MSFT"], or [] for every ticker'

Raw = dict[str, Any]
"""A row, by its columns; the universe as text."""


class BadRow(NamedTuple):
    """A row that cannot be used as it is, and what to do."""

    strategy_id: str
    column: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        """With its place."""
        place = f"table {TABLE.name}, strategy {shortened(self.strategy_id)}, {self.column}"
        return f"{place}: {self.problem}; {self.remedy}"


class RowReader:
    """Reads rows, and remembers the tickers that are good."""

    def __init__(self) -> None:
        self._good: set[str] = set()

    def read(self, raw: Raw) -> Row | BadRow:
        """One row."""
        strategy_id, column = raw["strategy_id"], "strategy_id"
        values: dict[str, Any] = {}
        try:
            CHECKS["strategy_id"](strategy_id)
            for column, field in COLUMNS.items():
                value = raw[column]
                if value is None and column not in REQUIRED:
                    continue
                values[field] = self._universe(value) if column == UNIVERSE else _checked(field, value)
        except FieldError as error:
            return BadRow(str(strategy_id), column, error.problem, error.remedy)
        return Row(Strategy(strategy_id, **values), _agreed(raw))

    def _universe(self, text: Any) -> frozenset[str]:  # noqa: ANN401 - whatever the database holds
        """The tickers, each once; none stands for every ticker."""
        try:
            given = json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise FieldError(f"{shortened(str(text))} is no JSON", WRITE) from error
        if given == EVERY_TICKER:
            return frozenset()
        if not isinstance(given, list):
            raise FieldError(f"{described(given)}, where a list belongs", WRITE)
        for ticker in given:
            if not (isinstance(ticker, str) and ticker in self._good):
                check_ticker(ticker)
                if len(self._good) < MAX_TICKERS:
                    self._good.add(ticker)
        universe = frozenset(given)
        if len(universe) > MAX_UNIVERSE:
            raise FieldError(f"{len(universe)} tickers, the limit is {MAX_UNIVERSE}", "split it, or write []")
        return universe


def oddity(strategy: Strategy) -> str:
    """What is legal and may not be meant; empty where nothing is."""
    try:
        parse_timeframe(strategy.timeframe)
    except InvalidTimeframeError as error:
        place = f"table {TABLE.name}, strategy {shortened(strategy.strategy_id)}, timeframe"
        return f"{place}: {error}; the strategy is skipped"
    return ""


def columns_of(row: Row) -> dict[str, Any]:
    """A row as it is written, but for its id and its `row_version`."""
    strategy, agreed = row
    found: dict[str, Any] = {column: getattr(strategy, field) for column, field in COLUMNS.items()}
    found |= {UNIVERSE: sorted(strategy.universe), "status": str(strategy.status)}
    found["mode"] = None if strategy.mode is None else str(strategy.mode)
    return {**found, "version": agreed.version, "agreed": json.dumps(agreed.marks) if agreed.marks else ""}


def _checked(field: str, value: Any) -> Any:  # noqa: ANN401 - whatever the database holds
    if field == "mode" and not value:
        return None
    return CHECKS[field](value)


def _agreed(raw: Raw) -> Agreed:
    """What was agreed on; nothing, where somebody has spoilt it."""
    version = raw["version"]
    try:
        marks = json.loads(raw["agreed"])
    except (TypeError, ValueError):
        return Agreed()
    if type(version) is not int or not isinstance(marks, dict):
        return Agreed()
    return Agreed(version, {str(field): str(each) for field, each in marks.items()})
