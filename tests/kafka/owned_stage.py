"""An `OwnedShard` with stand-ins around it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from streams.core.limits import NEVER
from streams.instruments import Done
from streams.kafka import outbox, owned_shard
from streams.kafka.fetch import Bounds
from streams.kafka.owned_shard import OwnedShard
from streams.kafka.run_queue import Room
from streams.kafka.shard_states import State
from streams.kafka.surroundings import Surroundings
from tests.kafka.shard_stage import NotingDeciding, NotingInstruments, NotingTransaction

SECOND = 1
"""A partition of `strategy-changes`."""

HANGS_S = 60
"""Nothing here waits for anything but what a test does next."""


class Stage:
    """A shard and all that it meets."""

    def __init__(
        self, *, ahead: bool = False, max_runs: int = 10, max_ticks: int = 1000, interval_s: float = 0.0
    ) -> None:
        self.transaction, self.deciding = NotingTransaction(), NotingDeciding()
        self.ahead = NotingTransaction() if ahead else None
        self.instruments = NotingInstruments()
        self.bounds = Bounds(0, 0)
        self.sought: list[tuple[Any, ...]] = []
        self.positions: list[int] = []
        """Of the checkpoints that were told of."""
        self.tasks: list[asyncio.Task[Any]] = []
        around = Surroundings(
            "ticks",
            "clock",
            self._seek,
            self._bounds,
            self.instruments,
            self._committed,
            lambda *_: None,
            Room(max_runs, 1 << 20, max_ticks),
            interval_s,
        )
        transaction: Any = self.transaction
        first: Any = self.ahead
        self.shard = OwnedShard(0, transaction, first, around)

    async def _seek(self, topic: str, partition: int, offset: int) -> None:
        self.sought.append((partition, offset) if topic == "ticks" else (topic, partition, offset))

    async def _bounds(self, topic: str, partition: int) -> Bounds:
        assert (topic in {"ticks", "clock"}, partition) == (True, 0)
        return self.bounds

    def _committed(self, _partition: int, position: int, _done: Done) -> None:
        self.positions.append(position)

    @property
    def first(self) -> NotingTransaction:
        """What sends executions ahead."""
        assert self.ahead is not None
        return self.ahead

    @property
    def as_deciding(self) -> Any:
        """The stand-in."""
        return self.deciding

    def starts(self, offset: int, bounds: Bounds | None = None) -> None:
        """The shard is recovered, and takes ticks from here."""
        if self.shard.next_offset == NEVER:
            self.shard.restored(self.as_deciding, None, 0, {})
        self.shard.start(offset, bounds or Bounds(0, offset))

    def state(self) -> State:
        """Now."""
        return self.shard.state

    def moves(self) -> bool:
        """As others see it now."""
        return self.shard.status.moving

    def wants_more(self) -> bool:
        """Now."""
        return self.shard.wants_more

    def task(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let this run beside the story."""
        task = asyncio.create_task(coroutine)
        self.tasks.append(task)
        return task

    async def ended(self) -> None:
        """Let go of everything, in whatever state it is."""
        for free in (self.transaction.free, self.deciding.free, *([self.ahead.free] if self.ahead else [])):
            free.set()
        if self.shard.state is not State.CLOSED:
            await self.shard.drain()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def staged(story: Callable[[Stage], Awaitable[None]], **options: Any) -> None:
    """Let a story run, in which a shard waits for nothing by the clock before it tries again."""

    async def main() -> None:
        stage = Stage(**options)
        async with asyncio.timeout(HANGS_S):
            await story(stage)
            await stage.ended()

    with pytest.MonkeyPatch.context() as patch:
        for module in (outbox, owned_shard):
            patch.setattr(module, "FIRST_WAIT_S", 0.0)
        asyncio.run(main())
