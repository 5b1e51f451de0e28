"""`differences.parquet`: row by row what two runs do not have in common."""

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streams.replay.matching import MODES, MOVED, ONLY, OTHERWISE, Matched
from streams.replay.result_folder import Rows, joined
from streams.replay.sides import Sides
from streams.replay.tick_columns import Int32s, Int64s
from streams.whole_files import WholeFile

NAME: Final = "differences.parquet"

SCHEMA: Final = pa.schema(
    [
        pa.field("strategy_id", pa.string(), nullable=False),
        pa.field("timeframe_a", pa.string()),
        pa.field("timeframe_b", pa.string()),
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("bucket_ms", pa.int64(), nullable=False),
        pa.field("found", pa.string(), nullable=False),
        pa.field("mode_a", pa.string()),
        pa.field("mode_b", pa.string()),
        pa.field("ts_a", pa.int64()),
        pa.field("ts_b", pa.int64()),
    ]
)
"""What ran otherwise has a row for each ticker that one run ran by itself, with the other's run of the whole beside."""

FOUND: Final = ["only_a", "only_b", "moved", "otherwise"]
GROUP_ROWS: Final = 1 << 17


class Differences:
    """Writes them, by strategy, then bucket, then ticker; nothing where no file is named."""

    def __init__(self, path: Path | None, sides: Sides) -> None:
        self._path = path
        self._ids = pa.array(sides.strategy_ids, pa.string())
        self._sides = sides
        self._tickers: Any = None
        self._timeframes = [sides.of(side, "timeframe") for side in (0, 1)]

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            if self._path is not None:
                self._file = stack.enter_context(WholeFile(self._path))
                stack.enter_context(self._file.trouble_named())
                writer = pq.ParquetWriter(self._file.out, SCHEMA, compression="zstd", store_schema=False)
                self._writer = stack.enter_context(writer)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, rows: tuple[Rows, Rows], found: tuple[Matched, Matched]) -> None:
        """Add what differs of some rows of both runs."""
        if self._path is not None:
            if self._tickers is None:  # they are known with the first rows
                self._tickers = pa.array([*self._sides.tickers, ""], pa.string())
            table = pa.table(self._columns(rows, found), schema=SCHEMA)
            self._writer.write_table(table, row_group_size=GROUP_ROWS)

    def _columns(self, rows: tuple[Rows, Rows], found: tuple[Matched, Matched]) -> list[Any]:
        own = [differing(rows[side], found[side], moved=side == 0) for side in (0, 1)]
        partner = [np.where(found[side].kind[own[side]] == ONLY, -1, found[side].partner[own[side]]) for side in (0, 1)]
        at = (np.concatenate((own[0], partner[1])), np.concatenate((partner[0], own[1])))
        keys = joined(rows[0].only(own[0]), rows[1].only(own[1]))
        code = np.concatenate([_codes(found[side].kind[own[side]], side) for side in (0, 1)])
        order = np.lexsort((keys.ticker, keys.bucket_ms, keys.strategy))
        strategy = pa.array(keys.strategy[order])
        a, b = (at[side][order] for side in (0, 1))
        return [
            self._ids.take(strategy),
            *(timeframe.take(strategy) for timeframe in self._timeframes),
            self._tickers.take(pa.array(np.where(keys.ticker < 0, len(self._tickers) - 1, keys.ticker)[order])),
            pa.array(keys.bucket_ms[order]),
            pa.array(FOUND, pa.string()).take(pa.array(code[order])),
            *(_texts(MODES, rows[side].mode, at) for side, at in enumerate((a, b))),
            *(_where_there(rows[side].ts_ms, at) for side, at in enumerate((a, b))),
        ]


def differing(rows: Rows, found: Matched, *, moved: bool) -> Int64s:
    """The rows of one run to tell: runs of the whole that ran otherwise are told with the tickers of the other run."""
    kind = found.kind
    return np.flatnonzero((kind == ONLY) | (moved & (kind == MOVED)) | ((kind == OTHERWISE) & (rows.ticker >= 0)))


def _codes(kind: Any, side: int) -> Int32s:  # noqa: ANN401 - small numbers of some kind
    code = np.full(len(kind), FOUND.index("otherwise"), np.int32)
    code[kind == MOVED] = FOUND.index("moved")
    code[kind == ONLY] = side
    return code


def _texts(texts: list[str], number: Int32s, at: Int64s) -> Any:  # noqa: ANN401 - pyarrow has no types
    """The texts of some rows; null where there is no row."""
    return pa.array(texts, pa.string()).take(_where_there(number, at))


def _where_there(values: Any, at: Int64s) -> Any:  # noqa: ANN401 - pyarrow has no types
    if not len(values):
        return pa.nulls(len(at), pa.int64())
    return pa.array(values[np.maximum(at, 0)], mask=at < 0)
