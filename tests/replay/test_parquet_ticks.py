"""Parquet: which types of columns are taken, and that a damaged file is told."""

import contextlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.limits import MAX_TS_MS
from streams.errors import InputError
from streams.replay import known_names, parquet_ticks, tick_files
from streams.replay.known_names import KnownNames
from streams.replay.parquet_ticks import ParquetTicks
from streams.replay.tick_files import Reject, open_ticks
from tests.replay.tick_rows import (
    COLUMNS,
    NOON,
    SHARED_FOLDER,
    Row,
    assert_refused,
    expected,
    read,
    reasons,
    table_of,
)


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
    year_2554 = (1 << 64) // 1000 + NOON * 1000  # in nanoseconds it would come out as noon again
    times = pa.array([NOON * 1000 + 7, year_2554], pa.timestamp("us"))
    table = table_of([Row()] * 2).set_column(1, "ts", times)
    pq.write_table(table, tmp_path / "t.parquet", use_deprecated_int96_timestamps=True)
    kept, rejects = read(tmp_path / "t.parquet")

    assert kept == [(1, "AAPL", NOON, ())]
    assert reasons(rejects) == [(2, "ts_out_of_range")]


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


def test_batches_are_full_to_the_end_of_a_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tick_files, "CHUNK_ROWS", 25)
    pq.write_table(table_of([Row()] * 60), tmp_path / "t.parquet")

    assert [len(batch.rows) for batch in open_ticks(tmp_path / "t.parquet", 10).batches()] == [10] * 6
    assert [len(batch.rows) for batch in open_ticks(tmp_path / "t.parquet", 26).batches()] == [25, 25, 10]


def test_bad_names_of_a_dictionary_that_no_row_uses_do_no_harm(tmp_path: Path) -> None:
    names = pa.DictionaryArray.from_arrays(pa.array([2, 4, 1], pa.int8()), ["x" * 100, "B", "A", "", "A"])
    table = table_of([Row()] * 3).set_column(0, "ticker", names)
    pq.write_table(table, tmp_path / "t.parquet")

    assert read(tmp_path / "t.parquet") == ([(i, name, NOON, ()) for i, name in enumerate("AAB", 1)], [])


def test_a_name_that_is_twice_in_a_dictionary_is_one() -> None:
    names = KnownNames().read(pa.array([b"B", b"A", None, b"A", b"\xff"]))

    assert names.texts == ["B", "A"]
    assert names.text_of.tolist() == [0, 1, 0, 1, 0, 0]
    assert names.faults.astype(bool).tolist() == [False, False, True, False, True, True]


def test_names_are_known_again_and_a_list_past_its_bound_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_names, "MAX_NAMES_KNOWN", 3)
    known = KnownNames()
    first, again = known.read(pa.array([b"B", b"A"])), known.read(pa.array([b"A", b"C", b""]))
    assert again.texts is first.texts == ["B", "A", "C"]
    assert (again.text_of[:2].tolist(), again.faults.astype(bool).tolist()) == ([1, 2], [False, False, True, True])
    anew = known.read(pa.array([b"D", b"C", b"D"]))
    assert (anew.texts, anew.text_of[:3].tolist()) == (["D", "C"], [0, 1, 0])
    assert first.texts == ["B", "A", "C"], "what was handed out stays as it is"
    many = known.read(pa.array([b"4", b"3", b"2", b"1", b"4"]))
    assert (many.texts, many.text_of[:5].tolist()) == (["4", "3", "2", "1"], [0, 1, 2, 3, 0]), "all of one dictionary"


def test_a_part_of_a_dictionary_is_read_as_it_is() -> None:
    entries = pa.array([b"X", b"BB", None, b"A", b"Y"])
    known = KnownNames()
    assert known.read(entries[1:4]).texts == ["BB", "A"]
    assert known.read(entries[3:]).text_of.tolist() == [1, 2, 0]
    assert known.read(pa.array([], pa.string())).text_of.tolist() == [0]


def test_an_entry_that_is_missing_is_no_ticker_whatever_its_bytes_are() -> None:
    is_there, ends, names = b"\x02", np.array([0, 1, 2], np.int32), b"AB"
    entries = pa.Array.from_buffers(pa.binary(), 2, [pa.py_buffer(each) for each in (is_there, ends, names)])
    known = KnownNames()
    known.read(pa.array([b"A"]))
    assert known.read(entries).faults.astype(bool).tolist() == [True, False, True]
    assert known.texts == ["A", "B"]


def test_a_parquet_ticker_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    raw = pa.array([b"\xff\xfe", b"A"], pa.binary())
    table = table_of([Row()] * 2).set_column(0, "ticker", pa.Array.from_buffers(pa.string(), 2, raw.buffers()))
    pq.write_table(table, tmp_path / "t.parquet")
    kept, rejects = read(tmp_path / "t.parquet")

    assert kept == [(2, "A", NOON, ())]
    assert rejects == [Reject(1, "ticker_not_utf8", r"'\\xff\\xfe' is not UTF-8")]


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


@SHARED_FOLDER
@given(st.data())
def test_flipped_bytes_of_a_parquet_lead_to_nothing_but_an_input_error(tmp_path: Path, data: st.DataObject) -> None:
    table = table_of([Row(f"T{i % 50}", NOON + i, [7] * (i % 3)) for i in range(300)])
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=200, compression="none")
    content = bytearray((tmp_path / "t.parquet").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "t.parquet").write_bytes(content)

    with contextlib.suppress(InputError):
        read(tmp_path / "t.parquet")


@pytest.mark.parametrize("entry", [1, -2])
def test_a_ticker_beyond_its_dictionary_is_damage(entry: int) -> None:
    with pytest.raises(ValueError, match="beyond the end"):
        parquet_ticks._entries(pa.DictionaryArray.from_arrays(np.array([0, entry]), ["A"], safe=False))


def test_a_file_with_other_rows_than_it_says_is_damaged(tmp_path: Path) -> None:
    pq.write_table(table_of([Row()] * 10), tmp_path / "t.parquet")
    source = ParquetTicks(tmp_path / "t.parquet")
    source.total_rows = 11

    with pytest.raises(InputError, match="is damaged after row 10 "):
        list(source.chunks(4))
