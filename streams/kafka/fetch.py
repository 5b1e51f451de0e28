"""The port through which records come in, as runs of one partition. Two adapters fill it; tests hold them equal."""

from collections.abc import Collection
from typing import NamedTuple, Protocol

from aiokafka import TopicPartition

from streams.kafka.record_batch import RecordColumns


class RawRun(NamedTuple):
    """What was fetched of one partition, from `start` up to, not including, `position`.

    Runs of a partition form a chain: each starts where the one before ended, unless the consumer sought elsewhere or
    the broker has deleted what was to come. A run may be empty: the position moves over transaction markers too.
    """

    topic: str
    partition: int
    start: int
    position: int
    columns: RecordColumns


class Bounds(NamedTuple):
    """What a partition holds."""

    earliest: int
    end: int


class Fetch(Protocol):
    """Takes runs out of a consumer."""

    async def getmany(
        self, partitions: Collection[TopicPartition] | None = None, *, timeout_ms: int = 0
    ) -> dict[TopicPartition, list[RawRun]]:
        """What has come of these partitions, waiting so long for something to come. None means all, empty none."""
