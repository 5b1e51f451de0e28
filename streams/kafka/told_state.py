"""The state of shards as people are told it: of one ticker, or of one strategy. One rule, for days and for workers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from streams.core.entry import REMEMBERED
from streams.core.limits import NEVER
from streams.core.shard import Shard
from streams.core.tables import last_buckets, number_of
from streams.core.turns import told

Told = dict[str, Any]


def of_ticker(shard: Shard, ticker: str) -> Told:
    """Its last update, and the last bucket that each strategy ran in with it; but for those of every ticker."""
    number, updated = shard.index.tickers.by_name.get(ticker), number_of(shard, ticker) is not None
    if number is None:
        return {"ticker": ticker, "last_update": None, "last_bucket": {}}
    last_update = int(shard.index.columns.tickers.last_update[number]) if updated else None
    buckets = dict(sorted(last_buckets(shard, number).items()))
    return {"ticker": ticker, "last_update": last_update, "last_bucket": buckets}


def of_strategy(shard: Shard, strategy_id: str) -> Told:
    """What one shard knows of it: the version in force, the way it decides, and the last buckets of its tickers."""
    entry = shard.index.entries.get(strategy_id)
    strategy = entry.strategy if entry is not None and entry.strategy.version != REMEMBERED else None
    return {
        "strategy_id": strategy_id,
        "version": strategy.version if strategy else None,
        "status": str(strategy.status) if strategy else None,
        "timeframe": strategy.timeframe if strategy else None,
        "turns": list(told(shard.index.ways.turns_of(strategy_id))),
        "last_run": None if entry is None or entry.last_run_ms == NEVER else entry.last_run_ms,
        "last_bucket": {} if entry is None else _buckets_of(shard, entry.number),
        "stream_time": stream_time(shard),
    }


def together(home: int, parts: Mapping[int, Told]) -> Told:
    """What all shards know of a strategy: the buckets of all tickers, and what else its home says."""
    buckets = {ticker: bucket for part in parts.values() for ticker, bucket in part["last_bucket"].items()}
    return {**parts[home], "last_bucket": dict(sorted(buckets.items()))}


def stream_time(shard: Shard) -> int | None:
    """The time that its records have come to."""
    return None if shard.stream_ms == NEVER else shard.stream_ms


def _buckets_of(shard: Shard, number: int) -> dict[str, int]:
    """Of each ticker that a strategy ran on, the last bucket; a worker looks through its pairs in a millisecond."""
    tickers, pairs = shard.index.columns.tickers, shard.index.columns.pairs
    at = np.flatnonzero((pairs.strategy == number) & (pairs.last_bucket != NEVER))
    held = np.flatnonzero(tickers.row_used[: shard.index.tickers.count])
    held = held[np.argsort(tickers.row_start[held])]
    if not len(at) or not len(held):
        return {}
    row = np.searchsorted(tickers.row_start[held], at, side="right") - 1
    ticker = held[np.maximum(row, 0)]
    is_in_row = (row >= 0) & (at < tickers.row_start[ticker] + tickers.row_used[ticker])  # else in room of a row
    names = shard.index.tickers.all_names()
    found = zip(ticker[is_in_row].tolist(), pairs.last_bucket[at[is_in_row]].tolist(), strict=True)
    return {names[number]: bucket_ms for number, bucket_ms in found}
