"""Time for shards that have fallen quiet: their owner writes one clock record when something of them is due.

When that is, `core/clock.py` says. Here is what reads the time and sends. The record comes back as any other does, and
only then moves the shard. Until then the shard has been asked for, and no second one is written.

A worker that was frozen, and writes for a shard that is another's by now, does no harm. A clock record is input,
whoever wrote it: every owner takes it at the same place, once. It says no more than that so much time has passed as
has, since the last record that its writer saw; if more has come since, stream time is there already.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from aiokafka import AIOKafkaProducer

from streams.core.clock import record_ms
from streams.core.limits import NEVER
from streams.errors import in_words
from streams.kafka.owned_shard import OwnedShard
from streams.kafka.sending import NO_ANSWER, ended
from streams.kafka.shards import Shards

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.05
AGAIN_S: Final = 1.0
"""Between two attempts."""

SENDING_S: Final = 10.0
"""So long without an answer, and it may be there or not: it is sent again, which does no harm."""


class QuietShards:
    """Looks after them."""

    def __init__(
        self,
        shards: Shards,
        topic: str,
        value_of: Callable[[int], bytes],
        make_producer: Callable[[], AIOKafkaProducer],
    ) -> None:
        self._shards, self._topic, self._value_of = shards, topic, value_of
        self._make_producer = make_producer
        self._producer: AIOKafkaProducer | None = None
        self._asked: dict[OwnedShard, float] = {}
        """Of shards that a record was written for: when they had last heard something by then."""

    async def work(self) -> None:
        """Look, for good."""
        try:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                try:
                    await self.look(time.monotonic())
                except NO_ANSWER as error:
                    log.warning("clock records cannot be written: %s", in_words(error))
                    await self._close()
                    await asyncio.sleep(AGAIN_S)
        finally:
            await self._close()

    async def look(self, now_s: float) -> None:
        """Write what is due at this moment."""
        owned = dict(self._shards.owned)
        still = [each for each in owned.values() if self._asked.get(each) == each.clock.heard_s]
        self._asked = {each: each.clock.heard_s for each in still}
        for partition, shard in owned.items():
            ts_ms = NEVER if shard in self._asked else due_record_ms(shard, now_s)
            if ts_ms != NEVER:
                heard_s = shard.clock.heard_s
                await self._send(partition, ts_ms)
                self._asked[shard] = heard_s

    async def _send(self, partition: int, ts_ms: int) -> None:
        async with asyncio.timeout(SENDING_S):
            if self._producer is None:
                producer = self._make_producer()
                self._producer = producer
                await producer.start()
            await self._producer.send_and_wait(
                self._topic, self._value_of(ts_ms), partition=partition, timestamp_ms=ts_ms
            )

    async def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await ended(producer)


def is_quiet(shard: OwnedShard) -> bool:
    """Whether all that there is of its inputs, as far as is known, is in a checkpoint."""
    idle = shard.idle_at >= shard.end and shard.clock.idle_at >= 0 and not shard.news.waiting
    return idle and (shard.committed, shard.clock.committed) == (shard.next_offset, shard.clock.next_offset)


def due_record_ms(shard: OwnedShard, now_s: float) -> int:
    """The time that a shard is to be moved to at this moment; NEVER while it has work, or waits for nothing."""
    if shard.deciding is None or not is_quiet(shard):
        return NEVER
    state = shard.deciding.shard
    return record_ms(state.stream_ms, state.next_due_ms, int(1000 * (now_s - shard.clock.heard_s)))
