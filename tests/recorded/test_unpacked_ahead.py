"""Responses are unpacked ahead, each partition in its order; what is wrong with one is raised in its place."""

import threading
from collections import deque

import pytest

from streams.kafka.packed_fetch import Packed, PackedPartitionRecords
from streams.kafka.raw_fetch import BadBatchError, RawRecords
from streams.kafka.record_batch import Limits
from streams.kafka.topic_spans import Span
from streams.recorded.fetched_ahead import StoppedError
from streams.recorded.unpacked_ahead import unpacked_ahead
from tests.kafka.batches import TP, Row, batch, patched

LIMITS = Limits(run_records=1, lets_go=True)
PATIENCE_S = 20


class Given:
    """Stands in for what is fetched: the responses of each partition; behind those, nothing comes."""

    def __init__(self, **responses: list[bytes]) -> None:
        self._left = {int(name[1:]): deque(each) for name, each in responses.items()}
        self._at = dict.fromkeys(self._left, 0)
        self.stopped = threading.Event()

    def take(self, partition: int) -> Packed:
        if not self._left[partition]:
            assert self.stopped.wait(PATIENCE_S)
            raise StoppedError
        data = RawRecords(self._left[partition].popleft())
        tp = TP._replace(partition=partition)
        (packed,) = PackedPartitionRecords(
            tp, data, None, self._at[partition], None, None, check_crcs=True, isolation_level=1
        )
        self._at[partition] = packed.position
        return packed

    def give_up(self) -> None:
        self.stopped.set()


def rows(count: int, offset: int) -> bytes:
    return b"".join(batch([Row(0)], offset + at) for at in range(count))


def is_unpacking() -> bool:
    return any(thread.name.startswith("unpacking") for thread in threading.enumerate())


def test_each_partition_comes_run_by_run_in_its_order() -> None:
    given = Given(p0=[rows(3, 0), rows(1, 3)], p1=[rows(2, 0)])
    spans = {0: Span(0, 4), 1: Span(0, 2)}
    with unpacked_ahead(given, spans, LIMITS) as next_run:
        found = [next_run(partition) for partition in (0, 1, 1, 0, 0, 0)]
    assert [(run.partition, run.start, run.position) for run in found] == [
        (0, 0, 1),
        (1, 0, 1),
        (1, 1, 2),
        (0, 1, 2),
        (0, 2, 3),
        (0, 3, 4),
    ]
    assert not is_unpacking()


def test_a_bad_batch_is_raised_in_its_place() -> None:
    given = Given(p0=[rows(2, 0) + patched(rows(1, 2), crc=1)])
    with unpacked_ahead(given, {0: Span(0, 9)}, LIMITS) as next_run:
        assert [next_run(0).position, next_run(0).position] == [1, 2]
        with pytest.raises(BadBatchError, match="offset 2"):
            next_run(0)
    assert not is_unpacking()


def test_where_nobody_reads_on_nothing_is_waited_for() -> None:
    given = Given(p0=[rows(1, 0)], p1=[])
    with unpacked_ahead(given, {0: Span(0, 9), 1: Span(0, 9)}, LIMITS) as next_run:
        assert next_run(0).position == 1
        assert not given.stopped.is_set()
    assert given.stopped.is_set()
    assert not is_unpacking()
