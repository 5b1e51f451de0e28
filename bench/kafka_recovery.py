"""How soon a worker stands again: a million pairs out of the changelogs, and another that takes over after kill -9.

State is made by a worker that takes one tick of each ticker. After the kill, ticks go on coming, and what counts is
the first execution that one of them causes in a shard that the killed worker had.
"""

import json
import time
from statistics import median
from typing import Final, NamedTuple

import numpy as np
from confluent_kafka import Consumer, TopicPartition

from bench import kafka_wide, workload
from bench.kafka_answer import (
    Answer,
    answer_of,
    committed_consumer,
    ends_of,
    execution_of,
    pairs_of_executions,
    records_behind,
)
from bench.kafka_candidates import must_be_right
from bench.kafka_flow import is_end, producer, put
from bench.kafka_ground import (
    PARTITIONS,
    Place,
    RunError,
    import_strategies,
    load_ticks,
    make_topics,
    real_broker,
    say,
    tickgate,
)
from bench.kafka_wide import FIRST_MS, NAMES, PAIRS, TICKERS, RawStrategies
from bench.kafka_worker import Worker
from streams.kafka.brokers import NoBrokerError

RECOVERY_BOUND_S: Final = 5
TAKE_OVER_BOUND_S: Final = 15
TICK_EVERY_S: Final = 0.01
MINUTE_MS: Final = 60_000
STRIDE: Final = 7_919
"""Prime to the number of tickers, so that the feed meets all of them, one partition after the other."""

BEFORE_KILL_S: Final = 2.0
TIMEOUT_S: Final = 60.0


def report(seed: int, rounds: int) -> list[str]:
    """Fill, recover again and again, kill once; say it in lines."""
    rng = np.random.default_rng(seed)
    raw, (who, when) = kafka_wide.strategies(rng), kafka_wide.filling(rng)
    try:
        with real_broker() as ground:
            place = Place(ground, "recovery.", "recovery")
            load_ticks(ground, place.topics.ticks, who, when)
            make_topics(place)
            import_strategies(place, kafka_wide.market(raw, who, when).strategies)
            head = f"recovery: {PAIRS:,} pairs, {place.guarantee}, seed {seed}; {ground.kind}"
            try:
                recovered = recover(place, rounds)
                return [head, *recovered, *take_over(place, Feed(place, who.tolist(), when.tolist()), raw)]
            except RunError as why:
                return [head, f"  failed: {why}"]
    except NoBrokerError as why:
        return [f"recovery: not measured: {why}"]


class Recovery(NamedTuple):
    """One start of a worker on the state."""

    slowest_shard_s: float
    """From the assignment until its state was there, as the worker's metric has it."""
    ready_s: float
    """From the start of the process."""


def recover(place: Place, rounds: int) -> list[str]:
    """Make the state, then start a worker on it, stop it, and so on."""
    say("making the state")
    said = json.loads(tickgate(place, "worker", "--drain").splitlines()[-1])
    must_be_right(said["fired_pairs"], PAIRS)
    found = []
    for number in range(rounds):
        with Worker(place, f"recovering-{number}") as worker:
            ready_s = worker.wait_until_ready(PARTITIONS)
            must_be_right(round(sum(worker.metric("tickgate_state_pairs"))), PAIRS)
            found.append(Recovery(max(worker.metric("tickgate_recovery_seconds")), ready_s))
        say(f"recovered in {found[-1].slowest_shard_s:.2f} s")
    shard_s, process_s = [each.slowest_shard_s for each in found], [each.ready_s for each in found]
    assigned = f"{median(shard_s):.2f} s, at most {max(shard_s):.2f} s of {rounds} (bound {RECOVERY_BOUND_S})"
    return [
        f"  assignment to the slowest shard's state: {assigned}",
        f"  start of the process to ready: {median(process_s):.2f} s, at most {max(process_s):.2f} s",
    ]


