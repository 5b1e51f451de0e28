"""What is read back is held against the workload's answer, and records are read as they were written."""

import io

import fastavro
import numpy as np
import pytest

from bench import kafka_wide, reference, workload
from bench.kafka_answer import EXECUTION, Answer, answer_of, pairs_of_executions, pairs_of_peer_alerts
from bench.kafka_ground import RunError
from bench.kafka_memory import Growth, Sample, growth
from bench.kafka_peers import PeerSaid, said_by
from bench.kafka_recovery import share
from tests.house.tree import ROOT


def brute_force(work: reference.Workload) -> list[tuple[str, str, int]]:
    """Every pair that must fire, tick by tick."""
    ticks = [(work.names[who], when) for who, when in zip(work.who.tolist(), work.when.tolist(), strict=True)]
    fired = {
        (name, ticker, ts_ms - ts_ms % timeframe_ms)
        for ticker, ts_ms in ticks
        for name, (timeframe_ms, universe) in work.raw_strategies.items()
        if ticker in universe
    }
    return sorted(fired)


def test_the_right_pairs_have_the_workloads_answer_in_any_order() -> None:
    work = reference.make(5, 300, tickers=40, strategies=20)
    pairs = brute_force(work)
    assert answer_of(reversed(pairs)) == answer_of(pairs) == Answer(work.pairs, work.digest)


@pytest.mark.parametrize("spoilt", ["lost", "repeated", "moved"])
def test_wrong_pairs_have_another_answer(spoilt: str) -> None:
    work = reference.make(5, 300, tickers=40, strategies=20)
    first, *others = brute_force(work)
    wrong = {"lost": others, "repeated": [first, first, *others], "moved": [(*first[:2], first[2] + 1), *others]}
    assert answer_of(wrong[spoilt]) != Answer(work.pairs, work.digest)


def test_executions_are_read_by_the_schema_file() -> None:
    out = io.BytesIO(b"\0\0\0\0\3")
    out.seek(0, io.SEEK_END)
    cause = {"topic": "ticks", "partition": 1, "first_offset": 2, "last_offset": 3}
    head = {"execution_id": "x", "strategy_id": "s1", "strategy_version": 1, "mode": "per_ticker", "timeframe": "1m"}
    rest = {"bucket_ms": 60_000, "tickers": ["A", "B"], "scope": "tickers", "ts": 61_000, "cause": cause}
    fastavro.schemaless_writer(out, EXECUTION, {**head, **rest})
    assert list(pairs_of_executions([(b"s1", out.getvalue())])) == [("s1", "A", 60_000), ("s1", "B", 60_000)]


def test_alerts_of_the_peer_in_java_are_read() -> None:
    assert list(pairs_of_peer_alerts([(b"T1", b"s1:60,s2:0,")])) == [("s1", "T1", 60), ("s2", "T1", 0)]


def test_the_result_of_a_peer_is_found_behind_what_it_says_else() -> None:
    line = '\x1b[?25h{"peer": "faust", "ticks": 9, "seconds": 3.0, "rate": 3.0, "pairs": 4}'
    assert said_by(f"a banner {{}}\n{line}\nbye\n") == PeerSaid(3.0, 4)
    with pytest.raises(RunError, match="printed no result: bye"):
        said_by("bye\n")


def test_the_pairs_of_a_wide_market_are_counted_as_the_workload_counts_them() -> None:
    rng = np.random.default_rng(3)
    raw = dict(list(kafka_wide.strategies(rng).items())[:200])
    who, when = workload.make_ticks(rng, 3_000, kafka_wide.TICKERS, 10.0, kafka_wide.FIRST_MS)
    assert kafka_wide.count_pairs(raw, who, when) == workload.answer(raw, who, when)["pairs"] > 0


def test_the_filling_fires_every_pair_once() -> None:
    rng = np.random.default_rng(3)
    assert kafka_wide.count_pairs(kafka_wide.strategies(rng), *kafka_wide.filling(rng)) == kafka_wide.PAIRS


def test_growth_is_from_the_first_tenth_of_the_ticks_to_the_last() -> None:
    samples = [Sample(ticks, 100 if ticks <= 10 else 900) for ticks in range(1, 90)]
    samples += [Sample(ticks, 110) for ticks in range(90, 101)]
    assert growth(samples) == Growth(100, 110)
    assert growth(samples).part == pytest.approx(0.1)


def test_two_workers_share_only_where_every_shard_has_one_owner() -> None:
    assert share({0, 1}, {2, 3})
    assert not share({0, 1, 2, 3}, set())
    assert not share({0, 1, 2}, {2, 3})
    assert not share({0, 1}, {2})


@pytest.mark.parametrize("name", ["quix", "faust"])
def test_the_peers_packages_are_pinned_with_hashes_and_without_addresses(name: str) -> None:
    lines = (ROOT / "bench" / "peers" / f"requirements-{name}.txt").read_text().splitlines()
    pinned = [at for at, line in enumerate(lines) if "==" in line]
    assert len(pinned) > 10
    assert all(lines[at + 1].lstrip().startswith("--hash=sha256:") for at in pinned)
    assert not [line for line in lines if "://" in line or "index" in line]
