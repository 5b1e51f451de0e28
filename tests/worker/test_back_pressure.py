"""While the broker takes nothing, a shard holds a bounded number of runs, and asks for no more; then it goes on."""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from streams.core.records import NO_RECORDS
from streams.instruments import Done, Unheard
from streams.kafka.checkpoint import Emission, unobserved
from streams.kafka.deciding import Decided
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.outbox import MOST_BEHIND
from streams.kafka.owned_shard import OwnedShard
from streams.kafka.producing import Outgoing
from streams.kafka.run_queue import Room
from streams.kafka.surroundings import Surroundings
from tests.holes.stage import TICKS, run_of
from tests.kafka.shard_stage import all_free

RUNS, TICKS_OF_A_RUN, MAX_RUNS = 300, 3, 4
END = RUNS * TICKS_OF_A_RUN
MANY_TURNS = 6_000
"""Of the event loop: far more than all that can go on needs."""


class StuckTransaction:
    """Commits nothing until it is let go."""

    partition = 0
    observe = staticmethod(unobserved)

    def __init__(self) -> None:
        self.goes = asyncio.Event()

    def stands(self, changelog_end: int) -> None: ...

    async def commit(self, _: Emission) -> None:
        await self.goes.wait()

    async def close(self) -> None: ...


class ReadyAhead:
    """Acknowledges at once."""

    async def send(self, executions: Sequence[object]) -> None: ...

    async def close(self) -> None: ...


class Decides:
    """Decides at once, and holds nothing."""

    turning = SimpleNamespace(has_to_tell=False)
    shard = SimpleNamespace(
        index=SimpleNamespace(tickers=SimpleNamespace(count=0), pairs=0, nbytes=0), shadow=None, together=nullcontext
    )
    has_closed = has_more = False

    def __init__(self) -> None:
        self.decided: list[int] = []

    async def decide(self, runs: Sequence[RawRun], position: int, *_: object, with_rows: bool = True) -> Decided:
        self.decided.append(sum(len(run.columns) for run in runs))
        rows = [Outgoing("rows", 0, NO_RECORDS)] if with_rows else []
        return Decided(Emission([], [], rows, position), self.decided[-1], Done(0.0), {}, all_free())


def around(committed: list[int]) -> Surroundings:
    async def nothing(*_: object) -> Any:
        raise AssertionError("nobody has cause to ask")

    def note(_partition: int, position: int, _done: Done) -> None:
        committed.append(position)

    return Surroundings(
        TICKS.topic, "clock", nothing, nothing, Unheard(), note, unobserved, Room(MAX_RUNS, 1 << 20, TICKS_OF_A_RUN)
    )


@pytest.mark.parametrize(("ahead", "most_decided"), [(None, 2), (ReadyAhead(), MOST_BEHIND + 3)], ids=["eo", "alo"])
def test_what_waits_is_bounded_while_nothing_can_be_committed(ahead: Any, most_decided: int) -> None:
    async def main() -> None:
        stuck, deciding, committed = StuckTransaction(), Decides(), list[int]()
        shard = OwnedShard(0, stuck, ahead, around(committed))  # type: ignore[arg-type]
        shard.restored(deciding, None, 0, {})  # type: ignore[arg-type]
        shard.start(0, Bounds(0, END))
        taken = 0

        async def feed() -> None:
            nonlocal taken
            for start in range(0, END, TICKS_OF_A_RUN):
                while not shard.wants_more:  # noqa: ASYNC110 - as the fetch asks before it fetches
                    await asyncio.sleep(0)
                await shard.put(run_of(TICKS, start, start + TICKS_OF_A_RUN))
                taken += 1

        feeding = asyncio.create_task(feed())
        for _ in range(MANY_TURNS):
            await asyncio.sleep(0)
        assert len(shard._runs) == MAX_RUNS
        assert not shard.wants_more, "the rest stays with the broker"
        assert len(deciding.decided) <= most_decided
        assert taken == len(deciding.decided) + MAX_RUNS
        assert committed == []

        stuck.goes.set()
        await feeding
        await shard.drain()
        assert (committed[-1], sum(deciding.decided)) == (shard.committed, shard.committed)
        assert shard.committed >= taken * TICKS_OF_A_RUN - MAX_RUNS * TICKS_OF_A_RUN

    asyncio.run(main())
