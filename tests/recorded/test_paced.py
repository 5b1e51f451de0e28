"""A result goes onto topics of its own, at its own pace, on a real broker; and never onto a live one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bench.kafka_answer import execution_of, records_behind
from bench.kafka_ground import Place
from streams.errors import InputError
from streams.feeds.sender import Outlet
from streams.kafka.codec import Encoder
from streams.kafka.registry import FileSchemas
from streams.recorded.paced import Pace, read_speed, send_paced
from streams.replay.moments import moments
from streams.replay.result_folder import open_result
from streams.topic_names import TopicNames
from tests.house.readme import example_files, steps
from tests.house.tree import ROOT
from tests.recorded.lived import invoked
from tests.worker.inputs import Given, Hand

FILES = ("ticks.csv", "strategies.jsonl")
REPLAY = ("replay", "--ticks", "ticks.csv", "--strategies", "strategies.jsonl", "--out", "day", "--no-report")
ENCODER = Encoder(FileSchemas(), ["execution"])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the README's ticks and strategies."""
    for name in FILES:
        (tmp_path / name).write_text(example_files((ROOT / "README.md").read_text())[name])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def onto(once: Place) -> str:
    return f"replay-{once.prefix}"


def on(place: Place, topic: str) -> list[dict[str, Any]]:
    return [execution_of(value) for _, value in records_behind(place.ground.bootstrap, topic, {})]


def pairs(executions: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (each["strategy_id"], ticker, each["bucket_ms"], each["ts"], each["mode"])
        for each in executions
        for ticker in each["tickers"] or [""]
    ]


def result() -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in pq.read_table("day/executions.parquet").to_pylist()]


class HandClock:
    """Time that passes only where somebody waits."""

    def __init__(self, stops_at_s: float = 1e9) -> None:
        self.now_s, self._stops_at_s = 100.0, 100.0 + stops_at_s

    def now(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> bool:
        self.now_s = min(self.now_s + seconds, self._stops_at_s)
        return self.now_s >= self._stops_at_s


class Watched(Outlet):
    """Notes when each record is handed over."""

    def at(self, clock: HandClock) -> "Watched":
        self.clock, self.sent = clock, list[tuple[float, int]]()
        return self

    def send_one(self, key: bytes, value: bytes, ts_ms: int, wait: Any) -> bool:
        self.sent.append((round(self.clock.now_s - 100, 6), ts_ms))
        return super().send_one(key, value, ts_ms, wait)


def test_all_of_a_result_goes_out_in_order_under_the_name_of_the_run(once: Place, onto: str, here: Path) -> None:
    done = invoked(once, *REPLAY, "--speed", "max", "--onto", onto)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])
    topic = TopicNames(onto, once.app_id).alert_executions
    assert (told["topic"], told["executions"], told["not_delivered"]) == (topic, 5, 0)
    sent = on(once, topic)
    assert {each["run_id"] for each in sent} == {told["run"]}
    assert sorted(pairs(sent)) == sorted(result())
    by_key: dict[str, list[int]] = {}
    for each in sent:
        by_key.setdefault(each["strategy_id"], []).append(each["ts"])
    assert all(times == sorted(times) for times in by_key.values())
    assert len(by_key["breakout"]) == 3
    again = invoked(once, *REPLAY, "--speed", "max", "--onto", onto)  # each run is known by its name
    assert again.exit_code == 0, again.output
    assert len(on(once, topic)) == 10


