"""`tickgate replay` end to end: exactly the reference workload's answer, and clear words for what cannot be used."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from bench import reference
from streams.cli import main
from streams.replay.in_order import Order
from streams.replay.run import Job, replay

STRATEGIES = '{"strategy_id": "s1", "timeframe": "1m", "universe": ["A", "B"]}\n'
TICKS = "ticker,ts,price,size,conditions\nA,60000,1.0,1,\nB,60001,1.0,1,0 14\nA,60002,1.0,1,\nA,120000,1.0,1,\n"
NEITHER_MOVES_NOR_COUNTS = "A,180000,1.0,1,32\n"


def run(folder: Path, ticks: str = TICKS, strategies: str = STRATEGIES, *options: str) -> Result:
    """The command over two small files."""
    (folder / "ticks.csv").write_text(ticks)
    (folder / "strategies.jsonl").write_text(strategies)
    files = ("--ticks", str(folder / "ticks.csv"), "--strategies", str(folder / "strategies.jsonl"))
    return CliRunner().invoke(main, ["replay", *files, "--out", str(folder / "out"), *options])


def executions(folder: Path) -> list[tuple[object, ...]]:
    """What fired, row by row."""
    return [tuple(row.values()) for row in pq.read_table(folder / "out" / "executions.parquet").to_pylist()]


FIRED = [
    ("s1", "A", 60_000, 60_000, "per_ticker"),
    ("s1", "B", 60_000, 60_001, "per_ticker"),
    ("s1", "A", 120_000, 120_000, "per_ticker"),
]


@pytest.mark.parametrize("seed", [1, 20, 300, 4_000, 50_000])
def test_the_reference_answer_for_any_batch_size(seed: int, tmp_path: Path) -> None:
    work = reference.make(seed, ticks=60_000)
    ticks, strategies = reference.write_files(work, tmp_path)
    written = set()
    for batch_ticks in (997, 60_000):
        out = tmp_path / str(batch_ticks)
        assert replay(Job([ticks], strategies, out, batch_ticks)).fired_pairs == work.pairs
        assert reference.digest_of(out / "executions.parquet") == (work.pairs, work.digest)
        written.add((out / "executions.parquet").read_bytes())
    assert len(written) == 1


@pytest.mark.parametrize("batch_ticks", [1, 7, 1_000, 100_000])
def test_the_same_bytes_for_batches_of_one_seven_a_thousand_and_all(batch_ticks: int, tmp_path: Path) -> None:
    work = reference.make(5, ticks=5_000)
    ticks, strategies = reference.write_files(work, tmp_path)
    replay(Job([ticks], strategies, tmp_path / "whole"))
    replay(Job([ticks], strategies, tmp_path / "cut", batch_ticks))
    assert reference.digest_of(tmp_path / "cut" / "executions.parquet") == (work.pairs, work.digest)
    whole, cut = ((tmp_path / name / "executions.parquet").read_bytes() for name in ("whole", "cut"))
    assert whole == cut


def test_the_digest_tells_a_pair_too_few(tmp_path: Path) -> None:
    work = reference.make(5, ticks=5_000)
    ticks, strategies = reference.write_files(work, tmp_path)
    replay(Job([ticks], strategies, tmp_path))
    table = pq.read_table(tmp_path / "executions.parquet")
    pq.write_table(table.slice(1), tmp_path / "less.parquet")
    assert reference.digest_of(tmp_path / "less.parquet") != (work.pairs, work.digest)


def test_a_small_day_fires_by_the_rules(tmp_path: Path) -> None:
    done = run(tmp_path, TICKS + NEITHER_MOVES_NOR_COUNTS)
    assert done.exit_code == 0, done.output
    assert executions(tmp_path) == FIRED
    summary = json.loads(done.stdout)
    assert (summary["ticks"], summary["fired_pairs"], summary["rejected"]) == (5, 3, 0)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["counts"]["irrelevant"] == 1
    assert manifest["counts"]["bucket_dup"] == 1


def test_global_and_legacy_strategies_fire_once_a_bucket_for_all(tmp_path: Path) -> None:
    more = (
        '{"strategy_id": "everything", "timeframe": "1m", "universe": "all"}\n'
        '{"strategy_id": "old", "timeframe": "1m", "universe": ["B"], "mode": "legacy"}\n'
    )
    assert run(tmp_path, TICKS, more).exit_code == 0
    assert executions(tmp_path) == [
        ("everything", "", 60_000, 60_000, "global"),
        ("old", "", 60_000, 60_000, "legacy"),
        ("everything", "", 120_000, 120_000, "global"),
        ("old", "", 120_000, 120_000, "legacy"),
    ]


def test_an_unknown_timeframe_skips_its_strategy_with_a_warning(tmp_path: Path) -> None:
    done = run(tmp_path, TICKS, STRATEGIES + '{"strategy_id": "s2", "timeframe": "5min", "universe": ["A"]}\n')
    assert done.exit_code == 0
    assert "line 2, timeframe" in done.stderr
    assert "5m" in done.stderr
    assert done.stderr.count("5min") == 1
    assert executions(tmp_path) == FIRED


def test_rows_that_are_no_ticks_are_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    bad = "A,-5,1.0,1,\n,60000,1.0,1,\nA,NaN,1.0,1,\nA,99999999999999999,1.0,1,\n" + "X" * 10_240 + ",60000,1.0,1,\n"
    header, first, rest = TICKS.split("\n", 2)
    done = run(tmp_path, "\n".join([header, first, bad + rest]))
    assert done.exit_code == 0, done.output
    assert executions(tmp_path) == FIRED
    rejects = [json.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()]
    assert [reject["row"] for reject in rejects] == [2, 3, 4, 5, 6]
    assert "5 rows" in done.stderr


SHUFFLED = "ticker,ts,price,size,conditions\nA,120000,1.0,1,\nA,60000,1.0,1,\nB,60001,1.0,1,0 14\nA,60002,1.0,1,\n"


def test_time_that_runs_backwards_stops_with_the_row_and_the_ways_out(tmp_path: Path) -> None:
    done = run(tmp_path, SHUFFLED)
    assert done.exit_code == 2
    for word in ("row 2", "60000", "120000", "--order time", "--order arrival"):
        assert word in done.stderr
    assert not (tmp_path / "out" / "executions.parquet").exists()


@pytest.mark.parametrize("batch_ticks", ["1", "2", "100"])
def test_a_shuffled_file_can_be_sorted_first(batch_ticks: str, tmp_path: Path) -> None:
    assert run(tmp_path, SHUFFLED, STRATEGIES, "--order", "time", "--batch-ticks", batch_ticks).exit_code == 0
    assert executions(tmp_path) == FIRED


def test_in_the_order_of_arrival_late_ticks_stay_late(tmp_path: Path) -> None:
    assert run(tmp_path, SHUFFLED, STRATEGIES, "--order", "arrival").exit_code == 0
    assert executions(tmp_path) == [FIRED[2], FIRED[1]]


def test_sorting_keeps_each_tick_with_its_conditions(tmp_path: Path) -> None:
    work = reference.make(3, ticks=2_000)
    ticks, strategies = reference.write_files(work, tmp_path)
    table = pq.read_table(ticks)
    codes = [[0, 14], [], [32], [2, 14, 0]]
    spoilt = table.set_column(4, "conditions", pa.array([codes[i % 4] for i in range(2_000)], pa.list_(pa.int32())))
    pq.write_table(spoilt, tmp_path / "sorted.parquet")
    pq.write_table(pa.concat_tables([spoilt.slice(1_000), spoilt.slice(0, 1_000)]), tmp_path / "turned.parquet")
    replay(Job([tmp_path / "sorted.parquet"], strategies, tmp_path / "a", 64))
    replay(Job([tmp_path / "turned.parquet"], strategies, tmp_path / "b", 64, Order.TIME))
    one, other = ((tmp_path / name / "executions.parquet").read_bytes() for name in "ab")
    assert one == other
    assert 0 < pq.read_table(tmp_path / "a" / "executions.parquet").num_rows < work.pairs


@pytest.mark.parametrize(
    ("ticks", "strategies", "words"),
    [
        ("", STRATEGIES, ("ticks.csv", "empty")),
        ("ticker,price,size,conditions\n", STRATEGIES, ("ticks.csv", "ts")),
        (TICKS, "", ("strategies.jsonl", "empty")),
        (TICKS, STRATEGIES + STRATEGIES, ("strategies.jsonl", "line 2", "s1")),
        (TICKS, '{"strategy_id": "s1", "timeframe": "1m"}\n', ("line 1", "universe")),
        (TICKS, '{"strategy_id": "s1", "timeframe": "1m", "univers": []}\n', ("univers", "universe")),
        (TICKS, '{"strategy_id": "s1", "timeframe": 1, "universe": []}\n', ("timeframe",)),
        (TICKS, '{"strategy_id": "s1"\n', ("line 1",)),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_place(
    ticks: str, strategies: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    done = run(tmp_path, ticks, strategies)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr
    assert not (tmp_path / "out" / "executions.parquet").exists()


def test_no_ticks_is_a_day_on_which_nothing_fired(tmp_path: Path) -> None:
    done = run(tmp_path, "ticker,ts,price,size,conditions\n")
    assert done.exit_code == 0
    assert executions(tmp_path) == []


def test_progress_is_shown_when_asked_for(tmp_path: Path) -> None:
    done = run(tmp_path, TICKS, STRATEGIES, "--progress")
    assert done.exit_code == 0
    assert "100" in done.stderr or "4/" in done.stderr
    assert json.loads(done.stdout)["fired_pairs"] == 3


def test_the_manifest_has_the_hashes_of_what_stands_beside_it(tmp_path: Path) -> None:
    work = reference.make(5, ticks=5_000)
    ticks, strategies = reference.write_files(work, tmp_path)
    replay(Job([ticks], strategies, tmp_path / "out"))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    for told, name in (("result", "executions.parquet"), ("definitions_result", "definitions.parquet")):
        digest = hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest()
        assert manifest[told] == {"name": name, "sha256": digest}


def test_a_replay_of_files_loads_nothing_that_speaks_to_a_broker(tmp_path: Path) -> None:
    """That would be a tenth of the memory of a day."""
    assert run(tmp_path).exit_code == 0
    code = "import sys\nfrom streams.cli import main\nmain(standalone_mode=False)\nprint(*sys.modules, sep='\\n')"
    options = {"--ticks": "ticks.csv", "--strategies": "strategies.jsonl", "--out": "out"}
    files = [text for option, name in options.items() for text in (option, str(tmp_path / name))]
    command = [sys.executable, "-c", code, "replay", *files]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert "pyarrow" in loaded
    assert not {"aiokafka", "confluent_kafka", "faust", "sqlalchemy", "aiohttp"} & set(loaded)
