"""What a replay writes: bytes that follow from the rows alone, and files that are whole or not there."""

import errno
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.errors import InputError
from streams.replay import results
from streams.replay.rejects import Reject
from streams.replay.results import SCHEMA, Batch, ExecutionsWriter, RejectsWriter, write_manifest
from streams.whole_files import WholeFile, write_whole

STRATEGIES = [f"s{i}" for i in range(40)]
TICKERS = [f"é{i}" for i in range(60)]
MODES = ["per_ticker", "legacy", "global"]


class Rows(NamedTuple):
    """Rows of a result as the columns of `add`, the names left out."""

    strategy: Any
    ticker: Any
    bucket_ms: Any
    ts_ms: Any
    mode: Any

    def part(self, run: slice) -> "Rows":
        return Rows(*(column[run] for column in self))

    def texts(self) -> list[dict[str, Any]]:
        """The same rows as a reader sees them."""
        return [
            {
                "strategy_id": STRATEGIES[strategy],
                "ticker": TICKERS[ticker] if ticker >= 0 else "",
                "bucket_ms": bucket,
                "ts": ts,
                "mode": MODES[mode],
            }
            for strategy, ticker, bucket, ts, mode in zip(*(column.tolist() for column in self), strict=True)
        ]


def some_rows(count: int, seed: int = 1) -> Rows:
    rng = np.random.default_rng(seed)
    narrow = [rng.integers(low, high, count, dtype=np.int32) for low, high in ((0, 40), (-1, 60), (0, 3))]
    ts_ms = 1_760_000_000_000 + np.cumsum(rng.integers(0, 1_000, count))
    return Rows(narrow[0], narrow[1], ts_ms - ts_ms % 60_000, ts_ms, narrow[2])


def add(writer: ExecutionsWriter, rows: Rows, shift: int = 0) -> None:
    """Add rows; a shift names them from lists in another order, as another run may."""
    strategies, tickers = (names[shift:] + names[:shift] for names in (STRATEGIES, TICKERS))
    strategy = (rows.strategy - np.int32(shift)) % np.int32(len(STRATEGIES))
    ticker = np.where(rows.ticker < 0, -1, (rows.ticker - shift) % len(TICKERS)).astype(np.int32)
    writer.add(Batch(strategies, strategy, tickers, ticker, rows.bucket_ms, rows.ts_ms, MODES, rows.mode))


