"""Ranges of a topic on a real broker: by time and by offsets, where records are gone, and what cannot be asked for."""

import dataclasses
import json
import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from bench import reference
from bench.kafka_ground import PARTITIONS, Place, import_strategies, make_topics
from streams.cli import main
from streams.errors import InputError
from streams.kafka.clients import make_consumer
from streams.kafka.partitions import partition_of
from streams.kafka.registry import FileSchemas
from streams.kafka.topic_spans import Asked, Span, find_spans
from streams.recorded import fetched_ahead, replay, topic_ticks
from streams.recorded import record as recording
from streams.recorded.day_files import DayFiles
from streams.recorded.deciding import ByShard
from streams.recorded.replay import How, replay_day
from streams.recorded.source import open_topics
from streams.recorded.topic_ticks import TopicTicks
from streams.settings import Settings
from streams.times import shown_time
from tests.core.avro_bytes import framed, tick
from tests.house.readme import steps
from tests.house.tree import ROOT
from tests.recorded.lived import invoked
from tests.worker.inputs import Feed, Given, Hand

WORK = reference.make(11, 6_000, tickers=60, strategies=12)


@pytest.fixture
def filled(once: Place) -> Place:
    """Ticks and strategies that no worker has seen."""
    make_topics(once)
    import_strategies(once, WORK.strategies)
    Feed(once, WORK).send(1.0)
    return once


def recorded(place: Place, out: Path, *arguments: str) -> list[dict[str, Any]]:
    """The ticks of a range, as a recording has them."""
    done = invoked(place, "record", "--out", str(out), *arguments)
    assert done.exit_code == 0, done.output
    return ticks_of(out)


