"""A shard's state as columns: what the kernel reads and writes, and nothing else.

Tickers, strategies and bucket rules are dense numbers here; names live in `tickers` and `engine`.
A column is an array that is longer than what is used of it; growing one copies it.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.core.limits import FOREVER, NEVER

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]
Ends = npt.NDArray[np.int32] | npt.NDArray[np.int64]
"""Where each of several things ends, in whichever numbers they come."""

FLAGS_IN_WORD: Final = 32
NO_RULE: Final = -1
"""Stands for the bucket rule of a strategy, or of a pair, that has none yet."""


class TickerColumns(NamedTuple):
    """One entry a ticker: its last update, what is due, and where its row of pairs lies."""

    last_update: Int64s
    next_due: Int64s
    """No pair of this ticker can fire before this time. NEVER: look at the row."""
    settled: Int64s
    """From this time on, a tick that is not due is for every pair of the row what the last one looked at was: a
    duplicate, or late."""
    row_start: Int64s
    row_awake: Int32s
    """Pairs of the row that may fire: they stand first."""
    row_used: Int32s
    """All pairs of the row. Those behind the awake ones have left a universe, and are remembered."""
    row_room: Int32s
    row_coming: Int32s
    """Pairs that are about to come to the row; 0 but while strategies change."""
    chain_head: Int32s
    """First tick of this step that the row must be looked at for; -1 for none."""
    chain_tail: Int32s
    updates: Int64s
    """Ticks that moved the price, since the shard was made. Each was held against every awake pair of the row."""
    looked_ms: Int64s
    """The time of the tick that the row was last looked at for."""
    late_pairs: Int32s
    """For how many pairs that tick was late, though settled: an edit has moved their bounds past it."""
    late_ticks: Int64s
    """Ticks since then that are counted as late, and not yet with each of those pairs."""


class PairColumns(NamedTuple):
    """One entry a pair, the rows of all tickers one behind the other (compressed sparse rows with room)."""

    strategy: Int32s
    rule: Int32s
    last_bucket: Int64s


class RuleColumns(NamedTuple):
    """One entry a bucket rule, with the interval that it met last; segments of all rules in one table."""

    step_ms: Int64s
    until_ms: Int64s
    segment_from: Int64s
    segment_to: Int64s
    now_from: Int64s
    now_until: Int64s
    now_bucket: Int64s
    segment_starts: Int64s
    segment_ends: Int64s


class StrategyColumns(NamedTuple):
    """One entry a strategy; `level` lists those throttled as a whole. Counts begin when the shard is made."""

    rule: Int32s
    last_trigger: Int64s
    floor: Int64s
    """Pairs fire in no bucket up to here: those are decided in another way, see `turns`."""
    awake: Int64s
    """Pairs that may fire."""
    whole_fired: Int64s
    """As a whole; those of its pairs are apart from these."""
    fired: Int64s
    late: Int64s
    no_bucket: Int64s
    no_update: Int64s
    seen: Int64s
    """Ticks that were held against its pairs, but for what `updates` says of those awake: see `strategy_counts`."""
    changes: Int64s
    """Rises whenever it begins to decide in another way, or under another version, or no more."""
    level: Int32s


class Tracking(NamedTuple):
    """Which tickers were updated in this step: a bit each, the time of its last update, and one counter for all."""

    flags: Words
    stamps: Int64s
    counter: Int64s


class Columns(NamedTuple):
    """All the state of one shard that decides."""

    tickers: TickerColumns
    tracking: Tracking
    pairs: PairColumns
    rules: RuleColumns
    strategies: StrategyColumns
    counts: Int64s
    scalars: Int64s


class Batch(NamedTuple):
    """Ticks of one step. `next_tick` is the kernel's to write: the chain of ticks of one ticker."""

    ticker: Int32s
    ts_ms: Int64s
    moves_price: Bytes
    next_tick: Int32s


class FireColumns(NamedTuple):
    """Room for fires: the tick within the batch, the strategy, the bucket, and the time that fired it."""

    tick: Int32s
    strategy: Int32s
    bucket_ms: Int64s
    ts_ms: Int64s


class Ticks(NamedTuple):
    """Ticks in columns, tickers by number."""

    ticker: Int32s
    ts_ms: Int64s
    moves_price: Bytes


class Fires(NamedTuple):
    """What fired in one step, in no order to rely on; `Shard.in_order` puts it in one."""

    tick: Int32s
    strategy: Int32s
    ticker: Int32s
    bucket_ms: Int64s
    ts_ms: Int64s


class Places(NamedTuple):
    """Room for where each record lies in a buffer. The key may lie within the value."""

    key_start: Int64s
    key_end: Int64s
    value_start: Int64s
    value_end: Int64s


class Counters:
    """Positions in the array of totals that the kernel keeps."""

    TICKS: Final = 0
    IRRELEVANT: Final = 1
    UPDATES: Final = 2
    FIRED: Final = 3
    BUCKET_DUP: Final = 4
    LATE: Final = 5
    NO_BUCKET: Final = 6
    TRIGGERED: Final = 7
    CLOCKS: Final = 8
    LOOKS: Final = 9
    """Pairs looked at."""
    CORRUPTIONS: Final = 10
    CHECKS: Final = 11
    """Steps that looked at any ticker."""
    PROCESSED: Final = 12
    """Tickers that were looked at, over all checks."""
    SKIPPED: Final = 13
    """Tickers that were not, over all checks."""
    NO_UPDATE: Final = 14
    """Strategies skipped, over all rounds: see `strategy_counts`."""
    SIZE: Final = 15


