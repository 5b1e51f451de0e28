"""Many variants in one pass: each is to the byte what a replay of it alone gives; and what what-if files are told."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner, Result

from bench import reference
from streams.cli import main
from streams.core.events import Mode, Status, Strategy
from streams.core.flags import percent_of
from streams.core.limits import MAX_STRATEGY_ID_BYTES
from streams.core.shard import Shard
from streams.replay import deciding
from streams.replay.run import Job, replay
from streams.replay.variants_file import extract
from streams.strategy_file import write_strategies

TIMEFRAMES = ["1m", "5m", "15m", "1h", "1d"]


def some_variants(strategies: list[Strategy], tickers: list[str], draw: random.Random) -> list[dict[str, Any]]:
    """One of each kind, and some of all kinds mixed."""
    ids = [strategy.strategy_id for strategy in strategies]
    variants: list[dict[str, Any]] = [
        {"name": "as is"},
        {"name": "of old", "per_ticker_throttle": False},
        {"name": "canary", "per_ticker_throttle": False, "percentage": 40.5},
        {"name": "faster", "timeframes": {"5m": "1m", "1h": "5m"}},
    ]
    for number in range(4):
        edits: dict[str, Any] = {
            sid: draw.choice(
                [
                    {"timeframe": draw.choice(TIMEFRAMES)},
                    {"universe": draw.sample(tickers, 3), "mode": "legacy"},
                    {"universe": "all"},
                    {"status": "paused"},
                ]
            )
            for sid in draw.sample(ids, 4)
        }
        variants.append({"name": f"mixed {number}", "strategies": edits, "timeframes": {"1m": "15m"}})
        variants[-1] |= {"per_ticker_throttle": draw.choice([True, False])}
    return variants


def put_to(strategy: Strategy, variant: dict[str, Any]) -> Strategy:
    """A strategy under a variant, said plainly."""
    strategy = replace(strategy, timeframe=variant.get("timeframes", {}).get(strategy.timeframe, strategy.timeframe))
    edit = dict(variant.get("strategies", {}).get(strategy.strategy_id, {}))
    if "universe" in edit:
        edit["universe"] = frozenset() if edit["universe"] == "all" else frozenset(edit["universe"])
    if "mode" in edit:
        edit["mode"] = Mode(edit["mode"])
    if "status" in edit:
        edit["status"] = Status(edit["status"])
    strategy = replace(strategy, **edit)
    meant = percent_of(strategy.strategy_id) < variant.get("percentage", 100)
    if strategy.mode is None and meant and variant.get("per_ticker_throttle") is False:
        return replace(strategy, mode=Mode.LEGACY)
    return strategy


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_variant_is_what_it_would_be_alone_to_the_byte(seed: int, tmp_path: Path) -> None:
    work = reference.make(seed, ticks=4_000, tickers=60, strategies=30)
    ticks, _ = reference.write_files(work, tmp_path)
    draw = random.Random(seed)
    strategies = [
        replace(each, mode=draw.choice([None, None, Mode.LEGACY, Mode.PER_TICKER])) for each in work.strategies
    ]
    draw.shuffle(strategies)
    write_strategies(strategies, tmp_path / "strategies.jsonl")
    variants = some_variants(strategies, work.names, draw)
    (tmp_path / "what-if.yaml").write_text(yaml.safe_dump({"variants": variants}))
    together, counted = {}, {}
    for batch_ticks in (700, 100_000):
        out = tmp_path / str(batch_ticks)
        job = Job([ticks], tmp_path / "strategies.jsonl", out, batch_ticks, what_if=tmp_path / "what-if.yaml")
        counted[batch_ticks] = replay(job).variants
        together[batch_ticks] = [(out / f"{name}.parquet").read_bytes() for name in ("executions", "variants")]
    assert together[700] == together[100_000]
    assert counted[700] == counted[100_000]
    held = pq.read_table(tmp_path / "700" / "variants.parquet").column("strategy_id").to_pylist()
    assert held == sorted(strategy.strategy_id for strategy in strategies) * len(variants)
    for variant in variants:
        write_strategies([put_to(strategy, variant) for strategy in strategies], tmp_path / "alone.jsonl")
        alone = replay(Job([ticks], tmp_path / "alone.jsonl", tmp_path / "alone"))
        assert extract(tmp_path / "700", variant["name"], tmp_path / "one.parquet") == alone.fired_pairs
        assert counted[700][variant["name"]] == alone.fired_pairs > 0
        assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "alone" / "executions.parquet").read_bytes()


TICKS = "ticker,ts,price,size,conditions\nA,60000,1.0,1,\nB,60001,1.0,1,\nA,120000,1.0,1,\n"
STRATEGIES = (
    '{"strategy_id": "s1", "timeframe": "1m", "universe": ["A", "B"]}\n'
    '{"strategy_id": "s2", "timeframe": "5m", "universe": ["A"]}\n'
)


def run_with(folder: Path, what_if: str, name: str = "what-if.yaml") -> Result:
    (folder / "ticks.csv").write_text(TICKS)
    (folder / "strategies.jsonl").write_text(STRATEGIES)
    (folder / name).write_text(what_if)
    files = ("--ticks", str(folder / "ticks.csv"), "--strategies", str(folder / "strategies.jsonl"))
    return CliRunner().invoke(main, ["replay", *files, "--out", str(folder / "out"), "--what-if", str(folder / name)])


TWO = "- name: as is\n- name: faster\n  timeframes: {5m: 1m}\n"


def test_what_variants_share_is_decided_and_written_once(tmp_path: Path) -> None:
    done = run_with(tmp_path, TWO)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["variants"] == {"as is": 4, "faster": 5}
    rows = pq.read_table(tmp_path / "out" / "executions.parquet").to_pylist()
    assert [(row["definition"], row["strategy_id"], row["ts"]) for row in rows] == [
        (0, "s1", 60_000),
        (1, "s2", 60_000),
        (2, "s2", 60_000),
        (0, "s1", 60_001),
        (0, "s1", 120_000),
        (2, "s2", 120_000),
    ]
    held = pq.read_table(tmp_path / "out" / "variants.parquet").to_pylist()
    assert [(row["variant"], row["strategy_id"], row["definition"], row["fired_pairs"]) for row in held] == [
        ("as is", "s1", 0, 3),
        ("as is", "s2", 1, 1),
        ("faster", "s1", 0, 3),
        ("faster", "s2", 2, 2),
    ]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["definitions"] == 3
    assert [(each["name"], each["strategies_changed"]) for each in manifest["variants"]] == [
        ("as is", 0),
        ("faster", 1),
    ]


def test_one_variant_comes_out_by_its_name(tmp_path: Path) -> None:
    run_with(tmp_path, TWO)
    command = ["variant", str(tmp_path / "out"), "faster", "--out", str(tmp_path / "faster.parquet")]
    assert json.loads(CliRunner().invoke(main, command).stdout) == {"fired_pairs": 5}
    assert pq.read_table(tmp_path / "faster.parquet").num_rows == 5
    command[2] = "fatser"
    unknown = CliRunner().invoke(main, command)
    assert unknown.exit_code == 2
    assert "as is, faster" in unknown.stderr
    command[1] = str(tmp_path)
    assert "--what-if" in CliRunner().invoke(main, command).stderr


def test_without_variants_nothing_of_an_earlier_replay_with_them_is_left(tmp_path: Path) -> None:
    run_with(tmp_path, TWO)
    replay(Job([tmp_path / "ticks.csv"], tmp_path / "strategies.jsonl", tmp_path / "out"))
    assert not (tmp_path / "out" / "variants.parquet").exists()


@pytest.mark.parametrize(
    ("what_if", "words"),
    [
        ("", ("what-if.yaml", "nothing")),
        ("[]", ("no variant",)),
        ("- timeframes: {5m: 1m}\n", ("line 1", "name", "missing")),
        ("- name: a\n- name: a\n", ("line 2", "'a'", "already")),
        ("- name: a\n  timeframe: {5m: 1m}\n", ("line 2", "did you mean timeframes?")),
        ("- name: a\n  colour: red\n", ("unknown field", "per_ticker_throttle")),
        ("- name: a\n  timeframes: {15m: 1m}\n", ("line 2", "no strategy has the timeframe '15m'", "1m, 5m")),
        ("- name: a\n  timeframes: {5m: 7}\n", ("line 2", "timeframes, 5m")),
        ("- name: a\n  timeframes: 1m\n", ("line 2", "write a timeframe")),
        (
            "- name: a\n  strategies: {s3: {timeframe: 1m}}\n",
            ("line 2", "no strategy 's3'", "name one of the strategy file"),
        ),
        ("- name: a\n  strategies:\n    s1: {univers: [A]}\n", ("line 3", "did you mean universe?")),
        ("- name: a\n  strategies:\n    s1: {strategy_id: s9}\n", ("line 3", "other than its id")),
        ("- name: a\n  strategies:\n    s1: {mode: global}\n", ("line 3", "mode", "universe")),
        ("- name: a\n  per_ticker_throttle: 3\n", ("line 2", "true or false")),
        ("- name: a\n  percentage: 10\n", ("per_ticker_throttle", "true or false")),
        ("- name: a\n  per_ticker_throttle: true\n  percentage: 101\n", ("line 3", "0 to 100")),
        ("- 3\n", ("line 1", "list of variants")),
    ],
)
def test_a_what_if_that_cannot_be_meant_is_refused_with_its_place(
    what_if: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    done = run_with(tmp_path, what_if)
    assert done.exit_code == 2, done.output
    assert done.stderr.count("\n") == 1
    for word in ("what-if.yaml", *words):
        assert word in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_what_if_file_is_yaml(tmp_path: Path) -> None:
    assert "name it .yaml" in run_with(tmp_path, TWO, "what-if.json").stderr


@pytest.mark.parametrize(("limit", "words"), [(1, "replay fewer variants at once"), (0, "spread the variants")])
def test_where_tickers_find_no_room_variants_are_not_replayed_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, words: str
) -> None:
    def crowded(*arguments: Any, **named: Any) -> Shard:
        shard = Shard(*arguments, **named)
        shard.index.tickers.limit = limit
        return shard

    monkeypatch.setattr(deciding, "Shard", crowded)
    done = run_with(tmp_path, "- name: a\n  strategies: {s1: {universe: [A]}}\n")
    assert done.exit_code == 2
    assert words in done.stderr
    assert not (tmp_path / "out" / "executions.parquet").exists()


def test_too_many_variants_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.replay.what_if.MAX_VARIANTS", 2)
    done = run_with(tmp_path, "- name: a\n- name: b\n- name: c\n")
    assert done.exit_code == 2
    assert "line 3" in done.stderr
    assert "more than 2 variants" in done.stderr


def test_the_longest_ids_there_are_have_variants_too(tmp_path: Path) -> None:
    longest = "s" * MAX_STRATEGY_ID_BYTES
    write_strategies([Strategy(longest, "1m", frozenset("A"))], tmp_path / "long.jsonl")
    run_with(tmp_path, TWO)
    (tmp_path / "what-if.yaml").write_text("- name: a\n")
    job = Job([tmp_path / "ticks.csv"], tmp_path / "long.jsonl", tmp_path / "out", what_if=tmp_path / "what-if.yaml")
    assert replay(job).variants == {"a": 2}


def test_an_unknown_timeframe_in_a_variant_is_skipped_with_a_warning(tmp_path: Path) -> None:
    done = run_with(tmp_path, "- name: a\n  strategies: {s2: {timeframe: 5min}}\n")
    assert done.exit_code == 0
    assert "line 2, timeframe" in done.stderr
    assert done.stderr.count("5min") == 1
    assert json.loads(done.stdout)["variants"] == {"a": 3}
