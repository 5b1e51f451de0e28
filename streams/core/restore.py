"""From the rows of its changelogs back to a shard: see `state_rows` for what the rows hold.

recovery = Recovery()
recovery.last_update.take(run)             # runs of rows, in the order of the log, as they come
recovery.last_bucket.take(run)
restored = recovery.finish(Shard(...))     # then the strategies, by `shard.change`

Pairs come back asleep, with what they fired. A strategy's first change wakes its own; those of a strategy that is
not there any more stay as they are, and are written on with the rows they stand in.

Nothing is believed: a row that is not whole, or doesn't fit the others, ends the recovery with its key and offset.
"""

from typing import Final, NamedTuple

import numpy as np

from streams.core import kernel, restore_kernel
from streams.core.avro import BadBytesError
from streams.core.columns import Counters, Int32s, Scalars, pair_columns
from streams.core.gathered_rows import GROUP_KEY, put_back, read_group
from streams.core.index import LimitError
from streams.core.latest import Latest
from streams.core.limits import MAX_PAIRS
from streams.core.restore_kernel import FAULT
from streams.core.shard import Shard
from streams.core.special_rows import (
    POSITION_KEY,
    TICKER_KEY,
    TRAILING,
    Position,
    StrategyRow,
    read_position,
    read_strategy,
)
from streams.core.state_rows import StateRows

REASONS: Final = {
    FAULT.VERSION: "its version is not known here; run a release that writes it",
    FAULT.NUMBER: "it is cut short, or a number in it is too long",
    FAULT.TIME: "a time in it is out of bounds, or buckets are out of order",
    FAULT.COUNT: "it states an impossible count",
    FAULT.STRATEGY: "it names a strategy that has no row",
    FAULT.TWICE: "it holds a strategy twice",
    FAULT.TRAILING: TRAILING,
}


class CorruptRowError(ValueError):
    """A row that cannot be what a shard wrote."""

    def __init__(self, log: str, key: bytes, offset: int, reason: str) -> None:
        super().__init__(f"{log}, offset {offset}, row {key!r:.100}: {reason}")
        self.log, self.key, self.offset = log, key, offset


class Restored(NamedTuple):
    """What goes on from a recovery: the writer of further rows, and the position, where one was ever written."""

    rows: StateRows
    position: Position | None


class Recovery:
    """Takes the changelogs of one shard, then makes the shard of them."""

    def __init__(self) -> None:
        self.last_update = Latest("last_update")
        self.last_bucket = Latest("last_bucket")

    def finish(self, shard: Shard) -> Restored:
        """Fill a shard that is new. What was taken stays, so that a standby can go on taking."""
        if shard.index.tickers.count or shard.index.ids:
            raise ValueError("rows go into a new shard only; make one")
        updates, buckets, rows = _Log(self.last_update), _Log(self.last_bucket), StateRows(shard)
        updates.fill_updates(shard)
        position = buckets.position()
        rows.log_of, strategy_of = buckets.fill_strategies(shard)
        rows.log_numbers = max(position.log_numbers if position else 0, len(strategy_of))
        buckets.fill_pairs(shard, strategy_of)
        buckets.fill_gathered(shard)
        columns = shard.index.columns
        if position:
            columns.scalars[Scalars.STREAM_MS] = position.stream_ms
            for name in shard.counts:
                columns.counts[getattr(Counters, name.upper())] = position.counts.get(name, 0)
        kernel.repair(columns)
        rows.written_ms = columns.tickers.last_update.copy()
        return Restored(rows, position)


