"""Tick files: both formats give the same ticks at every batch size, and each bad row or file is told."""

import csv
import gzip
import io
import math
import tracemalloc
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streams.core.limits import MAX_CONDITIONS, MAX_TICKER_BYTES, MAX_TS_MS, MIN_TS_MS
from streams.errors import InputError
from streams.replay import csv_ticks, parquet_ticks, tick_files
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
        assert sorted(batch.names) == sorted({batch.names[i] for i in batch.name_of})
        assert len(batch.rows) == len(batch.name_of) == len(batch.ts_ms) == len(batch.code_ends)
        assert len(batch.codes) == (batch.code_ends[-1] if len(batch.code_ends) else 0)
        columns: list[Any] = [batch.rows, batch.name_of, batch.ts_ms, batch.code_ends, batch.codes]
        assert [column.dtype for column in columns] == [np.int64, np.int32, np.int64, np.int64, np.int32]
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


def any_rows(tickers: st.SearchStrategy[Any], codes: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Row]]:
    times = st.integers(NOON, NOON + 1000) | st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(MIN_TS_MS, MAX_TS_MS)
    conditions = st.lists(codes, max_size=4) | st.integers(250, 260).map(lambda n: [7] * n)
    return st.lists(st.builds(Row, tickers, times, conditions), max_size=40)


