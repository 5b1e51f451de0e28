"""Small steps of sending: several at once of which none is left behind, and a producer ended in bounded time."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from itertools import chain
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.producer.message_accumulator import MessageAccumulator, MessageBatch
from aiokafka.producer.sender import Sender

from streams.kafka.touched import no_longer_used

T = TypeVar("T")

NO_ANSWER: Final = (KafkaError, TimeoutError, OSError)
"""After any of these nobody knows what has arrived."""

CLOSING_S: Final = 1.0
"""What is left to a producer that is not needed any more to say goodbye."""

TOUCHED_NAMES: Final = {
    AIOKafkaProducer.stop: ("_sender", "sender_task", "client", "close", "_message_accumulator"),
    Sender._fail_all: ("_message_accumulator", "fail_all"),  # noqa: SLF001 - that is the point
    MessageAccumulator.fail_all: ("_batches", "_pending_batches"),
    MessageBatch.failure: ("future", "_drain_waiter"),
    MessageAccumulator.add_batch: ("shield", "future"),
}
"""Inside aiokafka: what a producer is made of, as far as it is ended here."""


def moved() -> list[str]:
    """Name what an upgrade has moved; nothing, if this file still fits."""
    return no_longer_used(TOUCHED_NAMES)


async def all_of(coroutines: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run them side by side; where one fails, none is left behind."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await given_up(tasks)


async def given_up(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """End those that still run; what they raise has been heard, or does not matter any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def first_of(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Wait for the first to end, end the others, and raise what it raised."""
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await given_up(tasks)
    for task in done:
        task.result()


OnItsWay = tuple[asyncio.Future[Any], int]
"""What a batch waits for, and how many records are in it."""


async def end_of(on_their_way: Sequence[OnItsWay]) -> int:
    """Wait for the acknowledgements of batches; the offset behind the last record. Most come in one answer."""
    end = 0
    try:
        for acknowledged, count in on_their_way:
            end = int((await acknowledged).offset) + count
    except BaseException:
        let_go_of(on_their_way)  # asyncio would complain of what the others raise
        raise
    return end


def let_go_of(on_their_way: Sequence[OnItsWay]) -> None:
    """Wait no more for any; what became of those that have ended has been heard, or does not matter any more."""
    for future, _ in on_their_way:
        if not future.cancel() and not future.cancelled():
            future.exception()


async def ended(producer: AIOKafkaProducer) -> None:
    """Stop a producer, whatever state it is in, in bounded time. What has not arrived by then is not sent any more."""
    try:
        async with asyncio.timeout(CLOSING_S):
            await producer.stop()
    except NO_ANSWER:
        await _cut_off(producer)
    fail_all(producer._message_accumulator)  # noqa: SLF001 - see TOUCHED_NAMES


async def _cut_off(producer: AIOKafkaProducer) -> None:
    """End what aiokafka leaves behind where it could not flush: its sender at work, and its connections open."""
    at_work = producer._sender.sender_task  # noqa: SLF001
    if at_work is not None:
        at_work.cancel()  # it waits for its requests, which end with their connections
    with contextlib.suppress(*NO_ANSWER):
        async with asyncio.timeout(CLOSING_S):
            await producer.client.close()
    await given_up([] if at_work is None else [at_work])


def fail_all(left: MessageAccumulator) -> None:
    """End what has not arrived. Nobody waits for it any more, nor for its place, and asyncio would complain of that.

    Who was cancelled while waiting for a batch had only a shield around what aiokafka ends here.
    """
    batches = [*chain.from_iterable(left._batches.values()), *left._pending_batches]  # noqa: SLF001
    unheard = [future for batch in batches for future in (batch.future, batch._drain_waiter)]  # noqa: SLF001
    left.fail_all(KafkaConnectionError("the producer has been ended"))
    for each in unheard:
        if not each.cancelled():
            each.exception()


async def woken_within(wake: asyncio.Event, seconds: float | None) -> None:
    """Wait until it is set from now on, or for so long; None: for as long as it takes."""
    wake.clear()
    if seconds is None:
        await wake.wait()
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wake.wait()
