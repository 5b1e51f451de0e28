"""The clock records of one shard, on their way to it, and for how long the shard has been quiet.

They come as the ticks do, each run only behind the one before, and are taken between two checkpoints, before the ticks
of the next one. Records are few: what waits here is bounded all the same.
"""

import time
from collections.abc import Sequence
from typing import Final

from streams.core.limits import NEVER
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.run_queue import Room, RunQueue
from streams.kafka.surroundings import Surroundings, going_on_at, may_go_on_at

ROOM: Final = Room(runs=64, nbytes=1 << 20, ticks=10_000)
"""What may wait; and so many records, or one run, are taken at once."""


class ClockIntake:
    """See the head of this file."""

    def __init__(self, partition: int, around: Surroundings) -> None:
        self.partition = partition
        self.next_offset = NEVER
        """Where the next run must start."""
        self.committed = NEVER
        """How far the last checkpoint came."""
        self.heard_s = 0.0
        """When something of the shard came last, clock or tick, by the clock that only goes forward."""
        self._around = around
        self._is_open = False
        self._runs = RunQueue(ROOM)

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def wants_more(self) -> bool:
        """Whether runs should be fetched."""
        return self._is_open and not self._runs.is_full

    @property
    def idle_at(self) -> int:
        """Where it waits for records; -1 while it has some, or takes none."""
        return self.next_offset if self._is_open and not self._runs else -1

    def start(self, offset: int, bounds: Bounds) -> None:
        """The input goes on from here; raises `RefusedError` where it cannot."""
        self.next_offset = self.committed = going_on_at(
            self._around, self._around.clock, self.partition, offset, bounds
        )
        self._is_open = True
        self.heard()

    def close(self) -> None:
        """No more is taken, nor wanted of what waits."""
        self._is_open = False
        self._runs.clear()

    def heard(self) -> None:
        """Something has come."""
        self.heard_s = time.monotonic()

    async def put(self, run: RawRun) -> None:
        """Take a run, if it is the next."""
        if not self._is_open or run.position <= self.next_offset:
            return
        if run.start != self.next_offset and not await may_go_on_at(self._around, run, self.next_offset):
            return
        self.next_offset = run.position
        self._runs.put(run)
        self.heard()

    def take(self) -> list[RawRun]:
        """Those that the shard takes now."""
        return self._runs.take()

    def put_back(self, runs: Sequence[RawRun]) -> None:
        """Those that it could not take yet."""
        self._runs.put_back(runs)
