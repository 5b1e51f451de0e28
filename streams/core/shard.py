"""One shard: batches of ticks and strategy changes in, fires out. The kernel and its state behind one door.

shard.change(strategy)                  # a new version, in force from the next step on
ticks, faults = shard.from_values(...)  # or from_columns
fires = shard.step(ticks)
"""

from contextlib import AbstractContextManager
from typing import Final

import numpy as np

from streams.core import kernel
from streams.core.columns import (
    Batch,
    Bytes,
    Columns,
    Counters,
    Ends,
    FireColumns,
    Fires,
    Int32s,
    Int64s,
    Scalars,
    Ticks,
    fire_columns,
    joined,
    larger,
)
from streams.core.conditions import ConditionTable
from streams.core.decode import UNKNOWN, decode, decoded_columns, judged
from streams.core.events import Fire, Mode, Strategy
from streams.core.flags import SHADOW, UPDATE_TRACKING, Flags
from streams.core.gathered import Gathered
from streams.core.index import Index, Owns
from streams.core.lifecycle import Settled, Verdict
from streams.core.limits import FOREVER, NEVER
from streams.core.new_names import number_new_names
from streams.core.numbered import Numbered
from streams.core.order import Ranks, in_order, laid
from streams.core.shadow import Shadow
from streams.core.strategy_counts import Rounds, StrategyCounts, counts_of
from streams.core.tick_columns import clock_ticks, of_one_kind, part_of, reaches
from streams.core.turns import Way, mode_in

FIRST_FIRES: Final = 1 << 12
KEPT_FIRES: Final = 1 << 16
"""Room for more is not kept for the next step: when all pairs have fired at once, it would be held for good."""
EVERY_TICKER: Final = -1
"""Stands for the ticker of a fire of a whole strategy."""


