"""Whole strategies on shards that are quiet: clock records move them, from outside or by their owner, and none is lost.

Each strategy fires once a bucket, whoever owns its home shard, and whoever is killed meanwhile.
"""

import json
import time
from collections import Counter
from contextlib import ExitStack
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from bench.kafka_answer import ends_of, execution_of, records_behind
from bench.kafka_ground import PARTITIONS, Place, RunError, import_strategies, make_topics, tickgate
from bench.kafka_worker import Worker
from streams.core.events import Mode, Strategy
from streams.kafka.codec import Encoder
from streams.kafka.partitions import partition_of
from streams.kafka.registry import FileSchemas
from tests.core.avro_bytes import framed, tick
from tests.worker.inputs import At, Given, Hand, letters

MINUTE_MS = 60_000
START_MS = 1_772_461_800_000
WEEK_MS = 7 * 86_400_000
TICKERS = [f"C{k}" for k in range(12)]
ENCODER = Encoder(FileSchemas(), ["clock"])
GLOBAL, LEGACY = Strategy("everything", "1m"), Strategy("whole", "1m", frozenset(TICKERS), mode=Mode.LEGACY)
HOMES = {each.strategy_id: partition_of(each.strategy_id.encode(), PARTITIONS) for each in (GLOBAL, LEGACY)}


class Run:
    """Strategies on a quiet market, and what came of them."""

    def __init__(self, place: Place, *strategies: Strategy) -> None:
        make_topics(place)
        import_strategies(place, list(strategies))
        self.place, self.hand = place, Hand(place, place.topics.clock)

    def clock(self, ts_ms: int, partition: int) -> At:
        return self.hand.send(Given(None, ENCODER.encode("clock", {"ts": ts_ms}), partition))

    def fired(self) -> Counter[tuple[str, int]]:
        """How often each strategy ran in each bucket."""
        return Counter((each["strategy_id"], each["bucket_ms"]) for each in self.executions())

    def executions(self) -> list[dict[str, Any]]:
        place = self.place
        return [execution_of(v) for _, v in records_behind(place.ground.bootstrap, place.topics.alert_executions, {})]

    def assert_once(self, *wanted: tuple[str, int]) -> None:
        """Each of these ran, and nothing else; at least once, it may have run again behind a crash."""
        found = self.fired()
        assert set(found) == set(wanted)
        if self.place.guarantee == "exactly_once":
            assert set(found.values()) == {1}


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKGATE_CLOCK", "false")


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize("count", [1, 2])
def test_clock_records_fire_whole_strategies_once_a_bucket_through_a_crash(place: Place, count: int) -> None:
    run = Run(place, GLOBAL, LEGACY)

    def minute(number: int) -> None:
        for partition in range(PARTITIONS):
            run.clock(START_MS + number * MINUTE_MS, partition)
            run.clock(START_MS + number * MINUTE_MS + 1_000, partition)

    def wanted(minutes: int) -> list[tuple[str, int]]:
        return [(sid, START_MS + minute * MINUTE_MS) for sid in HOMES for minute in range(minutes)]

    with ExitStack() as running:
        workers = [running.enter_context(Worker(place, f"w{k}")) for k in range(count)]
        for number in range(3):
            minute(number)
        workers[0].wait_until(lambda _: set(run.fired()) >= set(wanted(3)), "done with three minutes")
        minute(3)
        workers[0].kill()
        minute(4)
        last = running.enter_context(Worker(place, "last"))
        last.wait_until(lambda _: set(run.fired()) >= set(wanted(5)), "done with five minutes")
    minute(5)
    tickgate(place, "worker", "--drain")
    run.assert_once(*wanted(6))
    for each in run.executions():
        cause, home = each["cause"], HOMES[each["strategy_id"]]
        assert (cause["topic"], cause["partition"]) == (place.topics.clock, home)
        at = f"{place.topics.clock}-{home}@{cause['first_offset']}"
        assert each["execution_id"] == f"{each['strategy_id']}|{each['bucket_ms']}|{at}"


