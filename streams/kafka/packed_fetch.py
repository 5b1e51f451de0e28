"""Whole fetch responses out of aiokafka, packed as they came: whoever takes one unpacks it, in what thread they like.

`raw_fetch.py` unpacks a response run by run in the event loop, and the partition is asked for again when the last of
them has been taken: right for who reads what has just come. Whoever reads a day has the next response on its way while
this one is unpacked; it takes each as it comes, and so the next is asked for at once.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.kafka.fetch import RawRun
from streams.kafka.raw_fetch import PartitionRecords, bad_batch, fit, runs_of
from streams.kafka.record_batch import Limits, Response, behind


class Packed(NamedTuple):
    """What one fetch brought of one partition: from `start` up to, not including, `position`."""

    tp: TopicPartition
    start: int
    position: int
    data: bytes
    aborted: Sequence[tuple[int, int]]
    check_sums: bool

    def runs(self, limits: Limits) -> Iterator[RawRun]:
        """Unpack it, run by run; raises `BadBatchError` behind those before a batch that cannot be read."""
        response = Response(self.data, self.start, self.aborted, check_sums=self.check_sums, limits=limits)
        yield from runs_of(self.tp, response)
        if response.bad is not None:
            raise bad_batch(self.tp, response.bad)


class PackedPartitionRecords(PartitionRecords[Packed]):
    """Holds the bytes, and takes them for one record."""

    def _read(
        self, tp: TopicPartition, data: bytes, aborted: Sequence[tuple[int, int]], check: int
    ) -> Iterator[Packed]:
        start, self.next_fetch_offset = self.next_fetch_offset, behind(data, self.next_fetch_offset)
        yield Packed(tp, start, self.next_fetch_offset, data, aborted, bool(check))


class PackedFetch:
    """Takes responses out of a consumer that has not been started yet, and hands over nothing else from then on.

    One that is not taken waits, and keeps no other partition from being asked for.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        fit(consumer, PackedPartitionRecords, prefetch_backoff=0)

    async def getmany(
        self, partitions: Collection[TopicPartition], *, timeout_ms: int = 0
    ) -> dict[TopicPartition, list[Packed]]:
        """What has come of these partitions, one response of each at most, waiting so long for something to come.

        A batch that cannot be read is found by who unpacks it; it comes again with each call.
        """
        if not partitions:
            return {}  # aiokafka takes an empty list for all
        found: dict[TopicPartition, list[Packed]] = await self._consumer.getmany(*partitions, timeout_ms=timeout_ms)
        return found
