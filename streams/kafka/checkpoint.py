"""The checkpoint: what a shard has decided becomes true, all of it or nothing. This module alone sends it.

Exactly once (`Transactional`). The transactional id is made of the group and the input partition, so a new owner
shuts the old one out before it reads anything.

1. Open: start a producer. The broker ends what an earlier owner left open, and takes nothing more of that owner.
2. Begin a transaction.
3. Send the executions and the dead letters, then the rows of the state. The last row is the position in the input.
4. Wait until every batch is acknowledged; one that is not ends the attempt.
5. Commit. Executions, state and position are there together, for whoever reads committed records.
6. Only now has the shard come this far. The offset of the group follows, now and then, for tools that show lag.

At least once (`Acknowledged`). The same without 2 and 5, and with an order in 3: the executions are acknowledged
before the first row is sent, so a row never tells of an execution that is not there. A crash in between repeats
executions that name the same (strategy, ticker, bucket), and loses none.

An attempt that fails leaves a question: did it happen? Nothing is sent again in the old epoch. A new producer is
opened, which settles what the old one left; then the changelog itself answers. If rows stand behind the last
known one and end in this very position, it happened. If nothing is there, nothing of it is visible, and all of it
is sent anew. If something else is there, another worker has gone on, and this one stops.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple, Protocol

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

BATCH_BYTES: Final = 900_000
"""One batch, before compression; brokers take one MiB unless told otherwise."""

CLOSING_S: Final = 1.0
"""What is left to a producer that is not needed any more to say goodbye."""

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
    """The checkpoint may or may not have happened; `Checkpoint.happened` finds out."""


class Checkpoint(Protocol):
    """Makes the emissions of one shard true, one after the other."""

    async def open(self) -> None:
        """Shut out earlier owners, and be ready; again after `UnsureError`."""

    def stands(self, changelog_end: int) -> None:
        """Told where the changelog ended when the shard was recovered."""

    async def commit(self, emission: Emission) -> None:
        """Make it true; raises where it is not known to be."""

    async def happened(self, emission: Emission) -> bool:
        """After `UnsureError` and `open`: whether it is true after all; raises `FencedError` where another went on."""

    async def close(self) -> None:
        """Let go of the connection."""


NEVER_TAKEN: Final = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    InvalidTopicError,
    ClusterAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
"""Answers that a second attempt would get too."""

MakeProducer = Callable[[], AIOKafkaProducer]


class Acknowledged:
    """At least once; and what both guarantees share."""

    transactional = False

    def __init__(self, partition: int, make_producer: MakeProducer, tail: Tail, compression: str) -> None:
        self.partition = partition
        self.observe: Observe = unobserved
        self.timeout_s = 30.0
        self._make_producer, self._tail, self._compression = make_producer, tail, compression
        self._producer: AIOKafkaProducer | None = None
        self._changelog_end = 0

    async def open(self) -> None:
        """Step 1. The producer before, if any, is not used again."""
        await self.close()
        producer = self._make_producer()
        try:
            await producer.start()
        except BaseException:
            await ended(producer)
            raise
        self._producer = producer

    def stands(self, changelog_end: int) -> None:
        """The rows of this checkpoint come behind this offset."""
        self._changelog_end = changelog_end

    async def close(self) -> None:
        """An open transaction is left to be fenced, or to time out."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await ended(producer)

    async def commit(self, emission: Emission) -> None:
        """Steps 2 to 5."""
        assert self._producer is not None, "open() comes first"
        try:
            async with asyncio.timeout(self.timeout_s):
                self._changelog_end = await self._attempt(self._producer, emission)
        except ProducerFenced as error:
            raise FencedError(f"another worker has taken the shard over ({error})") from error
        except NEVER_TAKEN as error:
            raise RefusedError(f"the broker refuses it: {type(error).__name__}: {error}") from error
        except (KafkaError, TimeoutError, OSError) as error:
            raise UnsureError(f"{type(error).__name__}: {error}") from error
        self.observe(COMMITTED, self.partition, emission.position)

    async def happened(self, emission: Emission) -> bool:
        """Nothing of an earlier attempt is fenced out here, so it is sent again, whatever of it is there."""
        del emission
        return False

    async def _attempt(self, producer: AIOKafkaProducer, emission: Emission) -> int:
        """Executions first; returns where the changelog ends."""
        await self._send(producer, emission.executions, emission.letters)
        self.observe(EXECUTIONS_SENT, self.partition, emission.position)
        end = await self._send(producer, emission.rows)
        self.observe(ROWS_SENT, self.partition, emission.position)
        self.observe(BEFORE_COMMIT, self.partition, emission.position)
        return end

    async def _send(
        self, producer: AIOKafkaProducer, outgoing: Sequence[Outgoing], letters: Sequence[Letters] = ()
    ) -> int:
        """Send, and wait until all of it is acknowledged; returns the offset behind the last record of the last."""
        sending: list[Coroutine[Any, Any, int]] = [self._send_records(producer, each) for each in outgoing]
        sending += [self._send_letters(producer, each) for each in letters]
        ends = await all_of(sending)
        return ends[len(outgoing) - 1] if outgoing else 0

    async def _send_records(self, producer: AIOKafkaProducer, outgoing: Outgoing) -> int:
        """The records of one partition, batch by batch, the next while the one before is on its way."""
        made = batches(
            outgoing.records, compression=self._compression, transactional=self.transactional, max_bytes=BATCH_BYTES
        )
        on_their_way = [
            (await producer.send_batch(batch, outgoing.topic, partition=outgoing.partition), batch.record_count())
            for batch in made
        ]
        return await end_of(on_their_way)

    async def _send_letters(self, producer: AIOKafkaProducer, letters: Letters) -> int:
        """Dead letters are few, and have headers: record by record."""
        on_their_way = []
        left = list(letters.letters)
        while left:
            batch = producer.create_batch()
            while left:
                letter, ts_ms = left[0]
                if batch.append(timestamp=ts_ms, key=letter.key, value=letter.value, headers=letter.headers) is None:
                    break
                del left[0]
            sent = await producer.send_batch(batch, letters.topic, partition=letters.partition)
            on_their_way.append((sent, batch.record_count()))
        return await end_of(on_their_way)


