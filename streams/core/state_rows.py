r"""The state of a shard as rows of two changelogs: what has changed since the last checkpoint, and only that.

rows = StateRows(shard)                # or the one that `restore` hands back
rows.note(fires)                       # after each step
encoded = rows.encode(next_offset)     # at the checkpoint: everything noted since the one before

The changelog of `last_update` has one kind of row, that of `last_bucket` four. Every value begins with a version
byte, 1. Numbers are of 7 bits a byte, the lowest first; those that may be negative are zigzag, as in Avro.

    last_update   ticker     the time
    last_bucket   ticker     count of groups, and for each group, the newest bucket first:
                             the bucket (behind the first: how much older it is), count of strategies,
                             and of each the log number, as how many numbers lie between it and the one before
                  \0s id     a strategy: its log number; the last bucket it ran in as a whole, and the last in which
                             every ticker there is ran for it, each 0 for never and otherwise one more than its zigzag
                  \0g id     what is gathered of a strategy and not sent yet; without a value, once nothing is: see
                             `gathered_rows`
                  \0position  what only the shard has: an Avro map of longs, with `next_offset` in it

A ticker that begins with a zero byte has \0t before it. A row of buckets holds every pair that has fired, also those
that have left a universe: they are what keeps a pair from firing twice. Log numbers stand in for ids, and count up as
strategies are met; a strategy's row stands before the first row that uses its number. (Compaction may move it behind:
who reads believes the numbers at the end.) The position is the last row of all.

A whole run counts for each ticker of the universe, in the columns as in the rows: so nothing need be known later of
what the universe was.
"""

from typing import NamedTuple

import numpy as np

from streams.core import gathered_rows
from streams.core import state_kernel as kernel
from streams.core.columns import Bytes, Int32s, Int64s, Places, grown
from streams.core.entry import Entry
from streams.core.jit import compiled
from streams.core.limits import NEVER
from streams.core.records import NO_RECORDS, EncodedRecords, concatenated, records_of
from streams.core.shard import EVERY_TICKER, Fires, Shard
from streams.core.special_rows import NO_INPUTS, TICKER_KEY, Inputs, Position, StrategyRow, put_position, put_strategy
from streams.core.state_kernel import NO_LOG_NUMBER, Scratch


class Rows(NamedTuple):
    """What one checkpoint adds to each changelog. The position is the last row of `last_bucket`."""

    last_update: EncodedRecords
    last_bucket: EncodedRecords


@compiled
def note_tickers(ticker: Int32s, touched: Bytes) -> int:
    """Mark the tickers of fires; returns how many fires are of whole strategies."""
    whole = 0
    for t in ticker:
        if t == EVERY_TICKER:
            whole += 1
        else:
            touched[t] = 1
    return whole


