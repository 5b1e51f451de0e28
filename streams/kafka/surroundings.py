"""What a shard needs of the worker around it, and what it tells of its work."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from streams.core.shard import Shard
from streams.instruments import Done, Held, Instruments, summed
from streams.kafka.checkpoint import Observe
from streams.kafka.deciding import Decided
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.outbox import Patience
from streams.kafka.producing import RefusedError
from streams.kafka.run_queue import Room
from streams.process import give_back

log = logging.getLogger(__name__)

LARGE_PAIRS: Final = 50_000
"""A checkpoint in which so many fire takes memory that no other needs: it is given back."""

LATER_S: Final = 1.0
"""Behind it, as another may follow at once."""


class Surroundings(NamedTuple):
    """What a shard needs of the worker around it."""

    topic: str
    """Of the ticks."""
    clock: str
    """The topic of the clock records."""
    seek: Callable[[str, int, int], Awaitable[None]]
    """To an offset of a topic's partition."""
    bounds: Callable[[str, int], Awaitable[Bounds]]
    """Of a topic's partition."""
    instruments: Instruments
    committed: Callable[[int, int, Done], None]
    """Told of each checkpoint: partition, position, and what it made true."""
    observe: Observe
    room: Room
    """What may wait here for a checkpoint."""
    interval_s: float = 0.0
    """Between two transactions of a shard."""
    patience: Patience = Patience()


def say_lost(around: Surroundings, topic: str, partition: int, offset: int, goes_on: int) -> None:
    """Say loudly that the broker has deleted what was not read yet."""
    log.error(
        "shard %d: the broker has deleted %s %d to %d before they were read; it goes on at %d. "
        "Lengthen retention.ms of %s",
        *(partition, topic, offset, goes_on - 1, goes_on, topic),
    )
    around.instruments.lost(topic, partition, goes_on - offset)


def going_on_at(around: Surroundings, topic: str, partition: int, offset: int, bounds: Bounds) -> int:
    """Where an input goes on that stands at an offset; raises `RefusedError` where it does not reach so far."""
    if offset > bounds.end:
        told = (
            f"stands at {offset}, behind the end of its partition, {bounds.end}, of {topic}; was the topic made anew?"
        )
        raise RefusedError(f"{told} Take a new TICKGATE_APP_ID, or bring the topic back")
    if offset < bounds.earliest:
        say_lost(around, topic, partition, offset, bounds.earliest)
    return max(offset, bounds.earliest)


async def may_go_on_at(around: Surroundings, run: RawRun, next_offset: int) -> bool:
    """Something is missing in front of a run: seek back, unless it is not there any more."""
    bounds = await around.bounds(run.topic, run.partition)
    if bounds.earliest >= run.start > next_offset:
        say_lost(around, run.topic, run.partition, next_offset, run.start)
        return True
    told = (run.partition, next_offset, run.topic, run.start)
    log.warning("shard %d stands at %d of %s, was handed %d, and seeks", *told)
    await around.seek(run.topic, run.partition, next_offset)
    return False


def report(around: Surroundings, partition: int, gathered: Sequence[Decided], seconds: float) -> None:
    """Tell what a checkpoint made true, all of it in one go."""
    done = summed([each.done for each in gathered], seconds)
    around.instruments.done(done)
    if done.fired_pairs >= LARGE_PAIRS:
        asyncio.get_running_loop().call_later(LATER_S, give_back)
    for each in gathered:
        for (topic, reason), count in each.refused.items():
            around.instruments.dead_letters(topic, reason, count)
    around.committed(partition, gathered[-1].emission.position, done)


def say_held(around: Surroundings, partition: int, shard: Shard) -> None:
    """Tell what a shard holds. This looks at every strategy: now and then, and not with each checkpoint."""
    index = shard.index
    around.instruments.held(Held(around.topic, partition, index.tickers.count, index.pairs, index.nbytes))
    if shard.shadow is not None:
        around.instruments.compared(shard.shadow.more())