def test_the_owner_of_a_quiet_shard_lets_time_go_on(place: Place) -> None:
    """One tick, and nothing more: a bucket a second goes by, and no faster; two workers, of which one is killed."""
    seconds = Strategy("seconds", "1s")
    home = partition_of(b"seconds", PARTITIONS)
    run, started_s = Run(place, seconds), time.monotonic()
    ticker = next(each for each in TICKERS if partition_of(each.encode(), PARTITIONS) == home)
    Hand(place, place.topics.ticks).send(Given(ticker.encode(), tick(ticker.encode(), START_MS)))
    with ExitStack() as running:
        workers = [running.enter_context(Worker(place, f"w{k}")) for k in range(2)]
        workers[0].wait_until(lambda _: len(run.fired()) >= 3, "three seconds on")
        next(each for each in workers if home in each.partitions()).kill()
        running.enter_context(Worker(place, "next")).wait_until(lambda _: len(run.fired()) >= 8, "eight seconds on")
    passed_s = time.monotonic() - started_s
    buckets = sorted(bucket_ms for _, bucket_ms in run.fired())
    assert buckets[0] == START_MS
    assert (buckets[-1] - START_MS) / 1000 <= passed_s
    run.assert_once(*(("seconds", bucket_ms) for bucket_ms in buckets))
    written = ends_of(place.ground.bootstrap, place.topics.clock)
    assert {partition for partition, end in written.items() if end} == {home}
    assert len(buckets) - 1 <= written[home] <= len(buckets) + 1  # the last ones may not have been taken


def test_what_is_gathered_goes_out_when_it_is_due_though_the_shard_has_fallen_quiet(place: Place) -> None:
    ticker = TICKERS[0]
    run, hand = (
        Run(place, Strategy("gathers", "1h", frozenset({ticker}), coalesce_ms=1_000)),
        Hand(place, place.topics.ticks),
    )
    hand.send(Given(ticker.encode(), tick(ticker.encode(), START_MS)))
    with Worker(place) as worker:
        worker.wait_until(lambda _: bool(run.fired()), "past the window")
    run.assert_once(("gathers", START_MS - START_MS % (60 * MINUTE_MS)))
    assert [each["tickers"] for each in run.executions()] == [[ticker]]
    assert sum(ends_of(place.ground.bootstrap, place.topics.clock).values()) == 1


@pytest.mark.usefixtures("by_hand")
def test_what_is_no_time_becomes_a_dead_letter_and_the_others_count(once: Place) -> None:
    run, home = Run(once, GLOBAL), HOMES["everything"]
    run.clock(START_MS, home)
    bad = {
        "null_value": None,
        "truncated": b"\0\0",
        "unknown_schema_id": framed(b"\2", 77),
        "trailing_bytes": ENCODER.encode("clock", {"ts": START_MS}) + b"x",
        "ts_out_of_range": ENCODER.encode("clock", {"ts": START_MS * 1000}),
        "clock_too_far_ahead": ENCODER.encode("clock", {"ts": START_MS + WEEK_MS + 1}),
    }
    places = {word: run.hand.send(Given(None, value, home)) for word, value in bad.items()}
    run.clock(START_MS + WEEK_MS, home)
    with Worker(once) as worker:
        worker.wait_until(lambda _: len(run.fired()) == 2, "done")
    run.assert_once(("everything", START_MS), ("everything", START_MS + WEEK_MS))
    assert {each.fields["reason"]: each.at for each in letters(once, once.topics.clock)} == places


def test_a_feed_sends_the_time_to_every_shard(once: Place) -> None:
    run = Run(once, GLOBAL)
    before_ms = time.time_ns() // 1_000_000
    told = json.loads(tickgate(once, "feed", "clock", "--every-ms", "20", "--count", "3"))
    assert (told["records"], told["not_delivered"]) == (3 * PARTITIONS, 0)
    assert ends_of(once.ground.bootstrap, once.topics.clock) == dict.fromkeys(range(PARTITIONS), 3)
    tickgate(once, "worker", "--drain")
    buckets = [bucket_ms for _, bucket_ms in run.fired()]
    assert before_ms - MINUTE_MS < min(buckets) <= max(buckets) <= told["last_ms"]


def test_a_clock_with_other_partitions_than_the_ticks_is_refused(once: Place) -> None:
    make_topics(once)
    admin = AdminClient({"bootstrap.servers": once.ground.bootstrap})
    admin.create_partitions([NewPartitions(once.topics.clock, PARTITIONS + 1)])[once.topics.clock].result(timeout=30)
    with pytest.raises(RunError, match=r"clock: has 5 partitions, and .*ticks has 4; they must be the same"):
        tickgate(once, "worker", "--drain")
