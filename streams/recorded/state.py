"""What stood at a time: a day is decided up to it, and then asked about one ticker, or one strategy."""

from typing import Any

import numpy as np

from streams.core.entry import REMEMBERED
from streams.core.limits import NEVER
from streams.core.tables import last_buckets, number_of
from streams.core.turns import told
from streams.kafka.partitions import Homes
from streams.recorded.deciding import ByShard
from streams.recorded.placed import Ticks
from streams.recorded.source import Day
from streams.replay.picked import picked


def decided_up_to(day: Day, at_ms: int) -> ByShard:
    """The shards as each stood before its first tick later than a time."""
    deciding, over = ByShard(day.beside, day.conditions), set[int]()
    for ticks, _ in day.runs():
        if ticks is None:
            continue
        earlier = _earlier(ticks, at_ms, over)
        if len(earlier.partition):
            deciding.step(earlier)
        if len(over) == len(deciding.shards):
            break
    for one in deciding.shards.values():
        for entry in one.shard.index.entries.values():
            one.shard.index.remember_runs(entry)  # with each of its tickers
    return deciding


def _earlier(ticks: Ticks, at_ms: int, over: set[int]) -> Ticks:
    """The ticks of each partition before its first later one; `over` keeps which have come to theirs."""
    batch, partition = ticks
    keep = ~np.isin(partition, list(over))
    for each in np.unique(partition[keep & (batch.ts_ms > at_ms)]).tolist():
        first = int(np.flatnonzero((partition == each) & (batch.ts_ms > at_ms))[0])
        keep[first:] &= partition[first:] != each
        over.add(each)
    return ticks if keep.all() else Ticks(picked(batch, np.flatnonzero(keep)), partition[keep])


def of_ticker(deciding: ByShard, ticker: str) -> dict[str, Any]:
    """Its last update, and the last bucket that each strategy ran in with it; but for those of every ticker."""
    shard = deciding.shards[Homes(len(deciding.shards))[ticker]].shard
    number, updated = shard.index.tickers.by_name.get(ticker), number_of(shard, ticker) is not None
    if number is None:
        return {"ticker": ticker, "last_update": None, "last_bucket": {}}
    last_update = int(shard.index.columns.tickers.last_update[number]) if updated else None
    return {
        "ticker": ticker,
        "last_update": last_update,
        "last_bucket": dict(sorted(last_buckets(shard, number).items())),
    }


def of_strategy(deciding: ByShard, strategy_id: str) -> dict[str, Any]:
    """The version in force at home, the way it decides, and the last bucket of each ticker and of the whole."""
    buckets: dict[str, int] = {}
    for one in deciding.shards.values():
        for number, ticker in enumerate(one.shard.index.tickers.all_names()):
            bucket_ms = last_buckets(one.shard, number).get(strategy_id)
            if bucket_ms is not None:
                buckets[ticker] = bucket_ms
    home = deciding.shards[Homes(len(deciding.shards))[strategy_id]].shard
    entry = home.index.entries.get(strategy_id)
    stands = entry is not None and entry.strategy.version != REMEMBERED
    strategy = entry.strategy if entry is not None and stands else None
    return {
        "strategy_id": strategy_id,
        "version": strategy.version if strategy else None,
        "status": str(strategy.status) if strategy else None,
        "timeframe": strategy.timeframe if strategy else None,
        "turns": list(told(home.index.ways.turns_of(strategy_id))),
        "last_run": None if entry is None or entry.last_run_ms == NEVER else entry.last_run_ms,
        "last_bucket": dict(sorted(buckets.items())),
        "stream_time": None if home.stream_ms == NEVER else home.stream_ms,
    }
