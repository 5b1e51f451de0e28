"""Responses that come packed hold what raw fetch makes of them, and who unpacks one finds what is wrong with it."""

import asyncio

import pytest
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.consumer.subscription_state import SubscriptionState

from streams.kafka.packed_fetch import Packed, PackedPartitionRecords
from streams.kafka.raw_fetch import BadBatchError, RawPartitionRecords, RawRecords
from streams.kafka.record_batch import Limits
from tests.kafka.batches import ABORT, COMMIT, TP, Row, Seen, batch, marker, patched, seen_in

GOOD = batch([Row(0), Row(1)], 0)
ABORTED = batch([Row(0)], 2, producer=7) + marker(ABORT, 7, 3)
REST = batch([Row(0), Row(4)], 4) + batch([Row(0)], 9, producer=8) + marker(COMMIT, 8, 10)
BAD = patched(batch([Row(0)], 2), crc=1)
FEW = Limits(run_records=1)


def packed_of(data: bytes, offset: int = 0, isolation: int = fetcher.READ_COMMITTED) -> Packed:
    """Take a response as aiokafka does."""
    records = PackedPartitionRecords(
        TP, RawRecords(data), [(7, 2)], offset, None, None, check_crcs=True, isolation_level=isolation
    )
    (packed,) = records
    assert records.next_fetch_offset == packed.position
    return packed


def spans(packed: Packed) -> list[tuple[int, int]]:
    return [(run.start, run.position) for run in packed.runs(FEW)]


@pytest.mark.parametrize("isolation", [fetcher.READ_COMMITTED, fetcher.READ_UNCOMMITTED])
@pytest.mark.parametrize("offset", [0, 1, 4, 5, 10])
def test_it_holds_what_raw_fetch_makes_of_it(offset: int, isolation: int) -> None:
    data = GOOD + ABORTED + REST
    raw = RawPartitionRecords(
        FEW, TP, RawRecords(data), [(7, 2)], offset, None, None, check_crcs=True, isolation_level=isolation
    )
    packed, found = packed_of(data, offset, isolation), list[Seen]()
    at = packed.start
    for run in packed.runs(FEW):
        assert (run.topic, run.partition, run.start) == (TP.topic, TP.partition, at)
        at, found = run.position, found + seen_in(run.columns)
    assert found == [each for run in raw for each in seen_in(run.columns)]
    assert (packed.start, packed.position, at) == (offset, 11, 11)


def test_aiokafka_goes_on_behind_it_as_soon_as_it_is_taken() -> None:
    async def taken() -> tuple[list[Packed], bool, int]:
        state = SubscriptionState(loop=asyncio.get_running_loop())
        state.assign_from_user([TP])
        state.seek(TP, 0)
        assignment = state.subscription.assignment
        records = PackedPartitionRecords(
            TP, RawRecords(GOOD), None, 0, None, None, check_crcs=True, isolation_level=fetcher.READ_COMMITTED
        )
        result = FetchResult(TP, assignment=assignment, partition_records=records, backoff=0)
        return result.getall(), result.has_more(), assignment.state_value(TP).position

    (packed,), more, position = asyncio.run(taken())
    assert (packed.data, packed.aborted, more, position) == (GOOD, (), False, 2)


def test_a_batch_with_another_checksum_is_found_behind_the_runs_before_it() -> None:
    packed, found = packed_of(GOOD + BAD), list[tuple[int, int]]()
    with pytest.raises(BadBatchError, match=r"t\[0\] offset 2: its checksum does not match"):
        found.extend((run.start, run.position) for run in packed.runs(FEW))
    assert found == [(0, 2)]


def test_where_the_end_of_a_batch_cannot_be_told_the_next_fetch_begins_with_it() -> None:
    old = patched(batch([Row(0)], 2), magic=1)
    assert packed_of(GOOD + old).position == 2
    again = packed_of(old, 2)
    assert (again.start, again.position) == (2, 2)
    with pytest.raises(BadBatchError, match="it is not in format 2"):
        spans(again)


def test_a_batch_that_the_broker_cut_short_is_left_to_the_next_fetch() -> None:
    packed = packed_of(GOOD + BAD[:-1])
    assert (packed.position, spans(packed)) == (2, [(0, 2)])
