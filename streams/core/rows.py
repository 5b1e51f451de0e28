"""The rows of pairs: which strategies watch a ticker, changed in place between two steps.

A row holds the awake pairs first and the remembered ones behind them: a pair that leaves a universe, or
whose strategy is paused, only goes to sleep, so that what it fired is known when it comes back. A row
without room moves to the end of the columns, larger; `packed` takes out what such moves leave behind.

The first design built a whole new index beside the old one and swapped the two. Changing rows costs what
the change is large, not what the state is large: see ARCHITECTURE.md for the figures.
"""

from streams.core.columns import Columns, Int32s, PairColumns, TickerColumns, pair_columns
from streams.core.jit import compiled
from streams.core.limits import FOREVER, NEVER


@compiled
def larger(room: int) -> int:
    """The room a full row moves on to."""
    return room + (room >> 3) + 4


@compiled
def snug(used: int) -> int:
    """The room that packing leaves a row."""
    return used + (used >> 4)


@compiled
def room_needed(tickers: TickerColumns, which: Int32s) -> int:
    """How many more pairs the columns must hold before each of these rows may take one more."""
    need = 0
    for t in which:
        if tickers.row_used[t] == tickers.row_room[t]:
            need += larger(tickers.row_room[t])
    return need


@compiled
def room_needed_when_packed(tickers: TickerColumns, which: Int32s) -> int:
    """The same, at most, once the rows are packed."""
    need = 0
    for t in which:
        need += larger(snug(tickers.row_used[t]))
    return need


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
def place(tickers: TickerColumns, pairs: PairColumns, t: int, strategy: int, used: int) -> tuple[int, int]:
    """Where the pair stands, made asleep where there was none; and how much of the columns is used then."""
    j = find(tickers, pairs, t, strategy)
    if j >= 0:
        return j, used
    if tickers.row_used[t] == tickers.row_room[t]:
        start = tickers.row_start[t]
        for k in range(tickers.row_used[t]):
            move(pairs, start + k, used + k)
        tickers.row_start[t], tickers.row_room[t] = used, larger(tickers.row_room[t])
        used += tickers.row_room[t]
    j = tickers.row_start[t] + tickers.row_used[t]
    pairs.strategy[j], pairs.rule[j], pairs.last_bucket[j] = strategy, -1, NEVER
    tickers.row_used[t] += 1
    return j, used


@compiled
def wake(
    tickers: TickerColumns, pairs: PairColumns, which: Int32s, strategy: int, rule: int, floor: int, used: int
) -> int:
    """Let the strategy's pairs with these tickers fire under the rule, in buckets after `floor`."""
    for t in which:
        j, used = place(tickers, pairs, t, strategy, used)
        border = tickers.row_start[t] + tickers.row_awake[t]
        if j >= border:
            swap(pairs, j, border)
            tickers.row_awake[t] += 1
            j = border
        pairs.rule[j] = rule
        pairs.last_bucket[j] = max(pairs.last_bucket[j], floor)
        tickers.next_due[t], tickers.settled[t] = NEVER, FOREVER
    return used


@compiled
def put_to_sleep(tickers: TickerColumns, pairs: PairColumns, which: Int32s, strategy: int) -> None:
    """Let the strategy's pairs with these tickers fire no more, and remember them."""
    for t in which:
        j = find(tickers, pairs, t, strategy)
        last = tickers.row_start[t] + tickers.row_awake[t] - 1
        if 0 <= j <= last:
            swap(pairs, j, last)
            tickers.row_awake[t] -= 1
            if tickers.late_pairs[t] > 0:  # it may be one of them: look again
                tickers.next_due[t], tickers.settled[t] = NEVER, FOREVER


@compiled
def mark(tickers: TickerColumns, pairs: PairColumns, which: Int32s, strategy: int, bucket_ms: int, used: int) -> int:
    """Remember that these tickers ran for the strategy in a bucket, made asleep where they have no pair."""
    for t in which:
        j, used = place(tickers, pairs, t, strategy, used)
        pairs.last_bucket[j] = max(pairs.last_bucket[j], bucket_ms)
        tickers.next_due[t], tickers.settled[t] = NEVER, FOREVER
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
        held += snug(tickers.row_used[t])
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
        tickers.row_room[t] = snug(tickers.row_used[t])
        used += tickers.row_room[t]
    return used


def packed(tickers: TickerColumns, pairs: PairColumns, count: int, spare: int) -> tuple[PairColumns, int]:
    """The same pairs without the gaps that moved rows left, with room for `spare` more; and how much is used."""
    into = pair_columns(int(_held(tickers, count)) + spare)
    return into, _pack(tickers, pairs, count, into)
