"""`tickgate compare`: the same as a plain count of rows says, whatever is compared at once; and what it refuses."""

import errno
import itertools
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner, Result

from bench import reference
from streams.cli import main
from streams.core.events import Mode
from streams.core.limits import FOREVER, NEVER
from streams.replay import matching, parts
from streams.replay.compare import COUNTS, compare
from streams.replay.result_folder import NO_ROWS, open_result
from streams.replay.run import Job, replay
from streams.strategy_file import write_strategies

Row = dict[str, Any]


def executions(name: str) -> list[Row]:
    """The executions of a run or of a variant, read plainly."""
    folder, _, variant = name.partition(":")
    rows: list[Row] = pq.read_table(Path(folder) / "executions.parquet").to_pylist()
    if variant:
        held = {row["definition"] for row in variants(folder) if row["variant"] == variant}
        rows = [row for row in rows if row["definition"] in held]
    return rows


def variants(folder: str) -> list[Row]:
    rows: list[Row] = pq.read_table(Path(folder) / "variants.parquet").to_pylist()
    return rows


def universes(name: str) -> dict[str, set[str]]:
    folder, _, variant = name.partition(":")
    held = {row["definition"] for row in variants(folder) if row["variant"] == variant} if variant else None
    rows = pq.read_table(Path(folder) / "definitions.parquet").to_pylist()
    return {row["strategy_id"]: set(row["universe"]) for row in rows if held is None or row["definition"] in held}


def ran_otherwise(row: Row, others: list[Row], own: set[str], theirs: set[str]) -> bool:
    """Whether any of the other run's rows ran this one's tickers, and one of the two was a run of the whole."""
    near = [each for each in others if all(each[key] == row[key] for key in ("strategy_id", "bucket_ms"))]
    if row["ticker"]:
        return any(not each["ticker"] and (not theirs or row["ticker"] in theirs) for each in near)
    return any(each["ticker"] and (not own or each["ticker"] in own) for each in near)


def plainly(a: str, b: str) -> dict[str, dict[str, int]]:
    """By strategy: how many rows are what, one row at a time."""
    runs, held = [executions(a), executions(b)], [universes(a), universes(b)]
    found = {sid: dict.fromkeys(COUNTS, 0) for sid in {*held[0], *held[1]}}
    by_key = [{(row["strategy_id"], row["ticker"], row["bucket_ms"]): row["ts"] for row in rows} for rows in runs]
    by_strategy = [{sid: [row for row in rows if row["strategy_id"] == sid] for sid in found} for rows in runs]
    for side, letter in enumerate("ab"):
        for row in runs[side]:
            key, sid = (row["strategy_id"], row["ticker"], row["bucket_ms"]), row["strategy_id"]
            found[sid][f"executions_{letter}"] += 1
            others = by_strategy[1 - side][sid]
            same = {(each["strategy_id"], each["ticker"], each["bucket_ms"]) for each in others}
            if key in same:
                found[sid]["both"] += not side
                found[sid]["moved"] += not side and by_key[0][key] != by_key[1][key]
            elif ran_otherwise(row, free(others, by_key[side]), held[side][sid], held[1 - side].get(sid, set())):
                found[sid][f"otherwise_{letter}"] += 1
            else:
                found[sid][f"only_{letter}"] += 1
    return found


def free(rows: list[Row], others: dict[tuple[str, str, int], int]) -> list[Row]:
    """The runs of the whole, and those of tickers that the other run does not have by themselves."""
    return [
        row for row in rows if not row["ticker"] or (row["strategy_id"], row["ticker"], row["bucket_ms"]) not in others
    ]


