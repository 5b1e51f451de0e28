"""Which executions of two runs are the same: what `tickgate compare` is made of.

Two are the same that have the same strategy, ticker and bucket: what may run once. Where one run ran a strategy for its
whole universe, and the other ticker by ticker, in the same bucket, none of them is the same as another, and yet nothing
was missed: such rows of both are *otherwise*. A ticker that the whole universe did not hold is not among them.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.core.events import Mode
from streams.replay.result_folder import Rows
from streams.replay.tick_columns import Int32s, Int64s

MODES: Final = [mode.value for mode in Mode]
GLOBAL: Final = MODES.index(Mode.GLOBAL)

BOTH: Final = 0
MOVED: Final = 1
"""In both, at another time."""
ONLY: Final = 2
OTHERWISE: Final = 3

MAX_KEY: Final = 1 << 62

_BUCKET_BITS: Final = 42
"""Leaves room for the strategies of two runs, none of them the same."""
_BEFORE_1970_MS: Final = 1 << 37
"""A bucket may begin before 1970, where it holds that new year."""

Flags = npt.NDArray[np.bool_]
Kinds = npt.NDArray[np.int8]


class Matched(NamedTuple):
    """What became of the rows of one run, beside those of the other."""

    kind: Kinds
    partner: Int64s
    """The row of the other run that is the same, or that ran the whole universe; -1 where there is none."""


def matched(a: Rows, b: Rows, universes: tuple[Int64s, Int64s]) -> tuple[Matched, Matched]:
    """What became of each row of either run.

    `universes` are the pairs that each run's strategies hold, as `pair_of` numbers them, in order.
    """
    partner_a, partner_b = same(a, b)
    kinds = []
    for rows, partner, other in ((a, partner_a, b), (b, partner_b, a)):
        found = partner >= 0
        kind = np.where(found, np.int8(BOTH), np.int8(ONLY))
        kind[found] = np.where(rows.ts_ms[found] != other.ts_ms[partner[found]], np.int8(MOVED), np.int8(BOTH))
        kinds.append(kind)
    left_a, left_b = Matched(kinds[0], partner_a), Matched(kinds[1], partner_b)
    _covered(a, left_a, b, left_b, universes[0])
    _covered(b, left_b, a, left_a, universes[1])
    return left_a, left_b


def same(a: Rows, b: Rows) -> tuple[Int64s, Int64s]:
    """For each row of either run the row of the other that is the same; -1 where there is none."""
    keys_a, keys_b = keys_of(a, b)
    order_a, order_b = np.argsort(keys_a), np.argsort(keys_b)
    keys_a, keys_b = keys_a[order_a], keys_b[order_b]
    assert all((np.diff(keys) > 0).all() for keys in (keys_a, keys_b)), "no run has one twice"
    partner_a, partner_b = np.full(len(keys_a), -1, np.int64), np.full(len(keys_b), -1, np.int64)
    if not len(keys_a) or not len(keys_b):
        return partner_a, partner_b
    at = np.minimum(np.searchsorted(keys_a, keys_b), len(keys_a) - 1)
    hit = keys_a[at] == keys_b
    first, second = order_a[at[hit]], order_b[hit]
    partner_a[first], partner_b[second] = second, first
    return partner_a, partner_b


def keys_of(a: Rows, b: Rows) -> tuple[Int64s, Int64s]:
    """Strategy, bucket and ticker of each row as one number, the same for the same in both runs."""
    strategy, bucket_ms, ticker = (
        np.concatenate((getattr(a, name), getattr(b, name))).astype(np.int64)
        for name in ("strategy", "bucket_ms", "ticker")
    )
    if not len(strategy):
        return strategy, strategy
    bucket_ms -= bucket_ms.min()
    bucket = bucket_ms // max(int(np.gcd.reduce(bucket_ms)), 1)
    strategy -= strategy.min()
    ticker += 1
    most = [int(column.max()) + 1 for column in (strategy, bucket, ticker)]
    if most[0] * most[1] * most[2] < MAX_KEY:
        keys = (strategy * most[1] + bucket) * most[2] + ticker
    else:  # spread too far apart for one number: number them as they are met in order
        order = np.lexsort((ticker, bucket, strategy))
        new = np.zeros(len(order), np.bool_)
        for column in (strategy, bucket, ticker):
            new[1:] |= column[order[1:]] != column[order[:-1]]
        keys = np.empty(len(order), np.int64)
        keys[order] = np.cumsum(new)
    return keys[: len(a.strategy)], keys[len(a.strategy) :]


def _covered(whole: Rows, of_whole: Matched, pairs: Rows, of_pairs: Matched, universe: Int64s) -> None:
    """Mark what one run ran as a whole, for the tickers of its universe, and the other by pairs."""
    runs = np.flatnonzero(whole.ticker < 0)
    left = np.flatnonzero((pairs.ticker >= 0) & (of_pairs.kind == ONLY))
    if not len(runs) or not len(left):
        return
    keys = _bucket_keys(whole.strategy[runs], whole.bucket_ms[runs])
    order = np.argsort(keys, kind="stable")
    runs, keys = runs[order], keys[order]
    wanted = _bucket_keys(pairs.strategy[left], pairs.bucket_ms[left])
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    hit = keys[at] == wanted
    left, run = left[hit], runs[at[hit]]
    held = (whole.mode[run] == GLOBAL) | _among(pair_of(pairs.strategy[left], pairs.ticker[left]), universe)
    left, run = left[held], run[held]
    of_pairs.kind[left] = OTHERWISE
    of_pairs.partner[left] = run
    alone = run[of_whole.kind[run] == ONLY]
    of_whole.kind[alone] = OTHERWISE


def _bucket_keys(strategy: Int32s, bucket_ms: Int64s) -> Int64s:
    """A strategy and a bucket as one number."""
    keys: Int64s = (strategy.astype(np.int64) << _BUCKET_BITS) + (bucket_ms + _BEFORE_1970_MS)
    return keys


def pair_of(strategy: Int32s, ticker: Int32s) -> Int64s:
    """A strategy and a ticker as one number."""
    pairs: Int64s = (strategy.astype(np.int64) << 32) + ticker
    return pairs


def _among(wanted: Int64s, ordered: Int64s) -> Flags:
    if not len(ordered):
        return np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    found: Flags = ordered[at] == wanted
    return found
