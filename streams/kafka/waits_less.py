"""A service of Faust's that makes no task for what has nothing to wait for.

To hand one event over, Faust's consumer makes five tasks: one to let the loop turn, and four to wait for whatever is
first of the event's being taken, a rebalance and the end. But an event is nearly always taken at once. At 50,000
ticks/s, with an event for each fetch, these were a part of every round.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from inspect import iscoroutine
from typing import Any, Final

import faust.transport.consumer as base
from mode import Service
from mode.services import WaitResults

from streams.kafka.touched import no_longer_used

TOUCHED_NAMES: Final[dict[Callable[..., Any], tuple[str, ...]]] = {
    base.Consumer._drain_messages: ("sleep", "wait_first", "callback", "suspend_flow"),  # noqa: SLF001 - that is the point
    Service.sleep: ("_stopped", "wait_for"),
    Service.wait_first: ("ensure_future", "_stopped", "_crashed", "WaitResults"),
}
"""Inside Faust and mode: who waits so, and by what."""


def moved() -> list[str]:
    """Name what an upgrade has moved; nothing, if this file still fits."""
    return no_longer_used(TOUCHED_NAMES)


class WaitsLess:
    """See the head of this file; it stands before the service among the bases."""

    async def sleep(self, n: Any) -> None:  # noqa: ANN401 - as mode has it
        """Let the loop turn once, where no more is asked for."""
        await (super().sleep(n) if n else asyncio.sleep(0))  # type: ignore[misc]  # of the service

    async def wait_first(self, *coros: Any, timeout: Any = None) -> WaitResults:  # noqa: ANN401, ASYNC109 - as mode has it
        """Begin with the first; only if that has to wait, whatever else is first is waited for."""
        if not coros or not iscoroutine(coros[0]):
            return await self._first(*coros, timeout=timeout)
        try:
            waits_for = coros[0].send(None)
        except StopIteration as end:
            for unasked in filter(iscoroutine, coros[1:]):
                unasked.close()
            return WaitResults([coros[0]], [end.value], stopped=False)
        return await self._first(Begun(coros[0], waits_for), *coros[1:], timeout=timeout)

    async def _first(self, *coros: Any, timeout: Any) -> WaitResults:  # noqa: ANN401, ASYNC109 - as above
        found: WaitResults = await super().wait_first(*coros, timeout=timeout)  # type: ignore[misc]  # of the service
        return found


class Begun:
    """A coroutine that has come to its first wait, to be awaited from there."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:  # noqa: ANN401 - whatever it is
        self._coroutine, self._waits_for = coroutine, waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        """Go on with it, wait by wait."""
        coroutine, waits_for = self._coroutine, self._waits_for
        while True:
            try:
                go_on = partial(coroutine.send, (yield waits_for))
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's, to be cancelled by for one
                go_on = partial(coroutine.throw, error)
            try:
                waits_for = go_on()
            except StopIteration as end:
                return end.value
