"""`tickgate feed`, as a user runs it, against a broker."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, Message
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic, TopicPartition

from streams.cli import main
from streams.core.records import partitions_of
from streams.feeds.encoded_ticks import TickEncoder
from streams.feeds.sender import crc32_of
from streams.feeds.synthetic import Plan, parts, ticker_names
from streams.strategy_file import read_strategies
from tests.house.tree import ROOT
from tests.kafka.shared_broker import SharedBroker

PARTITIONS = 4
START_MS = 1_772_461_800_000
MARKET = ("--tickers", "40", "--seed", "3", "--start", "2026-03-02T14:30:00Z", "--opening-seconds", "0.1")

Feed = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def prefix(broker: SharedBroker) -> str:
    """The prefix of an environment that has its topic of ticks."""
    made, admin = f"{uuid.uuid4().hex[:8]}.", AdminClient({"bootstrap.servers": broker.bootstrap})
    if broker.transactions:
        topic = NewTopic(f"{made}ticks", PARTITIONS, 1, config={"retention.ms": "-1"})
        admin.create_topics([topic])[f"{made}ticks"].result(timeout=30)
    return made


@pytest.fixture
def feed(broker: SharedBroker, prefix: str) -> Iterator[Feed]:
    """Start a feed; it is ended when the test is."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "streams.cli", "feed", "synthetic", *MARKET, *arguments]
        settings = {**os.environ, "TICKGATE_BROKER": broker.bootstrap, "TICKGATE_TOPIC_PREFIX": prefix}
        process = subprocess.Popen(command, cwd=ROOT, env=settings, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def summary(process: subprocess.Popen[str], exit_code: int = 0) -> dict[str, Any]:
    said, _ = process.communicate(timeout=60)
    assert process.returncode == exit_code
    told: dict[str, Any] = json.loads(said)
    return told


def reader(broker: SharedBroker, prefix: str) -> Consumer:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "nobody", "enable.auto.commit": False})
    consumer.assign([TopicPartition(f"{prefix}ticks", partition, 0) for partition in range(PARTITIONS)])
    return consumer


def received(broker: SharedBroker, prefix: str, count: int) -> list[Message]:
    """So many messages, and none more."""
    consumer = reader(broker, prefix)
    found: list[Message] = []
    try:
        while len(found) < count:
            message = consumer.poll(20)
            assert message is not None, f"{len(found)} of {count} came"
            assert message.error() is None
            found.append(message)
        assert consumer.poll(0.3) is None
    finally:
        consumer.close()
    return found


def test_all_ticks_arrive_in_their_order_where_their_key_says(broker: SharedBroker, prefix: str, feed: Feed) -> None:
    told = summary(feed("--rate", "20000", "--seconds", "0.4"))
    plan = Plan(START_MS, rate=20_000, seconds=0.4, tickers=40, seed=3, opening_s=0.1)
    assert (told["ticks"], told["not_delivered"]) == (plan.total_ticks, 0)
    encoder = TickEncoder(ticker_names(40))
    assert told["crc32"] == crc32_of(plan, encoder, plan.total_ticks)
    expected: dict[int, list[Any]] = {partition: [] for partition in range(PARTITIONS)}
    for part in parts(plan):
        records = encoder.records(part)
        for i, partition in enumerate(partitions_of(records, PARTITIONS).tolist()):
            expected[partition].append((records.key(i), records.value(i), int(records.ts_ms[i])))
    came: dict[int, list[Any]] = {partition: [] for partition in range(PARTITIONS)}
    for message in received(broker, prefix, plan.total_ticks):
        came[message.partition() or 0].append((message.key(), message.value(), message.timestamp()[1]))
    assert came == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_feed_that_is_told_to_end_delivers_what_it_says(
    broker: SharedBroker, prefix: str, feed: Feed, number: signal.Signals
) -> None:
    process = feed("--rate", "500", "--seconds", "3600")
    consumer = reader(broker, prefix)
    assert consumer.poll(60) is not None, "the feed runs"
    consumer.close()
    process.send_signal(number)
    told = summary(process)
    assert told["not_delivered"] == 0
    assert 0 < told["ticks"] < 500 * 3600
    assert len(received(broker, prefix, told["ticks"])) == told["ticks"]


def test_strategies_are_written_for_the_same_market(tmp_path: Path) -> None:
    file = tmp_path / "made-up.jsonl"
    done = CliRunner().invoke(main, ["feed", "strategies", str(file), "--count", "60", "--tickers", "100"])
    assert done.exit_code == 0, done.output
    read = read_strategies(file)
    assert len(read.strategies) == 60
    assert frozenset[str]().union(*(each.universe for each in read.strategies)) <= set(ticker_names(100))
    assert any(each.session for each in read.strategies) == (find_spec("exchange_calendars") is not None)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--start", "yesterday"), "error: --start: 'yesterday' is no point in time; write such as"),
        (("--start", "2099-12-31", "--seconds", "90000"), "error: --start: the market would not lie between"),
        (("--start", "1969-12-31"), "error: --start: the market would not lie between 1970 and 2100"),
    ],
)
def test_a_time_that_cannot_be_is_refused_before_anything_is_sent(arguments: tuple[str, ...], told: str) -> None:
    done = CliRunner().invoke(main, ["feed", "synthetic", *arguments])
    assert done.exit_code == 2
    assert told in done.output
