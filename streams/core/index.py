"""The strategies of a shard and who watches what: each change goes into the rows of the tickers it touches.

A strategy decides by its pairs (per ticker), as a whole (legacy and global), or not at all (not active, or
with a timeframe that does not exist). Going from one to the other, what has fired is carried over: no
ticker runs twice in one bucket, whatever happens in between. When a strategy goes from pairs to the whole or
back, `turns.py` says; until then a version that empties the universe leaves its pairs as they are.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from streams.core import kernel, rows
from streams.core.columns import (
    Bytes,
    Int32s,
    Scalars,
    column_bytes,
    empty_columns,
    grown,
    grown_strategies,
    grown_tickers,
    grown_tracking,
)
from streams.core.entry import NOBODY, REMEMBERED, Entry, before_of, held, remembered
from streams.core.events import Mode, Status, Strategy
from streams.core.flags import Flags
from streams.core.lifecycle import Settled, Verdict, settle
from streams.core.limits import MAX_PAIRS, MAX_STRATEGIES, NEVER
from streams.core.rules import Rules
from streams.core.tickers import FIRST_SIZE, Tickers
from streams.core.timeframes import BucketRule
from streams.core.turns import Turn, Turns, Way, last_old_bucket
from streams.core.waking import Waking
from streams.core.ways import Ways
from streams.core.windows import Windows

Owns = Callable[[str], bool] | None
"""Which tickers, or strategies, belong to the shard; None for all."""


class LimitError(ValueError):
    """The shard holds as much as it may."""


class Index:
    """Strategies by number, and the columns that they decide on."""

    def __init__(self, default_mode: Mode, owns: Owns, is_home: Owns, *, alone: bool = True) -> None:
        self.ways = Ways(default_mode, alone=alone)
        self.owns, self.is_home = owns, is_home
        self.tickers = Tickers()
        self.rules = Rules()
        self.entries: dict[str, Entry] = {}
        self.ids: list[str] = []
        self.warnings: dict[str, str] = {}
        self.used_pairs = 0
        self._waking = Waking()
        self.windows = Windows()
        self.marked: Bytes = np.zeros(0, np.uint8)
        """One entry a ticker: 1 where it ran with a strategy as a whole since a writer of the state last cleared it."""
        self.columns = empty_columns(self.rules.columns, FIRST_SIZE)

    @property
    def nbytes(self) -> int:
        """What the state takes: columns, names and universes."""
        universes = sum(entry.universe.nbytes for entry in self.entries.values())
        return column_bytes(*self.columns[:5]) + self.tickers.nbytes + universes

    @property
    def pairs(self) -> int:
        """Pairs that are held, those that sleep too; `used_pairs` counts the room that rows have, too."""
        return int(self.columns.tickers.row_used.sum(dtype=np.int64))

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is put in force within wakes its pairs at the end: a thousand strategies cost what their pairs do."""
        with self._waking.together():
            yield
        self._wake()

    def change(self, change: Strategy) -> Settled:
        """Put a strategy's new version in force, if it is one."""
        entry = self.entries.get(change.strategy_id)
        settled = settle(self._standing(entry, change), change)
        if settled.verdict is Verdict.ACCEPTED:
            self._accept(entry, change, before_of(entry, change))
        return settled

    def stand(self, strategy: Strategy, before: frozenset[str] = frozenset(), own: Int32s | None = None) -> None:
        """Put in force what was settled elsewhere, whatever stands here; `before` and `own` as `Entry` has them."""
        numbers = self._numbers(before) if before else NOBODY
        self._accept(self.entries.get(strategy.strategy_id), strategy, numbers, own)

    def forget(self, strategy_id: str) -> None:
        """Know nothing of a strategy any more, but for what it fired; its next version is its first."""
        entry = self.entries.get(strategy_id)
        if entry is None:
            return
        self._refuse_too_many_pairs(entry, NOBODY)
        self._stop(entry)
        entry.strategy, entry.own, entry.before = remembered(strategy_id), NOBODY, NOBODY
        self.windows.set(entry.number, 0)
        self.warnings.pop(strategy_id, None)
        self.columns.scalars[Scalars.LEVEL_DUE] = NEVER

    def _accept(self, entry: Entry | None, change: Strategy, before: Int32s, own: Int32s | None = None) -> None:
        """Put a version in force."""
        active = change.status is Status.ACTIVE
        if own is None or not active:
            own = self._numbers(change.universe) if active else NOBODY
        self.make_room_for_tickers()
        self._refuse_too_many_pairs(entry, own if change.universe else before)
        if entry is None:
            entry = self._entry(change.strategy_id)
        else:
            self._stop(entry)
        entry.strategy = held(change)
        entry.universe_hash = hash(change.universe)
        entry.own, entry.before = own, before if active else NOBODY
        self.windows.set(entry.number, change.coalesce_ms)
        self.warnings.pop(change.strategy_id, None)
        if active:
            self._start(entry, self.stream_ms)
            self._wake()

    @property
    def stream_ms(self) -> int:
        """The time that the shard's records have come to."""
        return int(self.columns.scalars[Scalars.STREAM_MS])

    # Turns.

    def turn(self, strategy_id: str, turns: Turns) -> None:
        """Take what is agreed on for a strategy."""
        self.ways.take(strategy_id, turns)
        entry = self.entries.get(strategy_id)
        if entry is not None and strategy_id in self.ways.wanted:
            self._start_anew(entry, self.stream_ms)
            self._wake()

    def rule_of(self, strategy_id: str) -> BucketRule:
        """The buckets of a strategy that decides."""
        return self.rules.tables[int(self.columns.strategies.rule[self.entries[strategy_id].number])]

    def reach(self, now_ms: int) -> None:
        """Let strategies turn whose time has come."""
        for strategy_id in self.ways.due_at(now_ms):
            self._start_anew(self.entries[strategy_id], now_ms)
        self._wake()

    def set_flags(self, flags: Flags) -> None:
        """Take the flags as they are now."""
        self.ways.flags = flags
        for strategy_id in list(self.ways.wanted):
            entry = self.entries[strategy_id]
            if self.ways.want(entry.strategy, self.stream_ms):
                self._start_anew(entry, self.stream_ms)
        self._wake()

    def _start_anew(self, entry: Entry, now_ms: int) -> None:
        """Let a strategy decide as its turns say."""
        sid = entry.strategy.strategy_id
        if self.ways.in_force(sid, self.rule_of(sid), now_ms) != entry.turn:
            self._stop(entry)
            self._start(entry, now_ms)

    def make_room_for_tickers(self) -> None:
        """Let the columns hold every ticker that has a number."""
        columns, count = self.columns, self.tickers.count
        columns.scalars[Scalars.USED_TICKERS] = count
        if len(columns.tickers.last_update) < count:
            tickers = grown_tickers(columns.tickers, count)
            tracking = grown_tracking(columns.tracking, len(tickers.last_update))
            self.columns = columns._replace(tickers=tickers, tracking=tracking)

    def _standing(self, entry: Entry | None, change: Strategy) -> Strategy | None:
        """The version that stands, with a universe that equals the change's where it does."""
        if entry is None or entry.strategy.version == REMEMBERED:
            return None
        same = entry.universe_hash == hash(change.universe)
        return replace(entry.strategy, universe=change.universe) if same else entry.strategy

    def _numbers(self, universe: frozenset[str]) -> Int32s:
        """The tickers that belong to the shard, by number, the same in every run."""
        return np.sort(self.tickers.numbers(list(filter(self.owns, universe)) if self.owns else universe))

    def _refuse_too_many_pairs(self, entry: Entry | None, universe: Int32s) -> None:
        """Raise before anything is changed, so that what stood stays in force."""
        more = len(universe) + self._waking.pairs
        if entry and entry.as_whole:
            more += len(entry.universe)  # remembered as pairs where it stops
        if self.used_pairs + more > MAX_PAIRS and self.pairs + more > MAX_PAIRS:
            raise LimitError(f"more than {MAX_PAIRS} pairs in one shard; spread the topic over more partitions")

    def _entry(self, strategy_id: str) -> Entry:
        """Make the entry of a strategy not met before."""
        number = len(self.entries)
        if number >= MAX_STRATEGIES:
            raise LimitError(f"more than {MAX_STRATEGIES} strategies in one shard")
        old = self.columns.strategies
        if number == len(old.rule):
            self.columns = self.columns._replace(strategies=grown_strategies(old, number + 1))
        entry = self.entries[strategy_id] = Entry(Strategy(strategy_id, ""), number)
        self.ids.append(strategy_id)
        return entry

    def _stop(self, entry: Entry) -> None:
        """Take the version in force out of it, and remember what it fired."""
        if self._waking.holds(entry):
            self._wake_all()
        columns, number = self.columns, entry.number
        columns.strategies.changes[number] += 1
        if entry.by_pairs:
            kernel.count_late_where_any(columns, entry.universe)
            rows.put_to_sleep(columns.tickers, columns.pairs, columns.strategies, entry.universe, number)
        elif entry.as_whole:
            self.remember_runs(entry)
            level = columns.strategies.level
            self._set_level(level[level != number])
        entry.by_pairs = entry.as_whole = False
        entry.universe, entry.turn = NOBODY, None
        self.ways.stop(entry.strategy.strategy_id)

    def remember(self, strategy_id: str, last_run_ms: int, floor_ms: int) -> int:
        """Give a number to a strategy that is known only by what it fired; its next version is its first here."""
        entry = self._entry(strategy_id)
        entry.strategy = remembered(strategy_id)
        entry.last_run_ms, entry.floor_ms = last_run_ms, floor_ms
        self._waking.have_pairs(len(self.entries))
        return entry.number

    def remember_runs(self, entry: Entry) -> None:
        """Where a strategy has run as a whole since this was last asked, keep that every ticker of its universe ran."""
        if not entry.as_whole:
            return
        last = int(self.columns.strategies.last_trigger[entry.number])
        if last > entry.began_after_ms:
            self._remember_run(entry, last)
            entry.began_after_ms = last

    def _remember_run(self, entry: Entry, bucket_ms: int) -> None:
        """Keep for the tickers that they ran with the strategy as a whole."""
        if entry.strategy.universe:
            room = (self.columns, self.used_pairs)
            self.columns, self.used_pairs = self._waking.mark(*room, entry, bucket_ms, len(self.entries))
            self.marked = grown(self.marked, self.tickers.count, 0)
            self.marked[entry.universe] = 1
        else:
            entry.floor_ms = bucket_ms
        entry.last_run_ms = bucket_ms

    def _start(self, entry: Entry, now_ms: int) -> None:
        """Put the version in force; one without a rule is skipped, with a warning."""
        strategy, number = entry.strategy, entry.number
        try:
            rule = self.rules.number(strategy.timeframe, strategy.time_zone, strategy.session)
        except ValueError as error:
            self.warnings[strategy.strategy_id] = str(error)
            return
        if self.columns.rules is not self.rules.columns:
            self.columns = self.columns._replace(rules=self.rules.columns)
        self.columns.strategies.rule[number] = rule
        self.columns.strategies.changes[number] += 1
        self.ways.want(strategy, now_ms)
        entry.turn = self.ways.in_force(strategy.strategy_id, self.rules.tables[rule], now_ms)
        if entry.turn is not None:
            self._decide_in(entry, entry.turn)
        self.columns.scalars[Scalars.LEVEL_DUE] = NEVER

    def _decide_in(self, entry: Entry, turn: Turn) -> None:
        """Let it decide in the way of a turn, no bucket that is older."""
        number, strategies = entry.number, self.columns.strategies
        is_mine = self.is_home is None or self.is_home(entry.strategy.strategy_id)
        if turn.way is Way.PAIRS:
            entry.universe = entry.own if entry.strategy.universe else entry.before
            strategies.floor[number] = last_old_bucket(turn)
            entry.by_pairs = True
            self._waking.add(entry)
        elif is_mine:
            entry.universe = entry.own
            which = entry.own if entry.strategy.universe else None
            ran_ms = rows.newest_run(self.columns, self.used_pairs, which, number)
            entry.began_after_ms = max(entry.last_run_ms, ran_ms, last_old_bucket(turn))
            strategies.last_trigger[number] = entry.began_after_ms
            self._set_level(np.append(strategies.level, np.int32(number)))
            entry.as_whole = True

    def _wake(self) -> None:
        """Wake the pairs of those that have begun to decide by them, unless more of them are to come."""
        if self._waking.is_due:
            self._wake_all()

    def _wake_all(self) -> None:
        self.columns, self.used_pairs = self._waking.wake(self.columns, self.used_pairs, len(self.entries))

    def _set_level(self, level: Int32s) -> None:
        self.columns = self.columns._replace(strategies=self.columns.strategies._replace(level=level))
