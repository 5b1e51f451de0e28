"""A worker ends in good order when it is told to, whatever its broker does, and by nothing else that passes.

An exit code of 0 says that it was in time: one that takes ten seconds ends itself with another.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer, TopicPartition

from bench import reference
from bench.kafka_answer import Answer, Mark, pairs_of_executions
from bench.kafka_ground import PARTITIONS, Place, import_strategies, make_topics, tickgate
from bench.kafka_worker import Worker
from streams.kafka.kafka_process import KafkaProcess
from tests.worker.conftest import FEW
from tests.worker.inputs import Feed, positions, wait_until_done

TICKS = 30_000
STEP, STEP_S = 0.001, 0.01
"""The share of a workload that is sent in one go, and how long that takes at least: so all of it lasts ten seconds."""

GONE = "the broker does not say where ticks end"
"""What a worker logs that has had no answer for two seconds."""


@contextmanager
def flowing(feed: Feed) -> Iterator[threading.Thread]:
    """Ticks flow, until all are sent or nobody wants more."""
    over = threading.Event()

    def send() -> None:
        share = 0.0
        while share < 1 and not over.is_set():
            share = min(1.0, share + STEP)
            feed.send(share)
            over.wait(STEP_S)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield thread
    finally:
        over.set()
        thread.join()


def is_at_work(worker: Worker) -> bool:
    """Whether checkpoints have been made."""
    return any(positions(worker).values())


def committed(place: Place) -> int:
    """How many ticks are behind the group's offsets, in all."""
    group = f"{place.prefix}{place.app_id}"
    consumer = Consumer({"bootstrap.servers": place.ground.bootstrap, "group.id": group})
    try:
        wanted = [TopicPartition(place.topics.ticks, partition) for partition in range(PARTITIONS)]
        return sum(max(0, found.offset) for found in consumer.committed(wanted, timeout=30))
    finally:
        consumer.close()


def stopped_while_busy(place: Place, signals: list[signal.Signals]) -> None:
    """Stop one amid ticks; then all that it had decided is in a checkpoint, and the rest is exact."""
    work = reference.make(31, TICKS, tickers=2_000, strategies=500)
    make_topics(place)
    import_strategies(place, work.strategies)
    mark = Mark.set(place.ground.bootstrap, place.topics.alert_executions)
    feed = Feed(place, work)
    with Worker(place) as worker:
        worker.wait_until_ready(PARTITIONS)
        with flowing(feed) as ticks:
            worker.wait_until(is_at_work, "at work")
            assert ticks.is_alive(), "the ticks must last for longer"
            for each in signals:
                worker.signal(each)
            assert worker.exit_code() == 0, worker.words()
        assert "without its last checkpoint" not in worker.said()
    feed.send(1.0)
    behind = committed(place)
    assert 0 < behind < TICKS
    report = json.loads(tickgate(place, "worker", "--drain"))
    assert report["ticks"] == TICKS - behind
    assert mark.answer(pairs_of_executions) == Answer(work.pairs, work.digest)


def test_sigterm_ends_a_busy_worker_after_its_last_checkpoint(place: Place) -> None:
    stopped_while_busy(place, [signal.SIGTERM])


def test_so_does_sigint_and_a_second_signal_changes_nothing(once: Place) -> None:
    stopped_while_busy(once, [signal.SIGINT, signal.SIGTERM, signal.SIGINT])


def test_one_that_is_still_recovering_ends_too_and_so_does_an_idle_one(once: Place) -> None:
    make_topics(once)
    with Worker(once, "recovering") as worker:
        worker.wait_until(lambda each: each.readiness() != {}, "answering")
        assert not worker.readiness()["ready"]
        worker.signal(signal.SIGTERM)
        assert worker.exit_code() == 0, worker.words()
    with Worker(once, "idle") as worker:
        worker.wait_until_ready(PARTITIONS)
        worker.signal(signal.SIGTERM)
        assert worker.exit_code() == 0, worker.words()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_whose_broker_is_frozen_ends(own_kafka: KafkaProcess, shaken: Place, number: signal.Signals) -> None:
    feed = Feed(shaken, FEW)
    with Worker(shaken) as worker:
        worker.wait_until_ready(PARTITIONS)
        feed.send(0.5)
        wait_until_done(worker, shaken)
        own_kafka.pause()
        try:
            worker.signal(number)
            assert worker.exit_code() == 0, worker.words()
        finally:
            own_kafka.resume()


def test_one_whose_broker_was_killed_ends(own_kafka: KafkaProcess, shaken: Place) -> None:
    with Worker(shaken) as worker:
        worker.wait_until_ready(PARTITIONS)
        own_kafka.kill()
        try:
            worker.signal(signal.SIGTERM)
            assert worker.exit_code() == 0, worker.words()
        finally:
            own_kafka.launch()


def test_one_that_recovers_while_its_broker_is_frozen_ends(own_kafka: KafkaProcess, shaken: Place) -> None:
    with Worker(shaken) as worker:
        worker.wait_until(lambda each: each.readiness() != {}, "answering")
        own_kafka.pause()
        try:
            worker.signal(signal.SIGTERM)
            assert worker.exit_code() == 0, worker.words()
        finally:
            own_kafka.resume()


@pytest.mark.parametrize("how", ["frozen", "killed"])
def test_a_broker_that_goes_away_and_comes_back_ends_nothing_and_nothing_is_lost_or_repeated(
    own_kafka: KafkaProcess, shaken: Place, how: str
) -> None:
    work = reference.make(31, TICKS, tickers=2_000, strategies=500)
    import_strategies(shaken, work.strategies)
    mark = Mark.set(shaken.ground.bootstrap, shaken.topics.alert_executions)
    away, back = (own_kafka.pause, own_kafka.resume) if how == "frozen" else (own_kafka.kill, own_kafka.launch)
    feed = Feed(shaken, work)
    with Worker(shaken) as worker:
        worker.wait_until_ready(PARTITIONS)
        with flowing(feed) as ticks:
            worker.wait_until(is_at_work, "at work")
            away()
            try:
                worker.wait_until(lambda each: GONE in each.said(), "told that the broker is gone")
            finally:
                back()
            ticks.join()
        wait_until_done(worker, shaken)
        worker.wait_until_ready(PARTITIONS)
        worker.signal(signal.SIGTERM)
        assert worker.exit_code() == 0, worker.words()
    strategies = {each.strategy_id for each in work.strategies}
    assert strategies >= {each.strategy_id for each in FEW.strategies}
    assert mark.answer(pairs_of_executions) == Answer(work.pairs, work.digest)


def test_draining_nothing_ends_at_once(once: Place) -> None:
    make_topics(once)
    for place in (once, once._replace(app_id="another")):
        make_topics(place)
        report = json.loads(tickgate(place, "worker", "--drain"))
        assert (report["ticks"], report["fired_pairs"], report["seconds"]) == (0, 0, 0.0)


def test_a_missing_topic_is_told_in_one_line_with_what_to_do(once: Place) -> None:
    make_topics(once)
    place = once._replace(app_id="unapplied")
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "worker"],
        env=place.environment(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    missing = ", ".join(sorted(place.topics.changelogs))
    cluster = f"the cluster at {place.ground.bootstrap}"
    assert done.stderr == f"error: {cluster}: has no {missing}; run `tickgate topics apply`\n"
