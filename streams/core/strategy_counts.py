"""What happened to each strategy: how often its pairs fired, and how often they did not, by the reason.

Most ticks end at one comparison and touch no pair, so nothing of a pair can be counted there. What is counted is the
tick, with its ticker; and each tick was held against every pair of its row that was awake. So what a strategy has
seen is the sum of what its tickers counted while it was awake: a strategy that comes subtracts what they had counted
by then, one that goes adds what they count now, and nobody else has to do anything. Fired and without a bucket are
counted as they happen, late too; but for a pair that an edit of the timeframe has made late for long, with all its row:
how many ticks, and with the pair when the row is next looked at. Whatever else a strategy has seen was a duplicate.

That a strategy was *not* looked at cannot be counted as it happens. It would be counted for each strategy in each
step, and not to look at strategies is the point. So it is counted by rounds: `Rounds.end` asks each strategy with
pairs whether any of its tickers was updated since the round before. That costs a look at the rows of updated
tickers, once a round. A strategy with a timeframe that does not exist is skipped in each round.
"""

from typing import NamedTuple

import numpy as np

from streams.core import kernel
from streams.core.columns import Columns, Counters, Int64s, grown
from streams.core.entry import NOBODY
from streams.core.index import Index
from streams.core.jit import compiled


class StrategyCounts(NamedTuple):
    """Pairs of one strategy held against ticks, since the shard was made, and rounds without any."""

    fired: int
    bucket_dup: int
    late: int
    no_bucket: int
    no_update: int
    """Rounds in which ticks came, and none for its universe."""


def counts_of(index: Index, strategy_id: str) -> StrategyCounts | None:
    """What happened to one strategy; None where the shard has not met it."""
    entry = index.entries.get(strategy_id)
    if entry is None:
        return None
    strategies, number = index.columns.strategies, entry.number
    seen = int(strategies.seen[number])
    if entry.by_pairs:
        kernel.count_late_where_any(index.columns, entry.universe)
        seen += int(index.columns.tickers.updates[entry.universe].sum())
    columns = (strategies.fired, strategies.late, strategies.no_bucket, strategies.no_update)
    fired, late, no_bucket, no_update = (int(column[number]) for column in columns)
    runs = int(strategies.whole_fired[number])
    return StrategyCounts(fired + runs, seen - fired - late - no_bucket, late, no_bucket, no_update)


def all_counts(index: Index) -> list[StrategyCounts]:
    """The same for every strategy, by number: one sum over all universes in place of one for each."""
    entries, columns, strategies = index.entries.values(), index.columns, index.columns.strategies
    universes = [entry.universe if entry.by_pairs else NOBODY for entry in entries]
    which, ends = np.concatenate([NOBODY, *universes]), np.cumsum([0, *map(len, universes)])
    kernel.count_late_where_any(columns, which)
    sums, size = np.concatenate(([0], np.cumsum(columns.tickers.updates[which]))), len(universes)
    seen = strategies.seen[:size] + sums[ends[1:]] - sums[ends[:-1]]
    fired, late, no_bucket = strategies.fired[:size], strategies.late[:size], strategies.no_bucket[:size]
    dups = seen - fired - late - no_bucket
    found = (fired + strategies.whole_fired[:size], dups, late, no_bucket, strategies.no_update[:size])
    return [StrategyCounts(*each) for each in zip(*(column.tolist() for column in found), strict=True)]


@compiled
def note_updated(columns: Columns, tickers: int, before: Int64s, round_number: int, touched: Int64s) -> int:
    """Mark the strategies that watch an updated ticker with the round; returns how many tickers were updated."""
    updates, updated = columns.tickers.updates, 0
    for t in range(tickers):
        if updates[t] == before[t]:
            continue
        before[t] = updates[t]
        updated += 1
        start = columns.tickers.row_start[t]
        for j in range(start, start + columns.tickers.row_awake[t]):
            touched[columns.pairs.strategy[j]] = round_number
    return updated


class Rounds:
    """Rounds of one shard."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._number = 0
        self._before: Int64s = np.zeros(0, np.int64)
        """By ticker: its updates at the end of the round before."""
        self._touched: Int64s = np.zeros(0, np.int64)
        """By strategy: the last round in which any of its tickers was updated."""

    def end(self) -> None:
        """Count the strategies that the round has left out, if it had ticks at all."""
        index = self._index
        columns, strategies = index.columns, index.columns.strategies
        count = len(columns.tickers.updates)
        self._number += 1
        self._before = grown(self._before, count, 0)
        self._touched = grown(self._touched, len(strategies.awake), 0)
        if not note_updated(columns, count, self._before, self._number, self._touched):
            return
        left_out = (strategies.awake > 0) & (self._touched[: len(strategies.awake)] != self._number)
        for strategy_id in index.warnings:
            if index.is_home is None or index.is_home(strategy_id):  # one shard speaks for all
                left_out[index.entries[strategy_id].number] = True
        strategies.no_update[left_out] += 1
        columns.counts[Counters.NO_UPDATE] += int(np.count_nonzero(left_out))
