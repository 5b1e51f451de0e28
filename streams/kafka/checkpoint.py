"""The checkpoint: what a shard has decided becomes true, all of it or nothing. This module alone sends it.

Exactly once (`Transaction`). The transactional id is made of the group and the input partition, so a new owner
shuts the old one out before it reads anything.

1. Open: start a producer. The broker ends what an earlier owner left open, and takes nothing more of that owner.
2. Begin a transaction.
3. Send the executions and the dead letters, then the rows of the state. The last row is the position in the input.
4. Wait until every batch is acknowledged; one that is not ends the attempt.
5. Commit. Executions, state and position are there together, for whoever reads committed records.
6. Only now has the shard come this far. The offset of the group follows, now and then, for tools that show lag.

At least once (`Ahead`, and then the same). The executions go out by a producer of their own, outside of the
transaction, and are acknowledged before a row is sent that knows of them; whoever reads them need not wait for a
commit. Dead letters, rows and position stay in the transaction, so state is exact here too, and an owner that was
replaced cannot touch it. A crash in between repeats executions that name the same (strategy, ticker, bucket),
and loses none.

An attempt that fails leaves a question: did it happen? Nothing is sent again in the old epoch. A new producer is
opened, which settles what the old one left; then the changelog itself answers. If rows stand behind the last
known one and end in this very position, it happened. If nothing is there, nothing of it is visible, and all of it
is sent anew. If something else is there, another worker has gone on, and this one stops.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
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

from streams.core.records import EncodedRecords
from streams.kafka.changelog_tail import Tail
from streams.kafka.dead_letters import Letter
from streams.kafka.laid_out_batch import batches
from streams.kafka.sending import all_of, end_of, ended, given_up

BATCH_BYTES: Final = 900_000
"""One batch, before compression; brokers take one MiB unless told otherwise."""

OPENING_S: Final = 8.0
"""What a producer may take to start. After a bounce, one was seen asking for its coordinator for ever."""

DECIDED: Final = "decided"
EXECUTIONS_SENT: Final = "executions_sent"
ROWS_SENT: Final = "rows_sent"
BEFORE_COMMIT: Final = "before_commit"
COMMITTED: Final = "committed"
STEPS: Final = (DECIDED, EXECUTIONS_SENT, ROWS_SENT, BEFORE_COMMIT, COMMITTED)
"""The places between two steps where a worker may die, in order."""

Observe = Callable[[str, int, int], None]
"""Called with the step, the partition and the position that the checkpoint leads to."""


def unobserved(_step: str, _partition: int, _position: int) -> None:
    """Nobody looks."""


class Outgoing(NamedTuple):
    """Records for one partition of one topic."""

    topic: str
    partition: int
    records: EncodedRecords


class Letters(NamedTuple):
    """Dead letters for one partition of one topic, each with the time of what it tells of."""

    topic: str
    partition: int
    letters: Sequence[tuple[Letter, int]]


class Emission(NamedTuple):
    """All that one checkpoint makes true."""

    executions: Sequence[Outgoing]
    letters: Sequence[Letters]
    rows: Sequence[Outgoing]
    """Of `last_update`, then of `last_bucket`, whose last row is the position."""
    position: int
    """Where the shard goes on from in its input; the last row says the same."""


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


def told_why(error: KafkaError) -> str:
    """What the broker refuses, and the remedy."""
    return f"the broker refuses it: {type(error).__name__}: {error}; {REMEDIES[type(error)]}"


MakeProducer = Callable[[], AIOKafkaProducer]
Sent = tuple[str, int]
"""A topic and a partition that was sent to."""


class _Producing:
    """A producer of one shard."""

    transactional: ClassVar[bool]

    def __init__(self, make_producer: MakeProducer, compression: str, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._make_producer, self._compression = make_producer, compression
        self._producer: AIOKafkaProducer | None = None

    async def open(self) -> None:
        """Step 1. The producer before, if any, is not used again."""
        await self.close()
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
        producer, self._producer = self._producer, None
        if producer is not None:
            await ended(producer)

    async def _within_time(self, attempt: Coroutine[Any, Any, None]) -> None:
        """Run an attempt, and say in our words how it failed."""
        try:
            async with asyncio.timeout(self.timeout_s):
                await attempt
        except ProducerFenced as error:
            raise FencedError(f"another worker has taken the shard over ({error})") from error
        except NEVER_TAKEN as error:
            raise RefusedError(told_why(error)) from error
        except (KafkaError, TimeoutError, OSError) as error:
            raise UnsureError(f"{type(error).__name__}: {error}") from error

    async def _send(self, outgoing: Sequence[Outgoing], letters: Sequence[Letters] = ()) -> dict[Sent, int]:
        """Send, and wait until all of it is acknowledged; returns where each partition then ends."""
        by_place: dict[Sent, list[EncodedRecords]] = {}
        for each in outgoing:
            by_place.setdefault((each.topic, each.partition), []).append(each.records)
        sending = [self._send_records(place, records) for place, records in by_place.items()]
        ends = await all_of([*sending, *(self._send_letters(each) for each in letters)])
        return dict(zip(by_place, ends, strict=False))

    async def _send_records(self, place: Sent, records: Sequence[EncodedRecords]) -> int:
        """The records of one partition in their order, batch by batch, the next while one is on its way."""
        on_their_way = []
        for each in records:
            made = batches(each, compression=self._compression, transactional=self.transactional, max_bytes=BATCH_BYTES)
            for batch in made:
                sent = await self._ready.send_batch(batch, place[0], partition=place[1])
                on_their_way.append((sent, batch.record_count()))
        return await end_of(on_their_way)

    async def _send_letters(self, letters: Letters) -> int:
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
        return await end_of(on_their_way)

    @property
    def _ready(self) -> AIOKafkaProducer:
        assert self._producer is not None, "open() comes first"
        return self._producer


class Ahead(_Producing):
    """Sends executions before the transaction that knows of them."""

    transactional = False

    async def send(self, executions: Sequence[Outgoing]) -> None:
        """Send, and wait until all of it is acknowledged; raises `UnsureError`: open, and send again."""
        await self._within_time(self._attempt(executions))

    async def _attempt(self, executions: Sequence[Outgoing]) -> None:
        await self._send(executions)


class Transaction(_Producing):
    """Makes the emissions of one shard true, one after the other."""

    transactional = True

    def __init__(
        self, partition: int, make_producer: MakeProducer, tail: Tail, compression: str, timeout_s: float
    ) -> None:
        super().__init__(make_producer, compression, timeout_s)
        self.partition, self._tail, self._changelog_end = partition, tail, 0
        self.observe: Observe = unobserved

    def stands(self, changelog_end: int) -> None:
        """Told where the changelog ended when the shard was recovered."""
        self._changelog_end = changelog_end

    async def commit(self, emission: Emission) -> None:
        """Steps 2 to 5; raises where it is not known to be true."""
        await self._within_time(self._attempt(emission))
        self.observe(COMMITTED, self.partition, emission.position)

    async def _attempt(self, emission: Emission) -> None:
        await self._ready.begin_transaction()
        sending = [
            asyncio.create_task(self._send(emission.executions, emission.letters)),
            asyncio.create_task(self._send(emission.rows)),
        ]
        try:
            await sending[0]
            self._see(EXECUTIONS_SENT, emission)
            ends = await sending[1]
        finally:
            await given_up(sending)
        self._see(ROWS_SENT, emission)
        self._see(BEFORE_COMMIT, emission)
        await self._ready.commit_transaction()
        last = emission.rows[-1]
        self._changelog_end = ends[last.topic, last.partition]

    def _see(self, step: str, emission: Emission) -> None:
        self.observe(step, self.partition, emission.position)

    async def happened(self, emission: Emission) -> bool:
        """After `UnsureError` and `open`: whether it is true after all. Only the changelog knows."""
        position, end = await self._tail.position_behind(self._changelog_end)
        if position is None:
            return False
        if position != emission.position:
            told = f"the changelog says {position}, where only {emission.position} could be"
            raise FencedError(f"another worker has taken the shard over ({told})")
        self._changelog_end = end
        return True


def merged(emissions: Sequence[Emission]) -> Emission:
    """Several emissions as one; the order within each partition stays."""
    return Emission(
        [each for emission in emissions for each in emission.executions],
        [each for emission in emissions for each in emission.letters],
        [each for emission in emissions for each in emission.rows],
        emissions[-1].position,
    )
