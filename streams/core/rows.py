"""The rows of pairs: which strategies watch a ticker, changed in place between two steps.

A row holds the awake pairs first and the remembered ones behind them: a pair that leaves a universe, or
whose strategy is paused, only goes to sleep, so that what it fired is known when it comes back. A row
without room moves to the end of the columns, larger; `packed` takes out what such moves leave behind.

The first design built a whole new index beside the old one and swapped the two. Changing rows costs what
the change is large, not what the state is large: see ARCHITECTURE.md for the figures.
"""

from typing import Final, NamedTuple

import numpy as np

from streams.core.columns import (
    Columns,
    Int32s,
    Int64s,
    PairColumns,
    Scalars,
    StrategyColumns,
    TickerColumns,
    pair_columns,
)
from streams.core.jit import compiled
from streams.core.limits import FOREVER, NEVER

SPARE: Final = 16
"""So many pairs, and an eighth of those there are, have room behind packed rows: rows that are full move there."""


class Placing(NamedTuple):
    """Pairs that are to stand: the tickers of each strategy, one strategy behind the other."""

    which: Int32s
    ends: Int64s
    strategy: Int32s


@compiled
def larger(used: int) -> int:
    """The room of a row that moves because it is full, once it holds so many."""
    return used + (used >> 3) + 4


@compiled
def snug(used: int) -> int:
    """The room that packing leaves a row which holds, or is to hold, so many."""
    return used + (used >> 4)


@compiled
def find(tickers: TickerColumns, pairs: PairColumns, t: int, strategy: int) -> int:
    """Where the pair stands, or -1."""
    start = tickers.row_start[t]
    for j in range(start, start + tickers.row_used[t]):
        if pairs.strategy[j] == strategy:
            return j
    return -1


@compiled
def move(pairs: PairColumns, source: int, target: int) -> None:
    """Copy one pair."""
    pairs.strategy[target] = pairs.strategy[source]
    pairs.rule[target] = pairs.rule[source]
    pairs.last_bucket[target] = pairs.last_bucket[source]


@compiled
def swap(pairs: PairColumns, a: int, b: int) -> None:
    """Let two pairs of a row change places."""
    strategy, rule, last = pairs.strategy[a], pairs.rule[a], pairs.last_bucket[a]
    move(pairs, b, a)
    pairs.strategy[b], pairs.rule[b], pairs.last_bucket[b] = strategy, rule, last


@compiled
def count_coming(tickers: TickerColumns, pairs: PairColumns, placing: Placing, new_from: int) -> int:
    """Note how many pairs come to each row; returns the room that rows need which are too full for that.

    Strategies with this number and above have no pairs yet, so none is looked for.
    """
    start = need = 0
    for k in range(len(placing.ends)):
        strategy = placing.strategy[k]
        for i in range(start, placing.ends[k]):
            t = placing.which[i]
            if strategy >= new_from or find(tickers, pairs, t, strategy) < 0:
                tickers.row_coming[t] += 1
                used = tickers.row_used[t] + tickers.row_coming[t]
                if used == tickers.row_room[t] + 1:
                    need += larger(used)
                elif used > tickers.row_room[t]:
                    need += larger(used) - larger(used - 1)
        start = placing.ends[k]
    return need


@compiled
def make_room(tickers: TickerColumns, pairs: PairColumns, t: int, used: int) -> int:
    """Move the row, larger, where what comes does not fit; returns how much of the columns is used then."""
    held, coming = tickers.row_used[t], tickers.row_coming[t]
    tickers.row_coming[t] = 0
    if held + coming <= tickers.row_room[t]:
        return used
    start = tickers.row_start[t]
    for k in range(held):
        move(pairs, start + k, used + k)
    room = larger(held + coming)
    tickers.row_start[t], tickers.row_room[t] = used, room
    return used + room


@compiled
def place(tickers: TickerColumns, pairs: PairColumns, t: int, strategy: int, new_from: int) -> int:
    """Where the pair stands, made asleep where there was none; there is room for it."""
    j = -1 if strategy >= new_from else find(tickers, pairs, t, strategy)
    if j < 0:
        j = tickers.row_start[t] + tickers.row_used[t]
        pairs.strategy[j], pairs.rule[j], pairs.last_bucket[j] = strategy, -1, NEVER
        tickers.row_used[t] += 1
    tickers.next_due[t], tickers.settled[t] = NEVER, FOREVER
    return j


