"""Strategies are made, edited, paused and deleted while ticks flow: two workers follow, and no pair fires twice.

Each step waits until both workers hold the change, then sends a tick of every ticker. A strategy that nobody touches
fires for each of them, and so says when all have been decided.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from bench import workload
from bench.kafka_answer import Pair, pairs_of_executions, records_behind
from bench.kafka_ground import PARTITIONS, Place, import_strategies, make_topics
from bench.kafka_worker import Worker
from streams.core.events import Status, Strategy, Tick
from streams.core.oracle import Oracle
from streams.kafka.codec import Encoder
from streams.kafka.partitions import partition_of
from streams.kafka.registry import FileSchemas
from streams.kafka.strategy_records import record_of
from streams.reference_data import load_conditions
from tests.core.avro_bytes import tick
from tests.worker.inputs import Given, Hand

MINUTE_MS = 60_000
START_MS = workload.START_MS - workload.START_MS % (60 * MINUTE_MS)
TICKERS = [f"C{k}" for k in range(12)]
HALF = frozenset(TICKERS[:6])
CLOCK = Strategy("clock", "1s", frozenset(TICKERS))
"""Nobody touches it; each round has a second of its own."""

FIRST = Strategy("edited", "1m", frozenset(TICKERS))
ENCODER = Encoder(FileSchemas(), ["strategy_change"])


def fired(place: Place) -> list[Pair]:
    """All that fired, as a read_committed consumer finds it."""
    return list(pairs_of_executions(records_behind(place.ground.bootstrap, place.topics.alert_executions, {})))


class Both:
    """Two workers, what they are sent, and what the oracle says of it."""

    def __init__(self, place: Place, workers: list[Worker]) -> None:
        self.place, self.workers = place, workers
        self.changes, self.ticks = Hand(place, place.topics.strategy_changes), Hand(place, place.topics.ticks)
        self.oracle, self.wanted = Oracle(load_conditions(None)), list[Pair]()
        self.oracle.change(CLOCK)

    def change(self, strategy: Strategy) -> None:
        """Send a version, and wait until both hold it."""
        self.oracle.change(strategy)
        value = ENCODER.encode("strategy_change", record_of(strategy, START_MS))
        self.changes.send(Given(strategy.strategy_id.encode(), value))
        self.wait_for(strategy)

    def tombstone(self, now: Strategy) -> None:
        """Delete it so, and wait until both know."""
        self.oracle.forget(now.strategy_id)
        self.changes.send(Given(now.strategy_id.encode(), None))
        for worker in self.workers:
            worker.wait_until(lambda each: standing(each, now.strategy_id) is None, f"told that {now} is gone")

    def wait_for(self, strategy: Strategy) -> None:
        """Until both say that it stands."""
        wanted = (strategy.version, strategy.status)
        for worker in self.workers:
            worker.wait_until(lambda each: standing(each, strategy.strategy_id) == wanted, f"told of {strategy}")

    def round(self, minute: int, second: int) -> None:
        """One tick of every ticker, and wait until all are decided."""
        ts_ms = START_MS + minute * MINUTE_MS + second * 1_000
        for ticker in TICKERS:
            self.wanted += [fire[:3] for fire in self.oracle.tick(Tick(ticker, ts_ms))]
            self.ticks.send(Given(ticker.encode(), tick(ticker.encode(), ts_ms)))
        all_done = {("clock", ticker, ts_ms) for ticker in TICKERS}
        self.workers[0].wait_until(lambda _: all_done <= set(fired(self.place)), f"done with {minute}:{second}")


def standing(worker: Worker, strategy_id: str) -> tuple[int, str] | None:
    row = worker.table_row("strategies", strategy_id)
    return row and (row["version"], row["status"])


def share_all(one: Worker, two: Worker) -> bool:
    """Whether both have shards, and all move."""
    mine, theirs = one.partitions(), two.partitions()
    return bool(mine) and bool(theirs) and mine | theirs == set(range(PARTITIONS))


@contextmanager
def both(place: Place) -> Iterator[Both]:
    """Two workers that share the shards."""
    make_topics(place)
    import_strategies(place, [CLOCK])
    with Worker(place, "one") as one, Worker(place, "two") as two:
        one.wait_until(lambda _: share_all(one, two), "sharing the work")
        yield Both(place, [one, two])


def test_two_workers_follow_every_change_and_no_pair_fires_twice(place: Place) -> None:
    assert {partition_of(ticker.encode(), PARTITIONS) for ticker in TICKERS} == set(range(PARTITIONS))
    with both(place) as run:
        versions = iter(range(1, 100))

        def change(**fields: object) -> Strategy:
            changed = replace(FIRST, version=next(versions), **fields)  # type: ignore[arg-type]
            run.change(changed)
            return changed

        run.round(0, 0)
        change()  # in the middle of a bucket: every ticker fires with its next tick
        run.round(0, 1)
        run.round(0, 2)
        change(status=Status.PAUSED)
        run.round(1, 0)
        change()
        run.round(1, 1)
        change(status=Status.PAUSED)
        change()  # paused and resumed within a bucket: nothing again
        run.round(1, 2)
        change(universe=HALF)
        run.round(2, 0)
        change()  # the other half fires now, and this one not again
        run.round(2, 1)
        change(timeframe="5m")
        run.round(5, 0)
        run.round(6, 0)
        change(status=Status.DELETED)
        run.round(10, 0)
        change(timeframe="5m")
        run.round(10, 1)
        run.tombstone(change(timeframe="5m"))  # while it is active
        run.round(15, 0)
        versions = iter(range(1, 100))  # nothing is known of it any more, for anybody
        change(timeframe="5m")
        run.round(15, 1)
        run.round(15, 2)
        found = fired(run.place)
    assert [pair for pair, count in Counter(found).items() if count > 1] == []
    assert sorted(found) == sorted(run.wanted)
    minutes = Counter((pair[2] - START_MS) // MINUTE_MS for pair in found if pair[0] == FIRST.strategy_id)
    assert minutes == dict.fromkeys((0, 1, 2, 5, 10, 15), len(TICKERS))