def ticks_of(out: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(out.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def in_topic_order() -> list[tuple[int, str]]:
    """The workload's ticks by time, partition and offset."""
    ticks = [(int(ts), WORK.names[who]) for who, ts in zip(WORK.who.tolist(), WORK.when.tolist(), strict=True)]
    return sorted(ticks, key=lambda each: (each[0], partition_of(each[1].encode(), PARTITIONS)))


def refusal(place: Place, *arguments: str) -> str:
    done = invoked(place, *arguments)
    assert done.exit_code == 2, done.output
    return done.output.strip()


def test_ticks_come_by_time_then_partition_then_offset_and_a_range_is_a_part_of_them(
    filled: Place, tmp_path: Path
) -> None:
    whole = recorded(filled, tmp_path / "whole")
    assert [(row["ts"], row["ticker"]) for row in whole] == in_topic_order()
    assert {row["topic"] for row in whole} == {filled.topics.ticks}
    places = [(row["partition"], row["offset"]) for row in whole]
    assert len(set(places)) == len(places) == 6_000
    first_ms, last_ms = whole[2_000]["ts"], whole[4_000]["ts"]
    by_time = recorded(filled, tmp_path / "time", "--from", str(first_ms), "--to", str(last_ms))
    assert by_time == [row for row in whole if first_ms <= row["ts"] < last_ms]
    by_offset = recorded(filled, tmp_path / "offsets", "--offsets", "1=100:200", "--offsets", "3=0:50")
    spans = {1: range(100, 200), 3: range(50)}
    assert by_offset == [row for row in whole if row["offset"] in spans.get(row["partition"], ())]


def test_where_no_worker_has_been_what_stands_decides_and_a_file_of_strategies_may(
    filled: Place, tmp_path: Path
) -> None:
    """The reference workload's own answer, by all ways."""
    recorded(filled, tmp_path / "day")
    ways = {
        "topics": ("kafka://",),
        "recording": (str(tmp_path / "day"),),
        "broker": (f"kafka://{filled.ground.bootstrap}", "--strategies", str(tmp_path / "day" / "strategies.jsonl")),
        "files": (str(tmp_path / "day"), "--strategies", str(tmp_path / "day" / "strategies.jsonl")),
    }
    bytes_of = set()
    for name, (ticks, *more) in ways.items():
        done = invoked(filled, "replay", "--ticks", ticks, *more, "--out", str(tmp_path / name))
        assert done.exit_code == 0, done.output
        found = tmp_path / name / "executions.parquet"
        assert reference.digest_of(found) == (WORK.pairs, WORK.digest)
        bytes_of.add(found.read_bytes())
    assert len(bytes_of) == 1
    told = invoked(filled, "replay", "--ticks", "kafka://", "--out", str(tmp_path / "topics"))
    assert "no worker has decided any tick: they are decided by the strategies and flags that stand now" in told.output


def test_a_range_in_mid_day_is_that_part_of_the_day_once_it_is_warm(filled: Place, tmp_path: Path) -> None:
    """Most of the workload's pairs fire with its first ticks."""
    days = recorded(filled, tmp_path / "day")
    at_ms = days[60]["ts"]
    found = {}
    for name, ticks, *more in (
        ("whole", str(tmp_path / "day")),
        ("warm", str(tmp_path / "day"), "--warm-up-until", str(at_ms)),
        ("topics", "kafka://", "--warm-up-until", shown_time(at_ms)),
        ("cold", "kafka://", "--from", str(at_ms)),
    ):
        done = invoked(filled, "replay", "--ticks", ticks, *more, "--out", str(tmp_path / name))
        assert done.exit_code == 0, done.output
        found[name] = pq.read_table(tmp_path / name / "executions.parquet").to_pylist()
    assert found["warm"] == found["topics"] == [row for row in found["whole"] if row["ts"] >= at_ms]
    assert len(found["cold"]) > len(found["warm"]) > 0


def test_a_range_whose_start_is_deleted_is_refused_with_what_is_there(filled: Place, tmp_path: Path) -> None:
    whole = recorded(filled, tmp_path / "whole")
    admin = AdminClient({"bootstrap.servers": filled.ground.bootstrap})
    topic, half = filled.topics.ticks, whole[3_000]["ts"]
    ends = {
        partition: min(row["offset"] for row in whole if row["partition"] == partition and row["ts"] >= half)
        for partition in range(PARTITIONS)
    }
    deleted = [TopicPartition(topic, partition, offset) for partition, offset in ends.items()]
    for future in admin.delete_records(deleted).values():
        future.result()
    said = refusal(filled, "record", "--out", str(tmp_path / "eaten"), "--from", str(whole[100]["ts"]))
    assert f"topic {topic}, partition " in said
    assert "what came before is deleted; begin with --from 2025-" in said
    assert not (tmp_path / "eaten").exists()
    from_there = said.partition("--from ")[2].partition(",")[0]
    again = recorded(filled, tmp_path / "again", "--from", from_there)
    assert again
    assert again == [row for row in whole if row["ts"] >= again[0]["ts"]]
    said = refusal(filled, "replay", "--ticks", "kafka://", "--offsets", "2=0:10", "--out", str(tmp_path / "eaten"))
    assert f"it begins with offset {ends[2]}" in said
    left = invoked(filled, "record", "--out", str(tmp_path / "left"))
    assert "what came before is deleted; partitions begin with what is there" in left.output
    assert ticks_of(tmp_path / "left") == [row for row in whole if row["offset"] >= ends[row["partition"]]]


def test_what_is_deleted_while_it_is_read_ends_it_with_the_place(filled: Place, tmp_path: Path) -> None:
    settings = Settings.read(filled.environment({}))
    day = open_topics(settings, Asked())
    admin = AdminClient({"bootstrap.servers": filled.ground.bootstrap})
    (future,) = admin.delete_records([TopicPartition(filled.topics.ticks, 1, 50)]).values()
    future.result()
    with pytest.raises(InputError, match=r"what was to be read next is deleted; lengthen retention\.ms"):
        replay_day(day, tmp_path / "day", How())
    assert [path.name for path in (tmp_path / "day").iterdir()] == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_what_ends_in_mid_day_leaves_nothing_that_goes_on(
    once: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    make_topics(once)
    feed = Feed(once, WORK)
    for tenths in range(1, 11):  # so many batches at least are in each partition
        feed.send(tenths / 10)
    monkeypatch.setattr(fetched_ahead, "AHEAD_BYTES", 1)
    monkeypatch.setattr(topic_ticks, "FEWEST_TICKS", 1)
    monkeypatch.setattr(topic_ticks, "RUN_TICKS", 1)
    monkeypatch.setattr(replay, "STEPS_OF_TOPICS", 1)

    def stopped(*_: object) -> None:
        assert len(going_on()) == 2
        raise error("place", "problem", "remedy")

    monkeypatch.setattr(ByShard, "step_parts", stopped)
    settings = dataclasses.replace(Settings.read(once.environment({})), max_partition_fetch_bytes=1_000)
    with pytest.raises(error):
        replay_day(open_topics(settings, Asked()), tmp_path / "day", How())
    assert going_on() == []
    assert [path.name for path in (tmp_path / "day").iterdir()] == []


def going_on() -> list[str]:
    """The threads that read ticks, and still run."""
    return [each.name for each in threading.enumerate() if each.name.startswith(("fetching", "unpacking"))]


def test_where_no_more_comes_that_is_told(filled: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetched_ahead, "SILENCE_TIMEOUT_S", 0.5)
    settings = Settings.read(filled.environment({}))
    spans = find_spans(settings.broker, settings.topics.ticks, Asked()).of
    longer = {partition: span._replace(end=span.end + (partition == 2)) for partition, span in spans.items()}
    ticks = TopicTicks(partial(make_consumer, settings, "none"), settings.topics.ticks, longer, FileSchemas())
    with pytest.raises(InputError, match=r"no records of partition 2 for 30 s, and there are more"):
        list(ticks.runs())
    assert going_on() == []


def test_a_broker_that_is_not_there_is_told() -> None:
    settings = Settings(broker="127.0.0.1:1")
    ticks = TopicTicks(partial(make_consumer, settings, "none"), "t", {0: Span(0, 9)}, FileSchemas())
    with pytest.raises(InputError, match=r"topic t: cannot be read \("):
        list(ticks.runs())
    assert going_on() == []


def test_schemas_may_change_in_mid_day_and_bad_records_are_told(once: Place, tmp_path: Path) -> None:
    make_topics(once)
    hand = Hand(once, once.topics.ticks)
    hand.send(Given(b"A", tick(b"A", 1_760_000_000_000)))
    bad = hand.send(Given(b"A", framed(b"\x02", 1)))
    newer = (b"A", tick(b"A", 1_760_000_001_000)[5:])
    hand.send(Given(*newer, headers=(("__value_schema_id", b"\0\0\0\0\x01"),)))
    unknown = hand.send(Given(b"A", framed(b"", 999)))
    rows = recorded(once, tmp_path / "day")
    assert [(row["ts"], row["price"], row["size"]) for row in rows] == [
        (1_760_000_000_000, 187.5, 100),
        (1_760_000_001_000, 187.5, 100),
    ]
    rejected = [json.loads(line) for line in (tmp_path / "day" / "rejected.jsonl").read_text().splitlines()]
    assert [(each["partition"], each["offset"], each["reason"]) for each in rejected] == [
        (*bad, "bad_length"),
        (*unknown, "unknown_schema_id"),
    ]


def test_a_recording_is_whole_or_not_there(filled: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise InputError("the disk", "is full", "make room")

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(recording, "write_beside", fails)
        assert refusal(filled, "record", "--out", str(tmp_path / "day")).endswith("the disk: is full; make room")
    with monkeypatch.context() as patched:
        patched.setattr(DayFiles, "add", stopped)
        done = invoked(filled, "record", "--out", str(tmp_path / "day"))
        assert done.exit_code == 1
        assert f"stopped: nothing was recorded in {tmp_path / 'day'}" in done.output
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("day")] == []
    recorded(filled, tmp_path / "day")
    assert "is there already" in refusal(filled, "record", "--out", str(tmp_path / "day"))
    (tmp_path / "day" / "changes.jsonl").write_text("{}\n")
    said = refusal(filled, "replay", "--ticks", str(tmp_path / "day"), "--out", str(tmp_path / "out"))
    assert "changes.jsonl: is not as it was recorded" in said


def test_it_is_recorded_and_replayed_as_the_readme_says(
    filled: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [step.command for step in steps((ROOT / "README.md").read_text())]
    first = commands.index("tickgate record --from 2025-10-09T08:00:00Z --to 2025-10-09T10:00:00Z --out monday")
    for command in commands[first : first + 3]:
        done = invoked(filled, *command.split()[1:])
        assert done.exit_code == 0, done.output
    assert (tmp_path / "as-it-was" / "executions.parquet").read_bytes() == (
        tmp_path / "the-same" / "executions.parquet"
    ).read_bytes()
    assert reference.digest_of(tmp_path / "as-it-was" / "executions.parquet") == (WORK.pairs, WORK.digest)


REFUSED = {
    ("--ticks", "kafka://", "--out", "kafka://x/ticks"): "a replay writes files alone, and to no topic",
    ("--ticks", "kafka://", "--ticks", "a.csv", "--out", "o"): "stands beside others",
    ("--ticks", "kafka://h:1/ticks", "--out", "o"): "names more than a broker",
    ("--ticks", "kafka://", "--from", "noon", "--out", "o"): "is no point in time",
    ("--ticks", "kafka://", "--from", "2026-03-02", "--to", "2026-03-02", "--out", "o"): "is not later than",
    ("--ticks", "kafka://", "--offsets", "0=5:1", "--out", "o"): "is no span",
    ("--ticks", "kafka://", "--offsets", "0=1:5", "--to", "2026-03-02", "--out", "o"): "stand beside times",
    ("--ticks", "a.csv", "--from", "2026-03-02", "--out", "o"): "are for topics alone",
    ("--ticks", "a.csv", "--out", "o"): "--strategies: is missing",
    ("--ticks", "kafka://", "--out", "o"): "no answer",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_what_cannot_be_asked_for_is_refused(arguments: tuple[str, ...], tmp_path: Path) -> None:
    environment = {**os.environ, "TICKGATE_BROKER": "127.0.0.1:1"}
    done = CliRunner(env=environment).invoke(main, ["replay", *arguments])
    assert done.exit_code == 2
    assert REFUSED[arguments] in done.output
