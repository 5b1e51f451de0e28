"""Which partitions this consumer holds: how they come, what is committed of them, and how they are let go.

When one comes, a bounded stretch before its committed offset is read again, only to be remembered: a repeat of what
an earlier owner handed out is left out too. When one goes, what is under way ends first, and is committed.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from streams.consumer.limits import Limits
from streams.consumer.seen import Seen
from streams.consumer.under_way import UnderWay
from streams.errors import in_words

log = logging.getLogger(__name__)


class Bounds(NamedTuple):
    """What the broker says of a partition."""

    committed: int | None
    first: int
    end: int


def resume_at(bounds: Bounds, place: str, *, from_end: bool) -> int:
    """The first offset that this group has not handled."""
    committed, first, end = bounds
    if committed is None:
        return end if from_end else first
    if committed > end:
        log.warning(
            "%s ends at %d, before the committed offset %d: it was made anew, and is read whole", place, end, committed
        )
        return first
    if committed < first:
        log.warning(
            "%s begins at %d: the broker deleted what came since the committed offset %d", place, first, committed
        )
        return first
    return committed


class Holding(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    """The partitions that are ours."""

    def __init__(self, consumer: AIOKafkaConsumer, limits: Limits, *, from_end: bool) -> None:
        self._consumer, self._limits, self._from_end = consumer, limits, from_end
        self._held: dict[TopicPartition, UnderWay] = {}
        self._left: dict[TopicPartition, UnderWay] = {}
        """Those that were let go, as long as they may come back with the next assignment."""
        self._committing = asyncio.Lock()
        self.failure: Exception | None = None
        """What went wrong where nobody could be told: aiokafka only logs what its listeners raise."""

    def get(self, partition: TopicPartition) -> UnderWay | None:
        """A partition that is ours, and has been placed; None for any other."""
        return self._held.get(partition)

    @property
    def partitions(self) -> list[int]:
        """Those that are ours."""
        return sorted(tp.partition for tp in self._held)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:  # noqa: ARG002 - all are
        """End and commit what is under way before the group goes on; aiokafka calls this, and waits for it."""
        await self.let_go()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Find out where to begin; aiokafka calls this, and may fetch meanwhile: what is not placed is not taken."""
        try:
            bounds = await self._asked(assigned)
        except (KafkaError, IllegalStateError) as error:
            self.failure = error
            return
        for tp, found in bounds.items():
            under_way = self._placed(tp, found)
            self._consumer.seek(tp, under_way.read_to)
            self._held[tp] = under_way
        self._left.clear()
        log.info("holds the partitions %s", self.partitions)

    async def let_go(self) -> None:
        """Begin nothing more, wait for what is under way, commit what is done."""
        going = dict(self._held)
        self._held.clear()
        for each in going.values():
            each.let_go = True
        try:
            async with asyncio.timeout(self._limits.hand_over_s):
                for each in going.values():
                    await each.idle.wait()
        except TimeoutError:
            log.warning("what is under way has not ended after %s s: it comes again", self._limits.hand_over_s)
        await self.commit(going)
        self._left = going

    async def commit(self, partitions: dict[TopicPartition, UnderWay] | None = None) -> None:
        """Commit what is done of these partitions, or of all that are ours; one that fails is made up for later."""
        try:
            async with asyncio.timeout(self._limits.commit_within_s), self._committing:
                await self._commit(dict(self._held if partitions is None else partitions))
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            log.warning("offsets are not committed: %s", in_words(error))

    async def _commit(self, partitions: dict[TopicPartition, UnderWay]) -> None:
        offsets = {tp: each.committable for tp, each in partitions.items() if each.committable > each.committed}
        if not offsets:
            return
        await self._consumer.commit(offsets)
        for tp, offset in offsets.items():
            partitions[tp].committed = offset

    async def _asked(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Bounds]:
        wanted: Any = list(partitions)
        if not wanted:
            return {}
        first = await self._consumer.beginning_offsets(wanted)
        end = await self._consumer.end_offsets(wanted)
        return {tp: Bounds(await self._consumer.committed(tp), first[tp], end[tp]) for tp in wanted}

    def _placed(self, tp: TopicPartition, bounds: Bounds) -> UnderWay:
        resume = resume_at(bounds, f"{tp.topic}-{tp.partition}", from_end=self._from_end)
        left = self._left.get(tp)
        if left is not None and left.is_known_to(resume):
            return UnderWay(resume, resume, left.seen)
        start = max(bounds.first, resume - self._limits.look_back_records)
        return UnderWay(start, resume, Seen(self._limits.seen_pairs))
