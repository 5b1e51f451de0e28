"""Ticks of all partitions decided as workers decide them: a shard for each, what else came in at the tick it was taken.

The rows of the result stand in the order of the ticks, whatever runs these come in; what a clock record fires stands
before the tick of its shard that came next.
"""

from collections.abc import Sequence
from itertools import repeat
from operator import add
from typing import Final, NamedTuple

import numpy as np

from streams.core.columns import Fires
from streams.core.conditions import ConditionTable
from streams.core.entry import NOBODY
from streams.core.events import Mode, Strategy
from streams.core.limits import FOREVER, MAX_TICKERS, NEVER
from streams.core.order import Ranks, order_of
from streams.core.shard import EVERY_TICKER, Shard
from streams.core.strategy_counts import StrategyCounts, all_counts
from streams.core.turns import Way, mode_in
from streams.kafka.partitions import Here, Homes
from streams.recorded.beside import Beside, Event
from streams.recorded.one_shard import COUNTED, Numbers, OneShard, restored
from streams.recorded.parted import Part, Parted, split
from streams.recorded.placed import Refused, Ticks
from streams.replay.deciding import too_many_tickers
from streams.replay.definitions import Universes, universes_of
from streams.replay.results import Batch
from streams.replay.tick_columns import Int32s, Int64s

MODES: Final = [mode.value for mode in Mode]
NOWHERE: Final = np.zeros(1, np.int64)
"""Stands for the place of a tick that did not come any more."""
_BY_PAIRS: Final = MODES.index(Mode.PER_TICKER)


class Fired(NamedTuple):
    """What fired, in columns; `at` puts it in order: the ticks' places, twice, and one less for what comes before."""

    at: Int64s
    strategy: Int32s
    ticker: Int32s
    bucket_ms: Int64s
    ts_ms: Int64s
    mode: Int32s


class Noted(NamedTuple):
    """What a shard fired in one step, by its own numbers."""

    one: OneShard
    fires: Fires
    mode: Int32s
    places: Int64s
    """Of the step's ticks, in the order of all; or of the tick that came next, where no tick was stepped."""
    by_ticks: bool