@compiled
def wake(
    tickers: TickerColumns,
    pairs: PairColumns,
    strategies: StrategyColumns,
    placing: Placing,
    floor: Int64s,
    new_from: int,
    used: int,
) -> int:
    """Let pairs fire, each under the rule of its strategy and in buckets after its `floor`; they see what ticks come.

    What comes to each row has been noted, with room for it. Returns how much of the columns is used.
    """
    for t in placing.which:
        used = make_room(tickers, pairs, t, used)
    start = 0
    for k in range(len(placing.ends)):
        strategy = placing.strategy[k]
        for i in range(start, placing.ends[k]):
            t = placing.which[i]
            j = place(tickers, pairs, t, strategy, new_from)
            border = tickers.row_start[t] + tickers.row_awake[t]
            if j >= border:
                swap(pairs, j, border)
                tickers.row_awake[t] += 1
                j = border
            pairs.rule[j] = strategies.rule[strategy]
            pairs.last_bucket[j] = max(pairs.last_bucket[j], floor[k])
            strategies.seen[strategy] -= tickers.updates[t]
        strategies.awake[strategy] = placing.ends[k] - start
        start = placing.ends[k]
    return used


@compiled
def put_to_sleep(
    tickers: TickerColumns, pairs: PairColumns, strategies: StrategyColumns, which: Int32s, strategy: int
) -> None:
    """Let the strategy's pairs with these tickers, which are all it has, fire no more, and remember them."""
    for t in which:
        j = find(tickers, pairs, t, strategy)
        last = tickers.row_start[t] + tickers.row_awake[t] - 1
        if 0 <= j <= last:
            swap(pairs, j, last)
            tickers.row_awake[t] -= 1
            if tickers.late_pairs[t] > 0:  # it may be one of them: look again
                tickers.next_due[t], tickers.settled[t] = NEVER, FOREVER
        strategies.seen[strategy] += tickers.updates[t]
    strategies.awake[strategy] = 0


@compiled
def mark(tickers: TickerColumns, pairs: PairColumns, placing: Placing, bucket_ms: int, new_from: int, used: int) -> int:
    """Remember that tickers ran for one strategy in a bucket, made asleep where they have no pair."""
    for t in placing.which:
        used = make_room(tickers, pairs, t, used)
    for t in placing.which:
        j = place(tickers, pairs, t, placing.strategy[0], new_from)
        pairs.last_bucket[j] = max(pairs.last_bucket[j], bucket_ms)
    return used


@compiled
def newest_bucket(tickers: TickerColumns, pairs: PairColumns, which: Int32s, strategy: int) -> int:
    """The newest bucket that any of these tickers ran in for the strategy."""
    newest = NEVER
    for t in which:
        j = find(tickers, pairs, t, strategy)
        if j >= 0:
            newest = max(newest, pairs.last_bucket[j])
    return newest


def newest_run(columns: Columns, used_pairs: int, which: Int32s | None, strategy: int) -> int:
    """The newest bucket that any ticker ran in for the strategy: of these, or of all."""
    pairs = columns.pairs
    if which is not None:
        return int(newest_bucket(columns.tickers, pairs, which, strategy))
    mine = pairs.last_bucket[:used_pairs][pairs.strategy[:used_pairs] == strategy]
    return int(mine.max(initial=NEVER))


@compiled
def _held(tickers: TickerColumns, count: int) -> int:
    held = 0
    for t in range(count):
        held += snug(tickers.row_used[t] + tickers.row_coming[t])
    return held


@compiled
def _pack(tickers: TickerColumns, pairs: PairColumns, count: int, into: PairColumns) -> int:
    used = 0
    for t in range(count):
        start = tickers.row_start[t]
        for k in range(tickers.row_used[t]):
            source, target = start + k, used + k
            into.strategy[target] = pairs.strategy[source]
            into.rule[target] = pairs.rule[source]
            into.last_bucket[target] = pairs.last_bucket[source]
        tickers.row_start[t] = used
        tickers.row_room[t] = snug(tickers.row_used[t] + tickers.row_coming[t])
        used += tickers.row_room[t]
    return used


def packed(tickers: TickerColumns, pairs: PairColumns, count: int, spare: int) -> tuple[PairColumns, int]:
    """The same pairs without the gaps that moved rows left, with room for what comes and for `spare` more behind them.

    And how much is used.
    """
    into = pair_columns(int(_held(tickers, count)) + spare)
    return into, _pack(tickers, pairs, count, into)


def with_room(columns: Columns, used: int, placing: Placing, new_from: int) -> tuple[Columns, int]:
    """The columns with room for pairs that come, and with what comes to each row noted; and how much is used."""
    tickers, pairs = columns.tickers, columns.pairs
    if used + int(count_coming(tickers, pairs, placing, new_from)) > len(pairs.strategy):
        count, live = int(columns.scalars[Scalars.USED_TICKERS]), int(tickers.row_used.sum(dtype=np.int64))
        pairs, used = packed(tickers, pairs, count, live // 8 + SPARE)
    return columns._replace(pairs=pairs), used
