"""What a shard needs of the worker around it, and what it tells of its work."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from streams.core.shard import Shard
from streams.instruments import Done, Held, Instruments, summed
from streams.kafka.checkpoint import Observe
from streams.kafka.deciding import Decided
from streams.kafka.fetch import Bounds
from streams.kafka.outbox import Patience
from streams.kafka.run_queue import Room

log = logging.getLogger(__name__)


class Surroundings(NamedTuple):
    """What a shard needs of the worker around it."""

    topic: str
    seek: Callable[[int, int], Awaitable[None]]
    """To a partition and an offset."""
    bounds: Callable[[int], Awaitable[Bounds]]
    """Of a partition."""
    instruments: Instruments
    committed: Callable[[int, int, Done], None]
    """Told of each checkpoint: partition, position, and what it made true."""
    observe: Observe
    room: Room
    """What may wait here for a checkpoint."""
    interval_s: float = 0.0
    """Between two transactions of a shard."""
    patience: Patience = Patience()


def say_lost(around: Surroundings, partition: int, offset: int, goes_on: int) -> None:
    """Say loudly that the broker has deleted what was not read yet."""
    log.error(
        "shard %d: the broker has deleted ticks %d to %d before they were read; it goes on at %d. "
        "Lengthen retention.ms of %s",
        *(partition, offset, goes_on - 1, goes_on, around.topic),
    )
    around.instruments.lost(around.topic, partition, goes_on - offset)


def report(around: Surroundings, partition: int, gathered: Sequence[Decided], seconds: float) -> None:
    """Tell what a checkpoint made true, all of it in one go."""
    done = summed([each.done for each in gathered], seconds)
    around.instruments.done(done)
    for each in gathered:
        for reason, count in each.refused.items():
            around.instruments.dead_letters(around.topic, reason, count)
    around.committed(partition, gathered[-1].emission.position, done)


def say_held(around: Surroundings, partition: int, shard: Shard) -> None:
    """Tell what a shard holds. This looks at every strategy: now and then, and not with each checkpoint."""
    index = shard.index
    around.instruments.held(Held(around.topic, partition, index.tickers.count, index.pairs, index.nbytes))
