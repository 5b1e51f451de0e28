"""Tick files: both formats give the same ticks at every batch size, in bounded memory; what is no tick file is told."""

import csv
import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.core.limits import MAX_TS_MS, MIN_TS_MS
from streams.replay import csv_ticks, parquet_ticks, tick_files
from streams.replay.tick_files import open_ticks
from tests.replay.tick_rows import (
    COLUMNS,
    GOOD_CSV,
    NOON,
    SHARED_FOLDER,
    Row,
    assert_refused,
    csv_of,
    expected,
    read,
    reasons,
    table_of,
)


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
@example(rows=[Row("A", NOON, [1 << 31, None])], batch_rows=1, group_rows=1, dictionary=True)
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
    path.write_bytes(gzip.compress(content, mtime=0) if suffix == ".csv.gz" else content)
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


def test_a_time_in_another_unit_is_recognised(tmp_path: Path) -> None:
    rows = [Row("A", NOON * 1_000_000), Row("A", NOON * 1_000), Row("A", -1), Row("A", (1 << 63) - 1)]
    pq.write_table(table_of(rows), tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_bytes(csv_of(rows))
    hints = ["; looks like nanoseconds, divide by 1000000", "; looks like microseconds, divide by 1000", "", ""]
    words = "is not a time from 1970 to 2099 in milliseconds"
    details = [f"{row.ts} {words}{hint}" for row, hint in zip(rows, hints, strict=True)]

    assert [reject.detail for reject in read(tmp_path / "t.parquet")[1]] == details
    assert [reject.detail.replace("'", "") for reject in read(tmp_path / "t.csv")[1]] == details


def test_times_that_look_like_seconds_are_warned_of_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_ticks, "BLOCK_BYTES", 60)
    (tmp_path / "t.csv").write_bytes(csv_of([Row("A", NOON), Row("A", 5), *[Row("A", NOON // 1000)] * 9]))
    file = open_ticks(tmp_path / "t.csv", 1)
    assert sum(len(batch.rows) for batch in file.batches()) == 11

    assert len(file.warnings) == 1
    assert "row 2, ts: 5 ms is a time before 1973; if these are seconds, multiply" in file.warnings[0]


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n", b"\n\n\n"])
def test_a_header_alone_is_no_ticks(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbf" + ",".join(COLUMNS).encode() + content)
    pq.write_table(table_of([]), tmp_path / "t.parquet")

    assert read(tmp_path / "t.csv") == read(tmp_path / "t.parquet") == ([], [])


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
        ("t.csv", b"x" * 70_000 + b"\n", "header", "a first line of 70000 bytes", "names of the columns"),
        ("t.csv", b'ticker,"ts,price\n', "header", "quote", "first line"),
        ("t.csv", b"ticker,ts\rA,1\rB,2\r", "header", "line end", "first line"),
        ("t.csv", b"\n" + GOOD_CSV, "header", "no columns", "must be"),
        ("t.csv", "ticker,ts".encode("utf-16"), "header", "not UTF-8 at byte 0", "UTF-8"),
        ("t.csv", gzip.compress(GOOD_CSV, mtime=0), "header", "not UTF-8 at byte 1", "UTF-8"),
        ("t.csv.gz", GOOD_CSV, "line 1", "cannot be read on (not a gzipped file", "whole"),
        ("t.csv.gz", gzip.compress(GOOD_CSV, mtime=0)[:-9], "line 1", "cannot be read on", "whole"),
        ("t.csv.gz", gzip.compress(b"", mtime=0)[:10] + b"\xff" * 20, "line 1", "cannot be read on", "whole"),
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
    assert_refused(tmp_path, "", "is a folder", "name one file of ticks")


def test_a_batch_of_no_rows_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch_rows is 0"):
        open_ticks(tmp_path / "t.csv", 0)


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
    path.write_bytes(gzip.compress(content, 1, mtime=0) if path.suffix == ".gz" else content)


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