class Transactional(Acknowledged):
    """Exactly once."""

    transactional = True

    async def _attempt(self, producer: AIOKafkaProducer, emission: Emission) -> int:
        await producer.begin_transaction()
        executions = asyncio.create_task(self._send(producer, emission.executions, emission.letters))
        rows = asyncio.create_task(self._send(producer, emission.rows))
        try:
            await executions
            self.observe(EXECUTIONS_SENT, self.partition, emission.position)
            end = await rows
        finally:
            executions.cancel()
            rows.cancel()
            await asyncio.gather(executions, rows, return_exceptions=True)
        self.observe(ROWS_SENT, self.partition, emission.position)
        self.observe(BEFORE_COMMIT, self.partition, emission.position)
        await producer.commit_transaction()
        return end

    async def happened(self, emission: Emission) -> bool:
        """Ask the changelog."""
        position, end = await self._tail.position_behind(self._changelog_end)
        if position is None:
            return False
        if position != emission.position:
            raise FencedError(
                f"the changelog says {position}, where only {emission.position} could be; another went on"
            )
        self._changelog_end = end
        return True


async def all_of(coroutines: Sequence[Coroutine[Any, Any, int]]) -> list[int]:
    """Run them side by side; where one fails, none is left behind."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def end_of(on_their_way: Sequence[tuple[Any, int]]) -> int:
    """Wait for the acknowledgements of batches; the offset behind the last record."""
    acknowledged = await asyncio.gather(*(future for future, _ in on_their_way))
    return int(acknowledged[-1].offset) + on_their_way[-1][1] if acknowledged else 0


async def ended(producer: AIOKafkaProducer) -> None:
    """Stop a producer, whatever state it is in, in bounded time."""
    with contextlib.suppress(KafkaError, TimeoutError, OSError):
        async with asyncio.timeout(CLOSING_S):
            await producer.stop()
