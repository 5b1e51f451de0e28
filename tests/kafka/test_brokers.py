"""Brokers are picked in order, with the reasons; a real one can be killed, frozen and bounced, and clears up."""

import fcntl
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from streams.kafka import kafka_jars
from streams.kafka.brokers import (
    SOURCES,
    Broker,
    EmbeddedBroker,
    GivenBroker,
    NoBrokerError,
    PassedOver,
    Source,
    pick_broker,
)
from streams.kafka.kafka_jars import Unavailable, cache_folder, find_jars
from streams.kafka.kafka_process import FEW_PAUSES, PAUSELESS, KafkaProcess, collector
from tests.house.tree import ROOT
from tests.kafka.broker_report import KIND, PASSED_OVER, lines
from tests.kafka.shared_broker import SharedBroker, shared_broker, start_keeper


def script(folder: Path, name: str, text: str) -> None:
    """Put a stand-in on the path."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_java_without_the_collector_that_does_not_pause_gets_the_other(tmp_path: Path) -> None:
    script(tmp_path, "new", f'[ "$1" = {PAUSELESS[0]} ]')
    script(tmp_path, "old", f'[ "$1" != {PAUSELESS[0]} ]')
    assert collector(str(tmp_path / "new")) == PAUSELESS
    assert collector(str(tmp_path / "old")) == FEW_PAUSES


def unavailable(_: Mapping[str, str]) -> Broker:
    raise Unavailable("the engine sleeps")


def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
    for value in values:
        producer.produce(topic, value=value, partition=0)
    assert producer.flush(30) == 0


def read(bootstrap: str, topic: str, count: int) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        return [message.value() for message in consumer.consume(count, timeout=30)]
    finally:
        consumer.close()


def answers(bootstrap: str) -> bool:
    try:
        return bool(AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=1).brokers)
    except KafkaException:
        return False


def test_a_given_broker_comes_first() -> None:
    picked = pick_broker({"TICKGATE_BROKER": "h:1"}, require_transactions=True)
    assert picked == (GivenBroker("h:1"), ())


def test_sources_are_tried_in_order_and_each_that_fails_says_why() -> None:
    sources = (
        SOURCES[0],
        Source("Docker", transactions=True, start=unavailable),
        Source("here", transactions=True, start=lambda settings: GivenBroker(settings["HERE"])),
    )
    picked = pick_broker({"HERE": "h:2"}, require_transactions=False, sources=sources)
    assert picked.broker.bootstrap == "h:2"
    assert picked.passed_over == (
        PassedOver("a given broker", "TICKGATE_BROKER is not set"),
        PassedOver("Docker", "the engine sleeps"),
    )


def test_no_broker_without_transactions_is_taken_where_they_are_required() -> None:
    sources = (Source("Docker", transactions=True, start=unavailable), SOURCES[-1])
    with pytest.raises(NoBrokerError, match="Docker: the engine sleeps; the embedded broker: its transactions"):
        pick_broker({}, require_transactions=True, sources=sources)


def test_the_embedded_broker_comes_last_and_carries_records() -> None:
    assert [source.transactions for source in SOURCES] == [True] * (len(SOURCES) - 1) + [False]
    broker = SOURCES[-1].start({})
    try:
        assert isinstance(broker, EmbeddedBroker)
        produce(broker.bootstrap, "t", [b"a", b"b"])
        assert read(broker.bootstrap, "t", 2) == [b"a", b"b"]
    finally:
        broker.stop()
    assert not answers(broker.bootstrap)


@pytest.mark.parametrize(
    ("settings", "folder"),
    [
        ({"TICKGATE_CACHE": "/c", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/c"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/tickgate"),
        ({"HOME": "/h"}, "/h/.cache/tickgate"),
    ],
)
def test_the_cache_is_where_the_settings_say(settings: dict[str, str], folder: str) -> None:
    assert cache_folder(settings) == Path(folder)


@pytest.mark.parametrize(
    ("java", "problem"),
    [
        (None, "no java on the path; Kafka needs Java 17 or newer"),
        ("echo 'openjdk version \"11.0.2\" 2019' >&2", "is version 11; Kafka needs Java 17"),
        ("echo 'openjdk version \"17.0.1\" 2021' >&2", "no mvn on the path, and .* does not hold Kafka's jars yet"),
        ("exit 1", "does not tell its version"),
    ],
)
def test_what_is_missing_for_kafka_is_told(tools: Path, tmp_path: Path, java: str | None, problem: str) -> None:
    if java is not None:
        script(tools, "java", java)
    with pytest.raises(Unavailable, match=problem):
        find_jars({"PATH": str(tools), "TICKGATE_CACHE": str(tmp_path / "cache")})


@pytest.fixture
def java_17(tools: Path, tmp_path: Path) -> dict[str, str]:
    """Settings with a Java that is new enough, and an empty cache; Maven is up to the test."""
    script(tools, "java", "echo 'openjdk version \"17.0.1\" 2021' >&2")
    return {"PATH": f"{tools}:{os.defpath}", "TICKGATE_CACHE": str(tmp_path / "cache")}


def test_maven_is_asked_once_by_callers_at_the_same_time(tools: Path, tmp_path: Path, java_17: dict[str, str]) -> None:
    calls = tmp_path / "calls"
    fill = f'for a; do case "$a" in -DoutputDirectory=*) d="${{a#*=}}";; esac; done; echo call >> {calls}; sleep 0.2'
    script(tools, "mvn", f'{fill}; mkdir -p "$d"; touch "$d/kafka_2.13-4.1.1.jar"')
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(find_jars, [java_17] * 4))
    assert calls.read_text() == "call\n"
    assert {jars.version for jars in found} == {"4.1.1"}
    assert [path.name for path in found.pop().folder.iterdir()] == ["kafka_2.13-4.1.1.jar"]


def test_a_download_that_fails_leaves_nothing_that_looks_whole(
    tools: Path, tmp_path: Path, java_17: dict[str, str]
) -> None:
    script(tools, "mvn", "echo '[ERROR] the network is down'; exit 1")
    with pytest.raises(Unavailable, match="the network is down"):
        find_jars(java_17)
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []


def test_a_cache_that_cannot_be_written_is_told_with_the_remedy(
    tools: Path, tmp_path: Path, java_17: dict[str, str]
) -> None:
    (tmp_path / "cache").write_text("a file")
    script(tools, "mvn", "exit 0")
    with pytest.raises(Unavailable, match="TICKGATE_CACHE names another"):
        find_jars(java_17)


def test_the_pom_names_its_kafka_without_a_registry() -> None:
    text = kafka_jars.POM.read_text()
    assert "<version>4.1." in text
    assert "://" not in text


def test_a_broker_that_is_bounced_or_killed_keeps_its_address_and_records(own_kafka: KafkaProcess) -> None:
    produce(own_kafka.bootstrap, "kept", [b"1"])
    own_kafka.restart()
    produce(own_kafka.bootstrap, "kept", [b"2"])
    own_kafka.kill()
    assert not answers(own_kafka.bootstrap)
    own_kafka.launch()
    assert read(own_kafka.bootstrap, "kept", 2) == [b"1", b"2"]


def test_a_frozen_broker_does_not_answer_until_it_goes_on(own_kafka: KafkaProcess) -> None:
    own_kafka.pause()
    assert not answers(own_kafka.bootstrap)
    own_kafka.resume()
    assert answers(own_kafka.bootstrap)


def test_a_broker_that_cannot_start_says_why_and_leaves_nothing(
    own_kafka: KafkaProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(Unavailable, match="nonsense"):
        KafkaProcess.start(os.environ, {"log.message.timestamp.type": "nonsense"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_dev_kafka_prints_its_address_and_leaves_nothing_when_it_is_stopped(
    own_kafka: KafkaProcess, tmp_path: Path, how: signal.Signals
) -> None:
    command = [sys.executable, "-m", "streams.kafka.brokers"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        bootstrap = process.stdout.readline().strip()
        assert answers(bootstrap)
        (folder,) = tmp_path.iterdir()
        pid = next(int(each.name) for each in Path("/proc").glob("[0-9]*") if str(folder) in command_line(each))
        process.send_signal(how)
        assert process.wait(30) == (0 if how != signal.SIGKILL else -signal.SIGKILL)
    wait_until_gone(pid)
    assert not answers(bootstrap)
    assert list(tmp_path.iterdir()) == []


def command_line(process: Path) -> str:
    """What a process was started with; empty where it is gone."""
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""


def wait_until_gone(pid: int) -> None:
    """Wait for the end of a process that is not our child."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], 30)[0]
    finally:
        os.close(handle)


def test_one_broker_serves_all_and_ends_with_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("TICKGATE_BROKER", raising=False)
    with (tmp_path / "users.lock").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        keeper = start_keeper(tmp_path)
        with shared_broker(tmp_path) as first, shared_broker(tmp_path) as second:
            assert second == first
            assert not first.transactions
        assert answers(first.bootstrap)
    assert keeper.wait(30) == 0
    assert not answers(first.bootstrap)
    with shared_broker(tmp_path) as third:
        assert answers(third.bootstrap)


def test_the_report_names_each_broker_once_with_those_passed_over() -> None:
    notes = [(KIND, "K 1"), ("other", "x"), (PASSED_OVER, "Docker: asleep"), (KIND, "K 1")]
    assert lines(notes) == ["Kafka tests ran on: K 1", "  passed over Docker: asleep"]
    assert lines([("other", "x")]) == []


def test_the_broker_of_this_run_answers(broker: SharedBroker) -> None:
    assert answers(broker.bootstrap)
