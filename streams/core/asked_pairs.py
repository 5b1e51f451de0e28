"""The pairs of strategies that were asked for, apart from the kernel's rows; and what each tick is to each of them.

The rules stand in `oracle`. They are kept a third time here so that the kernel need not know of this: the property
tests hold all three equal.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from streams.core.columns import Columns, Int32s, Int64s
from streams.core.entry import Entry
from streams.core.index import Index
from streams.core.jit import compiled
from streams.core.limits import NEVER
from streams.core.shard import Ticks

REASONS: Final = ("bucket_dup", "late", "no_bucket")
"""Why a tick did not fire a pair."""

BUCKET_DUP: Final = 0
LATE: Final = 1
NO_BUCKET: Final = 2
NO_SLOT: Final = -1


class Watch(NamedTuple):
    """The asked-for pairs: those of one ticker chained to each other. What a slot has counted is of one emission."""

    first: Int32s
    """By ticker: its first slot."""
    following: Int32s
    """By slot: the next one of the same ticker."""
    ticker: Int32s
    strategy: Int32s
    step: Int64s
    """By slot: the step that it was last met in."""
    last: Int64s
    """By slot: the newest bucket in which its pair has run, as far as the ticks of this step have come."""
    bucket_ms: Int64s
    """By slot: the newest bucket of a tick that did not fire."""
    skips: Int64s
    """By slot and reason: the reasons of one slot stand side by side."""
    updated: Int64s
    """By ticker: the emission in which it was last updated."""


# The walk along a rule's segments stands in `kernel.locate` too: compiled code never crosses files, see `jit.py`.
@compiled
def bucket_at(columns: Columns, rule: int, now_ms: int) -> int:
    """The bucket that holds a time, or NEVER. What the kernel remembers of its last look is left alone."""
    rules = columns.rules
    low, high = rules.segment_from[rule], rules.segment_to[rule]
    if now_ms < rules.segment_starts[low] or now_ms >= rules.until_ms[rule]:
        return NEVER
    while high - low > 1:
        middle = (low + high) >> 1
        if rules.segment_starts[middle] <= now_ms:
            low = middle
        else:
            high = middle
    start, step = rules.segment_starts[low], rules.step_ms[rule]
    if step > 0:
        start += (min(now_ms, rules.segment_ends[low] - 1) - start) // step * step
    return int(start)


@compiled
def last_bucket_of(columns: Columns, t: int, strategy: int) -> int:
    """The newest bucket that a pair has run in."""
    start = columns.tickers.row_start[t]
    for j in range(start, start + columns.tickers.row_used[t]):
        if columns.pairs.strategy[j] == strategy:
            return int(columns.pairs.last_bucket[j])
    return NEVER


@compiled
def hold(columns: Columns, ticks: Ticks, watch: Watch, step: int, emission: int) -> None:
    """Hold each tick against the asked-for pairs of its ticker, as the rules have it."""
    for i in range(len(ticks.ticker)):
        t, now_ms = ticks.ticker[i], ticks.ts_ms[i]
        if t < 0 or not ticks.moves_price[i]:
            continue
        watch.updated[t] = emission
        slot = watch.first[t]
        while slot >= 0:
            s = watch.strategy[slot]
            if watch.step[slot] != step:
                watch.step[slot], watch.last[slot] = step, last_bucket_of(columns, t, s)
            bucket = bucket_at(columns, columns.strategies.rule[s], now_ms)
            if bucket > watch.last[slot] and bucket > columns.strategies.floor[s]:
                watch.last[slot] = bucket
            else:
                reason = NO_BUCKET if bucket == NEVER else BUCKET_DUP if bucket == watch.last[slot] else LATE
                watch.skips[3 * slot + reason] += 1
                watch.bucket_ms[slot] = max(watch.bucket_ms[slot], bucket)
            slot = watch.following[slot]


def watched(entry: Entry) -> Int32s:
    """The tickers of the pairs that decide for a strategy."""
    return entry.universe if entry.by_pairs else entry.universe[:0]


def slots_of(entries: Sequence[Entry]) -> Iterator[slice]:
    """Where the slots of each strategy lie."""
    at = 0
    for entry in entries:
        yield slice(at, at + len(watched(entry)))
        at += len(watched(entry))


def watch_of(index: Index, entries: Sequence[Entry]) -> Watch:
    """A watch of these strategies as they stand, nothing counted."""
    nobody = np.zeros(0, np.int32)
    ticker = np.concatenate([nobody, *map(watched, entries)])
    strategy = np.repeat(np.array([each.number for each in entries], np.int32), [len(watched(e)) for e in entries])
    tickers, slots = len(index.columns.tickers.last_update), len(ticker)
    first, following = np.full(tickers, NO_SLOT, np.int32), np.full(slots, NO_SLOT, np.int32)
    chain_up(ticker, first, following)
    step, nevers = np.zeros(slots, np.int64), np.full((2, slots), NEVER, np.int64)
    skips, updated = np.zeros(len(REASONS) * slots, np.int64), np.zeros(tickers, np.int64)
    return Watch(first, following, ticker, strategy, step, nevers[0], nevers[1], skips, updated)


@compiled
def chain_up(ticker: Int32s, first: Int32s, following: Int32s) -> None:
    """Hang each slot before the others of its ticker."""
    for slot in range(len(ticker)):
        following[slot] = first[ticker[slot]]
        first[ticker[slot]] = slot
