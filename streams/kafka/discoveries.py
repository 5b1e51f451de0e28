"""All partitions of `alert-results` that this worker owns: they come and go with the shards, a run at a time each.

Results reach Faust as ticks do, one event a run. Faust's own way, record by record, loses some: an exception
acknowledges, and a later record commits past one that is still worked on. So the position is kept here, a run is taken
only where it follows the one before (what does not is read again, see `watch.py`), and the group's offset is what is
done with: it follows once a second, and before partitions are let go.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from streams.kafka.discovering import Discovering, Tools
from streams.kafka.fetch import RawRun
from streams.kafka.sending import given_up

log = logging.getLogger(__name__)


class Discoveries:
    """See the head of this file."""

    def __init__(self, tools: Tools, earliest: Callable[[int], Awaitable[int]]) -> None:
        self.topic = tools.topic
        self._tools, self._earliest = tools, earliest
        self._owned: dict[int, Discovering] = {}
        self._fetched: dict[int, int] = {}
        """Of each partition, up to where it was handed to Faust."""
        self._is_open = False
        self._work: asyncio.Task[None] | None = None

    def seeked(self, positions: Mapping[int, int]) -> None:
        """These partitions are ours, and go on from here."""
        self._owned = {partition: Discovering(self._tools, partition, at) for partition, at in positions.items()}
        self._fetched = dict(positions)
        self._is_open = True

    def sought(self, partition: int, offset: int) -> None:
        """A partition is read again from here."""
        self._fetched[partition] = offset

    def wants_more(self, partition: int) -> bool:
        """Whether results should be fetched: one run at a time."""
        owned = self._owned.get(partition)
        return self._is_open and owned is not None and self._fetched[partition] <= owned.at

    def fetched(self, partition: int, position: int) -> None:
        """A run goes on its way."""
        self._fetched[partition] = position

    def committed(self) -> dict[int, int]:
        """Of each partition, up to where results are done with."""
        return {partition: owned.committed for partition, owned in self._owned.items()}

    def ends(self, ends: Mapping[int, int]) -> None:
        """Where partitions end now, as the broker says."""
        for partition, end in ends.items():
            if partition in self._owned and self._is_open:
                lag = max(0, end - self._owned[partition].at)
                self._tools.instruments.results_lag(self.topic, partition, lag)

    def idle_at(self) -> dict[int, int]:
        """Where each partition stands, while nothing is worked on."""
        return {} if self._work is not None or not self._is_open else {p: each.at for p, each in self._owned.items()}

    async def let_go(self) -> None:
        """Begin nothing more, and end what is under way: it comes again to the next owner."""
        self._is_open = False
        if self._work is not None:
            await given_up([self._work])
        await self._tools.announcer.close()
        for partition in self._owned:
            self._tools.instruments.results_lag(self.topic, partition, None)

    async def take(self, run: RawRun) -> None:
        """A run of results, of a partition that is ours; returns when it is worked off, or let go."""
        owned = self._owned.get(run.partition)
        if owned is None or not self._is_open or self._work is not None:
            return
        self._work = asyncio.create_task(self._worked_off(owned, run))
        await asyncio.wait([self._work])
        work, self._work = self._work, None
        error = None if work.cancelled() else work.exception()
        if error is not None:
            log.error("results of partition %d are tried again: %r", run.partition, error, exc_info=error)

    async def _worked_off(self, owned: Discovering, run: RawRun) -> None:
        if run.start > owned.at:
            await self._step_over(owned, run)
        if run.start <= owned.at < run.position:
            await owned.take(run)

    async def _step_over(self, owned: Discovering, run: RawRun) -> None:
        """What the broker has deleted before it was read does not come any more."""
        earliest = await self._earliest(run.partition)
        if earliest > owned.at:
            lost = min(earliest, run.start) - owned.at
            log.error("%s, partition %d: %d were deleted before they were read", self.topic, run.partition, lost)
            self._tools.instruments.lost(self.topic, run.partition, lost)
            owned.at += lost
