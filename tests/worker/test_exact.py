"""Workers come and go while ticks flow, and what a read_committed consumer finds is exactly the workload's answer.

EXACT_TICKS and EXACT_SEEDS in the environment make the runs longer, and more.
"""

import os
from contextlib import ExitStack

import pytest

from bench import reference
from bench.kafka_answer import Answer, Mark, pairs_of_executions
from bench.kafka_ground import Place, import_strategies, make_topics, tickgate
from bench.kafka_worker import Worker
from tests.worker.inputs import Feed

TICKS = int(os.environ.get("EXACT_TICKS", "60000"))
SEEDS = [int(seed) for seed in os.environ.get("EXACT_SEEDS", "31").split(",")]


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
