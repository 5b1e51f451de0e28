"""A latency runs from the moment that a tick was due to the moment that its execution was read."""

import numpy as np
import pytest

from bench import kafka_latency, reference
from bench.kafka_answer import Answer
from bench.kafka_ground import PARTITIONS, RunError
from bench.kafka_latency import Run, described, due_s, histogram, must_be_right_offsets, partition_of_ticks, run_of
from bench.kafka_reader import Received


@pytest.fixture(autouse=True)
def one_tick_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_latency, "RATE", 1.0)


def received(*executions: tuple[float, int, int]) -> Received:
    """Executions: when each was read, and the partition and offset of the tick that caused it."""
    read_s, partition, first_offset = zip(*executions, strict=True)
    places = np.array(partition, np.int32), np.array(first_offset, np.int64)
    return Received(np.array(read_s, np.float64), *places, Answer(0, ""))


def test_an_execution_is_led_back_to_the_due_time_of_its_tick() -> None:
    # Ticks 0 to 4, due at 100 s to 104 s; those of partition 1 are the second and the fifth.
    due = due_s(np.array([0, 1, 2, 0, 1], np.int32), 100.0)
    found = received((101.5, 1, 0), (103.25, 0, 1), (104.125, 1, 1))
    assert run_of(found, due, 0.0, 0.0).latency_ms.tolist() == [500.0, 250.0, 125.0]


def test_the_warm_up_is_told_by_when_a_tick_was_due_not_by_when_its_execution_came() -> None:
    due = due_s(np.array([0, 0, 0], np.int32), 100.0)
    found = received((109.0, 0, 0), (109.0, 0, 1), (109.0, 0, 2))
    assert run_of(found, due, 101.0, 0.0).latency_ms.tolist() == [8_000.0, 7_000.0]


def test_quantiles_are_those_of_minutes_and_the_median_of_them_is_told() -> None:
    due = due_s(np.zeros(200, np.int32), 100.0)
    found = received(*((100 + at + (5 if at < 60 else 1 if at < 120 else 2), 0, at) for at in range(180)))
    run = run_of(found, due, 100.0, 0.0)
    assert np.bincount(run.minute).tolist() == [60, 60, 60]
    assert "p99 2000.0 ms (1000.0 to 5000.0)" in described("at_least_once", run)[0]
    assert "no executions" in described("at_least_once", Run(np.empty(0), np.empty(0, np.int64), 0.0))[0]


def test_the_partition_of_a_tick_is_that_of_its_key() -> None:
    work = reference.make(7, 200, tickers=50, strategies=1)
    where = partition_of_ticks(work)
    assert len(where) == 200
    assert set(where.tolist()) == set(range(PARTITIONS))
    by_ticker = dict(zip(work.who.tolist(), where.tolist(), strict=True))
    assert [by_ticker[who] for who in work.who.tolist()] == where.tolist()


def test_ticks_of_somebody_else_on_the_topic_are_noticed() -> None:
    must_be_right_offsets({0: 2, 1: 3}, [2, 3])
    with pytest.raises(RunError, match="not ours alone"):
        must_be_right_offsets({0: 2, 1: 4}, [2, 3])


def test_the_histogram_begins_and_ends_with_bounds_that_hold_something() -> None:
    assert [line.strip() for line in histogram(np.array([1.2, 1.5, 1.5, 7.0]))] == [
        "< 2 ms  75.00% ######################################",
        "< 5 ms   0.00%",
        "< 10 ms  25.00% ############",
    ]


def test_the_histogram_leaves_nothing_out() -> None:
    lines = histogram(np.array([0.5, 9_000.0]))
    assert lines[0].lstrip().startswith("< 1 ms  50.00%")
    assert lines[-1].lstrip().startswith("≥ 5,000 ms  50.00%")
