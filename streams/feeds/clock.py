"""Sends the time to every shard, again and again: for a feed that knows that nothing has been traded.

A shard that has ticks takes no harm: stream time only rises.
"""

from collections.abc import Callable
from typing import NamedTuple

from streams.feeds.sender import DELIVERY_TIMEOUT_S, STOPPED_TIMEOUT_S, Outlet, Wait


class SentClock(NamedTuple):
    """What became of it."""

    records: int
    not_delivered: int
    last_ms: int
    """The newest time that was sent."""
    problem: str = ""
    """What the broker said of the last one that was not delivered."""


class Pace(NamedTuple):
    """How often, and what the time is."""

    times: int
    every_s: float
    now_ms: Callable[[], int]


def send_clock(outlet: Outlet, value_of: Callable[[int], bytes], pace: Pace, wait: Wait) -> SentClock:
    """Send the time as often as is said, or until told to stop."""
    sent, last_ms, stopped = 0, 0, False
    for count in range(pace.times):
        last_ms = pace.now_ms()
        for partition in range(outlet.partitions):
            outlet.send_to(partition, value_of(last_ms), last_ms)
            sent += 1
        stopped = wait(pace.every_s if count + 1 < pace.times else 0)
        if stopped:
            break
    lost = outlet.close(STOPPED_TIMEOUT_S if stopped else DELIVERY_TIMEOUT_S + 1)
    return SentClock(sent, lost, last_ms, outlet.problem)
