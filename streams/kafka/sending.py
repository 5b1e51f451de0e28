"""Small steps of sending: several at once of which none is left behind, and a producer ended in bounded time."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

NO_ANSWER: Final = (KafkaError, TimeoutError, OSError)
"""After any of these nobody knows what has arrived."""

CLOSING_S: Final = 1.0
"""What is left to a producer that is not needed any more to say goodbye."""


async def all_of(coroutines: Sequence[Coroutine[Any, Any, int]]) -> list[int]:
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


async def end_of(on_their_way: Sequence[tuple[Any, int]]) -> int:
    """Wait for the acknowledgements of batches; the offset behind the last record."""
    acknowledged = await asyncio.gather(*(future for future, _ in on_their_way))
    return int(acknowledged[-1].offset) + on_their_way[-1][1] if acknowledged else 0


async def ended(producer: AIOKafkaProducer) -> None:
    """Stop a producer, whatever state it is in, in bounded time."""
    with contextlib.suppress(*NO_ANSWER):
        async with asyncio.timeout(CLOSING_S):
            await producer.stop()


async def woken_within(wake: asyncio.Event, seconds: float | None) -> None:
    """Wait until it is set from now on, or for so long; None: for as long as it takes."""
    wake.clear()
    if seconds is None:
        await wake.wait()
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wake.wait()
