"""Raw fetch fits the aiokafka that is installed, touches one consumer only, and loses nothing before a bad batch."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import consumer as consumer_module
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import CorruptRecordException, KafkaError

from streams.kafka import raw_fetch
from streams.kafka.fetch import RawRun
from streams.kafka.raw_fetch import (
    TOUCHED,
    BadBatchError,
    MovedError,
    RawFetch,
    RawPartitionRecords,
    RawRecords,
    Touched,
    moved,
    with_names,
)
from streams.kafka.record_batch import Limits
from tests.kafka.batches import ABORT, TP, Row, batch, marker, patched

GOOD = batch([Row(0), Row(1)], 0)
BAD = patched(batch([Row(0)], 2), crc=1)


@pytest.mark.parametrize("touched", TOUCHED, ids=lambda each: each.function.rpartition(":")[2])
def test_what_raw_fetch_leans_on_stands_where_it_stood(touched: Touched) -> None:
    assert [each for each in moved() if each.startswith(touched.function)] == []


def test_partition_records_are_made_as_they_were() -> None:
    assert moved() == []


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("aiokafka.consumer.fetcher.Fetcher._proc_fetch_request", "_proc_fetch_request no longer uses MemoryRecords"),
        ("aiokafka.consumer.fetcher.FetchResult.getall", "getall no longer uses _update_position"),
        ("aiokafka.consumer.fetcher.PartitionRecords", "PartitionRecords takes tp"),
    ],
)
def test_an_upgrade_that_moves_something_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, target: str, problem: str
) -> None:
    monkeypatch.setattr(target, lambda tp: tp)
    with pytest.raises(MovedError, match=f"{problem}.* Remedy: use plain fetch"):
        RawFetch(AIOKafkaConsumer.__new__(AIOKafkaConsumer))


def test_a_function_that_is_gone_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(fetcher.FetchResult, "check_assignment")
    assert any("FetchResult.check_assignment no longer uses" in each for each in moved())


def test_a_copy_with_other_names_leaves_the_first_as_it_was() -> None:
    copied = with_names(raw_fetch.moved, TOUCHED=[Touched("aiokafka:gone", ("x",))])
    assert copied() == ["aiokafka:gone no longer uses x"]
    assert moved() == []


def test_modules_and_other_consumers_stay_as_they_are() -> None:
    before = dict(vars(fetcher)), dict(vars(consumer_module)), dict(vars(AIOKafkaConsumer)), dict(vars(fetcher.Fetcher))

    async def fit() -> None:
        fitted, other = AIOKafkaConsumer(), AIOKafkaConsumer()
        RawFetch(fitted)
        assert fitted.start.__func__ is not AIOKafkaConsumer.start
        assert other.start.__func__ is AIOKafkaConsumer.start
        await fitted.stop()
        await other.stop()

    asyncio.run(fit())
    after = dict(vars(fetcher)), dict(vars(consumer_module)), dict(vars(AIOKafkaConsumer)), dict(vars(fetcher.Fetcher))
    assert after == before


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"", False),
        (GOOD[:11], False),
        (GOOD[:-1], False),
        (GOOD, True),
        (GOOD + GOOD[:5], True),
        (patched(GOOD, length=-1), True),
        (patched(GOOD, length=2**31 - 1), False),
    ],
)
def test_a_whole_batch_is_told_from_a_part(data: bytes, whole: bool) -> None:
    records = RawRecords(data)
    assert (records.has_next(), records.size_in_bytes()) == (whole, len(data))


def partition_records(data: bytes, offset: int = 0, isolation: int = fetcher.READ_COMMITTED) -> RawPartitionRecords:
    """Make them as aiokafka does."""
    return RawPartitionRecords(
        Limits(), TP, RawRecords(data), [(7, 2)], offset, None, None, check_crcs=True, isolation_level=isolation
    )


@pytest.fixture
def assigned() -> Iterator[SubscriptionState]:
    """A consumer's assignment of one partition, at offset 0."""

    async def assign() -> SubscriptionState:
        state = SubscriptionState(loop=asyncio.get_running_loop())
        state.assign_from_user([TP])
        state.seek(TP, 0)
        return state

    with asyncio.Runner() as runner:
        yield runner.run(assign())


