"""One shard: batches of ticks and strategy changes in, fires out. The kernel and its state behind one door.

shard.change(strategy)                  # a new version, in force from the next step on
ticks, faults = shard.from_values(...)  # or from_columns
fires = shard.step(ticks)
"""

from typing import Final

import numpy as np

from streams.core import kernel
from streams.core.columns import (
    Batch,
    Bytes,
    Columns,
    Counters,
    FireColumns,
    Fires,
    Int32s,
    Int64s,
    Scalars,
    Ticks,
    fire_columns,
    grown,
)
from streams.core.conditions import ConditionTable
from streams.core.decode import FAULT, UNKNOWN, Decoded, decode, judge_codes
from streams.core.events import Fire, Mode, Strategy
from streams.core.gathered import Gathered
from streams.core.index import Index, Owns
from streams.core.lifecycle import Settled, Verdict
from streams.core.limits import FOREVER, MAX_SCHEMA_DEPTH, NEVER
from streams.core.order import Ranks, order_of
from streams.core.strategy_counts import Rounds, StrategyCounts, counts_of
from streams.core.tickers import TooManyTickersError

FIRST_FIRES: Final = 1 << 12
EVERY_TICKER: Final = -1
"""Stands for the ticker of a fire of a whole strategy."""


class Shard:
    """The state of one partition, and the two things that change it: a strategy's version, a batch."""

    def __init__(
        self,
        conditions: ConditionTable,
        default_mode: Mode = Mode.PER_TICKER,
        *,
        tracked: bool = True,
        owns: Owns = None,
        is_home: Owns = None,
    ) -> None:
        self.conditions = conditions
        self.index = Index(default_mode, owns, is_home)
        self.gathered = Gathered(self.index)
        self._tracked = tracked
        self._level_fires = fire_columns(0)
        self._pair_fires = fire_columns(FIRST_FIRES)
        self._ranks = Ranks()
        self._rounds = Rounds(self.index)

    @property
    def tracked(self) -> bool:
        """Whether a step looks only at the tickers that were updated."""
        return self._tracked

    @tracked.setter
    def tracked(self, tracked: bool) -> None:
        if tracked and not self._tracked:
            kernel.repair(self.index.columns)
        self._tracked = tracked

    @property
    def totals(self) -> Int64s:
        """The totals so far, in the order of `Counters`."""
        return self.index.columns.counts.copy()

    @property
    def counts(self) -> dict[str, int]:
        """The totals so far, by name."""
        totals = self.index.columns.counts
        return {
            name.lower(): int(totals[at]) for name, at in vars(Counters).items() if name.isupper() and name != "SIZE"
        }

    @property
    def stream_ms(self) -> int:
        """The time that the shard's records have come to."""
        return int(self.index.columns.scalars[Scalars.STREAM_MS])

    @property
    def next_due_ms(self) -> int:
        """When, in stream time, something goes out though no tick comes; FOREVER: nothing does, as far as is known."""
        columns, whole_ms = self.index.columns, FOREVER
        if len(columns.strategies.level) and self.stream_ms != NEVER:
            if columns.scalars[Scalars.LEVEL_DUE] == NEVER:  # strategies have changed since the last record
                columns.scalars[Scalars.LEVEL_DUE] = kernel.level_due(columns, self.stream_ms)
            whole_ms = max(int(columns.scalars[Scalars.LEVEL_DUE]), self.stream_ms)
        return min(whole_ms, self.gathered.due_ms)

    def change(self, change: Strategy) -> Settled:
        """Take a strategy's version; it is in force from the next step on."""
        before = self._standing(change.strategy_id)
        settled = self.index.change(change)
        if settled.verdict is Verdict.ACCEPTED:
            self._stands(before, change)
        return settled

    def stand(self, strategy: Strategy) -> None:
        """Take a strategy as it stands: it was settled where it is kept, and is not settled here again."""
        before = self._standing(strategy.strategy_id)
        self.index.stand(strategy)
        self._stands(before, strategy)

    def all_stand(self) -> None:
        """All strategies that stand have been taken."""
        self.gathered.all_stand()

    def _standing(self, strategy_id: str) -> Strategy | None:
        entry = self.index.entries.get(strategy_id)
        return None if entry is None else entry.strategy

    def _stands(self, before: Strategy | None, now: Strategy) -> None:
        self.gathered.stands(self.index.entries[now.strategy_id].number, before, now)

    def forget(self, strategy_id: str) -> None:
        """Take a strategy's tombstone: only what it fired is known of it from the next step on."""
        before = self._standing(strategy_id)
        self.index.forget(strategy_id)
        if before is not None:
            self.gathered.ends(self.index.entries[strategy_id].number, before)

    def clock(self, *times_ms: int) -> Fires:
        """Move stream time on without a tick, once for each time."""
        count = len(times_ms)
        times = np.array(times_ms, np.int64)
        return self.step(Ticks(np.full(count, kernel.CLOCK, np.int32), times, np.zeros(count, np.uint8)))

    def step(self, ticks: Ticks) -> Fires:
        """Take a batch of ticks, all of them."""
        self.index.make_room_for_tickers()
        columns = self.index.columns
        batch = Batch(*ticks, np.empty(len(ticks.ticker), np.int32))
        for scalar in (Scalars.RESUME_AT, Scalars.PAIR_FIRES, Scalars.LEVEL_FIRES):
            columns.scalars[scalar] = 0
        phase = kernel.OBSERVE
        while (
            phase := kernel.step(columns, batch, self._tracked, phase, self._level_fires, self._pair_fires)
        ) != kernel.DONE:
            self._grow(columns, phase)
        pair_fires, level_fires = int(columns.scalars[Scalars.PAIR_FIRES]), int(columns.scalars[Scalars.LEVEL_FIRES])
        return self._fires(ticks, pair_fires, level_fires)

    def end_round(self) -> None:
        """Count the strategies that had no update since this was last called: see `strategy_counts`."""
        self._rounds.end()

    def counts_of(self, strategy_id: str) -> StrategyCounts | None:
        """What happened to one strategy; None where it was never met."""
        return counts_of(self.index, strategy_id)

    def _grow(self, columns: Columns, phase: int) -> None:
        """Make the buffer larger that stopped the step."""
        if phase == kernel.OBSERVE:
            self._level_fires = larger(self._level_fires, len(columns.strategies.level))
        else:
            self._pair_fires = larger(self._pair_fires, int(columns.tickers.row_awake.max()))

    def _fires(self, ticks: Ticks, pairs: int, levels: int) -> Fires:
        """The fires out of both buffers."""
        if not pairs and not levels:
            return NO_FIRES
        fires = FireColumns._make(column[:pairs].copy() for column in self._pair_fires)
        ticker = ticks.ticker[fires.tick]
        if levels:
            whole = FireColumns._make(column[:levels] for column in self._level_fires)
            fires = joined(fires, whole)
            ticker = np.concatenate((ticker, np.full(levels, EVERY_TICKER, np.int32)))
        return Fires(fires.tick, fires.strategy, ticker, fires.bucket_ms, fires.ts_ms)

    def in_order(self, fires: Fires, ticks: int) -> Fires:
        """The fires of a step over so many ticks by tick, and by strategy id within one tick."""
        order = order_of(fires.tick, fires.strategy, self.rank(), ticks)
        return Fires._make(column[order] for column in fires)

    @property
    def strategy_ids(self) -> list[str]:
        """The strategies' ids, by number."""
        return self.index.ids

    def rank(self) -> Int32s:
        """Each strategy's place in the order of the ids."""
        return self._ranks.of(self.index.ids)

    def modes(self) -> list[Mode]:
        """How each strategy is throttled, by number."""
        return [entry.strategy.mode_under(self.index.default_mode) for entry in self.index.entries.values()]

    def named(self, fires: Fires) -> list[Fire]:
        """The fires with their names: for tests, and for the eye."""
        tickers, ids, modes = [*self.index.tickers.all_names(), ""], self.strategy_ids, self.modes()
        columns = (fires.strategy, fires.ticker, fires.bucket_ms, fires.ts_ms)
        return [
            Fire(ids[s], tickers[t], bucket_ms, ts_ms, modes[s])
            for s, t, bucket_ms, ts_ms in zip(*(column.tolist() for column in columns), strict=True)
        ]

    def from_columns(
        self, names: list[str], name_of: Int32s, ts_ms: Int64s, codes: Int32s, code_ends: Int64s
    ) -> tuple[Ticks, list[int]]:
        """Ticks whose tickers are indexes into `names`; and which of them are left out, for want of room."""
        moves_price = np.empty(len(ts_ms), np.uint8)
        judge_codes(codes, code_ends, self.conditions.blocks, self.conditions.unlisted_blocks, moves_price)
        numbers = np.empty(len(names), np.int32)
        for k, name in enumerate(names):
            try:
                numbers[k] = self.index.tickers.number(name)
            except TooManyTickersError:
                numbers[k] = UNKNOWN
        ticker = numbers[name_of]
        refused = np.flatnonzero(ticker == UNKNOWN)
        ticker[refused] = kernel.NO_TICK
        return Ticks(ticker, ts_ms, moves_price), refused.tolist()

    def from_values(
        self, data: Bytes, starts: Int64s, ends: Int64s, plan: Int32s, schema_id: int
    ) -> tuple[Ticks, Bytes]:
        """Ticks from encoded values; and the fault of each, `FAULT.NONE` for those that are ticks."""
        size, table = len(starts), self.conditions
        out = decoded_columns(size)
        names = self.index.tickers.names
        if decode(data, starts, ends, schema_id, plan, names, table.blocks, table.unlisted_blocks, out):
            self._number_new_names(data, out)
        return Ticks(out.ticker, out.ts_ms, out.moves_price), out.fault

    def _number_new_names(self, data: Bytes, out: Decoded) -> None:
        """Give a number to each ticker met for the first time that may move the price."""
        numbers: dict[bytes, tuple[int, int]] = {}
        new = np.flatnonzero((out.ticker == UNKNOWN) & (out.fault == FAULT.NONE) & (out.moves_price == 1))
        for i in new.tolist():
            start = int(out.name_start[i])
            name = data[start : start + int(out.name_length[i])].tobytes()
            if name not in numbers:
                numbers[name] = self._number(name)
            out.ticker[i], out.fault[i] = numbers[name]
        out.ticker[out.fault != FAULT.NONE] = kernel.NO_TICK

    def _number(self, name: bytes) -> tuple[int, int]:
        owns = self.index.owns
        try:
            ticker = name.decode()
            if owns is not None and not owns(ticker):
                return UNKNOWN, FAULT.WRONG_PARTITION  # its pairs are in another shard: here it would fire nothing
            return self.index.tickers.number(ticker), FAULT.NONE
        except UnicodeDecodeError:
            return UNKNOWN, FAULT.TICKER_NOT_UTF8
        except TooManyTickersError:
            return UNKNOWN, FAULT.TOO_MANY_TICKERS


def decoded_columns(size: int) -> Decoded:
    """Room for `size` values."""
    narrow, wide, byte = np.int32, np.int64, np.uint8
    kinds = (narrow, wide, byte, byte, wide, narrow)
    return Decoded._make([*(np.empty(size, kind) for kind in kinds), np.empty(MAX_SCHEMA_DEPTH + 1, wide)])


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


NO_FIRES: Final = Fires._make(np.zeros(0, kind) for kind in (np.int32, np.int32, np.int32, np.int64, np.int64))

__all__ = ["EVERY_TICKER", "NO_FIRES", "Fires", "Shard", "Ticks", "decoded_columns"]
