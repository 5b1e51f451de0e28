"""Of several processes that could make proposals one does; the others stand by. A consumer group says which.

The group reads a topic of one partition, and nothing of it: whoever holds that partition has the seat. One that dies
loses it with its session, one that leaves gives it up at once, when what is under way has ended. That two believe to
have it, as one that was frozen may for a moment, does no harm: the later one has shut the earlier one out of its
transactions, and who is shut out waits a session, for the group to tell who it is.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Final, Never

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from streams.errors import in_words
from streams.kafka.producing import FencedError, RefusedError, UnsureError
from streams.kafka.security import for_aiokafka
from streams.kafka.sending import CLOSING_S, NO_ANSWER, given_up
from streams.settings import Settings

log = logging.getLogger(__name__)

POLL_MS: Final = 500
AGAIN_S: Final = 1.0
"""After trouble with the broker."""

HAND_OVER_S: Final = 5.0
"""For what is under way when the seat is given up; what has not ended by then is as if it had never begun."""

Work = Callable[[asyncio.Event], Awaitable[None]]
"""What is done in the seat, until the event is set: it returns when all is done, and is called again after trouble."""


def group_of(settings: Settings) -> str:
    """The group, and the id of the transactions: one for each environment, as its topics are."""
    return f"{settings.topic_prefix}proposals"


class Seat(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    """A place in the group."""

    def __init__(self, settings: Settings, topic: str, work: Work, told: Callable[[str], None]) -> None:
        """`told` hears why it does not go on; what is worked on is told elsewhere."""
        self._settings, self._topic, self._work, self._told = settings, topic, work, told
        self._leaving, self._sitting = asyncio.Event(), asyncio.Future[None]()
        self._task: asyncio.Task[None] | None = None
        self._consumer: AIOKafkaConsumer | None = None

    async def until_done(self) -> None:
        """Take the seat whenever it is ours, until the work is done; raises what nothing can be done about here."""
        holding = asyncio.create_task(self._hold())
        try:
            await asyncio.wait((holding, self._sitting), return_when=asyncio.FIRST_COMPLETED)
            if not self._sitting.done():
                holding.result()  # raises what ended it
            await self._sitting
        finally:
            await self._stand_up()
            await given_up([holding])

    async def on_partitions_revoked(self, _: Collection[TopicPartition]) -> None:
        """Stand up; aiokafka calls this, and waits for it, before the group goes on."""
        await self._stand_up()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Sit down, where the partition is among them; aiokafka calls this."""
        assert self._consumer is not None, "it is what calls"
        self._consumer.pause(*assigned)
        if not assigned:
            log.info("another process makes the proposals; this one stands by")
            self._told("")
            return
        self._leaving = asyncio.Event()
        self._task = asyncio.create_task(self._sit(self._leaving))

    async def _hold(self) -> Never:
        """Be a member of the group for good."""
        while True:
            consumer = self._consumer = self._make_consumer()
            try:
                await consumer.start()
                consumer.subscribe([self._topic], listener=self)
                while True:
                    await consumer.getmany(timeout_ms=POLL_MS)
            except NO_ANSWER as error:
                log.warning("the group cannot be joined at the moment: %s", in_words(error))
                self._told(in_words(error))
            finally:
                await self._stand_up()
                await _closed(consumer)
            await asyncio.sleep(AGAIN_S)

    async def _sit(self, leaving: asyncio.Event) -> None:
        """Work, again after each trouble, until the seat is given up or all is done."""
        while not leaving.is_set():
            try:
                await self._work(leaving)
            except FencedError as error:
                await self._troubled(leaving, error, self._settings.session_timeout_ms / 1000)
            except (UnsureError, RefusedError, *NO_ANSWER) as error:
                await self._troubled(leaving, error, self._settings.heartbeat_ms / 1000)
            except Exception as error:  # noqa: BLE001 - whoever waits for the seat gets it
                self._end(error)
                return
            else:
                if not leaving.is_set():
                    self._end(None)
                return

    async def _troubled(self, leaving: asyncio.Event, error: Exception, wait_s: float) -> None:
        self._told(in_words(error))
        log.warning("proposals do not go on at the moment: %s", in_words(error))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await leaving.wait()

    def _end(self, error: Exception | None) -> None:
        if self._sitting.done():
            return
        if error is None:
            self._sitting.set_result(None)
        else:
            self._sitting.set_exception(error)

    async def _stand_up(self) -> None:
        task, self._task = self._task, None
        if task is None or task.done():
            return
        self._leaving.set()
        await asyncio.wait([task], timeout=HAND_OVER_S)
        await given_up([task])

    def _make_consumer(self) -> AIOKafkaConsumer:
        settings = self._settings
        return AIOKafkaConsumer(
            bootstrap_servers=settings.broker.split(","),
            group_id=group_of(settings),
            enable_auto_commit=False,
            auto_offset_reset="latest",
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.heartbeat_ms,
            **for_aiokafka(settings),
        )


async def _closed(consumer: AIOKafkaConsumer) -> None:
    """Leave; a broker that does not answer is not waited for for long."""
    try:
        async with asyncio.timeout(CLOSING_S):
            await consumer.stop()
    except NO_ANSWER as error:
        log.info("left the broker without its answer: %s", in_words(error))
