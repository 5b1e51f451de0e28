"""Emissions cut where strategies turn: they do so between two of them only."""

from collections.abc import Iterator, Sequence

from streams.core.shard import Shard
from streams.core.turning import alone
from tests.core.histories import Change, Event, ticks_of


def between_turns(shard: Shard, events: Sequence[Event]) -> Iterator[list[Event]]:
    """The events, in as many parts as that takes. The shard must take each before it is asked for the next."""
    turning, left = alone(shard), list(events)
    while left:
        ticks = ticks_of(shard.index.tickers, [each for each in left if not isinstance(each, Change)])
        free = turning.free(ticks, begun=False).ticks or len(left)  # a change stands alone
        yield left[:free]
        left = left[free:]
