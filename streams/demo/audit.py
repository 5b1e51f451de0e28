"""Was anything lost or repeated? Makes the ticks that were sent once more, decides them here, and compares.

Nothing of the worker's is asked: the ticks come out of the plan, as the feed made them, and go through the core by
themselves, partition by partition. When the feed has ended, clock records move the time on: what whole strategies fire
by that may be there, or not yet.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from streams.core.events import Strategy
from streams.core.plan import decode_plan
from streams.core.records import EncodedRecords, by_partition
from streams.core.shard import Shard, Ticks
from streams.core.tick_columns import clock_ticks
from streams.feeds.encoded_ticks import SCHEMA_ID, TickEncoder
from streams.feeds.sender import crc32_of
from streams.feeds.synthetic import Plan, parts, ticker_names
from streams.kafka.partitions import Homes
from streams.kafka.registry import FileSchemas
from streams.reference_data import load_conditions

WHOLE_UNIVERSE: Final = "universe"
"""The scope of an execution that names no tickers."""


class Pair(NamedTuple):
    """What may fire once. `ticker` is empty where the whole universe runs."""

    strategy_id: str
    ticker: str
    bucket_ms: int


class Given(NamedTuple):
    """What the worker was given."""

    plan: Plan
    ticks: int
    """The first so many of the plan."""
    strategies: Sequence[Strategy]
    """In force before the first tick."""
    partitions: int
    """Of the topic of ticks."""
    clock: Sequence[tuple[int, int]] = ()
    """Partition and time of each clock record."""


class Audit(NamedTuple):
    """What came out, held against what must come out."""

    expected: int
    lost: int
    """Pairs that must fire and did not."""
    repeated: int
    """Fires of a pair beyond its first."""
    unexpected: int
    """Pairs that fired and must not."""
    same_ticks: bool
    """Whether the ticks made here are those that were sent, to the byte."""

    @property
    def passed(self) -> bool:
        """Whether all is as it must be."""
        return self.same_ticks and not (self.lost or self.repeated or self.unexpected)

    def __str__(self) -> str:
        told = f"lost {self.lost:,}, repeated {self.repeated:,}"
        told += f", not expected {self.unexpected:,}" if self.unexpected else ""
        told += "" if self.same_ticks else "; the ticks sent are not those of the plan"
        return f"{told}, of {self.expected:,} pairs"


def pairs_of(execution: Mapping[str, Any]) -> list[Pair]:
    """The pairs that an execution says have fired."""
    tickers = [""] if execution["scope"] == WHOLE_UNIVERSE else execution["tickers"]
    return [Pair(execution["strategy_id"], ticker, execution["bucket_ms"]) for ticker in tickers]


def audited(given: Given, crc32: str, fired: Mapping[Pair, int]) -> Audit:
    """Hold what fired, and how often, against what was given; `crc32` is what the feed says of its ticks."""
    encoder = TickEncoder(ticker_names(given.plan.tickers))
    shards = shards_of(given)
    expected = set(expected_pairs(given, shards))
    possible = {pair for partition, ts_ms in given.clock for pair in _named(shards[partition], clock_ticks([ts_ms]))}
    return Audit(
        expected=len(expected),
        lost=len(expected - fired.keys()),
        repeated=sum(fired.values()) - len(fired),
        unexpected=len(fired.keys() - expected - possible),
        same_ticks=crc32_of(given.plan, encoder, given.ticks) == crc32,
    )


def expected_pairs(given: Given, shards: Sequence[Shard]) -> Iterator[Pair]:
    """Every pair that must fire. The shards take all ticks."""
    encoder = TickEncoder(ticker_names(given.plan.tickers))
    left = given.ticks
    for part in parts(given.plan):
        records = encoder.records(part)
        first = records.picked(np.arange(min(left, records.count)))
        left -= first.count
        if not first.count:
            return
        for partition, its in by_partition(first, given.partitions):
            yield from _fired(shards[partition], its)


def shards_of(given: Given) -> list[Shard]:
    """One for each partition, as the worker has them."""
    return [_shard(partition, given) for partition in range(given.partitions)]


def _shard(partition: int, given: Given) -> Shard:
    """One that decides as the worker's shard of this partition does."""
    homes = Homes(given.partitions)

    def is_here(key: str) -> bool:
        return homes[key] == partition

    shard = Shard(load_conditions(), owns=is_here, is_home=is_here)
    for strategy in given.strategies:
        shard.change(strategy)
    return shard


def _fired(shard: Shard, records: EncodedRecords) -> Iterator[Pair]:
    plan = decode_plan(FileSchemas().schema(SCHEMA_ID))
    ticks, faults = shard.from_values(records.data, records.value_start, records.value_end, plan, SCHEMA_ID)
    assert not faults.any(), "the feed sends only ticks that are sound"
    yield from _named(shard, ticks)


def _named(shard: Shard, ticks: Ticks) -> Iterator[Pair]:
    for fire in shard.named(shard.step(ticks)):
        yield Pair(fire.strategy_id, fire.ticker, fire.bucket_ms)
