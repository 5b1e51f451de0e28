"""What a worker tells of its work: small frozen records, taken by whoever counts. It knows nothing of metrics.

`Unheard` takes them and does nothing; `streams/metrics.py` counts them for Prometheus.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from streams.core.shadow import ShadowCounts


class ShardStatus(NamedTuple):
    """Where one partition of the input stands."""

    topic: str
    partition: int
    state: str
    """One of the states of `streams/kafka/shards.py`."""
    moving: bool
    """Whether it takes what comes; a quiet shard does too."""
    position: int
    """The next offset that it will take."""
    end: int
    """Behind the newest record there is to take, as far as is known."""
    reason: str = ""
    """Why it does not move."""

    @property
    def lag(self) -> int:
        """Records that wait."""
        return max(0, self.end - self.position)


class Counted(NamedTuple):
    """What has been counted since the worker began, beside what checkpoints made true."""

    tickers: int
    """Whose last update is held now."""
    universe_updates: int
    universe_discoveries: int


class Done(NamedTuple):
    """What one checkpoint made true. Counts are of this checkpoint alone."""

    duration_s: float
    ticks: int = 0
    irrelevant: int = 0
    """Ticks that must not move the price."""
    updates: int = 0
    """Ticks that did: each is a ticker's last update."""
    late: int = 0
    """Pairs whose bucket was over."""
    bucket_dup: int = 0
    """Pairs that had fired in the bucket."""
    no_update: int = 0
    """Strategies skipped in a round: no ticker of theirs updated, or a timeframe that does not exist."""
    fired_pairs: int = 0
    executions: int = 0
    corruptions: int = 0
    """Steps that found the update flags corrupt, and looked at every pair."""
    no_bucket: int = 0
    """Pairs with no bucket at the time of the tick: beyond the sessions that are known."""
    looks: int = 0
    """Pairs that were looked at."""
    checks: int = 0
    """Steps that looked at any ticker."""
    processed: int = 0
    """Tickers that they looked at."""
    skipped: int = 0
    """Tickers that they did not look at, as they had no update."""


def saved_ratio(done: Done) -> float:
    """The share of the tickers that update tracking left out."""
    return done.skipped / max(1, done.processed + done.skipped)


def summed(parts: Sequence[Done], duration_s: float) -> Done:
    """What became true in one go, after so long."""
    totals = [sum(counts) for counts in zip(*(part[1:] for part in parts), strict=True)]
    return Done(duration_s, *totals)


class Held(NamedTuple):
    """What a shard holds in memory."""

    topic: str
    partition: int
    tickers: int
    """Those with a last update."""
    pairs: int
    bytes: int


class Instruments(Protocol):
    """Told as it happens, from one thread. Nothing here may raise, wait or decide."""

    def done(self, done: Done) -> None:
        """A checkpoint is true."""

    def dead_letters(self, topic: str, reason: str, count: int) -> None:
        """Records of an input were refused."""

    def lost(self, topic: str, partition: int, count: int) -> None:
        """The broker has deleted records of an input before they were read."""

    def recovered(self, topic: str, partition: int, seconds: float) -> None:
        """A shard's state was read from its changelogs."""

    def shard(self, status: ShardStatus) -> None:
        """Where a shard stands."""

    def held(self, held: Held) -> None:
        """What a shard holds."""

    def let_go(self, topic: str, partition: int) -> None:
        """A shard is another worker's now."""

    def universes(self, sizes: Collection[int]) -> None:
        """How many tickers each active strategy watches; 0 stands for every ticker."""

    def universe_updates(self, count: int) -> None:
        """Versions of strategies that came into force."""

    def cleanup_operations(self, count: int) -> None:
        """Clean-ups of the Redis mirror."""

    def lua_intersections(self, count: int) -> None:
        """Intersections that Redis made itself."""

    def compared(self, more: ShadowCounts) -> None:
        """What both throttles made of the ticks of a shard, since it was told last."""

    def universe_discoveries(self, count: int) -> None:
        """Universes that a worker's used symbols changed."""

    def results(self, status: str, count: int) -> None:
        """Results of executions, by what became of these."""

    def discovery(self, outcome: str, count: int) -> None:
        """What became of reported universes, by one of the outcomes of `streams/core/discovery.py`, or `damped`."""

    def results_lag(self, topic: str, partition: int, lag: int | None) -> None:
        """Results of a partition that wait; None: it is another worker's now."""


class Unheard:
    """Takes everything and counts nothing."""

    def done(self, done: Done) -> None:
        """Nothing."""

    def dead_letters(self, topic: str, reason: str, count: int) -> None:
        """Nothing."""

    def lost(self, topic: str, partition: int, count: int) -> None:
        """Nothing."""

    def recovered(self, topic: str, partition: int, seconds: float) -> None:
        """Nothing."""

    def shard(self, status: ShardStatus) -> None:
        """Nothing."""

    def held(self, held: Held) -> None:
        """Nothing."""

    def let_go(self, topic: str, partition: int) -> None:
        """Nothing."""

    def universes(self, sizes: Collection[int]) -> None:
        """Nothing."""

    def universe_updates(self, count: int) -> None:
        """Nothing."""

    def cleanup_operations(self, count: int) -> None:
        """Nothing."""

    def lua_intersections(self, count: int) -> None:
        """Nothing."""

    def compared(self, more: ShadowCounts) -> None:
        """Nothing."""

    def universe_discoveries(self, count: int) -> None:
        """Nothing."""

    def results(self, status: str, count: int) -> None:
        """Nothing."""

    def discovery(self, outcome: str, count: int) -> None:
        """Nothing."""

    def results_lag(self, topic: str, partition: int, lag: int | None) -> None:
        """Nothing."""