class Feed:
    """Ticks that go on, a minute of event time from one to the next, so that each fires."""

    def __init__(self, place: Place, who: list[int], when: list[int]) -> None:
        self.who, self.when = who, when
        """All that were sent, those of the filling too."""
        self._topic = place.topics.ticks
        self._to = producer(place.ground.bootstrap, 0)
        self._filling = len(who)
        self._next_s = time.monotonic()

    def send_due(self) -> None:
        """Send those that are due by now."""
        while self._next_s <= time.monotonic():
            number = len(self.who) - self._filling
            who, ts_ms = number * STRIDE % TICKERS, FIRST_MS + (number + 1) * MINUTE_MS
            put(self._to, self._topic, NAMES[who].encode(), workload.encode(NAMES[who], ts_ms, 100.0), ts_ms)
            self.who.append(who)
            self.when.append(ts_ms)
            self._next_s += TICK_EVERY_S
        self._to.poll(0)

    def flush(self) -> None:
        """Wait until the broker has all of them."""
        self._to.flush(TIMEOUT_S)


def take_over(place: Place, feed: Feed, raw: RawStrategies) -> list[str]:
    """Two workers share the shards; one is killed, and the other one does its work."""
    bootstrap, topics = place.ground.bootstrap, place.topics
    consumer = committed_consumer(bootstrap)
    ends = ends_of(bootstrap, topics.alert_executions)
    consumer.assign([TopicPartition(topics.alert_executions, partition, end) for partition, end in ends.items()])
    with Worker(place, "killed") as first:
        first.wait_until_ready(PARTITIONS)
        with Worker(place, "heir") as second:
            second.wait_until(lambda heir: share(first.partitions(), heir.partitions()), "one of two that share")
            say("two workers share the shards; killing one")
            wait_for_execution(consumer, feed, {}, time.monotonic() + BEFORE_KILL_S)
            feed.flush()
            theirs, at = first.partitions(), ends_of(bootstrap, topics.ticks)
            first.kill()
            killed_s = time.monotonic()
            behind = {partition: at[partition] for partition in theirs}
            read_s = wait_for_execution(consumer, feed, behind, killed_s + TIMEOUT_S)
            feed.flush()
            second.wait_until(lambda heir: positions(heir) == ends_of(bootstrap, topics.ticks), "done with all ticks")
    consumer.close()
    if read_s is None:
        raise RunError(f"no execution in the killed worker's shards within {TIMEOUT_S:.0f} s")
    answer = workload.answer(raw, np.array(feed.who, np.int32), np.array(feed.when, np.int64))
    found = answer_of(pairs_of_executions(records_behind(bootstrap, topics.alert_executions, {})))
    must_be_right(found, Answer(**answer))
    took = f"{read_s - killed_s:.2f} s (bound {TAKE_OVER_BOUND_S}, session time-out included)"
    right = f"lost 0, repeated 0 of {found.pairs:,} pairs"
    return [f"  kill -9 to the next execution in its shards: {took}; {right}"]


def share(one: set[int], other: set[int]) -> bool:
    """Whether each has shards, all are taken, and none twice."""
    return bool(one and other) and not one & other and len(one | other) == PARTITIONS


def positions(worker: Worker) -> dict[int, int]:
    """The next offset of each shard that it owns."""
    return {shard["partition"]: shard["position"] for shard in worker.readiness().get("shards", [])}


def wait_for_execution(consumer: Consumer, feed: Feed, behind: dict[int, int], until_s: float) -> float | None:
    """Feed and read until an execution is caused behind one of the offsets; returns when, None if not in time."""
    while time.monotonic() < until_s:
        feed.send_due()
        message = consumer.poll(TICK_EVERY_S / 2)
        if message is not None and not is_end(message):
            cause = execution_of(message.value() or b"")["cause"]
            if cause["partition"] in behind and cause["first_offset"] >= behind[cause["partition"]]:
                return time.monotonic()
    return None
