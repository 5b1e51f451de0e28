"""Real workers on a real broker: what they find corrupt, what they count, and what they say of it."""

import re
from collections import Counter
from collections.abc import Callable
from itertools import count

import pytest

from bench import reference
from bench.kafka_answer import Answer, Mark, execution_of, pairs_of_executions, records_behind
from bench.kafka_ground import PARTITIONS, Place, import_strategies, make_topics
from bench.kafka_worker import Worker
from streams.kafka.codec import Decoder
from streams.kafka.registry import FileSchemas
from tests.worker.inputs import Feed, wait_until_done

PARTS = 12
"""Each is worked off before the next is sent, so every shard makes at least so many steps."""

SPOILT_EACH = ["flag", "stamp", "counter"]


@pytest.fixture
def work() -> reference.Workload:
    return reference.make(5, 6_000, tickers=300, strategies=60)


def feed_in_parts(place: Place, feed: Feed, worker: Worker, share: float = 1.0) -> None:
    for part in range(PARTS):
        feed.send(share * (part + 1) / PARTS)
        wait_until_done(worker, place)


def trickle(feed: Feed) -> Callable[[Worker], bool]:
    """Each look sends a few ticks more, until strategies have been skipped for want of an update."""
    share = count(0.9, 0.0002)

    def was_skipping(worker: Worker) -> bool:
        feed.send(min(1.0, next(share)))
        return worker.metric("skipped_no_update_total")[0] > 0

    return was_skipping


def test_flags_times_and_counter_spoilt_in_a_running_worker_are_found_within_a_step_and_nothing_is_lost(
    place: Place, work: reference.Workload
) -> None:
    make_topics(place)
    import_strategies(place, work.strategies)
    mark = Mark.set(place.ground.bootstrap, place.topics.alert_executions)
    with Worker(place, "spoilt", ("-m", "tests.worker.spoiling_worker")) as worker:
        worker.wait_until_ready(PARTITIONS)
        feed_in_parts(place, Feed(place, work), worker)
        assert worker.metric("tickgate_flag_corruptions_total") == [3 * PARTITIONS]
        said = worker.said()
    assert sorted(re.findall(r"spoilt (\w+): found (\d+)", said)) == sorted(
        [(w, "1") for w in SPOILT_EACH] * PARTITIONS
    )
    assert said.count("update flags were corrupt") == 3 * PARTITIONS
    assert mark.answer(pairs_of_executions) == Answer(work.pairs, work.digest)


def test_decisions_are_told_of_the_strategies_that_are_asked_for_and_name_their_fires(
    place: Place, work: reference.Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = sorted(work.raw_strategies)[:2]
    monkeypatch.setenv("TICKGATE_DECISIONS", ",".join(asked))
    make_topics(place)
    import_strategies(place, work.strategies)
    with Worker(place) as worker:
        worker.wait_until_ready(PARTITIONS)
        feed_in_parts(place, Feed(place, work), worker)
    values = [value for _, value in records_behind(place.ground.bootstrap, place.topics.alert_executions, {})]
    ran = Counter(pair for pair in pairs_of_executions((b"", value) for value in values) if pair[0] in asked)
    decoder = Decoder(FileSchemas(), "decision")
    decisions = [
        decoder.decode(value) for _, value in records_behind(place.ground.bootstrap, place.topics.decisions, {})
    ]
    told = Counter(
        (each["strategy_id"], said["ticker"], said["bucket_ms"])
        for each in decisions
        for said in each["tickers"]
        if said["outcome"] == "fired"
    )
    assert {each["strategy_id"] for each in decisions} == set(asked)
    assert told == ran
    assert {each["outcome"] for each in decisions} >= {"fired", "bucket_dup"}


def test_a_worker_counts_what_happened_to_each_strategy_and_says_what_it_saved(
    once: Place, work: reference.Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKGATE_LOG_LEVEL", "debug")
    monkeypatch.setenv("TICKGATE_REPORT_MS", "1000")
    make_topics(once)
    import_strategies(once, work.strategies)
    with Worker(once) as worker:
        worker.wait_until_ready(PARTITIONS)
        feed = Feed(once, work)
        feed_in_parts(once, feed, worker, 0.9)
        worker.wait_until(trickle(feed), "skipping strategies without an update")
        feed.send(1.0)
        wait_until_done(worker, once)
        worker.wait_until(lambda each: f"Ticker updates: {len(work.who)}," in each.said(), "reporting")
        rows = [worker.table_row("counts", strategy_id) for strategy_id in work.raw_strategies]
        metrics = ("skipped_bucket_dup", "skipped_no_update", "tickgate_executions")
        dups, no_updates, executions = (worker.metric(f"{name}_total")[0] for name in metrics)
        said = worker.said()
    assert {tuple(row["shards"]) for row in rows} == {tuple(range(PARTITIONS))}
    assert sum(row["fired"] for row in rows) == work.pairs
    assert sum(row["bucket_dup"] for row in rows) == dups > 0
    assert sum(row["executions"] for row in rows) == executions
    assert sum(row["no_update"] for row in rows) >= no_updates > 0
    values = [value for _, value in records_behind(once.ground.bootstrap, once.topics.alert_executions, {})]
    told = [execution_of(value)["metadata"] for value in values]
    assert all(each["checked"] > 0 and each["fired"] > 0 for each in told)
    assert re.search(r"10 checks, processing \d+/\d+ updated symbols, \d+ skipped, saved: \d+\.\d%", said)
    assert f"across {len(work.strategies)} active strategies" in said
