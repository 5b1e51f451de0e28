"""Ticks of all partitions decided as workers decide them: a shard for each, what else came in at the tick it was taken.

The rows of the result stand in the order of the ticks, whatever runs these come in; what a clock record fires stands
before the tick of its shard that came next.
"""

from collections.abc import Iterable, Sequence
from operator import add
from typing import Final, NamedTuple

import numpy as np

from streams.core.clock import is_too_far_ahead
from streams.core.columns import Fires
from streams.core.conditions import ConditionTable
from streams.core.events import Clock, Mode, Strategy
from streams.core.flags import NO_FLAGS, Control
from streams.core.index import LimitError
from streams.core.journal import Taking
from streams.core.limits import FOREVER, MAX_TICKERS, NEVER
from streams.core.order import Ranks, in_order, order_of
from streams.core.restore import CorruptRowError
from streams.core.shard import EVERY_TICKER, Shard
from streams.core.strategy_counts import StrategyCounts, all_counts
from streams.core.tickers import TooManyTickersError
from streams.core.turns import Way, mode_in
from streams.errors import InputError
from streams.kafka.partitions import Here, Homes
from streams.recorded.beside import Beside, Event, Stands, Start
from streams.recorded.parted import Part, Parted, split
from streams.recorded.placed import Refused, Ticks
from streams.replay.deciding import too_many_tickers
from streams.replay.results import Batch
from streams.replay.tick_columns import Int32s, Int64s

MODES: Final = [mode.value for mode in Mode]
COUNTED: Final = ("ticks", "irrelevant", "updates", "fired", "bucket_dup", "late", "no_bucket", "triggered", "clocks")
_BY_PAIRS: Final = MODES.index(Mode.PER_TICKER)


class Fired(NamedTuple):
    """What fired, in columns; `at` puts it in order: the ticks' places, twice, and one less for what comes before."""

    at: Int64s
    strategy: Int32s
    ticker: Int32s
    bucket_ms: Int64s
    ts_ms: Int64s
    mode: Int32s


