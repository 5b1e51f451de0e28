"""Two shards and what they write, handed over as the topics would bring it; and what Redis must hold then."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from streams.core.columns import Ticks
from streams.core.events import Status, Strategy, Tombstone
from streams.core.records import EncodedRecords
from streams.core.shard import Shard
from streams.core.state_rows import StateRows
from streams.core.tables import last_buckets, number_of
from streams.kafka.fetch import RawRun
from streams.kafka.partitions import partition_of
from streams.kafka.record_batch import RecordColumns
from streams.kafka.strategy_book import Change, Place
from streams.reference_data import load_conditions
from streams.topic_names import STRATEGY_CHANGES
from streams.views.redis.held import LAST_BUCKET, LAST_UPDATE, Held

PARTITIONS = 2
START_MS = 1_760_000_000_000 // 60_000 * 60_000


class View(NamedTuple):
    """What stands in Redis, or should."""

    updates: dict[str, int]
    universes: dict[str, set[str]]
    lasts: dict[str, dict[str, int]]


def run_of(table: str, partition: int, start: int, rows: EncodedRecords) -> RawRun:
    """Rows as a fetch brings them, behind them a transaction's marker."""
    count = rows.count
    spans = (rows.key_start, rows.key_end, rows.value_start, rows.value_end)
    nothing = np.zeros((2, count), np.int64)
    columns = RecordColumns(rows.data, np.arange(start, start + count), rows.ts_ms, *spans, *nothing)
    return RawRun(table, partition, start, start + count + 1, columns)


class Shards:
    """What ticks make of strategies, and the changelogs of both tables, kept whole."""

    def __init__(self, strategies: Sequence[Strategy], tickers: Sequence[str], seed: int = 7) -> None:
        self.rng = random.Random(seed)
        self.tickers = list(tickers)
        self.shards = [Shard(load_conditions()) for _ in range(PARTITIONS)]
        self.rows = [StateRows(shard) for shard in self.shards]
        self.ends = {(table, p): 0 for table in (LAST_UPDATE, LAST_BUCKET) for p in range(PARTITIONS)}
        self.runs: list[RawRun] = []
        self.changes: list[Change] = []
        self.standing: dict[str, Strategy] = {}
        self.second = 0
        for strategy in strategies:
            self.change(strategy)

    def change(self, strategy: Strategy) -> None:
        """A version, as every shard and the topic get it."""
        before = self.standing.get(strategy.strategy_id)
        strategy = replace(strategy, version=before.version + 1 if before else 1)
        self.standing[strategy.strategy_id] = strategy
        for shard in self.shards:
            shard.change(strategy)
        self._told(strategy)

    def forget(self, strategy_id: str) -> None:
        """The tombstone of a strategy, behind the version that deletes it."""
        self.change(replace(self.standing[strategy_id], status=Status.DELETED))
        del self.standing[strategy_id]
        self._told(Tombstone(strategy_id))

    def _told(self, stands: Strategy | Tombstone) -> None:
        self.changes.append(Change(Place(0, len(self.changes)), stands))

    def tick(self, count: int, seconds: int = 20) -> None:
        """Some ticks on random tickers, and a checkpoint of each shard."""
        self.second += seconds
        for partition, shard in enumerate(self.shards):
            own = [t for t in self.tickers if partition_of(t.encode(), PARTITIONS) == partition]
            numbers = [shard.index.tickers.number(self.rng.choice(own)) for _ in range(count)]
            shard.index.make_room_for_tickers()
            when = np.full(count, START_MS + 1_000 * self.second, np.int64)
            self.rows[partition].note(shard.step(Ticks(np.array(numbers, np.int32), when, np.ones(count, np.uint8))))
            self._checkpoint(partition)

    def _checkpoint(self, partition: int) -> None:
        rows = self.rows[partition].encode(self.second)
        for table, encoded in ((LAST_UPDATE, rows.last_update), (LAST_BUCKET, rows.last_bucket)):
            if encoded.count:
                run = run_of(table, partition, self.ends[table, partition], encoded)
                self.runs.append(run)
                self.ends[table, partition] = run.position

    def expected(self) -> View:
        """What must stand in Redis when all of it has come."""
        found = View({}, {}, {})
        for shard in self.shards:
            for ticker in shard.index.tickers.all_names():
                number = number_of(shard, ticker)
                if number is not None:
                    found.updates[ticker] = int(shard.index.columns.tickers.last_update[number])
                for strategy_id, bucket_ms in last_buckets(shard, shard.index.tickers.by_name[ticker]).items():
                    if self._lives(strategy_id):
                        found.lasts.setdefault(strategy_id, {})[ticker] = bucket_ms
        for strategy_id, strategy in self.standing.items():
            if self._lives(strategy_id) and strategy.universe:
                found.universes[strategy_id] = set(strategy.universe)
        return found

    def _lives(self, strategy_id: str) -> bool:
        return strategy_id in self.standing and self.standing[strategy_id].status is not Status.DELETED


class Follows:
    """Hands what the shards have written to what is held, from where it has come to."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._runs = self._changes = 0
        self.held = Held(lambda strategy_id: shards.standing[strategy_id].universe)
        self.held.changes_positions = lambda: {0: self._changes}

    def take(self) -> None:
        """All that has come since."""
        for run in self._shards.runs[self._runs :]:
            self.held.take_rows(run.topic, run)
        for change in self._shards.changes[self._changes :]:
            self.held.take_change(change)
        self._runs, self._changes = len(self._shards.runs), len(self._shards.changes)


def in_redis(client: Any, prefix: str = "") -> View:
    """What stands there."""
    found = View({}, {}, {})
    found.updates.update({ticker: int(ts) for ticker, ts in client.zrange(f"{prefix}TICK:UPD", 0, -1, withscores=True)})
    for key in client.scan_iter(f"{prefix}STRAT:*".replace("[", "\\[")):
        _, strategy_id, kind = key.removeprefix(prefix).split(":")
        if kind == "UNIV":
            found.universes[strategy_id] = client.smembers(key)
        else:
            found.lasts[strategy_id] = {ticker: int(bucket) for ticker, bucket in client.hgetall(key).items()}
    return found


__all__ = ["STRATEGY_CHANGES", "Follows", "Shards", "View", "in_redis"]
