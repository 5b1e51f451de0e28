"""The transport inside a Faust worker, on a real Kafka: runs that chain for ticks, single records for the rest."""

import json
import signal
import subprocess
import sys
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import faust.transport.consumer as base
import faust.transport.drivers.aiokafka as driver
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from faust.types import TP

from streams.kafka import in_loop, transport
from tests.house.tree import ROOT
from tests.kafka.shared_broker import SharedBroker

PARTITIONS = 4
FIRST_OF_PARTITION_0 = 7
"""Where the stand-in for the shards says that partition 0 stands."""


class Worker:
    """One `run_printer` process, and what it has said so far."""

    def __init__(self, broker: str, prefix: str) -> None:
        command = [sys.executable, "-m", "tests.kafka.run_printer", broker, prefix, "printer"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said: list[dict[str, Any]] = []

    def read_until(self, enough: Callable[["Worker"], bool]) -> None:
        """Read on, line by line, until what was said is enough; pytest's time-out ends a worker that says no more."""
        assert self.process.stdout is not None
        while not enough(self):
            line = self.process.stdout.readline()
            assert line, f"the worker ended early:\n{self.process.stderr and self.process.stderr.read()}"
            at = line.find("{")
            if at >= 0:
                self.said.append(json.loads(line[at:]))

    @property
    def values(self) -> dict[int, list[str]]:
        """What came of each partition of `ticks`, in order."""
        found: defaultdict[int, list[str]] = defaultdict(list)
        for each in self.said:
            if "run" in each:
                found[each["run"][0]] += each["values"]
        return found

    def end(self) -> int:
        """Ask it to stop; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture
def prefix(real_broker: SharedBroker) -> str:
    """Topics of this test's own."""
    name = f"t{uuid.uuid4().hex[:8]}."
    topics = [NewTopic(f"{name}{each}", PARTITIONS, 1) for each in ("ticks", "proposals")]
    admin = AdminClient({"bootstrap.servers": real_broker.bootstrap})
    for future in admin.create_topics(topics).values():
        future.result(timeout=30)
    return name


@pytest.fixture
def worker(real_broker: SharedBroker, prefix: str) -> Iterator[Worker]:
    """A worker on them."""
    one = Worker(real_broker.bootstrap, prefix)
    yield one
    one.process.kill()
    one.process.communicate()


def produce(broker: str, topic: str, values: list[str]) -> None:
    """One value after the other, over all partitions in turn."""
    producer = Producer({"bootstrap.servers": broker})
    for i, value in enumerate(values):
        producer.produce(topic, value=value, partition=i % PARTITIONS)
    assert producer.flush(30) == 0


def test_ticks_come_in_runs_that_chain_from_where_the_shards_stand(
    real_broker: SharedBroker, prefix: str, worker: Worker
) -> None:
    values = [str(i) for i in range(4_000)]
    produce(real_broker.bootstrap, f"{prefix}ticks", values)
    worker.read_until(lambda each: sum(map(len, each.values.values())) >= len(values) - FIRST_OF_PARTITION_0)
    produce(real_broker.bootstrap, f"{prefix}ticks", ["more"] * 8)
    worker.read_until(lambda each: sum(map(len, each.values.values())) >= len(values) + 8 - FIRST_OF_PARTITION_0)
    for partition in range(PARTITIONS):
        first = FIRST_OF_PARTITION_0 if partition == 0 else 0
        assert worker.values[partition] == [*values[partition::PARTITIONS], "more", "more"][first:]
        runs = [each["run"][1:] for each in worker.said if "run" in each and each["run"][0] == partition]
        assert runs[0][0] == first
        assert [run[0] for run in runs[1:]] == [run[1] for run in runs[:-1]]
    assert worker.end() == 0


def test_the_order_is_fence_then_seek_then_runs_then_drain(
    real_broker: SharedBroker, prefix: str, worker: Worker
) -> None:
    produce(real_broker.bootstrap, f"{prefix}ticks", ["x"] * 80)
    worker.read_until(lambda each: sum(map(len, each.values.values())) >= 80 - FIRST_OF_PARTITION_0)
    kinds = [next(iter(each)) for each in worker.said]
    assert kinds[:2] == ["fence", "seeked"]
    assert worker.said[0] == {"fence": [0, 1, 2, 3]}
    assert worker.said[1]["seeked"]["0"] == FIRST_OF_PARTITION_0
    worker.process.send_signal(signal.SIGTERM)
    worker.read_until(lambda each: "drain" in each.said[-1])


def test_other_topics_come_record_by_record(real_broker: SharedBroker, prefix: str, worker: Worker) -> None:
    produce(real_broker.bootstrap, f"{prefix}proposals", [str(i) for i in range(12)])
    worker.read_until(lambda each: sum("record" in line for line in each.said) >= 12)
    found = sorted(each["record"] for each in worker.said if "record" in each)
    assert found == sorted([i % PARTITIONS, i // PARTITIONS, str(i)] for i in range(12))


def test_faust_may_change_what_is_active_while_it_is_looked_at() -> None:
    active = {TP("ticks", partition) for partition in range(PARTITIONS)}

    def may_fetch(tp: TP) -> bool:
        """Changes the set, as another thread would at a rebalance."""
        active.discard(tp)
        active.update(TP("ticks", PARTITIONS + more) for more in range(100))
        return tp.partition > 0

    assert sorted(tp.partition for tp in transport.those_of(active, may_fetch)) == [1, 2, 3]
    assert transport.those_of(None, may_fetch) == []


def test_nothing_that_is_touched_inside_faust_has_moved() -> None:
    assert transport.moved() == in_loop.moved() == []


def test_what_has_moved_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(transport.TOUCHED, driver.Transport, ("no_such_name",))
    monkeypatch.setitem(transport.TOUCHED_NAMES, base.Consumer.getmany, ("no_such_call",))
    assert transport.moved() == ["Transport.no_such_name", "Consumer.getmany no longer uses no_such_call"]