class Numbers:
    """Names of all shards under numbers of one kind."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._number: dict[str, int] = {}

    def of(self, names: Iterable[str]) -> Int32s:
        """The number of each name."""
        numbers = []
        for name in names:
            number = self._number.setdefault(name, len(self.names))
            if number == len(self.names):
                self.names.append(name)
            numbers.append(number)
        return np.array(numbers, np.int32)


class OneShard:
    """A shard, and what it is still to take."""

    def __init__(self, shard: Shard, taking: Taking[Event]) -> None:
        self.shard, self.taking = shard, taking
        self.flags = NO_FLAGS
        self.stood: dict[str, Strategy] = {}
        """Of each strategy the last version that stood here."""
        self._strategies, self._tickers = np.zeros(0, np.int32), np.zeros(0, np.int32)
        self.tells_from = 0
        """What fires by earlier ticks is not told."""
        self.counts_before = dict.fromkeys(COUNTED, 0)
        """When this tick came."""

        self.from_ms = NEVER
        """What fires by clock records is told from this time on; NEVER: from that tick on."""

    def tell(self) -> None:
        """From here on what fires is told, and counted."""
        if self.tells_from:
            self.tells_from, self.counts_before = 0, self.shard.counts

    def take(self, event: Event) -> Fires | None:
        """Let what came in count; what a clock record fires, if it is one."""
        match event:
            case Stands():
                self._stand(event)
            case Control():
                self.flags = self.flags.with_control(event)
                self.shard.set_flags(self.flags)
            case Clock() if not is_too_far_ahead(self.shard.stream_ms, event.ts_ms):
                fires = self.shard.clock(event.ts_ms)
                return fires if event.ts_ms >= self.from_ms else None
        return None

    def _stand(self, event: Stands) -> None:
        try:
            if isinstance(event.stands, Strategy):
                self.shard.stand(event.stands, event.before)
                self.stood[event.strategy_id] = event.stands
            else:
                self.shard.forget(event.strategy_id)
        except (LimitError, TooManyTickersError) as error:
            raise InputError(f"strategy {event.strategy_id!r}", str(error), "replay fewer strategies") from error

    def strategies(self, numbers: Numbers) -> Int32s:
        """The number that each strategy of the shard has among all."""
        ids = self.shard.strategy_ids
        self._strategies = np.concatenate((self._strategies, numbers.of(ids[len(self._strategies) :])))
        return self._strategies

    def tickers(self, numbers: Numbers) -> Int32s:
        """The same of its tickers; the last stands for every ticker."""
        known = len(self._tickers) - 1 if len(self._tickers) else 0
        if self.shard.index.tickers.count > known or not len(self._tickers):
            new = numbers.of(self.shard.index.tickers.all_names()[known:])
            self._tickers = np.concatenate((self._tickers[:known], new, np.array([EVERY_TICKER], np.int32)))
        return self._tickers


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
        fired, refused = list[Fired](), list[Refused]()
        for part, places in zip(run.parts, run.places, strict=True):
            self._step_one(self.shards[part.partition], part, places, fired, refused)
        return self._in_order(fired), refused

    def rest(self) -> Batch:
        """What comes behind the last tick, shard by shard."""
        fired: list[Fired] = []
        for one in self.shards.values():
            self._warm_up(fired, one, one.tells_from, np.zeros(1, np.int64))
            for event in one.taking.rest():
                self._note(fired, one, one.take(event), np.zeros(1, np.int64))
        return self._in_order(fired)

    def _step_one(self, one: OneShard, whole: Part, places: Int64s, fired: list[Fired], refused: list[Refused]) -> None:
        """Take the ticks of one shard, cut where it took something else."""
        done = 0
        while done < len(places):
            offset = int(whole.offset[done])
            self._warm_up(fired, one, offset, 2 * places[done : done + 1])
            for event in one.taking.before(offset):
                self._note(fired, one, one.take(event), 2 * places[done : done + 1])
            end = int(np.searchsorted(whole.offset, min(one.taking.next_offset, one.tells_from or FOREVER)))
            part = whole.part(done, end)
            taken, homeless = one.shard.from_names(part.names, part.name_of, part.ts_ms, part.moves_price)
            rejects = [(int(part.offset[at]), too_many_tickers(int(part.offset[at]))) for at in homeless]
            if not one.tells_from:
                refused += [Refused(whole.partition, row, each.reason, each.detail) for row, each in rejects]
            fires = one.shard.step(taken)
            self._note(fired, one, None if one.tells_from else fires, 2 * places[done:end] + 1)
            done = end

    def _warm_up(self, fired: list[Fired], one: OneShard, offset: int, at: Int64s) -> None:
        """Take what a shard took before a tick, as far as that is not told; it is told where the tick is."""
        for event in one.taking.before(min(offset, one.tells_from - 1)):
            fires = one.take(event)
            self._note(fired, one, None if one.from_ms == NEVER else fires, at)
        if offset >= one.tells_from:
            one.tell()

    def _note(self, fired: list[Fired], one: OneShard, fires: Fires | None, at: Int64s) -> None:
        """Keep what fired, under the numbers that all shards share."""
        if fires is None or not len(fires.tick):
            return
        ids, names = one.strategies(self.strategies), one.tickers(self.tickers)
        mode = np.full(len(fires.tick), _BY_PAIRS, np.int32)
        for row in np.flatnonzero(fires.ticker == EVERY_TICKER).tolist():
            strategy = one.shard.index.entries[one.shard.strategy_ids[int(fires.strategy[row])]].strategy
            mode[row] = MODES.index(mode_in(Way.WHOLE, strategy))
        columns = (names[fires.ticker], fires.bucket_ms, fires.ts_ms, mode)
        fired.append(Fired(at[fires.tick], ids[fires.strategy], *columns))

    def _in_order(self, fired: Sequence[Fired]) -> Batch:
        """All of it in the order of the ticks; of one tick, in that of the strategies' ids.

        What several clock records of one place fired stays in the order of these.
        """
        if len(fired) == 1 and (fired[0].at % 2).all() and (fired[0].mode == _BY_PAIRS).all():
            return self._laid(fired[0])
        nothing = [np.zeros(0, kind) for kind in (np.int64, np.int32, np.int32, np.int64, np.int64, np.int32)]
        rows = Fired._make(np.concatenate(column) for column in zip(nothing, *fired, strict=True))
        order = self._order_of(rows, fired)
        at = Fired._make(column[order] for column in rows)
        return Batch(
            self.strategies.names, at.strategy, self.tickers.names, at.ticker, at.bucket_ms, at.ts_ms, MODES, at.mode
        )

    def _laid(self, fired: Fired) -> Batch:
        """The same of one shard's pairs alone, by compiled code that lets others run."""
        fires = Fires((fired.at >> 1).astype(np.int32), fired.strategy, fired.ticker, fired.bucket_ms, fired.ts_ms)
        ticks = int(fires.tick.max(initial=-1)) + 1
        laid = in_order(fires, self._ranks.of(self.strategies.names), ticks)
        return Batch(
            self.strategies.names, laid.strategy, self.tickers.names, laid.ticker, *laid[3:], MODES, fired.mode
        )

    def _order_of(self, rows: Fired, fired: Sequence[Fired]) -> Int32s | Int64s:
        rank = self._ranks.of(self.strategies.names)
        if (rows.at % 2).all():  # ticks alone, as nearly always
            places = (rows.at >> 1).astype(np.int32)
            return order_of(places, rows.strategy, rank, int(places.max(initial=-1)) + 1)
        number = np.repeat(np.arange(len(fired)), [len(each.at) for each in fired])
        return np.lexsort((rank[rows.strategy], np.where(rows.at % 2 == 0, number, 0), rows.at))


def restored(shard: Shard, begins: Start) -> None:
    """Fill a new shard with what its changelogs held."""
    try:
        begins.recovery.finish(shard)
    except (CorruptRowError, LimitError) as error:
        remedy = "warm up by --warm-up-until, from ticks alone"
        raise InputError("the changelogs", str(error), remedy) from error