def result_of(state: SubscriptionState, data: bytes) -> FetchResult:
    """What aiokafka's fetcher would keep of a response."""
    assignment = state.subscription.assignment
    records = partition_records(data, assignment.state_value(TP).position)
    return FetchResult(TP, assignment=assignment, partition_records=records, backoff=0)


def test_runs_before_a_bad_batch_are_handed_over_and_the_next_fetch_fails(assigned: SubscriptionState) -> None:
    result = result_of(assigned, GOOD + BAD)
    (run,) = result.getall()
    assert (run.start, run.position, len(run.columns)) == (0, 2, 2)
    assert not result.has_more()
    again = result_of(assigned, BAD)
    with pytest.raises(BadBatchError, match=r"t\[0\] offset 2: its checksum does not match") as caught:
        again.getall()
    assert isinstance(caught.value, CorruptRecordException)
    assert assigned.subscription.assignment.state_value(TP).position == 2


def test_a_run_of_transaction_markers_moves_the_position_and_is_handed_over(assigned: SubscriptionState) -> None:
    result = result_of(assigned, GOOD + batch([Row(0)], 2, producer=7) + marker(ABORT, 7, 3))
    (run,) = result.getall()
    assert isinstance(run, RawRun)
    assert (run.start, run.position, run.columns.offset.tolist()) == (0, 4, [0, 1])
    (empty,) = result_of(assigned, marker(ABORT, 8, 4)).getall()
    assert (empty.start, empty.position, len(empty.columns)) == (4, 5, 0)


def test_aborted_records_are_shown_where_uncommitted_ones_are_asked_for() -> None:
    data = batch([Row(0)], 2, producer=7) + marker(ABORT, 7, 3)
    assert [len(run.columns) for run in partition_records(data, 2, fetcher.READ_UNCOMMITTED)] == [1]
    assert [len(run.columns) for run in partition_records(data, 2)] == [0]


class Scripted:
    """Stands in for a consumer: each partition's answers in their order, an exception to be raised."""

    start = None

    def __init__(self, **answers: list[object]) -> None:
        self.answers = {TopicPartition(topic, 0): answer for topic, answer in answers.items()}

    def assignment(self) -> set[TopicPartition]:
        return set(self.answers)

    async def getmany(self, *asked: TopicPartition, timeout_ms: int, max_records: int) -> dict[TopicPartition, object]:
        assert (max_records, timeout_ms) in {(1, 0), (1, 1)}
        for tp in asked or sorted(self.answers):
            if self.answers[tp]:
                answer = self.answers[tp].pop(0)
                if isinstance(answer, Exception):
                    raise answer
                return {tp: [answer]}
        return {}


def rounds(consumer: Scripted, count: int) -> list[object]:
    """Fetch so many times; what is raised stands in place of what is found."""
    fetch = RawFetch(consumer)

    async def fetch_once() -> object:
        try:
            return {tp.topic: runs for tp, runs in (await fetch.getmany(timeout_ms=1)).items()}
        except KafkaError as error:
            return error

    async def fetch_all() -> list[object]:
        return [await fetch_once() for _ in range(count)]

    return asyncio.run(fetch_all())


def test_a_round_brings_one_run_of_each_partition() -> None:
    assert rounds(Scripted(a=[1, 2], b=[3], c=[]), 3) == [{"a": [1], "b": [3]}, {"a": [2]}, {}]


def test_what_fails_after_runs_were_taken_is_raised_in_the_next_round() -> None:
    bad = BadBatchError("x")
    assert rounds(Scripted(a=[1, 2], b=[bad]), 3) == [{"a": [1]}, bad, {"a": [2]}]
    assert rounds(Scripted(a=[bad, 1]), 2) == [bad, {"a": [1]}]


def test_what_failed_of_a_partition_that_has_gone_is_forgotten() -> None:
    consumer = Scripted(a=[1, 2], b=[BadBatchError("x")])
    fetch = RawFetch(consumer)
    asyncio.run(fetch.getmany(timeout_ms=1))
    del consumer.answers[TopicPartition("b", 0)]
    rest: dict[TopicPartition, list[Any]] = asyncio.run(fetch.getmany(timeout_ms=1))
    assert rest == {TopicPartition("a", 0): [2]}
