"""Faust's consumer without the thread that Faust gives it: it runs in the event loop of the worker, as all else does.

A thread of its own would fetch while the loop decides, but both need the interpreter's lock (GIL), and whoever wants
it waits for the end of the other's turn: after every answer of the broker, and after every packet that is sent. At
50,000 ticks/s that was a part of every round of fetching and sending; ARCHITECTURE.md has the figures. The heartbeats
of the group are sent from this loop too, so nothing may hold it up for longer than a session: what takes long is done
in threads (`asyncio.to_thread`), or before the worker joins (`warm.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import faust.transport.drivers.aiokafka as driver
from mode import Service
from mode.threads import ServiceThread
from mode.utils.futures import maybe_async

from streams.kafka.touched import no_longer_used

if TYPE_CHECKING:
    from faust.transport.consumer import ThreadDelegateConsumer


TOUCHED_NAMES: Final[dict[Callable[..., Any], tuple[str, ...]]] = {
    Service.start: ("_default_start",),
    Service.stop: ("_stopped_set", "_stop_children", "_stop_futures", "_stop_exit_stacks", "wait_for_shutdown"),
    ServiceThread.maybe_start: ("_thread_started",),
    ServiceThread._shutdown_thread: (  # noqa: SLF001 - that is the point
        "on_thread_stop",
        "_default_stop_children",
        "_default_stop_futures",
        "_default_stop_exit_stacks",
    ),
    driver.AIOKafkaConsumerThread.getmany: ("call_thread",),
}
"""Inside Faust and mode: how a service starts and ends, and how it is called, with a thread around it."""


def moved() -> list[str]:
    """Name what an upgrade has moved; nothing, if this file still fits."""
    return no_longer_used(TOUCHED_NAMES)


class ConsumerInLoop(driver.AIOKafkaConsumerThread):
    """See the head of this file."""

    wait_for_shutdown = False
    """There is no thread whose end would have to be waited for."""

    def __init__(self, consumer: "ThreadDelegateConsumer", *, loop: Any = None, **kwargs: Any) -> None:  # noqa: ANN401 - as Faust makes it
        own = loop or asyncio.get_event_loop()
        super().__init__(consumer, loop=own, thread_loop=own, **kwargs)

    async def start(self) -> None:
        """Start here."""
        self._thread_started.set()
        await self._default_start()

    async def stop(self) -> None:
        """End here."""
        await Service.stop(self)

    async def call_thread(self, fun: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as Faust has it
        """Call it: this is its loop."""
        return await maybe_async(fun(*args, **kwargs))

    def _stopped_set(self) -> None:
        self._stopped.set()

    async def _stop_children(self) -> None:
        await self.on_thread_stop()
        await self._default_stop_children()

    async def _stop_futures(self) -> None:
        await self._default_stop_futures()

    async def _stop_exit_stacks(self) -> None:
        await self._default_stop_exit_stacks()
