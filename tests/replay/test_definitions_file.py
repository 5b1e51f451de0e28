"""`definitions.parquet` follows from the strategies alone."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from streams.core.events import Strategy
from streams.core.strategy_counts import StrategyCounts
from streams.replay.definitions import Universes, as_they_are
from streams.replay.definitions_file import write_definitions

STRATEGIES = [Strategy("s1", "1m", frozenset({"C", "A"})), Strategy("s2", "5m"), Strategy("s3", "1h", frozenset("B"))]


def written(path: Path, names: list[str]) -> bytes:
    """Write it, with tickers by their places among these names."""
    of_each = [np.array([names.index(ticker) for ticker in each.universe], np.int32) for each in STRATEGIES]
    counts = [StrategyCounts(1, 2, 3, 4, 5)] * len(STRATEGIES)
    write_definitions(path, as_they_are(STRATEGIES), Universes(names, of_each), counts)
    return path.read_bytes()


def test_universes_stand_sorted_and_an_empty_one_is_every_ticker(tmp_path: Path) -> None:
    written(tmp_path / "a.parquet", ["A", "B", "C"])
    assert pq.read_table(tmp_path / "a.parquet")["universe"].to_pylist() == [["A", "C"], [], ["B"]]


def test_names_that_no_universe_holds_and_their_order_make_no_difference(tmp_path: Path) -> None:
    alone = written(tmp_path / "a.parquet", ["A", "B", "C"])
    assert written(tmp_path / "b.parquet", ["ZZZ", "C", "AA", "B", "A"]) == alone
