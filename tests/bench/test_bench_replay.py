"""What a replay is measured beside answers the same question, and variants are what they are said to be."""

from pathlib import Path

import polars as pl
import pytest

from bench import reference
from bench.replay import DAYS, Files, duckdb_query, ours, peak_mb, polars_query, some_variants


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(reference.make(5, 3_000, tickers=40, strategies=25), tmp_path)


def test_all_find_the_workloads_pairs(files: Files) -> None:
    answers = []
    for name, candidate in {
        "ours-0": ours(files),
        "polars": polars_query(files),
        "duckdb": duckdb_query(files),
    }.items():
        candidate.run(candidate.prepare())
        assert reference.digest_of(files.out(name)) == (files.work.pairs, files.work.digest)
        rows = pl.read_parquet(files.out(name)).sort("strategy_id", "ticker", "bucket_ms")
        answers.append(rows.select("strategy_id", "ticker", "bucket_ms", "ts", "mode").rows())
    assert answers[0] == answers[1] == answers[2]


def test_a_hundred_variants_are_decided_in_one_pass(tmp_path: Path) -> None:
    files = Files(reference.make(5, 1_000, tickers=20, strategies=2_000), tmp_path)
    candidate = ours(files, 100)
    candidate.run(candidate.prepare())
    held = pl.read_parquet(files.out("ours-100").parent / "variants.parquet")
    assert held["variant"].n_unique() == len(some_variants(["s1"], 100)) == 100
    of_each = {tuple(part["definition"].sort()) for part in held.partition_by("variant")}
    assert len(of_each) == 100, "no two of them are the same"


def test_memory_is_that_of_the_replay_alone(files: Files) -> None:
    ticks, megabytes = peak_mb(files, 2)
    assert ticks == 2 * len(files.work.who)
    assert DAYS > 2
    assert 50 < megabytes < 1_000