class _Log:
    """The last rows of one changelog, those of tickers apart from the others."""

    def __init__(self, latest: Latest) -> None:
        self.name, self.arena, self.keys = latest.name, latest.arena, latest.keys()
        self.starts, self.ends, self.offsets = latest.spans()
        special = np.array([key[:1] == b"\0" and not key.startswith(TICKER_KEY) for key in self.keys], bool)
        self.tickers, self.special = np.flatnonzero(~special), np.flatnonzero(special).tolist()

    def corrupt(self, row: int, reason: str) -> CorruptRowError:
        """An error that names the row."""
        return CorruptRowError(self.name, self.keys[row], int(self.offsets[row]), reason)

    def value(self, row: int) -> bytes:
        """The value of one row."""
        return self.arena[self.starts[row] : self.ends[row]].tobytes()

    def numbers(self, shard: Shard) -> Int32s:
        """A number for the ticker of each row, and columns for all of them."""
        numbers = np.empty(len(self.tickers), np.int32)
        for n, row in enumerate(self.tickers.tolist()):
            name = self.keys[row].removeprefix(TICKER_KEY)
            if len(name) < len(self.keys[row]) and name[:1] != b"\0":
                raise self.corrupt(row, "its key is escaped without need, and would stand for another ticker")
            try:
                numbers[n] = shard.index.tickers.number(name.decode())
            except UnicodeDecodeError:
                raise self.corrupt(row, "its key is not UTF-8") from None
            except ValueError as error:
                raise self.corrupt(row, str(error)) from None
        shard.index.make_room_for_tickers()
        return numbers

    def fill_updates(self, shard: Shard) -> None:
        """Write the last updates into the columns."""
        if self.special:
            raise self.corrupt(self.special[0], "its key is no ticker")
        numbers, ts_ms = self.numbers(shard), np.empty(len(self.tickers), np.int64)
        starts, ends = self.starts[self.tickers], self.ends[self.tickers]
        self.refuse(*restore_kernel.read_updates(self.arena, starts, ends, ts_ms))
        shard.index.columns.tickers.last_update[numbers] = ts_ms

    def refuse(self, good: int, fault: int) -> None:
        """Raise for the first row of a ticker that is bad."""
        if fault != FAULT.NONE:
            raise self.corrupt(int(self.tickers[good]), REASONS[fault])

    def position(self) -> Position | None:
        """What the row of the position says."""
        if POSITION_KEY not in self.keys:
            return None
        row = self.keys.index(POSITION_KEY)
        try:
            return read_position(self.value(row))
        except BadBytesError as error:
            raise self.corrupt(row, str(error)) from None

    def fill_strategies(self, shard: Shard) -> tuple[Int32s, Int32s]:
        """Number the strategies in the order of their log numbers; returns how to go to these, and from them."""
        found: dict[int, StrategyRow] = {}
        for row in self.special:
            if self.keys[row] == POSITION_KEY or self.keys[row].startswith(GROUP_KEY):
                continue
            try:
                strategy = read_strategy(self.keys[row], self.value(row))
            except BadBytesError as error:
                raise self.corrupt(row, str(error)) from None
            if strategy.log_number in found:
                raise self.corrupt(row, f"its log number is that of {found[strategy.log_number].strategy_id!r:.60} too")
            found[strategy.log_number] = strategy
        log_of = np.array(sorted(found), np.int32)
        number_of = np.full(max(found, default=-1) + 1, -1, np.int32)
        for log_number in log_of.tolist():
            strategy = found[log_number]
            number_of[log_number] = shard.index.remember(strategy.strategy_id, strategy.last_run_ms, strategy.floor_ms)
        return log_of, number_of

    def fill_gathered(self, shard: Shard) -> None:
        """Open the groups again that were not sent."""
        for row in self.special:
            if not self.keys[row].startswith(GROUP_KEY):
                continue
            try:
                put_back(shard, *read_group(self.keys[row], self.value(row)))
            except BadBytesError as error:
                raise self.corrupt(row, str(error)) from None

    def fill_pairs(self, shard: Shard, strategy_of: Int32s) -> None:
        """Write the pairs into the columns, all of them asleep."""
        index, numbers = shard.index, self.numbers(shard)
        starts, ends = self.starts[self.tickers], self.ends[self.tickers]
        counts, seen = np.zeros(len(numbers), np.int32), np.full(len(strategy_of), -1, np.int32)
        rows = (self.arena, starts, ends, strategy_of)
        self.refuse(*restore_kernel.count_pairs(*rows, seen, index.columns.pairs, counts))
        if int(counts.sum(dtype=np.int64)) > MAX_PAIRS:
            raise LimitError(f"more than {MAX_PAIRS} pairs in one shard; spread the topic over more partitions")
        rooms = counts + (counts >> 4)
        at = np.cumsum(rooms, dtype=np.int64) - rooms
        index.used_pairs = int(rooms.sum(dtype=np.int64))
        pairs = pair_columns(index.used_pairs)
        seen.fill(-1)
        restore_kernel.read_rows(*rows, seen, pairs, at)
        tickers = index.columns.tickers
        tickers.row_start[numbers], tickers.row_used[numbers], tickers.row_room[numbers] = at, counts, rooms
        index.columns = index.columns._replace(pairs=pairs)
