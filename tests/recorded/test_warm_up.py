"""On a real broker: a replay that begins with what the changelogs hold is the rest of the day that was lived."""

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from bench import reference
from bench.kafka_answer import ends_of
from bench.kafka_ground import PARTITIONS, Place
from bench.kafka_worker import Worker
from streams.core.events import Mode, Status, Strategy
from streams.times import shown_time
from tests.house.readme import steps
from tests.house.tree import ROOT
from tests.recorded.lived import Lived, invoked, replayed, rows_of
from tests.worker.inputs import positions

WORK = reference.make(17, 12_000, tickers=120, strategies=40)
WARM = ("--warm-up-from", "changelogs")
POLICY_PATIENCE_S = 10


def wait_until_done(worker: Worker, place: Place) -> dict[int, int]:
    ends = ends_of(place.ground.bootstrap, place.topics.ticks)
    worker.wait_until(lambda _: positions(worker) == ends, f"at the ends, {ends}")
    return ends


def live(place: Place) -> tuple[Lived, dict[int, int], Counter[Any]]:
    """Changes, a flag and clock records before the middle and behind it; returns where the middle is, and its runs."""
    day = Lived(place, WORK)
    first, second, third, fourth, *_ = WORK.strategies
    with Worker(place) as worker:
        worker.wait_until_ready(PARTITIONS)
        day.feed.send(0.2)
        wait_until_done(worker, place)
        day.change(Strategy("whole", "1s", first.universe, mode=Mode.LEGACY))
        day.change(Strategy("every", "1s"))
        for each in WORK.strategies[4:20]:
            day.change(replace(each, timeframe="1s", version=2))
        day.change(Strategy(second.strategy_id, second.timeframe, second.universe, Status.PAUSED, version=2))
        day.feed.send(0.5)
        ends = wait_until_done(worker, place)
        before = rows_of(day.executions())
        day.clock(int(WORK.when[len(WORK.when) // 2]) + 300, *range(PARTITIONS))  # it belongs to what comes
        day.change(Strategy(second.strategy_id, second.timeframe, second.universe, version=3))
        day.change(Strategy(third.strategy_id, "1s", fourth.universe, version=2))
        day.feed.send(0.8)
        wait_until_done(worker, place)
        day.clock(int(WORK.when[-1]) + 120_000, *range(PARTITIONS))
        day.feed.send(1.0)
        wait_until_done(worker, place)
    return day, ends, before


def table(folder: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(folder / "executions.parquet").to_pylist())


def ran(place: Place, out: Path, *arguments: str) -> Path:
    done = invoked(place, "replay", "--ticks", "kafka://", "--no-report", "--out", str(out), *arguments)
    assert done.exit_code == 0, done.output
    return out


def test_the_second_half_comes_out_as_it_was_lived(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKGATE_CLOCK", "false")  # else time would pass where a half ends
    day, middle, before = live(place)
    lived = rows_of(day.executions())
    assert {mode for *_, mode in lived} == {"per_ticker", "legacy", "global"}
    ends = ends_of(place.ground.bootstrap, place.topics.ticks)
    spans = [word for p, first in middle.items() for word in ("--offsets", f"{p}={first}:{ends[p]}")]
    second = ran(place, tmp_path / "second", *spans, *WARM)
    assert Counter(replayed(second)) == lived - before
    assert len(table(second)) > 200
    if place.guarantee == "exactly_once":
        at_any_time(place, tmp_path, monkeypatch)
        refused_where_it_is_gone(place, tmp_path, spans)


def at_any_time(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what a replay of all finds from then on, to the byte."""
    whole = table(ran(place, tmp_path / "whole"))
    times = sorted(WORK.when.tolist())
    for number, share in enumerate((0.37, 0.77)):  # between two checkpoints, mostly
        at_ms = times[int(share * len(times))]
        warm = ran(place, tmp_path / f"warm{number}", "--from", shown_time(at_ms), *WARM)
        until = ran(place, tmp_path / f"until{number}", "--warm-up-until", shown_time(at_ms))
        assert 0 < len(table(warm)) < len(table(ran(place, tmp_path / f"cold{number}", "--from", shown_time(at_ms))))
        assert table(warm) == table(until) == [row for row in whole if row["ts"] >= at_ms]
        assert (warm / "executions.parquet").read_bytes() == (until / "executions.parquet").read_bytes()
    (command,) = [step.command for step in steps((ROOT / "README.md").read_text()) if "--warm-up-from" in step.command]
    monkeypatch.chdir(tmp_path)
    done = invoked(place, *command.split()[1:])
    assert done.exit_code == 0, done.output
    assert table(tmp_path / "later") == [row for row in whole if row["ts"] >= 1_760_000_002_000]


def refused_where_it_is_gone(place: Place, tmp_path: Path, spans: list[str]) -> None:
    """Ticks between the checkpoint and the start; then rows of the state."""
    admin = AdminClient({"bootstrap.servers": place.ground.bootstrap})
    first = int(spans[1].partition("=")[2].partition(":")[0])
    later = [spans[0], f"0={first - 1}:{first}"]
    delete(admin, place.topics.ticks, first)
    said = refusal(place, tmp_path, *later)
    assert f"topic {place.topics.ticks}, partition 0: " in said
    ran(place, tmp_path / "still", *spans, *WARM)  # what the state goes up to is all that is needed
    topic = place.topics.changelog("last_bucket")
    change = ConfigEntry("cleanup.policy", "compact,delete", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result()
    delete(admin, topic, 20)
    said = refusal(place, tmp_path, *spans)
    assert f"topic {topic}, partition 0: it begins with offset 20: rows before are deleted; lengthen" in said


def delete(admin: AdminClient, topic: str, before: int) -> None:
    """Once the broker knows that it may: a topic's new policy takes its time."""
    until = time.monotonic() + POLICY_PATIENCE_S
    while True:
        (future,) = admin.delete_records([TopicPartition(topic, 0, before)]).values()
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].name() != "POLICY_VIOLATION" or time.monotonic() > until:
                raise
            time.sleep(0.1)  # the broker tells nobody when it has heard of it
        else:
            return


def refusal(place: Place, tmp_path: Path, *arguments: str) -> str:
    done = invoked(place, "replay", "--ticks", "kafka://", "--out", str(tmp_path / "none"), *arguments, *WARM)
    assert done.exit_code == 2, done.output
    assert not (tmp_path / "none").exists()
    return done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--ticks", "a.csv", "--strategies", "s.jsonl"), "are for topics alone"),
        (("--ticks", "kafka://", "--strategies", "s.jsonl"), "stands beside --warm-up-from changelogs"),
    ],
)
def test_what_does_not_go_with_it_is_refused(once: Place, arguments: tuple[str, ...], words: str) -> None:
    done = invoked(once, "replay", *arguments, "--out", "o", *WARM)
    assert (done.exit_code, words in done.output) == (2, True), done.output
