"""A worker whose runs get lost on their way, on a real broker: it has them read again, and the answer is exact."""

import os
import sys
import uuid
from pathlib import Path

import pytest

from bench import reference
from bench.kafka_answer import Answer, Mark, pairs_of_executions
from bench.kafka_flow import producer, put
from bench.kafka_ground import Ground, Place, finished, import_strategies, make_topics
from tests.house.tree import ROOT
from tests.kafka.shared_broker import SharedBroker

TICKS = 5_000


def send_ticks(place: Place, work: reference.Workload) -> None:
    """All ticks of a workload."""
    to, values = producer(place.ground.bootstrap, 5.0), reference.encoded(work)
    for i, value in enumerate(values):
        put(to, place.topics.ticks, work.names[work.who[i]].encode(), value, int(work.when[i]))
    assert to.flush(60) == 0


@pytest.mark.parametrize("how", ["raised", "dropped"])
def test_runs_that_are_lost_are_read_again(real_broker: SharedBroker, tmp_path: Path, how: str) -> None:
    """An exception of the agent acknowledges its run (streams.py); a queue that is emptied tells nobody (mode)."""
    place = Place(Ground(real_broker.bootstrap, real_broker.kind, tmp_path), f"{uuid.uuid4().hex[:8]}.", "lost")
    work = reference.make(7, TICKS)
    make_topics(place)
    import_strategies(place, work.strategies)
    send_ticks(place, work)
    mark = Mark.set(place.ground.bootstrap, place.topics.alert_executions)
    finished([sys.executable, "-m", "tests.holes.failing_worker", how], place.environment(os.environ), ROOT)
    assert mark.answer(pairs_of_executions) == Answer(work.pairs, work.digest)