class StateRows:
    """Knows what the changelogs of one shard hold, and writes what has changed."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self.log_numbers = 0
        """Log numbers given so far."""
        self.log_of: Int32s = np.zeros(0, np.int32)
        """By strategy."""
        self.written_ms: Int64s = np.zeros(0, np.int64)
        """By ticker: the last update in the changelog."""
        self._touched: Bytes = np.zeros(0, np.uint8)
        self._ran: set[int] = set()

    def note(self, fires: Fires) -> None:
        """Keep in mind which rows a step has changed."""
        self._touched = grown(self._touched, self._shard.index.tickers.count, 0)
        if note_tickers(fires.ticker, self._touched):
            self._ran.update(fires.strategy[fires.ticker == EVERY_TICKER].tolist())

    def encode(self, next_offset: int, inputs: Inputs = NO_INPUTS, promised_ms: int = NEVER) -> Rows:
        """The rows that have changed, and the position; `inputs` and `promised_ms` as `Position` has them."""
        index, ts_ms = self._shard.index, max(self._shard.stream_ms, 0)
        index.make_room_for_tickers()
        ran = [index.entries[index.ids[number]] for number in sorted(self._ran)]
        for entry in ran:
            index.remember_runs(entry)
        self._ran.clear()
        which, longest, pairs, unseen = self._changed()
        strategies = records_of(map(self._strategy_row, self._numbered(ran, unseen)), ts_ms)
        tickers = self._buckets(which, longest, pairs, ts_ms)
        gathered = records_of(gathered_rows.changed(self._shard.gathered, index.ids), ts_ms)
        position = records_of([self._position_row(next_offset, inputs, promised_ms)], ts_ms)
        return Rows(self._updates(ts_ms), concatenated([strategies, tickers, gathered, position]))

    def _changed(self) -> tuple[Int64s, int, int, list[int]]:
        """The tickers whose rows have changed, the longest row, all their pairs, and strategies without a number."""
        index, size = self._shard.index, self._shard.index.tickers.count
        self._touched, index.marked = grown(self._touched, size, 0), grown(index.marked, size, 0)
        which = np.flatnonzero(self._touched[:size] | index.marked[:size])
        self._touched[which] = index.marked[which] = 0
        self.log_of = grown(self.log_of, len(index.ids), NO_LOG_NUMBER)
        unseen = np.empty(len(index.ids), np.int32)
        columns = index.columns
        pairs, longest, asked = kernel.survey(columns.tickers, columns.pairs, which, self.log_of, unseen)
        return which, longest, pairs, unseen[:asked].tolist()

    def _numbered(self, ran: list[Entry], unseen: list[int]) -> list[Entry]:
        """The strategies whose rows have changed, each with a log number now."""
        index = self._shard.index
        numbers = sorted({*unseen, *(entry.number for entry in ran)})
        for number in numbers:
            if self.log_of[number] < 0:
                self.log_of[number] = self.log_numbers
                self.log_numbers += 1
        return [index.entries[index.ids[number]] for number in numbers]

    def _strategy_row(self, entry: Entry) -> tuple[bytes, bytes]:
        strategy_id, log_number = self._shard.index.ids[entry.number], int(self.log_of[entry.number])
        return put_strategy(StrategyRow(strategy_id, log_number, entry.last_run_ms, entry.floor_ms))

    def _position_row(self, next_offset: int, inputs: Inputs, promised_ms: int) -> tuple[bytes, bytes]:
        shard = self._shard
        return put_position(Position(next_offset, shard.stream_ms, self.log_numbers, shard.counts, inputs, promised_ms))

    def _buckets(self, which: Int64s, longest: int, pairs: int, ts_ms: int) -> EncodedRecords:
        """The rows of last buckets of some tickers."""
        if not len(which):
            return NO_RECORDS
        names, columns, scratch = self._shard.index.tickers.names, self._shard.index.columns, scratch_for(longest)
        size = self._most_key_bytes(which) + len(which) * kernel.MOST_ROW_BYTES + pairs * kernel.MOST_PAIR_BYTES
        out, places = np.empty(size, np.uint8), Places(*np.empty((4, len(which)), np.int64))
        used = kernel.put_buckets(columns.tickers, columns.pairs, which, names, self.log_of, scratch, out, places)
        return EncodedRecords(out[:used], *places, np.full(len(which), ts_ms))

    def _updates(self, ts_ms: int) -> EncodedRecords:
        """The rows of last updates that are not in the changelog as they are."""
        count, tickers = self._shard.index.tickers.count, self._shard.index.tickers
        last_update = self._shard.index.columns.tickers.last_update
        self.written_ms = grown(self.written_ms, count, NEVER)
        which = np.flatnonzero(self.written_ms[:count] != last_update[:count])
        if not len(which):
            return NO_RECORDS
        self.written_ms[which] = last_update[which]
        out = np.empty(self._most_key_bytes(which) + len(which) * kernel.MOST_ROW_BYTES, np.uint8)
        places = Places(*np.empty((4, len(which)), np.int64))
        used = kernel.put_updates(last_update, which, tickers.names, out, places)
        return EncodedRecords(out[:used], *places, np.full(len(which), ts_ms))

    def _most_key_bytes(self, which: Int64s) -> int:
        lengths = self._shard.index.tickers.names.lengths
        return int(lengths[which].sum()) + len(which) * len(TICKER_KEY)


def scratch_for(longest: int) -> Scratch:
    """Room for rows of so many pairs."""
    of_pairs, of_groups = np.empty((3, longest), np.int32), np.empty((4, longest), np.int32)
    slots = np.full(1 << (2 * longest).bit_length(), -1, np.int32)
    return Scratch._make([*of_pairs, np.empty(longest, np.int64), *of_groups, slots])
