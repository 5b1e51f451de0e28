"""The executions of `alert-executions`, as an async iterator over what is committed, decoded, and not a repeat.

    async with Executions(settings, "my-strategies") as executions:
        async for execution in executions:
            ...

An execution counts as handled when the next one is asked for; only then may it be committed. One at which the loop
breaks off, or raises, comes again at the next start. `finish()` ends the loop when the execution in hand is handled.

A value that cannot be used goes to `on_bad` with its position and the reason, and the rest goes on; without a callback
it is logged. What the callback raises comes out of the iteration, and the value comes again, so that none is lost.
A registry that does not answer is waited for: that says nothing about the value.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.consumer.clients import check_topic, close, make_consumer, schemas_of, warm_up
from streams.consumer.execution import Execution, Position, read_execution
from streams.consumer.holding import Holding
from streams.consumer.limits import Limits
from streams.consumer.under_way import Delivery, UnderWay
from streams.kafka.bad_values import BadValueError, Reason
from streams.kafka.codec import Decoder
from streams.kafka.dead_letters import Refused
from streams.kafka.registry import RegistryDownError
from streams.settings import Settings

log = logging.getLogger(__name__)

OnBad = Callable[[Refused, Reason], Awaitable[None] | None]
"""Takes a value that cannot be used. `dead_letters.dead_letter` makes a record for a topic of such a pair."""

FETCH_WAIT_MS: Final = 1_000
"""Between two looks at whether something went wrong while nothing comes."""


def log_bad(refused: Refused, reason: Reason) -> None:
    """Log a value that cannot be used."""
    log.warning("left out %s: %s", Position(refused.topic, refused.partition, refused.offset), reason)


class Joined(NamedTuple):
    """What there is as long as the consumer is a member of its group."""

    consumer: AIOKafkaConsumer
    holding: Holding
    committer: asyncio.Task[None]


class Executions:
    """Executions for one member of a group. For one reader at a time."""

    def __init__(
        self,
        settings: Settings,
        group: str,
        *,
        limits: Limits | None = None,
        on_bad: OnBad = log_bad,
        start_at: Literal["earliest", "latest"] = "earliest",
    ) -> None:
        """Take where to begin where the group has no offset yet; nothing is asked of the broker yet."""
        self._settings, self._group, self._limits = settings, group, limits or Limits()
        self._on_bad, self._from_end = on_bad, start_at == "latest"
        self._decoder = Decoder(schemas_of(settings), "execution")
        self._joined: Joined | None = None
        self._fetched: deque[tuple[UnderWay, Any]] = deque()
        self._current: Delivery | None = None
        self._finished = asyncio.Event()
        self.repeats = 0
        """Executions left out, since all of each had been handed out."""
        self.bad_values = 0
        """Values that could not be used."""

    async def start(self) -> None:
        """Join the group. Raises `InputError` where that cannot be."""
        topic = self._settings.topics.alert_executions
        await asyncio.to_thread(check_topic, self._settings, topic)
        await asyncio.to_thread(warm_up)
        consumer = make_consumer(self._settings, self._group, self._limits)
        try:
            await consumer.start()
        except BaseException:
            await close(consumer, self._limits.close_within_s)
            raise
        holding = Holding(consumer, self._limits, from_end=self._from_end)
        self._joined = Joined(consumer, holding, asyncio.create_task(self._commit_regularly(holding)))
        consumer.subscribe([topic], listener=holding)

    def finish(self) -> None:
        """Hand out nothing more: the iteration ends, what is under way may end. To be called in the event loop."""
        self._finished.set()

    async def stop(self) -> None:
        """Commit what has been handled, and leave the group, so that others go on at once."""
        self.finish()
        if self._current is not None:
            self._current.give_up()
            self._current = None
        joined, self._joined = self._joined, None
        if joined is None:
            return
        joined.committer.cancel()
        await asyncio.gather(joined.committer, return_exceptions=True)
        await joined.holding.commit()
        await close(joined.consumer, self._limits.close_within_s)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Execution:
        if self._current is not None:
            self._current.done()
            self._current = None
        self._current = await self.take()
        if self._current is None:
            raise StopAsyncIteration
        return self._current.execution

    @property
    def partitions(self) -> list[int]:
        """The partitions that this consumer reads, as far as it knows."""
        return [] if self._joined is None else self._joined.holding.partitions

    async def take(self) -> Delivery | None:
        """The next execution, for whoever says itself when it is done; None when it is over."""
        if self._joined is None and not self._finished.is_set():
            await self.start()
        while not self._finished.is_set():
            while self._fetched and not self._finished.is_set():
                delivery = await self._opened(*self._fetched[0])
                self._fetched.popleft()  # not before: a reader that is cancelled meanwhile may ask again
                if delivery is not None:
                    return delivery
            await self._unless_finished(self._fetch())
        return None

    async def _opened(self, under_way: UnderWay, record: Any) -> Delivery | None:  # noqa: ANN401 - aiokafka's
        """Look at one record; None where there is nothing to hand out of it."""
        position = Position(record.topic, record.partition, record.offset)
        try:
            decoded = await self._decoded(record)
            execution = None if decoded is None else read_execution(decoded, position)
        except BadValueError as error:
            await self._refuse(under_way, record, error.reason)
            return None
        if execution is None or under_way.let_go:
            return None
        new = under_way.seen.unseen(execution)
        if new is None or under_way.is_handled(position.offset):
            self.repeats += not under_way.is_handled(position.offset)
            under_way.pass_by(position.offset)
            return None
        under_way.hand_out(position.offset)
        return Delivery(new, under_way)

    async def _decoded(self, record: Any) -> dict[str, Any] | None:  # noqa: ANN401 - aiokafka's
        """Decode a value, however long the registry takes to answer; None where the end comes first."""
        while not self._finished.is_set():
            try:
                return await self._decoder.adecode(record.value, record.headers)
            except RegistryDownError as error:
                log.warning("waiting for the schema registry: %s", error)
            await self._unless_finished(asyncio.sleep(self._limits.ask_again_s))
        return None

    async def _refuse(self, under_way: UnderWay, record: Any, reason: Reason) -> None:  # noqa: ANN401 - aiokafka's
        """Tell of a value that cannot be used, as part of what is under way."""
        if under_way.let_go or under_way.is_handled(record.offset):
            under_way.pass_by(record.offset)
            return
        self.bad_values += 1
        place = (record.topic, record.partition, record.offset, record.timestamp)
        under_way.hand_out(record.offset)
        try:
            told = self._on_bad(Refused(*place, record.key, record.value, record.headers), reason)
            if told is not None:
                await told
        except BaseException:
            under_way.take_back(record.offset)
            raise
        under_way.settle(record.offset)

    async def _fetch(self) -> None:
        """Take what is there. Between answer and buffer nothing is waited for: no partition comes or goes there."""
        assert self._joined is not None, "only who has started fetches"
        holding = self._joined.holding
        if holding.failure is not None:
            raise holding.failure
        found: dict[TopicPartition, list[Any]] = await self._joined.consumer.getmany(
            timeout_ms=FETCH_WAIT_MS, max_records=self._limits.fetch_records
        )
        for tp, records in found.items():
            under_way = holding.get(tp)
            if under_way is not None:
                self._fetched.extend((under_way, record) for record in records)

    async def _unless_finished(self, wanted: Any) -> None:  # noqa: ANN401 - a coroutine of any kind
        """Wait for it, or for the end."""
        doing, ending = asyncio.ensure_future(wanted), asyncio.ensure_future(self._finished.wait())
        try:
            await asyncio.wait((doing, ending), return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                doing.result()
        finally:
            for each in (doing, ending):
                each.cancel()
            await asyncio.gather(doing, ending, return_exceptions=True)

    async def _commit_regularly(self, holding: Holding) -> None:
        while True:
            await asyncio.sleep(self._limits.commit_every_s)
            await holding.commit()
