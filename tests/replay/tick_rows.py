"""Rows of tick files for the tests: written in both formats, read back, and judged one by one by the rules."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings

from streams.core.limits import MAX_CONDITIONS, MAX_TICKER_BYTES, MAX_TS_MS, MIN_TS_MS
from streams.errors import InputError
from streams.replay.tick_files import Reject, open_ticks

SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

NOON = 1_760_000_000_000

COLUMNS = ["ticker", "ts", "price", "size", "conditions"]


class Row(NamedTuple):
    """A row of a file, as good or bad as may be."""

    ticker: str | None = "AAPL"
    ts: int | None = NOON
    conditions: Sequence[int | None] | None = ()


Kept = tuple[int, str, int, tuple[int, ...]]


def read(path: Path, batch_rows: int = 1000) -> tuple[list[Kept], list[Reject]]:
    """All ticks of a file, with the promises of a batch checked on the way."""
    kept: list[Kept] = []
    rejects: list[Reject] = []
    next_row = 1
    for batch in open_ticks(path, batch_rows).batches():
        rows_seen = [*batch.rows.tolist(), *(reject.row for reject in batch.rejects)]
        assert batch.first_row >= next_row
        assert all(next_row <= row < next_row + batch_rows for row in rows_seen)
        assert batch.rejects == sorted(batch.rejects)
        assert len(set(batch.names)) == len(batch.names)
        assert len(batch.rows) == len(batch.name_of) == len(batch.ts_ms) == len(batch.code_ends)
        assert len(batch.codes) == (batch.code_ends[-1] if len(batch.code_ends) else 0)
        columns: list[Any] = [batch.rows, batch.name_of, batch.ts_ms, batch.codes]
        assert [column.dtype for column in columns] == [np.int64, np.int32, np.int64, np.int32]
        assert batch.code_ends.dtype in {np.dtype(np.int32), np.dtype(np.int64)}
        starts = [0, *batch.code_ends[:-1].tolist()]
        for i, row in enumerate(batch.rows.tolist()):
            codes = tuple(batch.codes[starts[i] : batch.code_ends[i]].tolist())
            kept.append((row, batch.names[batch.name_of[i]], int(batch.ts_ms[i]), codes))
        rejects += batch.rejects
        next_row = max([next_row, *(row + 1 for row in rows_seen)])
    return kept, rejects


def reasons(rejects: list[Reject]) -> list[tuple[int, str]]:
    return [(reject.row, reject.reason) for reject in rejects]


def reason_of(row: Row) -> str | None:
    """The first thing wrong with a row, by the rules."""
    codes = row.conditions or ()
    checks = {
        "ticker_empty": not row.ticker,
        "ticker_too_long": len((row.ticker or "").encode()) > MAX_TICKER_BYTES,
        "ts_missing": row.ts is None,
        "ts_out_of_range": row.ts is not None and not MIN_TS_MS <= row.ts < MAX_TS_MS,
        "conditions_too_many": len(codes) > MAX_CONDITIONS,
        "condition_missing": None in codes,
        "condition_out_of_range": any(not -(1 << 31) <= code < 1 << 31 for code in codes if code is not None),
    }
    return next((reason for reason, bad in checks.items() if bad), None)


def expected(rows: list[Row]) -> tuple[list[Kept], list[tuple[int, str]]]:
    """What reading must give, told one row at a time."""
    kept: list[Kept] = []
    rejects = []
    for number, row in enumerate(rows, 1):
        reason = reason_of(row)
        if reason:
            rejects.append((number, reason))
        else:
            codes = tuple(code for code in row.conditions or () if code is not None)
            kept.append((number, str(row.ticker), int(row.ts or 0), codes))
    return kept, rejects


def table_of(rows: list[Row], ticker: Any = None, ts: Any = None, conditions: Any = None) -> Any:
    return pa.table(
        {
            "ticker": pa.array([row.ticker for row in rows], pa.string()).cast(ticker or pa.string()),
            "ts": pa.array([row.ts for row in rows], ts or pa.int64()),
            "price": pa.array([math.nan] * len(rows), pa.float64()),
            "size": pa.array([100] * len(rows), pa.int32()),
            "conditions": pa.array([row.conditions for row in rows], conditions or pa.list_(pa.int64())),
        }
    )


def csv_of(rows: list[Row], quoting: Any = csv.QUOTE_MINIMAL, line_end: str = "\n", codes: str = " ") -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, quoting=quoting, lineterminator=line_end)
    writer.writerow(COLUMNS)
    for row in rows:
        conditions = codes.join(map(str, row.conditions or ()))
        writer.writerow([row.ticker, row.ts, "1.5", "100", f"[{conditions}]" if codes == ", " else conditions])
    return out.getvalue().encode()


GOOD_CSV = csv_of([Row("A", NOON, [1, 2]), Row("B", NOON, [])])


def assert_refused(path: Path, place: str, problem: str, remedy: str) -> None:
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.place.startswith(str(path))
    assert place in caught.value.place
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy
