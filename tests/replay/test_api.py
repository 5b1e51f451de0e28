"""The replay from Python: files and frames of any library give the same as the command does."""

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench import reference
from streams.core.events import Strategy
from streams.errors import InputError
from streams.replay.api import replay
from streams.replay.run import Job
from streams.replay.run import replay as run

STRATEGIES = [{"strategy_id": "s1", "timeframe": "1m", "universe": ["A", "B"]}]


class Interchanged:
    """A frame of a library that has nothing but the interchange protocol."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def __dataframe__(self, **options: Any) -> Any:
        return self.table.__dataframe__(**options)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, bytes]:
    """Ticks, strategies, and the executions of the command."""
    folder = tmp_path_factory.mktemp("api")
    ticks, strategies = reference.write_files(reference.make(5, ticks=8_000, tickers=100, strategies=40), folder)
    run(Job([ticks], strategies, folder / "out"))
    return ticks, strategies, (folder / "out" / "executions.parquet").read_bytes()


@pytest.mark.parametrize(
    "made",
    [
        lambda path: path,
        str,
        lambda path: [path],
        pq.read_table,
        pl.read_parquet,
        pd.read_parquet,
        lambda path: pq.ParquetFile(path).read().to_reader(700),
        lambda path: pl.read_parquet(path).with_columns(pl.col("ticker").cast(pl.Categorical)),
        lambda path: pl.read_parquet(path).with_columns(pl.from_epoch("ts", "ms")),
        lambda path: pl.read_parquet(path).drop("price", "size", "conditions"),
        lambda path: Interchanged(pq.read_table(path, columns=["ticker", "ts"])),
        lambda path: [pl.read_parquet(path)[:3_000], pq.read_table(path).slice(3_000)],
    ],
)
def test_whatever_holds_the_ticks_the_bytes_are_the_same(
    made: Any, work: tuple[Path, Path, bytes], tmp_path: Path
) -> None:
    ticks, strategies, expected = work
    done = replay(made(ticks), strategies, out=tmp_path)
    assert (tmp_path / "executions.parquet").read_bytes() == expected
    assert (tmp_path / "report.html").exists()
    assert done.executions.equals(pq.read_table(tmp_path / "executions.parquet"))
    assert done.executions.num_rows == sum(done.definitions.column("fired_pairs").to_pylist()) > 0
    assert done.variants is None


def frame(*times: int) -> pl.DataFrame:
    return pl.DataFrame({"ticker": ["A"] * len(times), "ts": times})


def test_strategies_are_what_would_stand_in_a_file() -> None:
    plain = replay(frame(60_000, 60_001, 120_000), STRATEGIES)
    assert plain.executions.column("bucket_ms").to_pylist() == [60_000, 120_000]
    assert replay(frame(60_000), [Strategy("s1", "1m", frozenset("A"))]).executions.num_rows == 1
    assert replay(frame(60_000), [{**STRATEGIES[0], "universe": {"A"}}]).executions.num_rows == 1
    assert replay(frame(60_000), []).executions.num_rows == 0
    with pytest.raises(InputError, match=r"strategies\.jsonl, line 2, 'univers': .*did you mean universe"):
        replay(frame(60_000), [*STRATEGIES, {"strategy_id": "s2", "timeframe": "1m", "univers": []}])


def test_variants_come_apart() -> None:
    done = replay(
        frame(60_000, 120_000), STRATEGIES, what_if=[{"name": "is"}, {"name": "5", "timeframes": {"1m": "5m"}}]
    )
    assert {name: table.num_rows for name, table in done.by_variant.items()} == {"is": 2, "5": 1}
    assert done.by_variant["is"].equals(replay(frame(60_000, 120_000), STRATEGIES).executions)
    assert done.variants.num_rows == 2
    assert "definition" in done.executions.schema.names


def test_rows_that_are_no_ticks_and_frames_that_are_none() -> None:
    done = replay(frame(60_000, -5, 120_000), STRATEGIES)
    assert [(each["row"], each["reason"]) for each in done.rejected] == [(2, "ts_out_of_range")]
    with pytest.raises(InputError, match=r"data frame 1\.parquet, row 2, ts.*--order time"):
        replay(frame(120_000, 60_000), STRATEGIES)
    assert replay(frame(120_000, 60_000), STRATEGIES, order="time").executions.num_rows == 2
    with pytest.raises(InputError, match=r"data frame 1\.parquet, header: no column ticker"):
        replay(pa.table({"tickr": ["A"], "ts": [1]}), STRATEGIES)
    with pytest.raises(InputError, match=r"column ts: holds string"):
        replay(pa.table({"ticker": ["A"], "ts": ["1"]}), STRATEGIES)


def test_nothing_is_left_behind_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    replay(frame(60_000), STRATEGIES)
    assert list(tmp_path.iterdir()) == []