def written(path: Path, rows: Rows, borders: list[int], shift: int = 0) -> bytes:
    with ExecutionsWriter(path) as writer:
        for start, end in zip([0, *borders], [*borders, len(rows.ts_ms)], strict=True):
            add(writer, rows.part(slice(start, end)), shift)
            writer._settle()
            assert writer._waiting_rows < results.GROUP_ROWS
    assert writer.rows == len(rows.ts_ms)
    return path.read_bytes()


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 100, 999])
def test_rows_come_back_in_order_as_plain_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(results, "GROUP_ROWS", 10)
    rows = some_rows(count)
    written(tmp_path / "e.parquet", rows, [count // 3])
    table = pq.read_table(tmp_path / "e.parquet")

    assert table.to_pylist() == rows.texts()
    assert table.schema.equals(SCHEMA, check_metadata=True)
    assert [str(kind) for kind in table.schema.types] == ["string", "string", "int64", "int64", "string"]
    assert pq.ParquetFile(tmp_path / "e.parquet").metadata.num_row_groups == -(-count // 10)


def test_texts_are_a_dictionary_on_disk(tmp_path: Path) -> None:
    written(tmp_path / "e.parquet", some_rows(5_000), [])
    metadata = pq.ParquetFile(tmp_path / "e.parquet").metadata
    group = metadata.row_group(0)

    assert metadata.metadata is None, "the types of one reader are no part of the file"
    assert [group.column(i).has_dictionary_page for i in range(5)] == [True, True, True, False, True]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    count=st.integers(0, 300),
    cuts=st.lists(st.integers(0, 300), max_size=30),
    group_rows=st.integers(1, 100),
    shift=st.integers(0, 39),
)
def test_bytes_depend_on_the_rows_and_not_on_the_batches(
    tmp_path: Path, count: int, cuts: list[int], group_rows: int, shift: int
) -> None:
    rows = some_rows(count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "GROUP_ROWS", group_rows)
        whole = written(tmp_path / "whole.parquet", rows, [])
        borders = sorted(min(cut, count) for cut in cuts)
        assert written(tmp_path / "cut.parquet", rows, borders, shift) == whole
    if count:
        other = rows._replace(ts_ms=np.append(rows.ts_ms[:-1], rows.ts_ms[-1] + 1))
        assert written(tmp_path / "other.parquet", other, []) != whole


@pytest.mark.parametrize("step", [1 << 16, 100_000, 1 << 20])
def test_bytes_of_a_long_result_do_not_depend_on_the_batches(tmp_path: Path, step: int) -> None:
    rows = some_rows(results.GROUP_ROWS * 2 + 12_345)
    borders = list(range(step, len(rows.ts_ms), step))

    assert written(tmp_path / "a.parquet", rows, borders, 7) == written(tmp_path / "b.parquet", rows, [])


def test_one_text_in_all_rows_of_a_batch_is_written_as_any_other(tmp_path: Path) -> None:
    rows = some_rows(300)
    for mode in (2, 0):
        same = rows._replace(mode=np.full(300, mode, np.int32))
        expected = written(tmp_path / "a.parquet", same, [100, 101])
        told_at_once = same._replace(mode=np.broadcast_to(np.int32(mode), 300))
        assert written(tmp_path / "b.parquet", told_at_once, [100, 101]) == expected


def test_a_text_that_is_twice_in_a_list_is_one(tmp_path: Path) -> None:
    """Definitions of one strategy share its id."""
    rows = some_rows(100)
    for name, strategies in {"once": ["a", "b"], "twice": ["a", "b", "a", "b"]}.items():
        strategy = rows.strategy % np.int32(len(strategies))
        with ExecutionsWriter(tmp_path / name) as writer:
            writer.add(Batch(strategies, strategy, TICKERS, rows.ticker, rows.bucket_ms, rows.ts_ms, MODES, rows.mode))
    assert (tmp_path / "once").read_bytes() == (tmp_path / "twice").read_bytes()


def test_lists_that_grow_or_change_within_a_row_group_make_no_difference(tmp_path: Path) -> None:
    rows = some_rows(900)
    grown = TICKERS[:20]
    with ExecutionsWriter(tmp_path / "grown") as writer:
        for start in range(0, 900, 300):
            part = rows.part(slice(start, start + 300))
            part = part._replace(ticker=part.ticker % np.int32(20 * (start // 300 + 1)))
            writer.add(
                Batch(STRATEGIES, part.strategy, grown, part.ticker, part.bucket_ms, part.ts_ms, MODES, part.mode)
            )
            writer._settle()
            grown += TICKERS[len(grown) : len(grown) + 20]
    limits = np.repeat(np.array([20, 40, 60], np.int32), 300)
    assert (tmp_path / "grown").read_bytes() == written(
        tmp_path / "whole", rows._replace(ticker=rows.ticker % limits), [450], 3
    )


def write_rejects(path: Path, rejects: Iterable[Reject]) -> None:
    with RejectsWriter(path) as writer:
        writer.add((reject, "") for reject in rejects)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError])
def test_an_interrupted_result_leaves_the_earlier_one(tmp_path: Path, error: type[BaseException]) -> None:
    before = written(tmp_path / "e.parquet", some_rows(5), [])

    def stopped() -> Iterator[Reject]:
        yield Reject(1, "x", "y")
        raise error

    def interrupted() -> None:
        with ExecutionsWriter(tmp_path / "e.parquet") as writer:
            add(writer, some_rows(1000))
            raise error

    with pytest.raises(error):
        interrupted()
    with pytest.raises(error):
        write_rejects(tmp_path / "rejected.jsonl", stopped())

    assert left_in(tmp_path) == ["e.parquet"]
    assert (tmp_path / "e.parquet").read_bytes() == before


def test_nothing_has_the_name_of_a_result_before_its_end(tmp_path: Path) -> None:
    with ExecutionsWriter(tmp_path / "e.parquet") as writer:
        add(writer, some_rows(10))
        names = left_in(tmp_path)

    assert len(names) == 1
    assert names[0].endswith(".part")
    assert left_in(tmp_path) == ["e.parquet"]


class FullDisk(io.RawIOBase):
    """A file that takes so many bytes, and is full."""

    def __init__(self, room: int) -> None:
        self.room = room

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if size > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= size
        return size


@pytest.mark.parametrize("room", [0, 3, 4, 100, 30_000])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    opened = WholeFile.__enter__

    def enter(file: WholeFile) -> WholeFile:
        opened(file).out.close()
        file.out = io.BufferedWriter(FullDisk(room), 64)
        return file

    monkeypatch.setattr(WholeFile, "__enter__", enter)
    monkeypatch.setattr(results, "GROUP_ROWS", 1_000)
    with pytest.raises(InputError, match="no space left on device") as caught:
        written(tmp_path / "e.parquet", some_rows(10_000), [500, 5_000])
    assert caught.value.place == str(tmp_path / "e.parquet")
    with pytest.raises(InputError, match="no space left on device"):
        write_rejects(tmp_path / "rejected.jsonl", [Reject(1, "x", "y" * 30_000)])
    assert left_in(tmp_path) == []


def test_a_folder_that_cannot_take_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, problem in ((tmp_path / "none" / "e", "no such file"), (tmp_path / "file" / "e", "not a directory")):
        with pytest.raises(InputError, match=problem), ExecutionsWriter(path):
            pass
        with pytest.raises(InputError, match=problem):
            write_manifest(path, {})


def test_a_name_taken_by_a_folder_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "e").mkdir()
    with pytest.raises(InputError, match="is a directory"):
        write_whole(tmp_path / "e", ["text"])

    assert left_in(tmp_path) == ["e"]


def test_rejects_are_a_line_each(tmp_path: Path) -> None:
    rejects = [Reject(2, "ticker_empty", "a tick needs a ticker"), Reject(9, "ts_not_a_number", "'é\"' is not …")]
    write_rejects(tmp_path / "all.jsonl", rejects)
    with RejectsWriter(tmp_path / "some.jsonl") as writer:
        for reject in rejects:
            writer.add([(reject, "")])
        writer.add([])
    text = (tmp_path / "all.jsonl").read_text(encoding="utf-8")

    assert text.splitlines()[0] == '{"row": 2, "reason": "ticker_empty", "detail": "a tick needs a ticker"}'
    assert [Reject(**json.loads(line)) for line in text.splitlines()] == rejects
    assert (tmp_path / "some.jsonl").read_text(encoding="utf-8") == text


def test_no_rejects_replace_those_of_an_earlier_run(tmp_path: Path) -> None:
    (tmp_path / "rejected.jsonl").write_text("old\n")
    write_rejects(tmp_path / "rejected.jsonl", [])

    assert (tmp_path / "rejected.jsonl").read_bytes() == b""


def test_equal_manifests_have_equal_bytes(tmp_path: Path) -> None:
    write_manifest(tmp_path / "a", {"b": 1, "a": {"d": "é", "c": [2]}})
    write_manifest(tmp_path / "b", {"a": {"c": [2], "d": "é"}, "b": 1})

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert json.loads((tmp_path / "a").read_bytes()) == {"a": {"c": [2], "d": "é"}, "b": 1}


def test_an_input_error_is_one_readable_line() -> None:
    assert str(InputError("s.jsonl, line 3", "it is odd", "mend it")) == "s.jsonl, line 3: it is odd; mend it"
