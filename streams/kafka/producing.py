"""A producer of our own batches: opened anew rather than mended; how sending failed it says in our words."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any, ClassVar, Final, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from streams.core.records import EncodedRecords, by_partition, concatenated
from streams.kafka.dead_letters import Letter
from streams.kafka.laid_out_batch import LaidOutBatch, batches
from streams.kafka.sending import NO_ANSWER, OnItsWay, all_of, end_of, ended, let_go_of

BATCH_BYTES: Final = 900_000
"""One batch, before compression; brokers take one MiB unless told otherwise."""

OPENING_S: Final = 8.0
"""What a producer may take to start. After a bounce, one was seen asking for its coordinator for ever."""


class Outgoing(NamedTuple):
    """Records for one partition of one topic."""

    topic: str
    partition: int
    records: EncodedRecords


class Keyed(NamedTuple):
    """Records for one topic, each for the partition that its key hashes to."""

    topic: str
    partitions: int
    records: EncodedRecords


class Letters(NamedTuple):
    """Dead letters for one partition of one topic, each with the time of what it tells of."""

    topic: str
    partition: int
    letters: Sequence[tuple[Letter, int]]


class FencedError(Exception):
    """Another worker owns the shard now. What this one has decided since is void."""


class RefusedError(Exception):
    """The broker will never take it; the message says why, and what to do."""


class UnsureError(Exception):
    """The checkpoint may or may not have happened; `Transaction.happened` finds out."""


REMEDIES: Final[Mapping[type[KafkaError], str]] = {
    MessageSizeTooLargeError: "raise max.message.bytes of the topic; `tickgate topics apply` does",
    RecordListTooLargeError: "raise max.message.bytes of the topic; `tickgate topics apply` does",
    InvalidTopicError: "mend TICKGATE_TOPIC_PREFIX or TICKGATE_APP_ID",
    ClusterAuthorizationFailedError: "allow this user to write idempotently",
    TopicAuthorizationFailedError: "allow this user to write to the topic",
    TransactionalIdAuthorizationFailed: "allow this user the transactional ids that begin with the group's name",
}
NEVER_TAKEN: Final = tuple(REMEDIES)
"""Answers that a second attempt would get too, and what to do."""


def unsure(error: Exception) -> UnsureError:
    """Say that it is not known, and after what."""
    return UnsureError(f"{type(error).__name__}: {error}")


def told_why(error: KafkaError) -> str:
    """What the broker refuses, and the remedy."""
    return f"the broker refuses it: {type(error).__name__}: {error}; {REMEDIES[type(error)]}"


def spread(keyed: Sequence[Keyed]) -> list[Outgoing]:
    """All of them by their partitions, in the order they were in; what goes to one partition is in one piece."""
    by_topic: dict[tuple[str, int], list[EncodedRecords]] = {}
    for each in keyed:
        by_topic.setdefault((each.topic, each.partitions), []).append(each.records)
    return [
        Outgoing(topic, partition, records)
        for (topic, partitions), parts in by_topic.items()
        for partition, records in by_partition(concatenated(parts) if parts[1:] else parts[0], partitions)
    ]


MakeProducer = Callable[[], AIOKafkaProducer]
Sent = tuple[str, int]
"""A topic and a partition that was sent to."""


class Producing:
    """Whatever sends by a producer of its own."""

    transactional: ClassVar[bool]

    def __init__(self, make_producer: MakeProducer, compression: str, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._make_producer, self._compression = make_producer, compression
        self._producer: AIOKafkaProducer | None = None

    async def open(self) -> None:
        """Step 1. The producer before, if any, is not used again."""
        await self._end()
        producer = self._make_producer()
        try:
            async with asyncio.timeout(min(OPENING_S, self.timeout_s)):
                await producer.start()
        except BaseException:
            await ended(producer)
            raise
        self._producer = producer

    async def close(self) -> None:
        """An open transaction is left to be fenced, or to time out."""
        await self._end()

    async def _end(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await ended(producer)

    async def _within_time(self, attempt: Coroutine[Any, Any, object]) -> None:
        """Run an attempt, and say in our words how it failed."""
        try:
            async with asyncio.timeout(self.timeout_s):
                await attempt
        except ProducerFenced as error:
            raise FencedError(f"another worker has taken the shard over ({error})") from error
        except NEVER_TAKEN as error:
            raise RefusedError(told_why(error)) from error
        except NO_ANSWER as error:
            raise unsure(error) from error

    async def _send(self, outgoing: Sequence[Outgoing], letters: Sequence[Letters] = ()) -> dict[Sent, int]:
        """Send, and wait until all of it is acknowledged; returns where each partition then ends."""
        if not letters:  # a task for each is a good part of what it costs to send little
            return await self._send_records(outgoing)
        ends, *_ = await all_of([self._send_records(outgoing), *map(self._send_letters, letters)])
        return ends

    async def _send_records(self, outgoing: Sequence[Outgoing]) -> dict[Sent, int]:
        """The records of each partition in their order, batch by batch, the next while one is on its way."""
        made: dict[Sent, list[Iterator[LaidOutBatch]]] = {}
        for topic, partition, records in outgoing:
            made.setdefault((topic, partition), []).append(self._batches(records))
        on_their_way: dict[Sent, list[OnItsWay]] = {place: [] for place in made}
        try:
            for side_by_side in zip_longest(*map(chain.from_iterable, made.values())):
                for place, batch in zip(made, side_by_side, strict=True):
                    if batch is not None:
                        sent = await self._ready.send_batch(batch, place[0], partition=place[1])
                        on_their_way[place].append((sent, batch.record_count()))
            return {place: await end_of(sent) for place, sent in on_their_way.items()}
        except BaseException:
            let_go_of([each for sent in on_their_way.values() for each in sent])
            raise

    def _batches(self, records: EncodedRecords) -> Iterator[LaidOutBatch]:
        return batches(records, compression=self._compression, transactional=self.transactional, max_bytes=BATCH_BYTES)

    async def _send_letters(self, letters: Letters) -> dict[Sent, int]:
        """Dead letters are few, and have headers: record by record."""
        on_their_way = []
        left = list(letters.letters)
        while left:
            batch = self._ready.create_batch()
            while left:
                letter, ts_ms = left[0]
                if batch.append(timestamp=ts_ms, key=letter.key, value=letter.value, headers=letter.headers) is None:
                    break
                del left[0]
            sent = await self._ready.send_batch(batch, letters.topic, partition=letters.partition)
            on_their_way.append((sent, batch.record_count()))
        return {(letters.topic, letters.partition): await end_of(on_their_way)}

    @property
    def _ready(self) -> AIOKafkaProducer:
        assert self._producer is not None, "open() comes first"
        return self._producer