tickers = st.sampled_from(["AAPL", "MSFT", "NA", "null", "T", "", "x" * 64, "x" * 65]) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=20
)
codes = st.sampled_from([0, 12, 37, -1, 255, 256]) | st.integers(-(1 << 33), 1 << 33)
rows_for_both = any_rows(tickers, codes)
rows_for_parquet = any_rows(tickers | st.none(), codes | st.none())


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let chunks and blocks be as small as a few rows, so that every file has several."""
    monkeypatch.setattr(tick_files, "CHUNK_ROWS", 7)
    monkeypatch.setattr(csv_ticks, "BLOCK_BYTES", 2_000)


@pytest.mark.usefixtures("small_pieces")
@SHARED_FOLDER
@given(rows=rows_for_parquet, batch_rows=st.integers(1, 50), group_rows=st.integers(1, 50), dictionary=st.booleans())
def test_parquet_gives_the_ticks_that_the_rules_give(
    tmp_path: Path, rows: list[Row], batch_rows: int, group_rows: int, *, dictionary: bool
) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(table_of(rows), path, row_group_size=group_rows, use_dictionary=dictionary)
    kept, rejects = read(path, batch_rows)

    assert (kept, reasons(rejects)) == expected(rows)


@pytest.mark.usefixtures("small_pieces")
@SHARED_FOLDER
@given(
    rows=rows_for_both,
    batch_rows=st.integers(1, 50),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    separator=st.sampled_from([" ", ";", "|", ", "]),
    suffix=st.sampled_from([".csv", ".csv.gz"]),
)
@example([Row("\x00"), Row('"'), Row(","), Row(" A "), Row("'A'")], 2, csv.QUOTE_MINIMAL, "\n", " ", ".csv")
def test_csv_gives_the_same_ticks_as_parquet(  # noqa: PLR0913, PLR0917
    tmp_path: Path, rows: list[Row], batch_rows: int, quoting: int, line_end: str, separator: str, suffix: str
) -> None:
    content = csv_of(rows, quoting, line_end, separator)
    path = tmp_path / f"t{suffix}"
    path.write_bytes(gzip.compress(content) if suffix == ".csv.gz" else content)
    pq.write_table(table_of(rows), tmp_path / "t.pq")
    kept, rejects = read(path, batch_rows)
    other_kept, other_rejects = read(tmp_path / "t.pq", batch_rows)

    assert kept == other_kept
    assert reasons(rejects) == reasons(other_rejects)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("batch_rows", [1, 7, 1000, 100_000, 1 << 40])
def test_the_batch_size_changes_only_the_batches(tmp_path: Path, suffix: str, batch_rows: int) -> None:
    rows = [Row(f"T{i % 700}", NOON + i, [i % 50] * (i % 3)) for i in range(3_000)]
    path = tmp_path / f"t.{suffix}"
    if suffix == "csv":
        path.write_bytes(csv_of(rows))
    else:
        pq.write_table(table_of(rows), path, row_group_size=1_100)
    sizes = [len(batch.rows) for batch in open_ticks(path, batch_rows).batches()]

    assert read(path, batch_rows) == (expected(rows)[0], [])
    assert max(sizes) <= batch_rows
    assert suffix == "parquet" or sizes[0] == min(batch_rows, 3_000)


@pytest.mark.parametrize(
    "ticker",
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())],
    ids=str,
)
@pytest.mark.parametrize(
    "conditions", [pa.list_(pa.int8()), pa.large_list(pa.uint64()), pa.list_(pa.int32(), 2)], ids=str
)
def test_every_arrow_type_of_text_and_list_is_read(tmp_path: Path, ticker: Any, conditions: Any) -> None:
    rows = [Row("é", NOON, [1, 2]), Row("AAPL", NOON, None), Row("é", NOON, [3, None]), Row(None, NOON, [1, 2])]
    pq.write_table(table_of(rows, ticker, None, conditions), tmp_path / "t.parquet", row_group_size=3)
    kept, rejects = read(tmp_path / "t.parquet")

    assert (kept, reasons(rejects)) == expected(rows)


@pytest.mark.parametrize(
    ("kind", "value", "ts_ms"),
    [
        (pa.uint64(), NOON, NOON),
        (pa.uint64(), (1 << 64) - 1, None),
        (pa.int32(), 12, 12),
        (pa.int8(), -1, None),
        (pa.timestamp("s"), NOON // 1000, NOON),
        (pa.timestamp("s"), NOON, None),
        (pa.timestamp("ms"), NOON, NOON),
        (pa.timestamp("us"), NOON * 1000 + 999, NOON),
        (pa.timestamp("us", "America/New_York"), NOON * 1000 + 999, NOON),
        (pa.timestamp("ns", "UTC"), NOON * 1_000_000 + 999_999, NOON),
        (pa.timestamp("ns"), -1, None),
        (pa.timestamp("us"), MAX_TS_MS * 1000 - 1, MAX_TS_MS - 1),
        (pa.timestamp("us"), MAX_TS_MS * 1000, None),
    ],
    ids=str,
)
def test_every_type_of_time_becomes_milliseconds_rounded_down(
    tmp_path: Path, kind: Any, value: int, ts_ms: int | None
) -> None:
    table = table_of([Row("A"), Row("B")]).set_column(1, "ts", pa.array([value, None], kind))
    pq.write_table(table, tmp_path / "t.parquet")
    kept, rejects = read(tmp_path / "t.parquet")

    assert kept == ([] if ts_ms is None else [(1, "A", ts_ms, ())])
    assert reasons(rejects) == [*([(1, "ts_out_of_range")] if ts_ms is None else []), (2, "ts_missing")]


def test_the_old_timestamps_of_spark_are_read(tmp_path: Path) -> None:
    table = table_of([Row()]).set_column(1, "ts", pa.array([NOON * 1000 + 7], pa.timestamp("us")))
    pq.write_table(table, tmp_path / "t.parquet", use_deprecated_int96_timestamps=True)

    assert read(tmp_path / "t.parquet")[0] == [(1, "AAPL", NOON, ())]


def test_a_time_in_another_unit_is_recognised(tmp_path: Path) -> None:
    rows = [Row("A", NOON * 1_000_000), Row("A", NOON * 1_000), Row("A", -1), Row("A", (1 << 63) - 1)]
    pq.write_table(table_of(rows), tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_bytes(csv_of(rows))
    hints = ["; looks like nanoseconds, divide by 1000000", "; looks like microseconds, divide by 1000", "", ""]
    words = "is not a time from 1970 to 2099 in milliseconds"
    details = [f"{row.ts} {words}{hint}" for row, hint in zip(rows, hints, strict=True)]

    assert [reject.detail for reject in read(tmp_path / "t.parquet")[1]] == details
    assert [reject.detail.replace("'", "") for reject in read(tmp_path / "t.csv")[1]] == details


def test_times_that_look_like_seconds_are_warned_of_once(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(csv_of([Row("A", NOON), Row("A", NOON // 1000), Row("A", 5)]))
    file = open_ticks(tmp_path / "t.csv", 1)
    assert sum(len(batch.rows) for batch in file.batches()) == 3

    assert len(file.warnings) == 1
    assert "row 3, ts: 5 ms is a time before 1973; if these are seconds, multiply" in file.warnings[0]


def test_a_column_not_needed_is_not_read(tmp_path: Path) -> None:
    table = table_of([Row()] * 10).append_column("note", pa.array(["x"] * 10)).select([5, 4, 3, 2, 1, 0])
    path = tmp_path / "t.parquet"
    pq.write_table(table, path, compression=None)
    chunks = {
        column.path_in_schema: column
        for column in (pq.ParquetFile(path).metadata.row_group(0).column(i) for i in range(6))
    }
    data = bytearray(path.read_bytes())
    for name in ("price", "note"):
        start = chunks[name].dictionary_page_offset
        data[start : start + chunks[name].total_compressed_size] = b"\xff" * chunks[name].total_compressed_size
    path.write_bytes(data)

    assert len(read(path)[0]) == 10


def test_rows_of_a_csv_are_refused_one_by_one(tmp_path: Path) -> None:
    lines = {
        b"A,1760000000000,1,1,": "",
        b"A,NaN,1,1,": "ts_not_a_number",
        b"A,,1,1,": "ts_not_a_number",
        b"A,1.5e12,1,1,": "ts_not_a_number",
        b"A,1760000000000.0,1,1,": "ts_not_a_number",
        b"A,0x10,1,1,": "ts_not_a_number",
        b"A, 1760000000000,1,1,": "ts_not_a_number",
        b"A,+1760000000000,1,1,": "ts_not_a_number",
        b"A,\xd9\xa3,1,1,": "ts_not_a_number",
        b"A,\xff,1,1,": "ts_not_a_number",
        b"A,-5,1,1,": "ts_out_of_range",
        b"A," + b"9" * 5_000 + b",1,1,": "ts_out_of_range",
        b",1760000000000,1,1,": "ticker_empty",
        b"\xff\xfe,1760000000000,1,1,": "ticker_not_utf8",
        b"caf\xc3,1760000000000,1,1,": "ticker_not_utf8",
        b"x" * 10_000 + b",1760000000000,1,1,": "ticker_too_long",
        b"A,1760000000000,1,1,x": "condition_not_a_number",
        b"A,1760000000000,1,1,1;;2": "condition_not_a_number",
        b"A,1760000000000,1,1,[1 2": "condition_not_a_number",
        b"A,1760000000000,1,1,1.0": "condition_not_a_number",
        b"A,1760000000000,1,1,\xff": "condition_not_a_number",
        b"A,1760000000000,1,1,2147483648": "condition_out_of_range",
        b"A,1760000000000,1,1," + b"9" * 5_000: "condition_out_of_range",
        b"A,1760000000000,1,1," + b"1 " * 257: "conditions_too_many",
        b"A,1760000000000,1,1": "field_count",
        b"A,1760000000000,1,1,,": "field_count",
        b"hello": "field_count",
        b'"A,1760000000000,1,1,': "line_malformed",
        b'A"B,1760000000000,1,1,': "line_malformed",
        b'A","B,1760000000000,1,1,': "line_malformed",
        b'"A"B,1760000000000,1,1,': "line_malformed",
        b"A,1760000000000\r,1,1,": "line_malformed",
        b"": "",
        b'"A",1760000000000,NaN,"",': "",
    }
    bad = [(row, reason) for row, reason in enumerate(lines.values(), 1) if reason]
    for end in (b"\n", b"\r\n"):
        path = tmp_path / "t.csv"
        path.write_bytes(",".join(COLUMNS).encode() + end + end.join(lines))
        kept, rejects = read(path)

        assert reasons(rejects) == bad
        assert kept == [(row, "A", NOON, ()) for row in (1, len(lines))]
        assert all(reject.detail and reject.detail.isprintable() and len(reject.detail) < 200 for reject in rejects)


GOOD_CSV = csv_of([Row("A", NOON, [1, 2]), Row("B", NOON, [])])


@SHARED_FOLDER
@given(st.binary(max_size=60), st.integers(0, len(GOOD_CSV)))
@example(b'"', 40)
@example(b'\n"', 40)
@example(b"\n\r", 40)
@example(b"\r\n\r\n", 40)
def test_a_spoilt_line_spoils_no_other(tmp_path: Path, noise: bytes, at: int) -> None:
    header = GOOD_CSV.index(b"\n") + 1
    at = max(at, header)
    content = GOOD_CSV[:at] + noise + GOOD_CSV[at:] + b"\nLAST,1760000000000,1,1,3\n"
    (tmp_path / "t.csv").write_bytes(content)
    kept, _ = read(tmp_path / "t.csv")
    lines = content.split(b"\n")

    assert kept[-1] == (len(lines) - 2, "LAST", NOON, (3,))
    for number, line in enumerate(lines[1:], 1):
        if line.removesuffix(b"\r") == b"B,1760000000000,1.5,100,":
            assert (number, "B", NOON, ()) in kept


@pytest.mark.parametrize("text", ["12 37", "12;37", "12|37", "[12, 37]", "[12 37]", "12 ; 37", " 12  37 ", "12,37"])
def test_condition_codes_of_a_csv_may_be_separated_in_many_ways(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(f'{",".join(COLUMNS)}\nA,{NOON},1,1,"{text}"\nA,{NOON},1,1,[]\nA,{NOON},1,1,\n')

    assert [kept[3] for kept in read(tmp_path / "t.csv")[0]] == [(12, 37), (), ()]


def test_the_order_of_columns_is_free_and_others_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('x,conditions,"size",price,ts,ticker\n"a,b",7,1,1,1760000000000,A')

    assert read(tmp_path / "t.csv") == ([(1, "A", NOON, (7,))], [])


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n", b"\n\n\n"])
def test_a_header_alone_is_no_ticks(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbf" + ",".join(COLUMNS).encode() + content)
    pq.write_table(table_of([]), tmp_path / "t.parquet")

    assert read(tmp_path / "t.csv") == read(tmp_path / "t.parquet") == ([], [])


def test_bad_names_of_a_dictionary_that_no_row_uses_do_no_harm(tmp_path: Path) -> None:
    names = pa.DictionaryArray.from_arrays(pa.array([1, 3], pa.int8()), ["x" * 100, "A", "", "A"])
    table = table_of([Row()] * 2).set_column(0, "ticker", names)
    pq.write_table(table, tmp_path / "t.parquet")

    assert read(tmp_path / "t.parquet") == ([(1, "A", NOON, ()), (2, "A", NOON, ())], [])


def test_a_parquet_ticker_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    raw = pa.array([b"\xff\xfe", b"A"], pa.binary())
    table = table_of([Row()] * 2).set_column(0, "ticker", pa.Array.from_buffers(pa.string(), 2, raw.buffers()))
    pq.write_table(table, tmp_path / "t.parquet")
    kept, rejects = read(tmp_path / "t.parquet")

    assert kept == [(2, "A", NOON, ())]
    assert rejects == [Reject(1, "ticker_not_utf8", r"'\\xff\\xfe' is not UTF-8")]


def test_progress_runs_from_nothing_to_all(tmp_path: Path) -> None:
    rows = [Row("A", NOON + i) for i in range(30)]
    pq.write_table(table_of(rows), tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_bytes(csv_of(rows))
    for name, total in (("t.parquet", 30), ("t.csv", None)):
        file = open_ticks(tmp_path / name, 10)
        assert (file.done, file.rows_read, file.total_rows) == (0.0, 0, total)
        done = [(file.done, file.rows_read) for _ in file.batches()]
        assert done == sorted(done)
        assert (file.done, file.rows_read) == (1.0, 30)


def replaced(column: str, values: Any) -> Any:
    return table_of([Row()]).set_column(COLUMNS.index(column), column, values)


@pytest.mark.parametrize(
    ("table", "place", "problem", "remedy"),
    [
        (
            table_of([]).drop_columns(["ts"]),
            "header",
            "no column ts; those there are 'ticker, price,",
            "must be ticker",
        ),
        (table_of([]).rename_columns(["Ticker", *COLUMNS[1:]]), "header", "no column ticker", "'Ticker' to ticker"),
        (table_of([]).append_column("ts", pa.array([], pa.int8())), "header", "'ts' is there 2 times", "remove"),
        (replaced("ticker", pa.array([1])), "column ticker", "holds int64, where text", "string"),
        (replaced("ticker", pa.array([b"A"])), "column ticker", "holds binary", "string"),
        (replaced("ts", pa.array([1.0])), "column ts", "holds double", "int64"),
        (replaced("ts", pa.array(["1"])), "column ts", "holds string", "int64"),
        (replaced("ts", pa.array([1], pa.date32())), "column ts", "holds date32", "int64"),
        (replaced("price", pa.array(["1"])), "column price", "holds string", "double"),
        (replaced("size", pa.array([True])), "column size", "holds bool", "int32"),
        (replaced("conditions", pa.array(["1"])), "column conditions", "holds string", "list<int32>"),
        (replaced("conditions", pa.array([["1"]])), "column conditions", "holds list<", "list<int32>"),
        (replaced("conditions", pa.array([1])), "column conditions", "holds int64", "list<int32>"),
    ],
)
def test_a_parquet_with_the_wrong_columns_is_refused(
    tmp_path: Path, table: Any, place: str, problem: str, remedy: str
) -> None:
    pq.write_table(table, tmp_path / "t.parquet")

    assert_refused(tmp_path / "t.parquet", place, problem, remedy)


def test_any_number_will_do_for_price_and_size(tmp_path: Path) -> None:
    table = replaced("price", pa.array([Decimal("1.25")])).set_column(3, "size", pa.array([1.0]))
    pq.write_table(table, tmp_path / "t.parquet")

    assert len(read(tmp_path / "t.parquet")[0]) == 1


def assert_refused(path: Path, place: str, problem: str, remedy: str) -> None:
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.place.startswith(str(path))
    assert place in caught.value.place
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "content", "place", "problem", "remedy"),
    [
        ("t.parquet", b"", "", "empty", "columns"),
        ("t.parquet", b"hello, this is no Parquet file", "", "not a readable Parquet file", "again"),
        ("t.parquet", b"PAR1" + b"\xff" * 50 + b"PAR1", "", "not a readable Parquet file", "again"),
        ("t.csv", b"", "", "empty", "columns"),
        ("t.csv", b"ticker,ts,price,size\n", "header", "no column conditions", "must be"),
        ("t.csv", b"AAPL,1760000000000,1,1,\n", "header", "no columns ticker, ts, price, size, conditions", "must be"),
        ("t.csv", b"ticker;ts;price;size;conditions\n", "header", "no columns", "by commas, not by ';'"),
        ("t.csv", b"ticker,ts,price,size,conditions,ts\n", "header", "'ts' is there 2 times", "remove"),
        ("t.csv", b'ticker,"ts,price\n', "header", "quote", "first line"),
        ("t.csv", b"ticker,ts\rA,1\rB,2\r", "header", "line end", "first line"),
        ("t.csv", b"\n" + GOOD_CSV, "header", "no columns", "must be"),
        ("t.csv", "ticker,ts".encode("utf-16"), "header", "not UTF-8 at byte 0", "UTF-8"),
        ("t.csv", gzip.compress(GOOD_CSV), "header", "not UTF-8 at byte 1", "UTF-8"),
        ("t.csv.gz", GOOD_CSV, "line 1", "cannot be read on (not a gzipped file", "whole"),
        ("t.csv.gz", gzip.compress(GOOD_CSV)[:-9], "line 1", "cannot be read on", "whole"),
        ("t.csv.gz", gzip.compress(b"")[:10] + b"\xff" * 20, "line 1", "cannot be read on", "whole"),
        ("t.csv", GOOD_CSV + b"x" * (1 << 23), "line 4", "a line of more than", "one tick a line"),
        ("t.txt", GOOD_CSV, "", "suffix", ".parquet"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(  # noqa: PLR0913, PLR0917
    tmp_path: Path, name: str, content: bytes, place: str, problem: str, remedy: str
) -> None:
    (tmp_path / name).write_bytes(content)

    assert_refused(tmp_path / name, place, problem, remedy)


def test_a_file_that_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()

    assert_refused(tmp_path / "none.parquet", "", "no such file", "path")
    assert_refused(tmp_path / "folder.csv", "", "is a directory", "path")


def test_a_batch_of_no_rows_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch_rows is 0"):
        open_ticks(tmp_path / "t.csv", 0)


def whole_parquet(path: Path) -> bytes:
    rows = [Row(f"T{i % 90}", NOON + i * i, [i % 7] * (i % 3)) for i in range(2_000)]
    pq.write_table(table_of(rows), path, row_group_size=500, write_page_checksum=True)
    return path.read_bytes()


@pytest.mark.parametrize("part", [0.01, 0.3, 0.9, 0.999])
def test_a_truncated_parquet_is_refused(tmp_path: Path, part: float) -> None:
    data = whole_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.parquet").write_bytes(data[: int(len(data) * part)])

    assert_refused(tmp_path / "t.parquet", "", "not a readable Parquet file", "again")


def test_a_flipped_byte_in_a_page_is_refused_with_the_row_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tick_files, "CHUNK_ROWS", 500)
    data = bytearray(whole_parquet(tmp_path / "t.parquet"))
    column = pq.ParquetFile(tmp_path / "t.parquet").metadata.row_group(2).column(1)
    data[column.dictionary_page_offset + column.total_compressed_size - 5] ^= 0x40
    (tmp_path / "t.parquet").write_bytes(data)

    assert_refused(tmp_path / "t.parquet", "", "is damaged after row 1000", "again")


def peak_bytes(path: Path) -> int:
    """The most that was held at once while all of a file was read: by Python and numpy, and by arrow."""
    arrow, arrow_before = 0, pa.total_allocated_bytes()
    tracemalloc.start()
    for _ in open_ticks(path, 100).batches():
        arrow = max(arrow, pa.total_allocated_bytes() - arrow_before)
    python = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return arrow + python


def write_many(path: Path, count: int) -> None:
    """One row group, or one stream of lines. Times jump about, so that they take room in the file."""
    times = np.random.default_rng(7).integers(NOON, MAX_TS_MS, count)
    if path.suffix == ".parquet":
        kinds = pa.array(np.arange(count, dtype=np.int32) % 90)
        columns: dict[str, Any] = {
            "ticker": pa.DictionaryArray.from_arrays(kinds, [f"T{i}" for i in range(90)]),
            "ts": times,
            "price": times / 7,
            "size": np.ones(count),
            "conditions": pa.ListArray.from_arrays(np.arange(count + 1, dtype=np.int32), times % 50),
        }
        pq.write_table(pa.table(columns), path, row_group_size=count, use_dictionary=["ticker"], compression="none")
        return
    content = b"ticker,ts,price,size,conditions\n" + b"".join(
        b"T%d,%d,1,1,7\n" % (i % 90, t) for i, t in enumerate(times)
    )
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "csv.gz"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    monkeypatch.setattr(tick_files, "CHUNK_ROWS", 1000)
    monkeypatch.setattr(csv_ticks, "BLOCK_BYTES", 40_000)
    monkeypatch.setattr(parquet_ticks, "READ_AHEAD_BYTES", 4_096)
    peaks = []
    for count in (30_000, 120_000):
        write_many(tmp_path / f"{count}.{suffix}", count)
        peak_bytes(tmp_path / f"{count}.{suffix}")  # what is made once and for all is made here
        peaks.append(peak_bytes(tmp_path / f"{count}.{suffix}"))

    assert peaks[1] < 1.3 * peaks[0]