class ByShard:
    """All shards of a replay."""

    def __init__(self, beside: Beside, conditions: ConditionTable, *, as_many: int = 1) -> None:
        """Make them. Each has room for the tickers of `as_many`."""
        self._limit = as_many * MAX_TICKERS
        self.strategies, self.tickers, self._ranks = Numbers(), Numbers(), Ranks()
        self._conditions = conditions
        homes = Homes(beside.shards)
        self.shards = {p: self._shard(beside, conditions, p, homes) for p in range(beside.shards)}

    def _shard(self, beside: Beside, conditions: ConditionTable, partition: int, homes: Homes) -> OneShard:
        """One as a worker makes it. It knows all turns: of a bucket's way nothing else is true in the end."""
        owns = Here(partition, homes).__getitem__ if beside.shards > 1 else None
        shard = Shard(conditions, beside.default_mode, owns=owns, is_home=owns, alone=not beside.turns, long_steps=True)
        begins = beside.starts.get(partition)
        if begins is not None:
            restored(shard, begins)
        shard.index.tickers.limit = self._limit
        for strategy_id, turns in beside.turns.items():
            shard.index.turn(strategy_id, turns)
        one = OneShard(shard, beside.taking(partition))
        start: list[Event] = [*(begins or beside).strategies, *(begins or beside).controls]
        if begins is not None:
            one.tells_from, one.counts_before, one.from_ms = begins.tells_from, shard.counts, begins.from_ms
        with shard.together():
            for event in start:
                one.take(event)
        return one

    @property
    def counts(self) -> dict[str, int]:
        """The totals of all shards, by name: those that hang on the input alone, not on the runs it came in."""
        counts = [(one.shard.counts, one.counts_before) for one in self.shards.values()]
        return {name: sum(now[name] - before[name] for now, before in counts) for name in COUNTED}

    def stood(self) -> list[Strategy]:
        """All strategies, in the last version that a shard has come to, in the order of their ids."""
        found: dict[str, Strategy] = {}
        for one in self.shards.values():
            for strategy_id, strategy in one.stood.items():
                known = found.setdefault(strategy_id, strategy)
                if strategy.version > known.version:
                    found[strategy_id] = strategy
        return [found[strategy_id] for strategy_id in sorted(found)]

    def universes(self, strategies: Sequence[Strategy]) -> Universes:
        """The tickers of each. One shard that decides all has them as numbers."""
        index = self.shards[0].shard.index
        if len(self.shards) > 1:
            return universes_of(strategies, repeat(NOBODY, len(strategies)), {})
        own = (index.entries[strategy.strategy_id].own for strategy in strategies)
        return universes_of(strategies, own, index.tickers.by_name)

    def strategy_counts(self) -> dict[str, StrategyCounts]:
        """What happened to each strategy in all shards."""
        found = dict[str, StrategyCounts]()
        for one in self.shards.values():
            for strategy_id, counts in zip(one.shard.strategy_ids, all_counts(one.shard.index), strict=True):
                before = found.get(strategy_id)
                found[strategy_id] = counts if before is None else StrategyCounts._make(map(add, before, counts))
        return found

    def skipped(self) -> list[str]:
        """Which strategies decide nothing, and why."""
        warnings = {sid: why for one in self.shards.values() for sid, why in one.shard.index.warnings.items()}
        return [f"strategy {sid!r} is skipped: {why}" for sid, why in sorted(warnings.items())]

    def step(self, ticks: Ticks) -> tuple[Batch, list[Refused]]:
        """Take a run; returns what fired, in order, and the ticks that found no room."""
        return self.step_parts(split(ticks, self._conditions))

    def step_parts(self, run: Parted) -> tuple[Batch, list[Refused]]:
        """The same, of a run in parts."""
        fired, refused = list[Noted](), list[Refused]()
        for part, places in zip(run.parts, run.places, strict=True):
            self._step_one(self.shards[part.partition], part, places, fired, refused)
        return self._in_order(fired), refused

    def rest(self) -> Batch:
        """What comes behind the last tick, shard by shard."""
        fired: list[Noted] = []
        for one in self.shards.values():
            self._warm_up(fired, one, one.tells_from, NOWHERE)
            for event in one.taking.rest():
                _note(fired, one, one.take(event), NOWHERE, by_ticks=False)
        return self._in_order(fired)

    def _step_one(self, one: OneShard, whole: Part, places: Int64s, fired: list[Noted], refused: list[Refused]) -> None:
        """Take the ticks of one shard, cut where it took something else."""
        done = 0
        while done < len(places):
            offset = int(whole.offset[done])
            self._warm_up(fired, one, offset, places[done : done + 1])
            for event in one.taking.before(offset):
                _note(fired, one, one.take(event), places[done : done + 1], by_ticks=False)
            end = int(np.searchsorted(whole.offset, min(one.taking.next_offset, one.tells_from or FOREVER)))
            part = whole.part(done, end)
            taken, homeless = one.shard.from_names(part.names, part.name_of, part.ts_ms, part.moves_price)
            rejects = [(int(part.offset[at]), too_many_tickers(int(part.offset[at]))) for at in homeless]
            if not one.tells_from:
                refused += [Refused(whole.partition, row, each.reason, each.detail) for row, each in rejects]
            fires = one.shard.step(taken)
            _note(fired, one, None if one.tells_from else fires, places[done:end], by_ticks=True)
            done = end

    def _warm_up(self, fired: list[Noted], one: OneShard, offset: int, places: Int64s) -> None:
        """Take what a shard took before a tick, as far as that is not told; it is told where the tick is."""
        for event in one.taking.before(min(offset, one.tells_from - 1)):
            fires = one.take(event)
            _note(fired, one, None if one.from_ms == NEVER else fires, places, by_ticks=False)
        if offset >= one.tells_from:
            one.tell()

    def _in_order(self, fired: Sequence[Noted]) -> Batch:
        """All of it in the order of the ticks; of one tick, in that of the strategies' ids.

        What several clock records of one place fired stays in the order of these.
        """
        if len(self.shards) == len(fired) == 1 and fired[0].by_ticks and (fired[0].mode == _BY_PAIRS).all():
            return self._laid(fired[0])
        numbered = [self._numbered(each) for each in fired]
        nothing = [np.zeros(0, kind) for kind in (np.int64, np.int32, np.int32, np.int64, np.int64, np.int32)]
        rows = Fired._make(np.concatenate(column) for column in zip(nothing, *numbered, strict=True))
        order = self._order_of(rows, numbered)
        at = Fired._make(column[order] for column in rows)
        return self._batch(at.strategy, at.ticker, at.bucket_ms, at.ts_ms, at.mode)

    def _laid(self, noted: Noted) -> Batch:
        """The same of pairs alone, where one shard takes all ticks: their numbers are its own, and so is their order.

        A shard that takes long steps hands over what pairs fire in that order, see `order.laid`.
        """
        one, fires, mode, _, _ = noted
        one.strategies(self.strategies)
        one.tickers(self.tickers)
        return self._batch(*fires[1:], mode)

    def _numbered(self, noted: Noted) -> Fired:
        """What a shard fired, under the numbers that all shards share."""
        one, fires, mode, places, by_ticks = noted
        ids, names = one.strategies(self.strategies)[fires.strategy], one.tickers(self.tickers)[fires.ticker]
        return Fired(2 * places[fires.tick] + by_ticks, ids, names, fires.bucket_ms, fires.ts_ms, mode)

    def _batch(self, ids: Int32s, names: Int32s, bucket_ms: Int64s, ts_ms: Int64s, mode: Int32s) -> Batch:
        return Batch(self.strategies.names, ids, self.tickers.names, names, bucket_ms, ts_ms, MODES, mode)

    def _order_of(self, rows: Fired, fired: Sequence[Fired]) -> Int32s | Int64s:
        rank = self._ranks.of(self.strategies.names)
        if (rows.at & 1).all():  # ticks alone, as nearly always
            places = (rows.at >> 1).astype(np.int32)
            return order_of(places, rows.strategy, rank, int(places.max(initial=-1)) + 1)
        number = np.repeat(np.arange(len(fired)), [len(each.at) for each in fired])
        return np.lexsort((rank[rows.strategy], np.where(rows.at & 1 == 0, number, 0), rows.at))


def _note(fired: list[Noted], one: OneShard, fires: Fires | None, places: Int64s, *, by_ticks: bool) -> None:
    """Keep what fired, and in which mode that was: a strategy may have another when the run is over."""
    if fires is None or not len(fires.tick):
        return
    mode = np.broadcast_to(np.int32(_BY_PAIRS), len(fires.tick))  # as `replay.deciding` has it
    whole = np.flatnonzero(fires.ticker == EVERY_TICKER).tolist()
    mode = mode.copy() if whole else mode
    for row in whole:
        strategy = one.shard.index.entries[one.shard.strategy_ids[int(fires.strategy[row])]].strategy
        mode[row] = MODES.index(mode_in(Way.WHOLE, strategy))
    fired.append(Noted(one, fires, mode, places, by_ticks))
