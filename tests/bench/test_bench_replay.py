"""What a replay is measured beside answers the same question, and variants are what they are said to be."""

import multiprocessing
from pathlib import Path

import polars as pl
import pytest

from bench import reference
from bench.apart import apart
from bench.replay import DAYS, Files, duckdb_query, ours, peak_mb, polars_query, some_variants

WORK = reference.make(5, 3_000, tickers=40, strategies=25)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files.of(WORK, tmp_path)


def test_all_find_the_workloads_pairs(files: Files) -> None:
    answers = []
    for name, candidate in {
        "ours-0": ours(files),
        "polars": polars_query(files),
        "duckdb": duckdb_query(files),
    }.items():
        candidate.run(candidate.prepare())
        assert reference.digest_of(files.out(name)) == (WORK.pairs, WORK.digest)
        rows = pl.read_parquet(files.out(name)).sort("strategy_id", "ticker", "bucket_ms")
        answers.append(rows.select("strategy_id", "ticker", "bucket_ms", "ts", "mode").rows())
    assert answers[0] == answers[1] == answers[2]


def test_a_hundred_variants_are_decided_in_one_pass(tmp_path: Path) -> None:
    files = Files.of(reference.make(5, 1_000, tickers=20, strategies=2_000), tmp_path)
    candidate = ours(files, 100)
    candidate.run(candidate.prepare())
    held = pl.read_parquet(files.out("ours-100").parent / "variants.parquet")
    assert held["variant"].n_unique() == len(some_variants(["s1"], 100)) == 100
    of_each = {tuple(part["definition"].sort()) for part in held.partition_by("variant")}
    assert len(of_each) == 100, "no two of them are the same"


def test_memory_is_that_of_the_replay_alone(files: Files) -> None:
    ticks, megabytes = peak_mb(WORK, files, 2)
    assert ticks == 2 * len(WORK.who)
    assert DAYS > 2
    assert 50 < megabytes < 1_000


def test_a_candidate_of_its_own_process_answers_there_and_says_what_went_wrong(files: Files) -> None:
    with apart(ours, files) as candidate:
        for _ in range(2):
            files.out("ours-0").unlink(missing_ok=True)
            candidate.run(candidate.prepare())
            assert reference.digest_of(files.out("ours-0")) == (WORK.pairs, WORK.digest)
    with (
        apart(ours, files._replace(pairs=1)) as candidate,
        pytest.raises(AssertionError, match=f"{WORK.pairs} pairs of 1"),
    ):
        candidate.run(candidate.prepare())
    assert not multiprocessing.active_children()
