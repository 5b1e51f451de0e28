"""What stood at a time: a day is decided up to it, and then asked about one ticker, or one strategy."""

import numpy as np

from streams.kafka import told_state
from streams.kafka.partitions import Homes
from streams.kafka.told_state import Told
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


def of_ticker(deciding: ByShard, ticker: str) -> Told:
    """What its shard knows of it."""
    return told_state.of_ticker(deciding.shards[Homes(len(deciding.shards))[ticker]].shard, ticker)


def of_strategy(deciding: ByShard, strategy_id: str) -> Told:
    """What all shards know of it."""
    parts = {p: told_state.of_strategy(one.shard, strategy_id) for p, one in deciding.shards.items()}
    return told_state.together(Homes(len(deciding.shards))[strategy_id], parts)