def test_each_goes_when_it_is_due(once: Place, onto: str, here: Path) -> None:
    assert invoked(once, *REPLAY, "--speed", "max", "--onto", onto).exit_code == 0
    topic = TopicNames(onto, once.app_id).alert_executions
    first_ms = result()[0][3]
    for speed in (1.0, 10.0, None):
        clock = HandClock()
        out = Watched(once.ground.bootstrap, topic).at(clock)
        pace = Pace(speed, clock.wait, clock.now)
        sent = send_paced(moments(open_result("day"), "r"), encoded, out, pace)
        assert (sent.executions, sent.not_delivered, sent.stopped) == (5, 0, False)
        due = [(round((ts - first_ms) / 1_000 / speed, 6) if speed else 0.0, ts) for *_, ts, _ in result()]
        assert out.sent == due
    clock = HandClock(stops_at_s=12.0)
    pace = Pace(1.0, clock.wait, clock.now)
    stopped = send_paced(
        moments(open_result("day"), "r"), encoded, Watched(once.ground.bootstrap, topic).at(clock), pace
    )
    assert (stopped.executions, stopped.stopped, stopped.last_ms) == (4, True, first_ms + 250)


def encoded(execution: dict[str, Any]) -> bytes:
    return ENCODER.encode("execution", execution)


@pytest.fixture
def slow(once: Place, onto: str, here: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that has begun, and is due to end in days."""
    command = [sys.executable, "-m", "streams.cli", *REPLAY, "--speed", "0.001x", "--onto", onto]
    environment = once.environment(os.environ)
    with subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True) as process:
        assert process.stderr is not None
        assert any("Ctrl-C ends it" in line for line in process.stderr), process.wait()
        yield process
        process.kill()


def test_who_stops_it_is_told_what_went_out(once: Place, onto: str, slow: subprocess.Popen[str]) -> None:
    slow.send_signal(signal.SIGINT)
    out, err = slow.communicate(timeout=30)
    topic = TopicNames(onto, once.app_id).alert_executions
    told = json.loads(out.splitlines()[-1])
    assert slow.returncode == 1
    assert told["executions"] == len(on(once, topic)) < 5
    assert err.startswith("stopped: of the executions ")
    assert f"are on {topic}; the result in day is whole" in err
    assert Path("day/manifest.json").exists()


def test_a_live_topic_is_refused_by_its_name_and_by_what_it_holds(once: Place, onto: str, here: Path) -> None:
    for prefix, words in {
        once.prefix: "is this environment itself, and live",
        "": "does not begin with replay-",
        "prod.": "does not begin with replay-",
        "replay-": "and end with a dot",
    }.items():
        done = invoked(once, *REPLAY, "--speed", "max", "--onto", prefix)
        assert (done.exit_code, words in done.output) == (2, True), done.output
        assert not Path("day").exists()
    assert invoked(once, *REPLAY, "--speed", "max", "--onto", onto).exit_code == 0
    topic = TopicNames(onto, once.app_id).alert_executions
    (execution, *_) = (each for moment in moments(open_result("day"), "") for each in moment.executions)
    at = Hand(once, topic).send(Given(b"breakout", encoded(execution)))
    before = len(on(once, topic))
    refused = invoked(once, *REPLAY, "--speed", "max", "--onto", onto)
    assert refused.exit_code == 2
    assert f"topic {topic}, partition {at.partition}, offset {at.offset}: it names no run of a replay" in refused.output
    assert len(on(once, topic)) == before


def test_it_is_sent_as_the_readme_says(once: Place, here: Path) -> None:
    (command,) = [step.command for step in steps((ROOT / "README.md").read_text()) if "--speed 60x" in step.command]
    done = invoked(once, *command.split()[1:], "--speed", "max")  # the last one counts
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["topic"].startswith("replay-")
    assert told["executions"] == 5


@pytest.mark.parametrize("text", ["fast", "0x", "-1x", "10", "x", "1e9x", ""])
def test_what_is_no_speed_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="write 1x, 10x, or such, or max"):
        read_speed(text)
    assert read_speed("0.5x") == 0.5


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--onto", "replay-x."), "say --speed too"),
        (("--speed", "1x", "--what-if", "w.yaml"), "is for one run"),
    ],
)
def test_what_does_not_go_together_is_refused(once: Place, here: Path, more: tuple[str, ...], words: str) -> None:
    done = invoked(once, *REPLAY, *more)
    assert (done.exit_code, words in done.output) == (2, True), done.output
