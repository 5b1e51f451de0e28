"""Real workers on a real broker with shadows: what they count comes together, whoever is asked."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench import workload
from bench.kafka_flow import producer, put
from bench.kafka_ground import PARTITIONS, Ground, Place, import_strategies, make_topics
from bench.kafka_worker import Worker
from streams.core.events import Mode, Strategy
from tests.house.readme import run, steps
from tests.house.tree import ROOT
from tests.kafka.shared_broker import SharedBroker

MINUTE_MS = 60_000
START_MS = workload.START_MS // MINUTE_MS * MINUTE_MS
TICKERS = [f"T{i}" for i in range(20)]
STRATEGIES = [
    Strategy("pairs", "1m", frozenset(TICKERS)),
    Strategy("whole", "5m", frozenset(TICKERS[:5]), mode=Mode.LEGACY),
    Strategy("market", "1m"),
]
MOVES = 4
"""Of the tickers, so many move in each minute."""


@pytest.fixture
def place(real_broker: SharedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("TICKGATE_SHADOW", "true")
    prefix = f"{tmp_path.name[-20:].replace('_', '-')}-{os.getpid()}."
    place = Place(Ground(real_broker.bootstrap, real_broker.kind, tmp_path), prefix, "rollout", "exactly_once")
    make_topics(place)
    import_strategies(place, STRATEGIES)
    return place


@contextmanager
def running(place: Place, *names: str) -> Iterator[list[Worker]]:
    """Workers by their names, each with some of the shards."""
    with ExitStack() as started:
        workers = [started.enter_context(Worker(place, name)) for name in names]
        half = PARTITIONS // len(workers)
        for worker in workers:
            worker.wait_until(lambda each: len(each.partitions()) == half and each.readiness()["ready"], "sharing")
        yield workers


def send(place: Place, ticks: list[tuple[str, int]]) -> None:
    to = producer(place.ground.bootstrap, 5.0)
    for ticker, ts_ms in ticks:
        put(to, place.topics.ticks, ticker.encode(), workload.encode(ticker, ts_ms, 100.0), ts_ms)
    assert to.flush(60) == 0


def url(worker: Worker) -> str:
    return f"http://127.0.0.1:{worker._port}"


def status(worker: Worker, *options: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "streams.cli", "rollout", "status", "--worker", url(worker), "--json", *options]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode in {0, 1}, done.stderr
    return done.returncode, json.loads(done.stdout)


def market(minutes: int) -> list[tuple[str, int]]:
    """In each minute some tickers move, twice each."""
    return [
        (TICKERS[(minute * MOVES + k) % len(TICKERS)], START_MS + minute * MINUTE_MS + again)
        for minute in range(minutes)
        for k in range(MOVES)
        for again in (0, 1_000)
    ]


def test_two_workers_count_together_what_both_throttles_do(place: Place) -> None:
    minutes = 10
    moved = market(minutes)
    late = [(TICKERS[0], START_MS + minutes * MINUTE_MS), (TICKERS[0], START_MS + 8 * MINUTE_MS)]
    with running(place, "w0", "w1") as workers:
        send(place, [*moved, *late])
        for worker in workers:
            worker.wait_until(lambda each: status(each)[1]["ticks"] == len(moved) + len(late), "all counted")
            told = status(worker, "--strategy", "pairs")[1]
            fired = minutes * MOVES + 1
            assert told["new"] == {
                "name": "new",
                "runs": fired,
                "tickers": fired,
                "skips": {"bucket_dup": minutes * MOVES, "late": 1, "no_bucket": 0},
            }
            assert status(worker)[1]["strategies"] == 2, "the one that watches every ticker is not compared"
            assert told["silent"] == []
        assert_counted_alike(workers)
        code, told = status(workers[0], "--check")
        assert (code, told["may_advance"]) == (1, False)
        few = ("--check", "--least-alerts", "1", "--least-hours", "0", "--most-missed", "9", "--most-unjudged", "1")
        code, told = status(workers[0], *few, "--least-saved", "-9")
        assert (code, told["refusals"]) == (0, [])
        workers[0].wait_until(lambda each: sum(each.metric("tickgate_shadow_alerts_total")) > 0, "counted in metrics")


def assert_counted_alike(workers: list[Worker]) -> None:
    """What is live of each strategy fired as the shadow has it: by pairs the one, as a whole the other."""
    for strategy_id, throttle in (("pairs", "new"), ("whole", "old")):
        live = sum(worker.table_row("counts", strategy_id)["fired"] for worker in workers)
        assert status(workers[0], "--strategy", strategy_id)[1][throttle]["runs"] == live > 0


def test_it_rolls_out_and_back_as_the_readme_shows(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKGATE_SHADOW", "false")
    every = steps((ROOT / "README.md").read_text())
    first = [each.command for each in every].index("tickgate flags set shadow true")
    last = [each.command for each in every].index("tickgate rollout back --all")
    for name, value in place.environment({}).items():
        monkeypatch.setenv(name, value)
    with running(place, "w0") as (worker,):
        monkeypatch.setenv("TICKGATE_WEB_PORT", str(worker._port))
        assert list(run(every[first], tmp_path)) == []
        worker.wait_until(lambda each: status(each)[1]["silent"] == [], "counting")
        send(place, market(3))
        worker.wait_until(lambda each: status(each)[1]["ticks"] == len(market(3)), "all counted")
        for step in every[first + 1 : last + 1]:
            assert list(run(step, tmp_path)) == []


def test_what_would_be_missed_holds_a_roll_out_up_and_takes_it_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in place.environment({}).items():
        monkeypatch.setenv(name, value)
    minutes = 3
    ticker = TICKERS[0]
    late = [(ticker, START_MS + at * MINUTE_MS) for at in (10, 12)]
    neighbours = [(each, START_MS + 11 * MINUTE_MS) for each in TICKERS]
    bounds = ("--least-alerts", "1", "--least-hours", "0", "--most-unjudged", "1")
    with running(place, "w0") as (worker,):
        send(place, [*market(minutes), late[0], *[each for each in neighbours if each[0] != ticker], late[1]])
        asked = ("--worker", url(worker), *bounds)
        ticks = len(market(minutes)) + len(TICKERS) + 1
        worker.wait_until(lambda each: status(each)[1]["ticks"] == ticks, "all counted")
        assert said("advance", *asked)[0] == 2, "no stage is set yet"
        assert said("back") == (0, "no stage: the setting of each worker is in force -> staging")
        assert said("advance", *asked) == (0, "staging -> canary 5 %")
        assert said("advance", "--percentage", "4", *asked)[0] == 2
        assert said("advance", "--percentage", "30", *asked) == (0, "canary 5 % -> canary 30 %")
        send(place, [(ticker, START_MS + 11 * MINUTE_MS)])
        worker.wait_until(lambda each: status(each)[1]["alerts"]["only_old"] == 1, "told of what is missed")
        assert status(worker)[1]["missed"] == {"pairs": 1}
        assert said("advance", *asked)[0] == 1
        assert said("watch", "--count", "1", *asked)[0] == 1
        assert said("back") == (0, "canary 30 % -> canary 25 %")
        assert said("advance", "--force", *asked) == (0, "canary 25 % -> canary 50 %")
        code, told = said("watch", "--back-on-refusal", *asked)
        assert (code, told.splitlines()[-1]) == (1, "canary 50 % -> staging")
        assert said("advance", "--percentage", "100", "--force", *asked) == (0, "staging -> fleet")
        assert said("back", "--percentage", "25") == (0, "fleet -> canary 25 %")


def said(*arguments: str) -> tuple[int, str]:
    """What `tickgate rollout` ends with, and says."""
    command = [sys.executable, "-m", "streams.cli", "rollout", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout.strip()


def test_without_a_shadow_a_worker_says_how_to_have_one(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKGATE_SHADOW", "false")
    with running(place, "w0") as (worker,):
        told = status(worker)[1]
        assert told["silent"] == list(range(PARTITIONS))
        assert "tickgate flags set shadow true" in str(told["refusals"])


def test_where_there_is_no_worker_the_command_says_so() -> None:
    command = [sys.executable, "-m", "streams.cli", "rollout", "status", "--worker", "http://127.0.0.1:1"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "http://127.0.0.1:1" in done.stderr
    assert "--worker" in done.stderr