class Scalars:
    """Positions in the array of single values that the kernel keeps."""

    STREAM_MS: Final = 0
    LEVEL_DUE: Final = 1
    """No strategy that is throttled as a whole can fire before this stream time."""
    TOUCHED: Final = 2
    """Tickers updated in this step, counted apart from their flags."""
    TOUCHED_MIX: Final = 3
    PAIR_FIRES: Final = 4
    LEVEL_FIRES: Final = 5
    RESUME_AT: Final = 6
    """Where a step that found its buffer full goes on: a tick or a ticker, by the phase."""
    USED_TICKERS: Final = 7
    SIZE: Final = 8


def fire_columns(size: int) -> FireColumns:
    """Room for `size` fires."""
    return FireColumns._make(np.empty(size, kind) for kind in (np.int32, np.int32, np.int64, np.int64))


def grown(column: npt.NDArray[Any], size: int, fill: int) -> npt.NDArray[Any]:
    """The column with room for `size` entries, the new ones filled; itself where it is long enough."""
    if len(column) >= size:
        return column
    out = np.full(max(size, len(column) + len(column) // 2), fill, column.dtype)
    out[: len(column)] = column
    return out


_TICKER_FILLS: Final = (NEVER, NEVER, FOREVER, 0, 0, 0, 0, 0, -1, -1, 0, NEVER, 0, 0)


def ticker_columns(size: int) -> TickerColumns:
    """Empty rows for `size` tickers."""
    wide, narrow = np.int64, np.int32
    kinds = (*[wide] * 4, *[narrow] * 6, wide, wide, narrow, wide)
    return TickerColumns._make(np.full(size, fill, kind) for fill, kind in zip(_TICKER_FILLS, kinds, strict=True))


def grown_tickers(columns: TickerColumns, size: int) -> TickerColumns:
    """The same tickers with room for more."""
    return TickerColumns._make(grown(np.asarray(c), size, fill) for c, fill in zip(columns, _TICKER_FILLS, strict=True))


def strategy_columns(size: int) -> StrategyColumns:
    """Room for `size` strategies."""
    kinds = (np.int32, *(np.int64,) * 10, np.int32)
    return grown_strategies(StrategyColumns._make(np.zeros(0, kind) for kind in kinds), size)


_STRATEGY_FILLS: Final = (NO_RULE, NEVER, NEVER, 0, 0, 0, 0, 0, 0, 0, 0)


def grown_strategies(columns: StrategyColumns, size: int) -> StrategyColumns:
    """The same strategies with room for more."""
    by_number = [grown(np.asarray(c), size, fill) for c, fill in zip(columns[:-1], _STRATEGY_FILLS, strict=True)]
    return StrategyColumns._make([*by_number, columns.level])


def pair_columns(size: int) -> PairColumns:
    """Room for `size` pairs."""
    return PairColumns(np.full(size, -1, np.int32), np.full(size, -1, np.int32), np.full(size, NEVER, np.int64))


def tracking_columns(size: int) -> Tracking:
    """Flags for `size` tickers, none set."""
    return Tracking(
        np.zeros(-(-size // FLAGS_IN_WORD), np.uint32), np.full(size, NEVER, np.int64), np.zeros(1, np.int64)
    )


def grown_tracking(tracking: Tracking, size: int) -> Tracking:
    """The same flags with room for more."""
    words = -(-size // FLAGS_IN_WORD)
    return Tracking(grown(tracking.flags, words, 0), grown(tracking.stamps, size, NEVER), tracking.counter)


def column_bytes(*groups: NamedTuple) -> int:
    """Bytes of all the arrays of the groups."""
    return sum(column.nbytes for group in groups for column in group)


def larger(fires: FireColumns, room: int) -> FireColumns:
    """At least twice the room, and `room` more than now; what is written stays."""
    size = len(fires.tick)
    return FireColumns._make(grown(column, 2 * size + room, 0) for column in fires)


def joined(one: FireColumns, other: FireColumns) -> FireColumns:
    """The fires of both."""
    return FireColumns(
        np.concatenate((one.tick, other.tick)),
        np.concatenate((one.strategy, other.strategy)),
        np.concatenate((one.bucket_ms, other.bucket_ms)),
        np.concatenate((one.ts_ms, other.ts_ms)),
    )


def empty_columns(rules: RuleColumns, tickers: int) -> Columns:
    """Those of a shard that has met nothing, with room for so many tickers."""
    scalars = np.zeros(Scalars.SIZE, np.int64)
    scalars[Scalars.STREAM_MS] = scalars[Scalars.LEVEL_DUE] = NEVER
    counts = np.zeros(Counters.SIZE, np.int64)
    of_tickers = ticker_columns(tickers), tracking_columns(tickers)
    return Columns(*of_tickers, pair_columns(0), rules, strategy_columns(0), counts, scalars)
