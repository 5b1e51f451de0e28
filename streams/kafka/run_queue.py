"""Runs of one shard that wait to be decided, and when there are enough of them."""

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from streams.kafka.fetch import RawRun

FEW: Final = 1_000
"""So many ticks are decided in less time than it takes to send what they fire."""


class Room(NamedTuple):
    """What may wait before no more is fetched. Runs that are on their way by then may exceed it."""

    runs: int
    nbytes: int
    ticks: int


class RunQueue:
    """First in, first out."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._runs: deque[RawRun] = deque()
        self.ticks = self.nbytes = 0

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def is_full(self) -> bool:
        """Whether no more should be fetched."""
        return len(self._runs) >= self._room.runs or self.nbytes >= self._room.nbytes

    @property
    def are_few(self) -> bool:
        """Whether nothing is gained by deciding them while others are on their way."""
        return self.ticks < FEW and not self.is_enough

    @property
    def is_enough(self) -> bool:
        """Whether a checkpoint need not wait for more."""
        return self.is_full or self.ticks >= self._room.ticks

    def put(self, run: RawRun) -> None:
        """At the end."""
        self._runs.append(run)
        self.ticks += len(run.columns)
        self.nbytes += run.columns.buffer.nbytes

    def put_back(self, runs: Sequence[RawRun]) -> None:
        """In front again, in their order."""
        self._runs.extendleft(reversed(runs))
        self.ticks += sum(len(run.columns) for run in runs)
        self.nbytes += sum(run.columns.buffer.nbytes for run in runs)

    def take(self) -> list[RawRun]:
        """Those that wait, up to the bound of ticks; one at least, where there is any."""
        runs: list[RawRun] = []
        ticks = 0
        while self._runs and (not runs or ticks + len(self._runs[0].columns) <= self._room.ticks):
            runs.append(self._runs.popleft())
            ticks += len(runs[-1].columns)
        self.ticks -= ticks
        self.nbytes -= sum(run.columns.buffer.nbytes for run in runs)
        return runs

    def clear(self) -> None:
        """None of them is wanted."""
        self._runs.clear()
        self.ticks = self.nbytes = 0
