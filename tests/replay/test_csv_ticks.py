"""CSV: which cells and lines are taken, and that a bad line spoils no other."""

import csv
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.replay.tick_rows import (
    COLUMNS,
    GOOD_CSV,
    NOON,
    SHARED_FOLDER,
    read,
    reasons,
)

CSV_LINES = {
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
    b"x" * 200_000: "field_count",
    b'"a,b",1': "field_count",
    b'"A,1760000000000,1,1,': "line_malformed",
    b'A"B,1760000000000,1,1,': "line_malformed",
    b'A"B",1760000000000,1,1,': "line_malformed",
    b'A","B,1760000000000,1,1,': "line_malformed",
    b'"A"B,1760000000000,1,1,': "line_malformed",
    b"A,1760000000000\r,1,1,": "line_malformed",
    b"A,1760000000000,1,1,\rA,1760000000000,1,1,": "line_malformed",
    b"": "",
    b'"A",1760000000000,NaN,"",': "",
}


def test_rows_of_a_csv_are_refused_one_by_one(tmp_path: Path) -> None:
    lines = CSV_LINES
    bad = [(row, reason) for row, reason in enumerate(lines.values(), 1) if reason]
    for end in (b"\n", b"\r\n"):
        path = tmp_path / "t.csv"
        path.write_bytes(",".join(COLUMNS).encode() + end + end.join(lines))
        kept, rejects = read(path)

        assert reasons(rejects) == bad
        assert kept == [(row, "A", NOON, ()) for row in (1, len(lines))]
        assert all(reject.detail and reject.detail.isprintable() and len(reject.detail) < 200 for reject in rejects)


@pytest.mark.parametrize(("line", "reason"), CSV_LINES.items())
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("above", [0, 2])
def test_a_bad_line_of_a_csv_leaves_its_neighbours_alone(
    tmp_path: Path, above: int, end: bytes, line: bytes, reason: str
) -> None:
    good = [b"B,1760000000000,1,1,7"] * 2
    path = tmp_path / "t.csv"
    path.write_bytes(end.join([",".join(COLUMNS).encode(), *good[:above], line, *good, b""]))
    kept, rejects = read(path)

    if reason == "field_count":
        assert rejects[0].detail.startswith(
            f"{len(next(csv.reader([line.decode()[:100]])))} fields, the header has 5: "
        )
    assert [row for row, ticker, _, _ in kept if ticker == "B"] == [*range(1, above + 1), above + 2, above + 3]
    assert reasons(rejects) == ([(above + 1, reason)] if reason else [])


def test_quotes_that_open_on_one_line_and_close_on_another_spoil_both(tmp_path: Path) -> None:
    good = b"B,1760000000000,1,1,7"
    lines = [b'"A', b'A",1760000000000,1,1,', good, b'"A,1760000000000,1,1,', good, b'A,1760000000000,1,1,"']
    for used in (lines[:3], lines):
        (tmp_path / "t.csv").write_bytes(b"\n".join([",".join(COLUMNS).encode(), *used]))
        kept, rejects = read(tmp_path / "t.csv")

        assert [row for row, *_ in kept] == [row for row, line in enumerate(used, 1) if line == good]
        assert reasons(rejects) == [(row, "line_malformed") for row, line in enumerate(used, 1) if line != good]


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