def some_runs(seed: int, folder: Path) -> list[str]:
    """Variants of all kinds in one replay, one of them replayed alone, and one over half of the ticks."""
    work = reference.make(seed, ticks=3_000, tickers=25, strategies=14, per_second=3.0)
    ticks, _ = reference.write_files(work, folder)
    draw = random.Random(seed)
    strategies = [replace(each, mode=draw.choice([None, None, Mode.LEGACY])) for each in work.strategies]
    write_strategies(strategies, folder / "strategies.jsonl")
    ids = [strategy.strategy_id for strategy in strategies]
    edits = {sid: {"universe": draw.choice([draw.sample(work.names, 5), "all"])} for sid in draw.sample(ids, 5)}
    what_if: list[dict[str, Any]] = [
        {"name": "as is"},
        {"name": "old", "per_ticker_throttle": False},
        {"name": "fast", "timeframes": {"5m": "1m", "1h": "15m"}},
        {"name": "others", "strategies": edits, "per_ticker_throttle": False, "percentage": 50},
    ]
    (folder / "what-if.yaml").write_text(yaml.safe_dump(what_if))
    replay(Job([ticks], folder / "strategies.jsonl", folder / "all", what_if=folder / "what-if.yaml"))
    replay(Job([ticks], folder / "strategies.jsonl", folder / "alone"))
    write_strategies(strategies[2:], folder / "fewer.jsonl")
    pq.write_table(pq.read_table(ticks).slice(40), folder / "later.parquet")
    replay(Job([folder / "later.parquet"], folder / "fewer.jsonl", folder / "later"))
    return [*(f"{folder / 'all'}:{each['name']}" for each in what_if), str(folder / "alone"), str(folder / "later")]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_counts_what_a_plain_look_at_all_rows_counts(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = dict.fromkeys(COUNTS, 0)
    for a, b in itertools.permutations(some_runs(seed, tmp_path), 2):
        runs, expected = (open_result(a), open_result(b)), plainly(a, b)
        written = set()
        for at_once, key_most in ((300, 1 << 62), (1 << 22, 2), (1 << 22, 1 << 62)):
            monkeypatch.setattr(parts, "MAX_COMPARED_ROWS", at_once)
            monkeypatch.setattr(matching, "MAX_KEY", key_most)
            found = compare(*runs, tmp_path / "differences.parquet", inputs_may_differ=True)
            rows = found.by_strategy.to_pylist()
            assert {row["strategy_id"]: {name: row[name] for name in COUNTS} for row in rows} == expected
            written.add(str(pq.read_table(tmp_path / "differences.parquet").to_pylist()))
            for name in COUNTS:
                met[name] += found.total(name)
        assert len(written) == 1
    assert all(met.values()), met


def test_each_difference_is_told_with_both_sides(tmp_path: Path) -> None:
    all_runs = some_runs(4, tmp_path)
    told_of_all = set()
    for a, b in itertools.permutations(all_runs, 2):
        found = compare(open_result(a), open_result(b), tmp_path / "d.parquet", inputs_may_differ=True)
        told = pq.read_table(tmp_path / "d.parquet").to_pylist()
        order = [(row["strategy_id"], row["bucket_ms"], row["ticker"]) for row in told]
        assert order == sorted(order)
        for letter, run in (("a", executions(a)), ("b", executions(b))):
            times = {(row["strategy_id"], row["ticker"], row["bucket_ms"]): (row["ts"], row["mode"]) for row in run}
            for row in told:
                at = (row["strategy_id"], row["ticker"], row["bucket_ms"])
                whole = (row["strategy_id"], "", row["bucket_ms"])
                expected = times.get(at) or (times[whole] if row["found"] == "otherwise" else (None, None))
                assert (row[f"ts_{letter}"], row[f"mode_{letter}"]) == expected
        for kind in ("only_a", "only_b", "moved"):
            assert sum(row["found"] == kind for row in told) == found.total(kind)
        told_of_all |= {row["found"] for row in told}
    assert told_of_all == {"only_a", "only_b", "moved", "otherwise"}


def test_each_strategy_and_bucket_is_in_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MAX_COMPARED_ROWS", 10)
    how = parts.cut(np.array([3, 0, 8, 2, 35, 1, 10]), 1_000, 1_999)
    assert how.strategies == [range(2), range(2, 4), *[range(4, 5)] * 4, range(5, 6), range(6, 7)]
    strategy, bucket_ms = np.repeat(np.arange(7, dtype=np.int32), 3), np.tile([1_000, 1_500, 1_999], 7)
    rows = NO_ROWS._replace(strategy=strategy, bucket_ms=bucket_ms)
    assert how.part_of(rows).reshape(7, 3).tolist() == [
        [0, 0, 0],
        [0, 0, 0],
        [1, 1, 1],
        [1, 1, 1],
        [2, 4, 5],
        [6, 6, 6],
        [7, 7, 7],
    ]
    assert parts.cut(np.zeros(3, np.int64), FOREVER, NEVER).strategies == []


def test_a_disk_without_room_is_said_and_nothing_is_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    monkeypatch.setattr(parts, "MAX_COMPARED_ROWS", 2)
    assert run(folder, "day", "what:if:faster").exit_code == 0
    monkeypatch.setattr(parts, "_lay_aside", full)
    refused = run(folder, "day", "what:if:faster", "--out", str(folder / "out"))
    assert refused.exit_code == 2
    assert "no space left on device" in refused.stderr
    assert "TMPDIR" in refused.stderr
    assert list((folder / "out").iterdir()) == list((tmp_path / "scratch").iterdir()) == []


TICKS = "ticker,ts,price,size,conditions\nA,300000,1.0,1,\nB,300001,1.0,1,\nA,360000,1.0,1,\n"
STRATEGIES = (
    '{"strategy_id": "s1", "timeframe": "1m", "universe": ["A", "B"]}\n'
    '{"strategy_id": "s2", "timeframe": "5m", "universe": ["A"]}\n'
)
WHAT_IF = "- name: as is\n- name: faster\n  timeframes: {5m: 1m}\n- name: of old\n  per_ticker_throttle: false\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run, its variants, and a run over other ticks."""
    (tmp_path / "ticks.csv").write_text(TICKS)
    (tmp_path / "other.csv").write_text(TICKS.replace("300001", "300002"))
    (tmp_path / "strategies.jsonl").write_text(STRATEGIES)
    (tmp_path / "what-if.yaml").write_text(WHAT_IF)
    strategies = tmp_path / "strategies.jsonl"
    replay(Job([tmp_path / "ticks.csv"], strategies, tmp_path / "day"))
    replay(Job([tmp_path / "other.csv"], strategies, tmp_path / "other"))
    replay(Job([tmp_path / "ticks.csv"], strategies, tmp_path / "what:if", what_if=tmp_path / "what-if.yaml"))
    return tmp_path


def run(folder: Path, a: str, b: str, *options: str) -> Result:
    return CliRunner().invoke(main, ["compare", str(folder / a), str(folder / b), *options])


def test_the_answer_stands_on_top_in_words(folder: Path) -> None:
    said = run(folder, "day", "what:if:faster").stdout.splitlines()
    assert [line.replace(f"{folder}/", "") for line in said] == [
        "A: day, 4 executions",
        "B: what:if:faster, 5 executions",
        "In both 4; only in A 0; only in B 1.",
        "By timeframe:",
        "  1m: both 3, only A 0, only B 0",
        "  5m in A, 1m in B: both 1, only A 0, only B 1",
        "Strategies that differ: 1 of 2; the most:",
        "  s2, 5m in A, 1m in B: both 1, only A 0, only B 1",
    ]
    assert run(folder, "day", "what:if:as is").stdout.splitlines()[2] == "Both have the same 4 executions."
    old = run(folder, "what:if:as is", "what:if:of old").stdout
    assert "for the whole universe and in the other ticker by ticker: 4 of A, 3 of B." in old


def test_the_files_hold_it_by_strategy_and_row_by_row(folder: Path) -> None:
    out = folder / "a" / "b"
    assert json.loads(run(folder, "day", "what:if:faster", "--json", "--out", str(out)).stdout) == {
        "executions_a": 4,
        "executions_b": 5,
        "both": 4,
        "moved": 0,
        "only_a": 0,
        "only_b": 1,
        "otherwise_a": 0,
        "otherwise_b": 0,
    }
    by_strategy = pq.read_table(out / "strategies.parquet").to_pylist()
    assert [(row["strategy_id"], row["timeframe_a"], row["timeframe_b"], row["only_b"]) for row in by_strategy] == [
        ("s1", "1m", "1m", 0),
        ("s2", "5m", "1m", 1),
    ]
    (row,) = pq.read_table(out / "differences.parquet").to_pylist()
    assert (row["strategy_id"], row["ticker"], row["bucket_ms"], row["found"]) == ("s2", "A", 360_000, "only_b")
    assert (row["ts_a"], row["ts_b"], row["mode_a"], row["mode_b"]) == (None, 360_000, None, "per_ticker")


def test_runs_over_other_ticks_are_compared_only_when_told_to(folder: Path) -> None:
    refused = run(folder, "day", "other", "--out", str(folder / "out"))
    assert refused.exit_code == 2
    assert "other ticks" in refused.stderr
    assert "--different-inputs" in refused.stderr
    assert not (folder / "out" / "differences.parquet").exists()
    done = run(folder, "day", "other", "--different-inputs")
    assert "over different ticks" in done.stdout
    assert "Both have the same 4 executions, 1 of them at another time." in done.stdout


@pytest.mark.parametrize(
    ("b", "words"),
    [
        ("nowhere", ("nowhere", "no such folder")),
        ("what:if", ("several variants", "what:if:as is", "what:if:faster")),
        ("what:if:fatser", ("no variant 'fatser'", "what:if:faster")),
        ("day:faster", ("no variant 'faster'", "it has none")),
        ("", ("no whole result", "manifest.json")),
        ("older", ("another version", "replay the same ticks again")),
        ("spoilt", ("manifest.json", "no JSON")),
        ("short", ("executions.parquet", "cannot be read")),
    ],
)
def test_what_is_no_result_is_refused_in_words(b: str, words: tuple[str, ...], folder: Path) -> None:
    for name, text in (("older", "{}"), ("spoilt", "{")):
        (folder / name).mkdir()
        (folder / name / "manifest.json").write_text(text)
    replay(Job([folder / "ticks.csv"], folder / "strategies.jsonl", folder / "short"))
    (folder / "short" / "executions.parquet").write_bytes(b"PAR1")
    refused = run(folder, "day", b)
    assert refused.exit_code == 2, refused.output
    assert refused.stderr.count("\n") == 1
    for word in words:
        assert word in refused.stderr


def test_the_counts_of_each_definition_are_those_of_the_oracle(folder: Path) -> None:
    rows = pq.read_table(folder / "day" / "definitions.parquet").to_pylist()
    assert [(row["strategy_id"], row["fired_pairs"], row["bucket_dup"], row["universe"]) for row in rows] == [
        ("s1", 3, 0, ["A", "B"]),
        ("s2", 1, 1, ["A"]),
    ]
