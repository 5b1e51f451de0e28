"""Sends executions before the transactions that know of them: at least once, for all shards of a worker together.

What shards hand in while one attempt is on its way goes out with the next, one batch for each partition. So a worker
sends as often as the broker answers, however many shards it has. A shard that sends what no broker takes is told
so, and the others do not suffer for it.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from streams.kafka.producing import Keyed, MakeProducer, Producing, RefusedError, spread, unsure
from streams.kafka.sending import NO_ANSWER, given_up

GATHER_S: Final = 0.003
"""From one attempt to the next: shards that decide at the same time send together."""


class Waiting(NamedTuple):
    """What a shard wants to be sent, and where it waits for that."""

    executions: Sequence[Keyed]
    sent: asyncio.Future[None]


class Ahead(Producing):
    """See the head of this file."""

    transactional = False

    def __init__(self, make_producer: MakeProducer, compression: str, timeout_s: float) -> None:
        super().__init__(make_producer, compression, timeout_s)
        self._waiting: list[Waiting] = []
        self._sending: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()
        self._is_sound = False
        self._next_s = 0.0

    async def open(self) -> None:
        """Start a producer, unless there is one with which nothing has gone wrong yet."""
        async with self._opening:
            if not self._is_sound:
                await super().open()
                self._is_sound = True

    async def close(self) -> None:
        """End it, for all shards."""
        sending, self._sending, self._is_sound = self._sending, None, False
        if sending is not None:
            await given_up([sending])
        await super().close()

    async def send(self, executions: Sequence[Keyed]) -> None:
        """Returns when all of it is acknowledged. Raises `UnsureError` where it may be out, or not: send it again."""
        mine = Waiting(executions, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._work())
        await mine.sent

    async def _work(self) -> None:
        """Send what waits, until nothing does."""
        while self._waiting:
            together: Sequence[Waiting] = ()
            try:
                await asyncio.sleep(max(0.0, self._next_s - time.monotonic()))
                self._next_s = time.monotonic() + GATHER_S
                together, self._waiting = self._waiting, []
                await self._send_together(together)
            except asyncio.CancelledError:
                for each in (*together, *self._waiting):
                    each.sent.cancel()
                self._waiting.clear()
                raise

    async def _send_together(self, together: Sequence[Waiting]) -> None:
        """And one by one, where one of them is refused."""
        error = await self._failure(together)
        if isinstance(error, RefusedError) and len(together) > 1:
            for each in together:
                settle([each], await self._failure([each]))
        else:
            settle(together, error)

    async def _failure(self, together: Sequence[Waiting]) -> Exception | None:
        """Send; returns what went wrong."""
        keyed = [each for waiting in together if not waiting.sent.done() for each in waiting.executions]
        try:
            if not self._is_sound:
                await self.open()
            await self._within_time(self._send(spread(keyed)))
        except NO_ANSWER as error:  # to `open`; what becomes of sending comes in words of our own
            return unsure(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the shards are told
            self._is_sound = False
            return error
        return None


def settle(together: Sequence[Waiting], error: Exception | None) -> None:
    """Tell those who still wait."""
    for _, sent in together:
        if sent.done():
            continue
        if error is None:
            sent.set_result(None)
        else:
            sent.set_exception(error)
