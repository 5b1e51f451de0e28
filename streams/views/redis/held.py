"""What should be in Redis, in columns, and which of it is not there yet.

Rows and changes come in from the topics; `gather` works them in and says up to where. What is to be written is a flag
beside what it is of: so it is bounded by the tables, however long Redis is away, and only the latest is ever written.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import numpy as np

from streams.core.columns import Int64s, grown
from streams.core.events import Status, Strategy, Tombstone
from streams.core.limits import NEVER
from streams.kafka.fetch import RawRun
from streams.kafka.strategy_book import Change, Refusal
from streams.topic_names import STRATEGY_CHANGES
from streams.views.redis.changed_rows import BucketLog, UpdateLog
from streams.views.redis.marker import Positions
from streams.views.redis.pairs import Bools, Pairs

LAST_UPDATE: Final = "last_update"
LAST_BUCKET: Final = "last_bucket"
EVERYTHING: Final[Positions] = {}


class Held:
    """The tables, as they are to be read in Redis."""

    def __init__(self, universe_of: Callable[[str], frozenset[str]]) -> None:
        self.universe_of = universe_of
        """The tickers of a strategy that stands."""
        self.tickers: dict[bytes, int] = {}
        self.names: list[bytes] = []
        self.update_ms: Int64s = np.empty(0, np.int64)
        self.updates_to_write: Bools = np.empty(0, np.bool_)
        self.strategies: dict[str, int] = {}
        self.ids: list[str] = []
        self.alive: Bools = np.empty(0, np.bool_)
        """By strategy, whether it stands and is not deleted."""
        self.strategies_to_write: set[int] = set()
        self.pairs = Pairs()
        self.oldest_ms = NEVER
        """Updates before this have been cleaned up, and are not written any more."""
        self.changes_positions: Callable[[], Mapping[int, int]] = dict
        """Up to where `strategy-changes` has been taken, by partition."""
        self._updates: dict[int, UpdateLog] = {}
        self._buckets: dict[int, BucketLog] = {}
        self._changes: list[Change] = []

    def take_rows(self, table: str, run: RawRun) -> None:
        """A run of rows of one of the tables."""
        partition = run.partition
        if table == LAST_UPDATE:
            self._updates.setdefault(partition, UpdateLog(f"{table}[{partition}]")).take(run)
        else:
            made = self._buckets.get(partition)
            if made is None:
                made = self._buckets[partition] = BucketLog(f"{table}[{partition}]", self._strategy)
            made.take(run)

    def take_change(self, change: Change | Refusal) -> None:
        """What became of a strategy. What is refused changes nothing."""
        if isinstance(change, Change):
            self._changes.append(change)

    @property
    def bad_rows(self) -> int:
        """Rows that nobody could read."""
        return sum(log.bad_rows for log in (*self._updates.values(), *self._buckets.values()))

    def read_up_to(self) -> dict[tuple[str, int], int]:
        """Up to where each partition has come in, worked in or not."""
        positions = {(STRATEGY_CHANGES, partition): offset for partition, offset in self.changes_positions().items()}
        for table, logs in ((LAST_UPDATE, self._updates), (LAST_BUCKET, self._buckets)):
            positions |= {(table, partition): log.read_up_to for partition, log in logs.items()}
        return positions

    def gather(self, in_redis: Positions) -> dict[tuple[str, int], int]:
        """Work in all that has come; returns up to where that is. What stands before `in_redis` is there already."""
        positions = {(STRATEGY_CHANGES, partition): offset for partition, offset in self.changes_positions().items()}
        changes, self._changes = self._changes, []
        for change in changes:
            place = (STRATEGY_CHANGES, change.place.partition)
            self._change(change.stands, is_new=change.place.offset >= in_redis.get(place, 0))
        for partition, updates in self._updates.items():
            self._gather_updates(updates, in_redis.get((LAST_UPDATE, partition), 0))
            positions[LAST_UPDATE, partition] = updates.position
        for partition, buckets in self._buckets.items():
            self._gather_buckets(buckets, in_redis.get((LAST_BUCKET, partition), 0))
            positions[LAST_BUCKET, partition] = buckets.position
        return positions

    def write_everything(self) -> None:
        """Redis holds nothing of this, or nobody knows what."""
        self.updates_to_write[: len(self.names)] = True
        self.pairs.to_write[:] = True
        self.strategies_to_write.update(range(len(self.ids)))

    def updates_left(self) -> Int64s:
        """The tickers whose last update is to be written."""
        count = len(self.names)
        return np.flatnonzero(
            self.updates_to_write[:count] & (self.update_ms[:count] >= max(self.oldest_ms, NEVER + 1))
        )

    def pairs_left(self) -> Int64s:
        """The pairs whose last bucket is; those of deleted strategies wait for these to come back."""
        which = np.flatnonzero(self.pairs.to_write)
        return which[self.alive[self.pairs.strategies(which)]]

    def buckets_of(self, strategy: int) -> Iterator[tuple[bytes, int]]:
        """The last bucket of each ticker that a strategy ran with."""
        which = np.arange(len(self.pairs))[self.pairs.of(strategy)]
        tickers, bucket_ms = self.pairs.tickers(which).tolist(), self.pairs.bucket_ms[which].tolist()
        return ((self.names[ticker], bucket) for ticker, bucket in zip(tickers, bucket_ms, strict=True))

    def newest_ms(self) -> int | None:
        """The event clock: the newest update of any ticker."""
        newest = int(self.update_ms[: len(self.names)].max(initial=NEVER))
        return None if newest == NEVER else newest

    def _change(self, stands: Strategy | Tombstone, *, is_new: bool) -> None:
        number = self._strategy(stands.strategy_id)
        alive = isinstance(stands, Strategy) and stands.status is not Status.DELETED
        if is_new:
            self.strategies_to_write.add(number)
            if bool(self.alive[number]) != alive:  # one that is deleted takes its buckets with it, and brings them back
                self.pairs.to_write[self.pairs.of(number)] = True
        self.alive[number] = alive

    def _gather_updates(self, log: UpdateLog, in_redis: int) -> None:
        tickers, ts_ms, offsets = log.changed()
        numbers = self._numbers(tickers)
        changed = self.update_ms[numbers] != ts_ms
        self.update_ms[numbers] = ts_ms
        self.updates_to_write[numbers] |= changed & (offsets >= in_redis)

    def _gather_buckets(self, log: BucketLog, in_redis: int) -> None:
        tickers, row, strategy, bucket_ms, offsets = log.changed()
        if len(row):
            self.pairs.put(strategy, self._numbers(tickers)[row], bucket_ms, (offsets >= in_redis)[row])

    def _numbers(self, tickers: Iterable[bytes]) -> Int64s:
        """A number for each ticker."""
        known = self.tickers
        found = np.fromiter((known.setdefault(name, len(known)) for name in tickers), np.int64)
        if len(known) > len(self.names):
            self.names = list(known)
            self.update_ms = grown(self.update_ms, len(known), NEVER)
            self.updates_to_write = grown(self.updates_to_write, len(known), fill=False)
        return found

    def _strategy(self, strategy_id: str) -> int:
        number = self.strategies.get(strategy_id)
        if number is None:
            number = self.strategies[strategy_id] = len(self.ids)
            self.ids.append(strategy_id)
            self.alive = grown(self.alive, len(self.ids), fill=False)
        return number
