"""Ticks out of many files: one order whatever the batches, and clear words where files do not go together."""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from streams.cli import main
from streams.errors import InputError
from streams.replay import merge, run, tick_files
from streams.replay.ahead import ahead
from streams.replay.deciding import Deciding
from streams.replay.in_order import Order, in_order
from streams.replay.merge import span_of
from streams.replay.run import Job, replay
from streams.replay.tick_files import open_ticks
from tests.replay.tick_rows import NOON, SHARED_FOLDER, Row, csv_of, reason_of, table_of

STRATEGIES = '{"strategy_id": "s1", "timeframe": "1m", "universe": ["A", "B"]}\n'

Seen = list[tuple[int, int]]
"""Rows as (file, row)."""

rows_of_a_file = st.lists(
    st.builds(
        Row,
        st.sampled_from(["A", "B", "C", "", None]),
        st.integers(NOON, NOON + 12) | st.just(-1),
        st.lists(st.integers(0, 9), max_size=3),
    ),
    max_size=25,
)


def folder_of(path: Path, days: dict[str, str]) -> Path:
    for name, text in days.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("ticker,ts,price,size,conditions\n" + text)
    return path


def run_on(tmp_path: Path, *ticks: Path, order: str = "strict") -> Result:
    (tmp_path / "strategies.jsonl").write_text(STRATEGIES)
    named = [text for path in ticks for text in ("--ticks", str(path))]
    files = ("--strategies", str(tmp_path / "strategies.jsonl"), "--out", str(tmp_path / "out"))
    return CliRunner().invoke(main, ["replay", *named, *files, "--order", order])


def fired(tmp_path: Path) -> list[tuple[str, int]]:
    table = pq.read_table(tmp_path / "out" / "executions.parquet", columns=["ticker", "ts"])
    return [(row["ticker"], row["ts"]) for row in table.to_pylist()]


def taken(paths: Sequence[Path], order: Order, batch_rows: int) -> tuple[list[tuple[object, ...]], Seen]:
    """The ticks with all that they hold, and the refused rows."""
    ticks: list[tuple[object, ...]] = []
    refused: Seen = []
    for part in in_order([open_ticks(path, batch_rows) for path in paths], order):
        batch, start = part.batch, 0
        assert len(batch.ts_ms) <= batch_rows
        for i, end in enumerate(batch.code_ends.tolist()):
            tick = (batch.names[batch.name_of[i]], int(batch.ts_ms[i]), tuple(batch.codes[start:end].tolist()))
            ticks.append((int(part.file_of[i]), int(batch.rows[i]), *tick))
            start = end
        refused += [(placed.file, placed.reject.row) for placed in part.refused]
    return ticks, refused


def by_the_rule(files: Sequence[Sequence[Row]]) -> tuple[list[tuple[object, ...]], Seen]:
    """By time, file and row; a refused row behind the tick before it, or with the first one of its file."""
    ticks, refused = [], []
    for number, rows in enumerate(files):
        times = [row.ts for row in rows if reason_of(row) is None and row.ts is not None]
        rises = times == sorted(times)
        goes_with = min(times, default=1 << 62)
        for at, row in enumerate(rows, 1):
            if reason_of(row) is None:
                assert row.ts is not None
                ticks.append((row.ts, number, at, row.ticker, tuple(row.conditions or ())))
                goes_with = row.ts if rises else goes_with
            else:
                refused.append((goes_with, number, at))
    return [(f, at, name, ts, codes) for ts, f, at, name, codes in sorted(ticks)], [
        place[1:] for place in sorted(refused)
    ]


@SHARED_FOLDER
@given(
    files=st.lists(rows_of_a_file, min_size=1, max_size=5),
    in_disorder=st.booleans(),
    batch_rows=st.integers(1, 30),
    chunk_rows=st.integers(1, 10),
)
def test_files_are_merged_by_time_then_file_then_row(
    tmp_path: Path, files: list[list[Row]], in_disorder: bool, batch_rows: int, chunk_rows: int
) -> None:
    if not in_disorder:
        files = [sorted(rows, key=lambda row: row.ts or 0) for rows in files]
    paths = [tmp_path / f"{number}.parquet" for number in range(len(files))]
    for path, rows in zip(paths, files, strict=True):
        pq.write_table(table_of(rows), path, row_group_size=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tick_files, "CHUNK_ROWS", chunk_rows)
        assert taken(paths, Order.TIME, batch_rows) == by_the_rule(files)


