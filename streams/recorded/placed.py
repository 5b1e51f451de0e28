"""Ticks of a topic in the order of a replay, and where each stands."""

from collections.abc import Sequence
from typing import Final, Generic, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from streams.replay.picked import part_of, picked
from streams.replay.picked import together as batches_together
from streams.replay.tick_columns import Int32s, Int64s, TickBatch

Floats = npt.NDArray[np.float64]

NO_SIZE: Final = -(1 << 63)
"""Stands for a size that the writer has not said; a price that is not said is no number."""


class Refused(NamedTuple):
    """A record that is no tick."""

    partition: int
    offset: int
    reason: str
    detail: str


class Ticks(NamedTuple):
    """What is decided."""

    batch: TickBatch
    """The rows are offsets."""
    partition: Int32s


class Placed(NamedTuple):
    """The same with all that is to be kept of it."""

    ticks: Ticks
    order_ms: Int64s
    """By this partitions are merged: the newest time so far in the tick's partition."""
    price: Floats
    size: Int64s

    def __len__(self) -> int:
        return len(self.order_ms)

    def part(self, start: int, end: int) -> "Placed":
        """A run of them."""
        ticks, cut = self.ticks, slice(start, end)
        part = Ticks(part_of(ticks.batch, start, end), ticks.partition[cut])
        return Placed(part, self.order_ms[cut], self.price[cut], self.size[cut])


def merged(parts: Sequence[Placed]) -> Placed:
    """Parts of several partitions, in the order of these, by time."""
    if len(parts) == 1:
        return parts[0]
    order_ms = np.concatenate([part.order_ms for part in parts])
    order = np.argsort(order_ms, kind="stable")
    batch = picked(batches_together([part.ticks.batch for part in parts]), order)
    partition = np.concatenate([part.ticks.partition for part in parts])[order]
    price = np.concatenate([part.price for part in parts])[order]
    size = np.concatenate([part.size for part in parts])[order]
    return Placed(Ticks(batch, partition), order_ms[order], price, size)


class Waits(Protocol):
    """Ticks of one partition that are to be merged with those of others."""

    @property
    def order_ms(self) -> Int64s:
        """By this: it never falls."""

    def __len__(self) -> int: ...

    def part(self, start: int, end: int) -> Self:
        """A run of them."""


Waiting = TypeVar("Waiting", bound=Waits)


class Merging(Generic[Waiting]):
    """Merges partitions as their ticks come in: by time, then by partition, then by offset."""

    def __init__(self, partitions: Sequence[int]) -> None:
        self._waiting: dict[int, Waiting | None] = dict.fromkeys(sorted(partitions))

    @property
    def lacking(self) -> list[int]:
        """The partitions that are open, and of which nothing waits: nothing goes on without them."""
        return [partition for partition, waiting in self._waiting.items() if waiting is None]

    @property
    def is_open(self) -> bool:
        """Whether anything waits, or may come."""
        return bool(self._waiting)

    def add(self, partition: int, ticks: Waiting) -> None:
        """Take ticks of a partition that lacked some."""
        assert self._waiting[partition] is None, "only what lacks ticks is given some"
        if len(ticks):
            self._waiting[partition] = ticks

    def close(self, partition: int) -> None:
        """No more comes of a partition that lacks ticks."""
        assert self._waiting[partition] is None, "as above"
        del self._waiting[partition]

    def take(self) -> list[Waiting]:
        """All that comes before the end of what ends first, by partition; nothing may be lacking."""
        waiting = {partition: ticks for partition, ticks in self._waiting.items() if ticks is not None}
        assert len(waiting) == len(self._waiting) > 0, "else what comes first is not known"
        last_ms, last = min((int(ticks.order_ms[-1]), partition) for partition, ticks in waiting.items())
        taken = []
        for partition, ticks in waiting.items():
            side: str = "right" if partition <= last else "left"
            count = int(np.searchsorted(ticks.order_ms, last_ms, side))  # type: ignore[call-overload] # one of the two
            if count:
                taken.append(ticks.part(0, count))
            self._waiting[partition] = ticks.part(count, len(ticks)) if count < len(ticks) else None
        return taken