class Shard:
    """The state of one partition, and the two things that change it: a strategy's version, a batch."""

    def __init__(  # noqa: PLR0913 - the last by name
        self,
        conditions: ConditionTable,
        default_mode: Mode = Mode.PER_TICKER,
        *,
        tracked: bool = True,
        owns: Owns = None,
        is_home: Owns = None,
        alone: bool = True,
        long_steps: bool = False,
    ) -> None:
        """Make an empty one. One that is not alone leaves it to others when strategies turn: see `turns.py`.

        `long_steps`: other threads run while a step does, its room is kept, pairs' fires come in order; for replays.
        """
        self.conditions = conditions
        self.index = Index(default_mode, owns, is_home, alone=alone)
        self.gathered = Gathered(self.index)
        self._tracked = self._tracked_unless_flagged = tracked
        self._kernel_step, self._kept_fires = (kernel.long_step, FOREVER) if long_steps else (kernel.step, KEPT_FIRES)
        self._level_fires, self._pair_fires = fire_columns(0), fire_columns(FIRST_FIRES)
        self._ranks, self._numbered = Ranks(), Numbered(self.index.tickers)
        self._rounds, self._compared_unless_flagged = Rounds(self.index), False
        self.shadow: Shadow | None = None
        """Counts what both throttles make of the ticks, where it is wanted."""

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
        places = {name.lower(): at for name, at in vars(Counters).items() if name.isupper() and name != "SIZE"}
        return {name: int(self.index.columns.counts[at]) for name, at in places.items()}

    @property
    def stream_ms(self) -> int:
        """The time that the shard's records have come to."""
        return self.index.stream_ms

    @property
    def next_due_ms(self) -> int:
        """When, in stream time, something goes out though no tick comes; FOREVER: nothing does, as far as is known."""
        columns, whole_ms = self.index.columns, FOREVER
        if len(columns.strategies.level) and self.stream_ms != NEVER:
            if columns.scalars[Scalars.LEVEL_DUE] == NEVER:  # strategies have changed since the last record
                columns.scalars[Scalars.LEVEL_DUE] = kernel.level_due(columns, self.stream_ms)
            whole_ms = max(int(columns.scalars[Scalars.LEVEL_DUE]), self.stream_ms)
        return min(whole_ms, self.gathered.due_ms, self.index.ways.due_ms)  # who turns to the whole may fire then

    def change(self, change: Strategy) -> Settled:
        """Take a strategy's version; it is in force from the next step on."""
        before = self._standing(change.strategy_id)
        settled = self.index.change(change)
        if settled.verdict is Verdict.ACCEPTED:
            self._stands(before, change)
        return settled

    def stand(self, strategy: Strategy, before: frozenset[str] = frozenset(), own: Int32s | None = None) -> None:
        """Take a strategy as it stands: it was settled where it is kept, and is not settled here again."""
        old = self._standing(strategy.strategy_id)
        self.index.stand(strategy, before, own)
        self._stands(old, strategy)

    def together(self) -> AbstractContextManager[None]:
        """Within, strategies come: many cost less than one by one. No batch may be stepped there."""
        return self.index.together()

    def all_stand(self) -> None:
        """All strategies that stand have been taken."""
        self.gathered.all_stand()

    def set_flags(self, flags: Flags) -> None:
        """Take the flags as they are now."""
        self.index.set_flags(flags)
        self.tracked = flags.everywhere(UPDATE_TRACKING, self._tracked_unless_flagged)
        self._compare(on=flags.everywhere(SHADOW, self._compared_unless_flagged))

    def _standing(self, strategy_id: str) -> Strategy | None:
        entry = self.index.entries.get(strategy_id)
        return None if entry is None else entry.strategy

    def _stands(self, before: Strategy | None, now: Strategy) -> None:
        entry = self.index.entries[now.strategy_id]
        self.gathered.stands(entry.number, before, now)
        if self.shadow is not None:
            self.shadow.follow(entry)

    def forget(self, strategy_id: str) -> None:
        """Take a strategy's tombstone: only what it fired is known of it from the next step on."""
        before = self._standing(strategy_id)
        self.index.forget(strategy_id)
        if before is not None:
            self.gathered.ends(self.index.entries[strategy_id].number, before)
            if self.shadow is not None:
                self.shadow.follow(self.index.entries[strategy_id])

    def compare(self, *, on: bool) -> None:
        """Count what both throttles make of the ticks from here on, or do so no more; unless a flag says otherwise."""
        self._compared_unless_flagged = on
        self._compare(on=on)

    def _compare(self, *, on: bool) -> None:
        if on != (self.shadow is not None):
            self.shadow = Shadow(self.index) if on else None

    def clock(self, *times_ms: int) -> Fires:
        """Move stream time on without a tick, once for each time."""
        return self.step(clock_ticks(times_ms))

    def step(self, ticks: Ticks) -> Fires:
        """Take a batch of ticks, all of them. Where strategies turn within it, they do so between two ticks."""
        if reaches(ticks, self.index.ways.due_ms) == len(ticks.ticker):
            return self._step(ticks)
        parts, done = [NO_FIRES], 0
        while done < len(ticks.ticker):
            left = part_of(ticks, done, len(ticks.ticker))
            due = reaches(left, self.index.ways.due_ms)
            if not due:
                self.index.reach(int(left.ts_ms[0]))
                due = max(1, reaches(left, self.index.ways.due_ms))
            fires = self._step(part_of(left, 0, due))
            parts.append(fires._replace(tick=fires.tick + np.int32(done)))
            done += due
        return Fires._make(map(np.concatenate, zip(*parts, strict=True)))

    def _step(self, ticks: Ticks) -> Fires:
        self.index.make_room_for_tickers()
        columns = self.index.columns
        kind = of_one_kind(ticks, fixed=self._kept_fires == FOREVER)
        batch = Batch(*kind, np.empty(len(ticks.ticker), np.int32))
        for scalar in (Scalars.RESUME_AT, Scalars.PAIR_FIRES, Scalars.LEVEL_FIRES):
            columns.scalars[scalar] = 0
        phase = kernel.OBSERVE
        while (
            phase := self._kernel_step(columns, batch, self._tracked, phase, self._level_fires, self._pair_fires)
        ) != kernel.DONE:
            self._grow(columns, phase)
        if self.shadow is not None:
            self.shadow.take(ticks)
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
        fires = FireColumns._make(column[:pairs] for column in self._pair_fires)
        if self._kept_fires == FOREVER and not levels:
            return laid(fires, ticks.ticker, self.rank())
        if len(fires.tick) > self._kept_fires:
            self._pair_fires = fire_columns(FIRST_FIRES)
        else:
            fires = FireColumns._make(column.copy() for column in fires)
        ticker = ticks.ticker[fires.tick]
        if levels:
            whole = FireColumns._make(column[:levels] for column in self._level_fires)
            fires = joined(fires, whole)
            ticker = np.concatenate((ticker, np.full(levels, EVERY_TICKER, np.int32)))
        return Fires(fires.tick, fires.strategy, ticker, fires.bucket_ms, fires.ts_ms)

    def in_order(self, fires: Fires, ticks: int) -> Fires:
        """The fires of a step over so many ticks by tick, and by strategy id within one tick."""
        return in_order(fires, self.rank(), ticks)

    @property
    def strategy_ids(self) -> list[str]:
        """The strategies' ids, by number."""
        return self.index.ids

    def rank(self) -> Int32s:
        """Each strategy's place in the order of the ids."""
        return self._ranks.of(self.index.ids)

    def whole_modes(self) -> list[Mode]:
        """How each strategy is throttled where it decides as a whole, by number."""
        return [mode_in(Way.WHOLE, entry.strategy) for entry in self.index.entries.values()]

    def named(self, fires: Fires) -> list[Fire]:
        """The fires with their names: for tests, and for the eye."""
        tickers, ids, modes = [*self.index.tickers.all_names(), ""], self.strategy_ids, self.whole_modes()
        columns = (fires.strategy, fires.ticker, fires.bucket_ms, fires.ts_ms)
        return [
            Fire(ids[s], tickers[t], bucket_ms, ts_ms, modes[s] if t == EVERY_TICKER else Mode.PER_TICKER)
            for s, t, bucket_ms, ts_ms in zip(*(column.tolist() for column in columns), strict=True)
        ]

    def from_columns(
        self, names: list[str], name_of: Int32s, ts_ms: Int64s, codes: Int32s, code_ends: Ends
    ) -> tuple[Ticks, list[int]]:
        """Ticks whose tickers are indexes into `names`; and which of them are left out, for want of room.

        The names may be more than those of the ticks, and become more from call to call: see `numbered.py`.
        """
        moves_price = judged(codes, code_ends, self.conditions.blocks, self.conditions.unlisted_blocks)
        return self.from_names(names, name_of, ts_ms, moves_price)

    def from_names(self, names: list[str], name_of: Int32s, ts_ms: Int64s, moves: Bytes) -> tuple[Ticks, list[int]]:
        """The same, where it is known which of them may move the price."""
        ticker = self._numbered.of(names, name_of)
        refused = np.flatnonzero(ticker == UNKNOWN)
        ticker[refused] = kernel.NO_TICK
        return Ticks(ticker, ts_ms, moves), refused.tolist()

    def from_values(
        self, data: Bytes, starts: Int64s, ends: Int64s, plan: Int32s, schema_id: int
    ) -> tuple[Ticks, Bytes]:
        """Ticks from encoded values; and the fault of each, `FAULT.NONE` for those that are ticks."""
        out, table, names = decoded_columns(len(starts)), self.conditions, self.index.tickers.names
        if decode(data, starts, ends, schema_id, plan, names, table.blocks, table.unlisted_blocks, out):
            number_new_names(self.index, data, out)
        return Ticks(out.ticker, out.ts_ms, out.moves_price), out.fault


NO_FIRES: Final = Fires._make(np.zeros(0, kind) for kind in (np.int32, np.int32, np.int32, np.int64, np.int64))

__all__ = ["EVERY_TICKER", "NO_FIRES", "Fires", "Shard", "Ticks"]
