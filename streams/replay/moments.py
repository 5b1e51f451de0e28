"""A result as executions, as they would have gone out: one for what fired of a strategy and bucket at one moment.

Each names its run. Its cause is where its rows stand in `executions.parquet`.
"""

from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

from streams.replay.result_folder import EXECUTIONS, Result

MODES: Final = {"per_ticker": 0, "legacy": 1, "global": 2}
MOST_TICKERS: Final = 5_000
"""Of one execution: its value stays well below a MiB, as a live one does."""

VERSION: Final = 1
"""A result does not know the versions of its strategies."""

Execution = dict[str, Any]


class Row(NamedTuple):
    """One row of the result, its texts as numbers."""

    strategy: int
    ticker: int
    bucket_ms: int
    ts_ms: int
    mode: int


class Moment(NamedTuple):
    """What fired at one time."""

    ts_ms: int
    due_ms: int
    """The newest time so far: what is late comes where it came."""
    executions: list[Execution]


def moments(result: Result, run_id: str) -> Iterator[Moment]:
    """All of them, in order; raises `InputError`."""
    ids = {strategy_id: number for number, strategy_id in enumerate(result.strategy_ids)}
    timeframes: list[str] = result.definitions.column("timeframe").to_pylist()
    told, tickers, first, newest_ms = _Telling(run_id, [*ids], timeframes), dict[str, int](), 0, 0
    for ts_ms, rows in groupby(_rows(result, ids, tickers), attrgetter("ts_ms")):
        of_moment = list(rows)
        newest_ms = max(newest_ms, ts_ms)
        yield Moment(ts_ms, newest_ms, told.executions(of_moment, [*tickers], first))
        first += len(of_moment)


def _rows(result: Result, ids: dict[str, int], tickers: dict[str, int]) -> Iterator[Row]:
    for rows in result.rows(ids, tickers, MODES):
        yield from map(Row._make, zip(*(column.tolist() for column in rows), strict=True))


class _Telling:
    """Puts rows of one time into executions."""

    def __init__(self, run_id: str, ids: list[str], timeframes: list[str]) -> None:
        self._run_id, self._ids, self._timeframes, self._modes = run_id, ids, timeframes, [*MODES]

    def executions(self, rows: list[Row], names: list[str], first: int) -> list[Execution]:
        """Some rows, the first of which has this number in the file."""
        found: dict[tuple[int, ...], list[list[int]]] = {}
        for at, row in enumerate(rows):
            parts = found.setdefault((row.strategy, row.bucket_ms, row.mode), [[]])
            if len(parts[-1]) == MOST_TICKERS:
                parts.append([])
            parts[-1].append(at)
        return [self._execution(rows, places, names, first) for parts in found.values() for places in parts]

    def _execution(self, rows: list[Row], places: list[int], names: list[str], first: int) -> Execution:
        row, tickers = rows[places[0]], [names[rows[at].ticker] for at in places if rows[at].ticker >= 0]
        numbers = {"first_offset": first + places[0], "last_offset": first + places[-1]}
        return {
            "execution_id": f"{self._run_id}@{first + places[0]}",
            "strategy_id": self._ids[row.strategy],
            "strategy_version": VERSION,
            "mode": self._modes[row.mode],
            "timeframe": self._timeframes[row.strategy],
            "bucket_ms": row.bucket_ms,
            "tickers": tickers,
            "scope": "tickers" if tickers else "universe",
            "ts": row.ts_ms,
            "cause": {"topic": EXECUTIONS, "partition": 0, **numbers},
            "metadata": {},
            "run_id": self._run_id,
        }
