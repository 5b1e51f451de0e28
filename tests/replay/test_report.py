"""What `report.html` holds: numbers that agree with the results, bounded, in bytes that follow from them alone."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from bench import reference
from streams.cli import main
from streams.core.events import Strategy
from streams.core.limits import MAX_STRATEGY_ID_BYTES
from streams.replay.report import facts, tables
from streams.replay.report.numbers import STEPS_MS, time_of
from streams.replay.run import Job, replay
from streams.strategy_file import write_strategies

TICKS = (
    "ticker,ts,price,size,conditions\n"
    "A,300000,1.0,1,\nB,300001,1.0,1,\nA,300002,1.0,1,\nA,360000,1.0,1,37\nA,420000,1.0,1,\n"
)
OTHERWISE = "that ran in both, but in one for the whole universe"
WHEN = "the first at 1970-01-01 00:05:00, the last at 1970-01-01 00:07:00 (UTC)."
STRATEGIES = (
    '{"strategy_id": "s1", "timeframe": "1m", "universe": ["A", "B"]}\n'
    '{"strategy_id": "s2", "timeframe": "5m", "universe": ["A"]}\n'
    '{"strategy_id": "every", "timeframe": "5m", "universe": "all"}\n'
    '{"strategy_id": "none", "timeframe": "5min", "universe": ["A"]}\n'
)
WHAT_IF = "- name: as is\n- name: faster\n  timeframes: {5m: 1m}\n- name: of old\n  per_ticker_throttle: false\n"


def made(folder: Path, *options: str, ticks: str = TICKS) -> Path:
    """The folder of a replay."""
    (folder / "ticks.csv").write_text(ticks)
    (folder / "strategies.jsonl").write_text(STRATEGIES)
    (folder / "what-if.yaml").write_text(WHAT_IF)
    files = ("--ticks", str(folder / "ticks.csv"), "--strategies", str(folder / "strategies.jsonl"))
    done = CliRunner().invoke(main, ["replay", *files, "--out", str(folder / "out"), *options])
    assert done.exit_code == 0, done.output
    return folder / "out"


def embedded(out: Path) -> dict[str, dict[str, Any]]:
    """The drawings and tables of a report, by id."""
    page = (out / "report.html").read_text()
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    data = json.loads(text)
    return {each["id"]: each for each in [*data["charts"], *data["tables"]]}


def answer(out: Path) -> list[str]:
    page = (out / "report.html").read_text()
    return re.findall(r"<p>(.*?)</p>", page[: page.index("<noscript>")])


def values(chart: dict[str, Any]) -> dict[str, list[float]]:
    return {each["name"]: each["values"] for each in chart["series"]}


def test_the_answer_stands_on_top(tmp_path: Path) -> None:
    out = made(tmp_path)
    assert answer(out) == [
        f"5 executions of 3 strategies, from 5 ticks; {WHEN}",
        "Strategies looked at a tick 7 times, and it fired nothing in 42.9 %: 42.9 % had fired in the bucket.",
        "1 tick must not move the price, by the conditions, and changed nothing.",
        "The busiest strategy is s1, with 60.0 % of the executions; the busiest ticker is A, which ran 3 times.",
    ]
    assert "5min" in (out / "report.html").read_text()


def test_variants_are_held_against_the_first(tmp_path: Path) -> None:
    out = made(tmp_path, "--what-if", str(tmp_path / "what-if.yaml"))
    assert answer(out)[:3] == [
        f"“as is”: 5 executions of 3 strategies, from 5 ticks; {WHEN}",
        "“faster” has 7 executions, 40 % more: 5 the same, 0 missed, 2 more.",
        f"“of old” has 4 executions, 20 % fewer: 1 the same, 0 missed, 0 more, 3 {OTHERWISE}.",
    ]
    found = embedded(out)
    assert values(found["both-and-only"]) == {
        "in both": [5, 1],
        "in both, one of them for the whole universe": [0, 3],
        "only in “as is”": [0, 0],
        "only in the other": [2, 0],
    }
    assert found["variants"]["rows"] == [
        ["as is", 0, 5, None, None, None, None],
        ["faster", 2, 7, 5, 0, 0, 2],
        ["of old", 0, 4, 1, 3, 0, 0],
    ]
    assert [sum(each["values"]) for each in found["of-variants"]["series"]] == [5, 7, 4]


def test_what_is_drawn_is_what_was_found(tmp_path: Path) -> None:
    work = reference.make(3, ticks=30_000, tickers=200, strategies=60, per_second=3.0)
    ticks, strategies = reference.write_files(work, tmp_path)
    replay(Job([ticks], strategies, tmp_path / "out"))
    found = embedded(tmp_path / "out")
    rows = pq.read_table(tmp_path / "out" / "executions.parquet").to_pylist()
    time = time_of(tmp_path / "out" / "executions.parquet")
    assert time is not None
    bins = Counter((row["ts"] - time.start_ms) // time.step_ms for row in rows)
    assert values(found["over-time"])["per ticker"] == [bins[at] for at in range(time.columns)]
    assert 48 < time.columns <= 144
    assert time.step_ms in STEPS_MS
    of_ticker, of_strategy = (Counter(row[name] for row in rows) for name in ("ticker", "strategy_id"))
    assert [row[:2] for row in found["tickers"]["rows"]] == [
        list(each) for each in sorted(of_ticker.items(), key=lambda each: (-each[1], each[0]))
    ]
    assert {row[0]: row[4] for row in found["strategies"]["rows"] if row[4]} == of_strategy
    assert values(found["busiest-strategies"])["executions"] == [n for _, n in of_strategy.most_common(12)]
    under = sum(row["ts"] - row["bucket_ms"] < 100 for row in rows)
    assert values(found["delays"])["per ticker"][0] == under
    assert sum(values(found["delays"])["per ticker"]) == len(rows)
    definitions = pq.read_table(tmp_path / "out" / "definitions.parquet").to_pylist()
    dup, fired = (
        sum(each[name] for each in definitions if each["timeframe"] == "1m") for name in ("bucket_dup", "fired_pairs")
    )
    skipped = found["skipped-by-timeframe"]
    share = values(skipped)["fired in this bucket already"][skipped["labels"].index("1m")]
    assert share == round(100 * dup / (dup + fired), 2)


def test_a_time_on_the_border_belongs_to_what_is_longer(tmp_path: Path) -> None:
    times = [300_000, 300_099, 300_100, 300_999, 301_000, 359_999]
    rows = "".join(f"T{at},{ts},1.0,1,\n" for at, ts in enumerate(times))
    (tmp_path / "ticks.csv").write_text("ticker,ts,price,size,conditions\n" + rows)
    tickers = frozenset(f"T{at}" for at in range(len(times)))
    write_strategies([Strategy("s1", "1m", tickers)], tmp_path / "s.jsonl")
    replay(Job([tmp_path / "ticks.csv"], tmp_path / "s.jsonl", tmp_path / "out"))
    chart = embedded(tmp_path / "out")["delays"]
    found = dict(zip(chart["labels"], values(chart)["per ticker"], strict=True))
    assert {label: count for label, count in found.items() if count} == {
        "under 0.1 s": 2,
        "0.1 s to 1 s": 2,
        "1 s to 5 s": 1,
        "30 s to 1 min": 1,
    }


def test_the_bytes_follow_from_the_results(tmp_path: Path) -> None:
    work = reference.make(4, ticks=3_000, tickers=50, strategies=20)
    ticks, strategies = reference.write_files(work, tmp_path)
    for name, batch in (("a", 100), ("b", 100_000)):
        replay(Job([ticks], strategies, tmp_path / name, batch))
    one, other = ((tmp_path / name / "report.html").read_bytes() for name in "ab")
    assert one == other


def test_nothing_in_a_name_is_markup(tmp_path: Path) -> None:
    hostile = "</script><script>&<!--"
    write_strategies([Strategy(hostile, "1m", frozenset("A"))], tmp_path / "s.jsonl")
    made(tmp_path)
    replay(Job([tmp_path / "ticks.csv"], tmp_path / "s.jsonl", tmp_path / "out"))
    page = (tmp_path / "out" / "report.html").read_text()
    assert hostile not in page
    assert page.count("<script") == 2
    assert embedded(tmp_path / "out")["strategies"]["rows"][0][0] == hostile


def test_a_page_stays_small_whatever_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"{at:05}" + "é" * ((MAX_STRATEGY_ID_BYTES - 5) // 2) for at in range(3_000)]
    tickers = [f"{at:04}" + "<" * 60 for at in range(1_500)]
    write_strategies((Strategy(sid, "1m", frozenset(tickers[:2])) for sid in ids), tmp_path / "s.jsonl")
    write_strategies([Strategy("all-of-them", "1m", frozenset(tickers))], tmp_path / "t.jsonl")
    table = {
        "ticker": tickers,
        "ts": [60_000] * len(tickers),
        "price": [1.0] * len(tickers),
        "size": [1] * len(tickers),
        "conditions": pa.array([[]] * len(tickers), pa.list_(pa.int32())),
    }
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    names = [f"v{at:03}" + "&" * 200 for at in range(900)]
    (tmp_path / "w.yaml").write_text(json.dumps([{"name": name, "timeframes": {"1m": "5m"}} for name in names]))
    replay(Job([tmp_path / "t.parquet"], tmp_path / "s.jsonl", tmp_path / "out"))
    assert (tmp_path / "out" / "report.html").stat().st_size < 2_000_000
    strategies = embedded(tmp_path / "out")["strategies"]
    assert strategies["note"] == "1,000 of 3,000 rows are shown: those that fired most."
    assert strategies["rows"][0][0].startswith("00000é")
    replay(Job([tmp_path / "t.parquet"], tmp_path / "t.jsonl", tmp_path / "out", what_if=tmp_path / "w.yaml"))
    assert (tmp_path / "out" / "report.html").stat().st_size < 2_000_000
    assert "1,500 rows are shown: the busiest." in embedded(tmp_path / "out")["tickers"]["note"]
    assert "first 6 variants of 900" in (tmp_path / "out" / "report.html").read_text()
    monkeypatch.setattr(tables, "MAX_TABLE_BYTES", 1_000)
    monkeypatch.setattr(facts, "MAX_REPORT_COMPARED_ROWS", 10)
    replay(Job([tmp_path / "t.parquet"], tmp_path / "t.jsonl", tmp_path / "out", what_if=tmp_path / "w.yaml"))
    assert len(embedded(tmp_path / "out")["tickers"]["rows"]) < 20
    assert "tickgate compare does that" in (tmp_path / "out" / "report.html").read_text()


def test_a_day_without_executions_has_a_report_too(tmp_path: Path) -> None:
    out = made(tmp_path, ticks=TICKS.splitlines()[0] + "\n")
    assert answer(out) == ["Nothing fired, in 0 ticks."]
    assert "over-time" not in embedded(out)


def test_who_wants_no_report_gets_none_and_keeps_no_old_one(tmp_path: Path) -> None:
    assert (made(tmp_path) / "report.html").exists()
    assert not (made(tmp_path, "--no-report") / "report.html").exists()