@pytest.mark.parametrize("seed", range(20))
def test_ticks_of_one_time_and_refused_rows_keep_their_order_across_batches(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    files = [
        sorted(
            (Row(draw.choice("AB"), NOON + draw.randrange(6), [at]) for at in range(30)), key=lambda row: row.ts or 0
        )
        for _ in range(3)
    ]
    for rows in files:
        for at in draw.sample(range(30), 8):
            rows[at] = Row("", NOON)
    paths = [tmp_path / f"{number}.parquet" for number in range(3)]
    for path, rows in zip(paths, files, strict=True):
        pq.write_table(table_of(rows), path)
    expected = by_the_rule(files)
    for batch_rows in (1, 3, 7, 100):
        assert taken(paths, Order.TIME, batch_rows) == expected


def test_only_what_rises_is_streamed(tmp_path: Path) -> None:
    for name, times in {"rises": [1, 1, 5], "falls": [1, 5, 4], "none": []}.items():
        (tmp_path / f"{name}.csv").write_bytes(csv_of([Row(ts=NOON + ms) for ms in times]))
    spans = {name: span_of(open_ticks(tmp_path / f"{name}.csv", 2)) for name in ("rises", "falls", "none")}
    assert [span.rises for span in spans.values()] == [True, False, True]
    assert [span.first_ms for span in spans.values()] == [NOON + 1, NOON + 1, 1 << 62]


def test_days_that_lie_apart_are_not_open_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    days = folder_of(tmp_path / "days", {f"{day:02}.csv": f"A,{day}60000,1.0,1,\n" for day in range(1, 9)})
    monkeypatch.setattr(merge, "MAX_MERGED_FILES", 1)
    assert run_on(tmp_path, days, order="time").exit_code == 0
    assert len(fired(tmp_path)) == 8
    folder_of(days, {"09.csv": "A,160000,1.0,1,\nA,960000,1.0,1,\n"})
    done = run_on(tmp_path, days, order="time")
    assert done.exit_code == 2
    assert "more than 1 files hold ticks of one time" in done.stderr


def test_a_folder_is_replayed_by_time_whatever_its_files_are_called(tmp_path: Path) -> None:
    days = folder_of(tmp_path / "d", {"b.csv": "A,60000,1.0,1,\n", "a/x.csv": "A,120000,1.0,1,\nB,120001,1.0,1,\n"})
    (days / "_SUCCESS").touch()
    (days / ".b.csv.crc").touch()
    (days / "README").touch()
    assert run_on(tmp_path, days).exit_code == 0
    assert fired(tmp_path) == [("A", 60_000), ("A", 120_000), ("B", 120_001)]
    inputs = json.loads((tmp_path / "out" / "manifest.json").read_text())["inputs"]["ticks"]
    assert [each["name"] for each in inputs] == ["d/a/x.csv", "d/b.csv"]
    assert len({each["sha256"] for each in inputs}) == 2


OVERLAP = {"a.csv": "A,60000,1.0,1,\nA,120000,1.0,1,\n", "b.csv": "B,90000,1.0,1,\nB,180000,1.0,1,\n"}


def test_files_that_overlap_are_refused_by_name_or_merged(tmp_path: Path) -> None:
    days = folder_of(tmp_path / "d", OVERLAP)
    done = run_on(tmp_path, days)
    assert done.exit_code == 2
    for word in ("b.csv, row 1", "90000", "120000", "a.csv", "overlap", "--order time"):
        assert word in done.stderr
    assert list((tmp_path / "out").iterdir()) == []
    assert run_on(tmp_path, days, order="time").exit_code == 0
    assert fired(tmp_path) == [("A", 60_000), ("B", 90_000), ("A", 120_000), ("B", 180_000)]


def test_in_the_order_of_arrival_files_come_as_they_are_named(tmp_path: Path) -> None:
    days = folder_of(tmp_path / "d", OVERLAP)
    assert run_on(tmp_path, days / "b.csv", days / "a.csv", order="arrival").exit_code == 0
    assert fired(tmp_path) == [("B", 90_000), ("B", 180_000), ("A", 60_000), ("A", 120_000)]


def test_a_refused_row_names_its_file_where_there_are_several(tmp_path: Path) -> None:
    days = folder_of(tmp_path / "d", {"a.csv": ",1,1.0,1,\nA,60000,1.0,1,\n", "b.csv": "A,-1,1.0,1,\n"})
    assert run_on(tmp_path, days).exit_code == 0
    lines = [json.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()]
    assert [(line["file"], line["row"], line["reason"]) for line in lines] == [
        ("d/a.csv", 1, "ticker_empty"),
        ("d/b.csv", 1, "ts_out_of_range"),
    ]


def test_both_formats_in_one_folder_are_refused_and_may_be_named(tmp_path: Path) -> None:
    days = folder_of(tmp_path / "d", {"1.csv": "A,60000,1.0,1,\n"})
    pq.write_table(table_of([Row("A", 120_000, [])]), days / "2.parquet")
    done = run_on(tmp_path, days)
    assert done.exit_code == 2
    for word in ("CSV (1.csv)", "Parquet (2.parquet)", "--ticks"):
        assert word in done.stderr
    assert run_on(tmp_path, days / "2.parquet", days / "1.csv").exit_code == 0
    assert fired(tmp_path) == [("A", 60_000), ("A", 120_000)]


def test_a_file_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    days = folder_of(tmp_path / "d", {"1.csv": "A,60000,1.0,1,\n"})
    (days / "again.csv").symlink_to(days / "1.csv")
    for paths in ((days,), (days / "1.csv", days / "1.csv")):
        done = run_on(tmp_path, *paths)
        assert done.exit_code == 2
        assert "the same file as" in done.stderr


def test_a_folder_without_ticks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    done = run_on(tmp_path, tmp_path / "d")
    assert done.exit_code == 2
    assert ".parquet" in done.stderr


def test_days_without_a_file_are_told_but_for_weekends(tmp_path: Path) -> None:
    names = ["2024-11-22", "2024-11-25", "20241128"]  # Friday, Monday, Thursday
    times = {f"{day}.csv": f"A,{at}60000,1.0,1,\n" for at, day in enumerate(names, 1)}
    done = run_on(tmp_path, folder_of(tmp_path / "d", times))
    assert done.exit_code == 0
    assert "no file for 2024-11-26, 2024-11-27; " in done.stderr
    full = folder_of(tmp_path / "d", {"date=2024-11-26/x.csv": "", "date=2024-11-27/x.csv": ""})
    assert "no file" not in run_on(tmp_path, full).stderr


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_what_was_stopped_leaves_the_earlier_result_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    assert run_on(tmp_path, folder_of(tmp_path / "d", {"1.csv": "A,60000,1.0,1,\n"})).exit_code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def stopped(*_: object) -> None:
        raise error("place", "problem", "remedy")

    monkeypatch.setattr(Deciding, "step", stopped)
    with pytest.raises(error):
        replay(Job([tmp_path / "d"], tmp_path / "strategies.jsonl", tmp_path / "out"))
    told = run_on(tmp_path, tmp_path / "d")
    if error is KeyboardInterrupt:
        assert told.exit_code == 1
        assert f"stopped: no result of this run is in {tmp_path / 'out'}; " in told.stderr
    else:
        assert (told.exit_code, told.stderr) == (2, "error: place: problem; remedy\n")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_one_step_ahead_is_the_same_and_an_error_comes_in_its_place() -> None:
    def three_and_a_fault() -> Iterator[int]:
        yield from (1, 2, 3)
        raise InputError("place", "problem", "remedy")

    seen: list[int] = []
    with pytest.raises(InputError), ahead(three_and_a_fault()) as items:
        seen.extend(items)
    with ahead(list[int]()) as items:
        assert list(items) == []
    with ahead(three_and_a_fault()) as items:
        for item in items:
            seen.append(item)
            if item == 3:
                break
    assert seen == [1, 2, 3, 1, 2, 3]


def test_what_makes_items_ahead_is_closed_wherever_reading_ends() -> None:
    open_now = 0

    def many() -> Iterator[int]:
        nonlocal open_now
        open_now += 1
        try:
            yield from range(100)
        finally:
            open_now -= 1

    with ahead(many()) as items:
        assert (next(items), open_now) == (0, 1)
    assert open_now == 0


def test_without_a_manifest_nothing_is_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_on(tmp_path, folder_of(tmp_path / "d", {"1.csv": "A,60000,1.0,1,\n"})).exit_code == 0

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "write_manifest", killed)
    with pytest.raises(KeyboardInterrupt):
        replay(Job([tmp_path / "d"], tmp_path / "strategies.jsonl", tmp_path / "out"))
    assert not (tmp_path / "out" / "manifest.json").exists()
