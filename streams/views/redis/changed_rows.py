"""The rows of one partition of a changelog that have changed since they were asked for last, decoded.

Rows come in runs and only the last of each key is kept, so what has piled up while Redis was away takes no more memory
than the table, and no more time than one writing of it. Decoding is that of a shard's recovery.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np

from streams.core import restore_kernel
from streams.core.avro import BadBytesError
from streams.core.columns import Bytes, Int32s, Int64s, grown, pair_columns
from streams.core.latest import Latest, RowRun
from streams.core.limits import MAX_TICKER_BYTES
from streams.core.restore import REASONS
from streams.core.restore_kernel import FAULT
from streams.core.special_rows import STRATEGY_KEY, TICKER_KEY, read_strategy
from streams.kafka.fetch import RawRun

log = logging.getLogger(__name__)

NOTHING_YET: Final = -1
UNKNOWN: Final = -1


class Changed(NamedTuple):
    """Rows of tickers: keys, where their values lie, and their offsets in the log."""

    keys: list[bytes]
    arena: Bytes
    starts: Int64s
    ends: Int64s
    offsets: Int64s


class Updates(NamedTuple):
    """Last updates, and where they stood in the log."""

    tickers: list[bytes]
    ts_ms: Int64s
    offsets: Int64s


class Buckets(NamedTuple):
    """Last buckets: `row` says which ticker each is of, and so where it stood in the log."""

    tickers: list[bytes]
    row: Int32s
    strategy: Int32s
    bucket_ms: Int64s
    offsets: Int64s


class _Log:
    """One partition of a changelog."""

    def __init__(self, name: str) -> None:
        self._latest = Latest(name)
        self._name = name
        self._looked_at = NOTHING_YET
        self._waiting: dict[bytes, int] = {}
        """Rows that name a strategy of which nothing is known yet, with their offsets."""
        self.read_up_to = 0
        self.bad_rows = 0

    def take(self, run: RawRun) -> None:
        """Take a run of records."""
        columns = run.columns
        spans = (columns.key_start, columns.key_end, columns.value_start, columns.value_end)
        if len(columns):
            self._latest.take(RowRun(columns.buffer, columns.offset, *spans))
        self.read_up_to = run.position

    @property
    def position(self) -> int:
        """Up to where the rows that were asked for last are whole: what waits must be asked for again."""
        return min([self.read_up_to, *self._waiting.values()])

    def _changed(self) -> tuple[Changed, Changed]:
        """Those of tickers, and the others."""
        keys, (starts, ends, offsets) = self._latest.keys(), self._latest.spans()
        new = offsets > self._looked_at
        if self._waiting:
            new |= np.array([key in self._waiting for key in keys], np.bool_)
        self._waiting.clear()
        self._looked_at = max(self._looked_at, int(offsets.max(initial=NOTHING_YET)))
        which = np.flatnonzero(new)
        special = np.array(
            [keys[row][:1] == b"\0" and not keys[row].startswith(TICKER_KEY) for row in which.tolist()], np.bool_
        )

        def some(rows: Int64s) -> Changed:
            picked = [keys[row] for row in rows.tolist()]
            return Changed(picked, self._latest.arena, starts[rows], ends[rows], offsets[rows])

        return some(which[~special]), some(which[special])

    def _tickers(self, changed: Changed) -> list[bytes]:
        return [key.removeprefix(TICKER_KEY) for key in changed.keys]

    def _bad(self, key: bytes, offset: int, reason: str) -> None:
        """A row that nobody can read costs only itself; the shard that reads it stops, and says so louder."""
        self.bad_rows += 1
        log.error("%s, offset %d, row %r: %s; it is left out", self._name, offset, key[:MAX_TICKER_BYTES], reason)


class UpdateLog(_Log):
    """Of last updates."""

    def changed(self) -> Updates:
        """What has changed."""
        rows, _ = self._changed()
        ts_ms, good = np.empty(len(rows.keys), np.int64), np.ones(len(rows.keys), np.bool_)
        for at, fault in _faults(
            lambda first: restore_kernel.read_updates(
                rows.arena, rows.starts[first:], rows.ends[first:], ts_ms[first:]
            ),
            len(rows.keys),
        ):
            good[at] = False
            self._bad(rows.keys[at], int(rows.offsets[at]), REASONS[fault])
        tickers = [name for name, is_good in zip(self._tickers(rows), good.tolist(), strict=True) if is_good]
        return Updates(tickers, ts_ms[good], rows.offsets[good])


class BucketLog(_Log):
    """Of last buckets. Strategies are numbered by whoever holds all shards."""

    def __init__(self, name: str, number_of: Callable[[str], int]) -> None:
        super().__init__(name)
        self._number_of = number_of
        self._strategy_of: Int32s = np.full(0, UNKNOWN, np.int32)
        """By log number."""

    def changed(self) -> Buckets:
        """What has changed."""
        rows, special = self._changed()
        self._learn(special)
        count = len(rows.keys)
        counts, good = np.zeros(count, np.int32), np.ones(count, np.bool_)
        seen, nothing = np.empty(len(self._strategy_of), np.int32), pair_columns(0)

        def counted(first: int) -> tuple[int, int]:
            seen.fill(UNKNOWN)
            spans = (rows.arena, rows.starts[first:], rows.ends[first:])
            return restore_kernel.count_pairs(*spans, self._strategy_of, seen, nothing, counts[first:])

        for at, fault in _faults(counted, count):
            good[at] = False
            if fault == FAULT.STRATEGY:  # its row stands behind, where compaction has moved it
                self._waiting[rows.keys[at]] = int(rows.offsets[at])
            else:
                self._bad(rows.keys[at], int(rows.offsets[at]), REASONS[fault])
        return self._read(rows, np.flatnonzero(good), counts[good], seen)

    def _read(self, rows: Changed, which: Int64s, counts: Int32s, seen: Int32s) -> Buckets:
        at = np.cumsum(counts, dtype=np.int64) - counts
        pairs = pair_columns(int(counts.sum(dtype=np.int64)))
        seen.fill(UNKNOWN)
        spans = (rows.arena, rows.starts[which], rows.ends[which])
        restore_kernel.read_rows(*spans, self._strategy_of, seen, pairs, at)
        names = self._tickers(rows)
        tickers = [names[row] for row in which.tolist()]
        row = np.repeat(np.arange(len(which), dtype=np.int32), counts)
        return Buckets(tickers, row, pairs.strategy, pairs.last_bucket, rows.offsets[which])

    def _learn(self, special: Changed) -> None:
        """Number the strategies whose rows have come."""
        for i, key in enumerate(special.keys):
            if not key.startswith(STRATEGY_KEY):
                continue
            try:
                row = read_strategy(key, special.arena[special.starts[i] : special.ends[i]].tobytes())
            except BadBytesError as error:
                self._bad(key, int(special.offsets[i]), str(error))
                continue
            self._strategy_of = grown(self._strategy_of, row.log_number + 1, UNKNOWN)
            self._strategy_of[row.log_number] = self._number_of(row.strategy_id)


def _faults(read: Callable[[int], tuple[int, int]], count: int) -> Iterator[tuple[int, int]]:
    """Read on behind each row that is bad; which those are, and why."""
    first = 0
    while first < count:
        good, fault = read(first)
        if fault == FAULT.NONE:
            return
        yield first + good, fault
        first += good + 1
