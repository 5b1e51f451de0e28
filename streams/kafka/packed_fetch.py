"""Whole fetch responses out of aiokafka, packed as they came: whoever takes one unpacks it, in what thread they like.

`raw_fetch.py` unpacks a response run by run in the event loop, and the partition is asked for again when the last of
them has been taken: right for who reads what has just come. Whoever reads a day has the next response on its way while
this one is unpacked; it takes each as it comes, and so the next is asked for at once.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher

from streams.kafka.fetch import RawRun
from streams.kafka.raw_fetch import RawRecords, bad_batch, fit, runs_of
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


class PackedPartitionRecords:
    """Holds the bytes, in place of aiokafka's PartitionRecords. It takes them for one record."""

    def __init__(  # noqa: PLR0913, PLR0917 - as aiokafka makes its own
        self,
        tp: TopicPartition,
        records: RawRecords,
        aborted_transactions: Sequence[tuple[int, int]] | None,
        fetch_offset: int,
        key_deserializer: object,  # noqa: ARG002 - bytes stay bytes
        value_deserializer: object,  # noqa: ARG002 - as above
        check_crcs: bool,  # noqa: FBT001
        isolation_level: int,
    ) -> None:
        self.next_fetch_offset = fetch_offset
        aborted = (aborted_transactions or ()) if isolation_level == fetcher.READ_COMMITTED else ()
        position = behind(records.data, fetch_offset)
        self._left = [Packed(tp, fetch_offset, position, records.data, aborted, bool(check_crcs))]

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Packed:
        if not self._left:
            raise StopIteration
        self.next_fetch_offset = self._left[0].position
        return self._left.pop()


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
