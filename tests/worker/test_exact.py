"""Workers come and go while ticks flow, and what a read_committed consumer finds is exactly the workload's answer.

EXACT_TICKS and EXACT_SEEDS in the environment make the runs longer, and more.
"""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka import Producer

from bench import reference
from bench.kafka_answer import Answer, Mark, pairs_of_executions
from bench.kafka_flow import producer, put
from bench.kafka_ground import Ground, Place, import_strategies, make_topics, tickgate
from bench.kafka_worker import Worker
from tests.kafka.shared_broker import SharedBroker

TICKS = int(os.environ.get("EXACT_TICKS", "60000"))
SEEDS = [int(seed) for seed in os.environ.get("EXACT_SEEDS", "31").split(",")]
LINGER_MS = 20.0


@pytest.fixture(params=["exactly_once", "at_least_once"])
def place(request: pytest.FixtureRequest, real_broker: SharedBroker, tmp_path: Path) -> Place:
    prefix = f"{tmp_path.name[-20:].replace('_', '-')}-{os.getpid()}."
    return Place(Ground(real_broker.bootstrap, real_broker.kind, tmp_path), prefix, "exact", request.param)


class Feed:
    """The ticks of a workload, sent a part at a time."""

    def __init__(self, place: Place, work: reference.Workload) -> None:
        self._topic, self._work, self._values = place.topics.ticks, work, reference.encoded(work)
        self._to: Producer = producer(place.ground.bootstrap, LINGER_MS)
        self._sent = 0

    def send(self, share: float) -> None:
        """Send on until so much of all is sent."""
        until = round(share * len(self._values))
        for i in range(self._sent, until):
            name, ts_ms = self._work.names[self._work.who[i]], int(self._work.when[i])
            put(self._to, self._topic, name.encode(), self._values[i], ts_ms)
        self._sent = until
        assert self._to.flush(60) == 0


def workers_come_and_go(place: Place, feed: Feed, count: int) -> None:
    """Each joins while ticks flow; then one leaves and another comes; and a last one works off the rest."""
    feed.send(0.1)
    with ExitStack() as running:
        workers = []
        for k in range(count):
            workers.append(running.enter_context(Worker(place, f"w{k}")))
            feed.send(0.1 + 0.4 * (k + 1) / count)
        workers[0].wait_until_ready(1 if count > 1 else 4)
        feed.send(0.7)
        workers[0].stop()
        feed.send(0.8)
        running.enter_context(Worker(place, "late"))
        feed.send(1.0)
    tickgate(place, "worker", "--drain")  # alone: one among several ends when its own shards are at their ends


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [1, 2, 4])
def test_with_so_many_workers_and_rebalances_in_between_the_answer_is_exact(
    place: Place, count: int, seed: int
) -> None:
    work = reference.make(seed, TICKS)
    make_topics(place)
    import_strategies(place, work.strategies)
    mark = Mark.set(place.ground.bootstrap, place.topics.alert_executions)
    workers_come_and_go(place, Feed(place, work), count)
    assert mark.answer(pairs_of_executions) == Answer(work.pairs, work.digest)
