"""Shadow: both throttles over the ticks of a shard, counted beside what is live. It decides nothing.

shadow = Shadow(shard.index)           # the strategies that are in force are compared from here on
shadow.take(ticks)                     # each batch, behind its step
shadow.follow(entry)                   # a strategy has changed
shadow.counts_of("s1"), shadow.totals

What is counted is told in `shadow_rule`, how in `shadow_kernel`. It is kept by ticker and rule. What a strategy has is
the sum over its universe, less what that was when it came; so a change costs two sums, and a tick nothing for it.

All of it is of this shard alone: tickers of other shards are counted there. Runs as a whole are counted where the
strategy is at home; the tickers that such a run would run, where they are, by the stream time of their own shard.

It is in no topic. Whoever takes a shard over begins anew, and says since when it counts.
"""

from typing import Final, NamedTuple

import numpy as np

from streams.core import shadow_kernel
from streams.core.columns import Int32s, Int64s, Scalars, Ticks, grown
from streams.core.entry import Entry
from streams.core.index import Index
from streams.core.kernel import CLOCK
from streams.core.limits import MAX_SHADOW_BUCKETS, MAX_SHADOW_RUNS, MAX_SHADOW_SLOTS, NEVER
from streams.core.shadow_tables import (
    OLD_RUNS,
    OLD_TICKERS,
    ONLY_OLD,
    PAIRS,
    RULE,
    RUNS,
    STRATEGIES,
    STREAM_MS,
    TICKER,
    TOTALS,
    WHOLE,
    by_ticker,
    empty_state,
    enlarged,
    with_slots,
)

FIRST_PACKED: Final = 256
"""With fewer slots, it does not matter how they lie."""


class ShadowCounts(NamedTuple):
    """What both throttles make of the same ticks. All of it can be added up, over strategies and over shards."""

    only_old: int = 0
    unjudged_run: int = 0
    unjudged_late: int = 0
    late: int = 0
    no_bucket: int = 0
    opened: int = 0
    """Ticks of its tickers with which a strategy runs as a whole."""
    only_new: int = 0
    both: int = 0
    old_runs: int = 0
    old_tickers: int = 0
    """Tickers that these runs run."""
    seen: int = 0
    """Ticks of its tickers."""


class Since(NamedTuple):
    """What of the input is counted."""

    since_ms: int
    """Stream time when counting began, or of the first that came; NEVER where nothing has come yet."""
    until_ms: int
    ticks: int
    """That moved the price, of any ticker."""


class Held(NamedTuple):
    """A strategy that is compared."""

    universe: Int32s
    rule: int
    """Its number in the shadow."""
    is_home: bool


class Shadow:
    """See the head of this file."""

    def __init__(
        self,
        index: Index,
        buckets: int = MAX_SHADOW_BUCKETS,
        runs: int = MAX_SHADOW_RUNS,
        slots: int = MAX_SHADOW_SLOTS,
    ) -> None:
        self._index, self._slots = index, slots
        self._rules: dict[int, int] = {}
        """By the rule's number in the shard: its number here."""
        self._held: dict[int, Held] = {}
        self._left_out: set[int] = set()
        self._used = 0
        """Slots."""
        self._base: dict[int, Int64s] = {}
        """By strategy: what it has counted, but for what its universe has counted while it is held."""
        self._seen_base = 0
        self._state = empty_state(buckets, runs, int(index.columns.scalars[Scalars.STREAM_MS]))
        self._packed = FIRST_PACKED
        """How many slots there were when they were last put side by side."""
        self._watchers: Int32s = np.zeros(0, np.int32)
        """By ticker: strategies compared that watch it."""
        self._since_ms = int(self._state.scalars[STREAM_MS])
        self._updates_before = int(index.columns.tickers.updates.sum())
        self._told = ShadowCounts()
        for entry in index.entries.values():
            self.follow(entry)

    @property
    def strategies(self) -> int:
        """How many are compared, and at home here."""
        return sum(held.is_home for held in self._held.values())

    @property
    def left_out(self) -> int:
        """Strategies that are not compared for want of room."""
        return len(self._left_out)

    def is_at_home(self, strategy_id: str) -> bool:
        """Whether a strategy is one of these."""
        entry = self._index.entries.get(strategy_id)
        return entry is not None and entry.number in self._held and self._held[entry.number].is_home

    @property
    def since(self) -> Since:
        """What is counted."""
        stream_ms = int(self._state.scalars[STREAM_MS])
        return Since(self._since_ms, stream_ms, int(self._index.columns.tickers.updates.sum()) - self._updates_before)

    def take(self, ticks: Ticks) -> None:
        """Count a batch, behind its step."""
        self._make_room_for_tickers()
        shadow_kernel.take(self._index.columns.rules, ticks, self._state)
        if self._since_ms == NEVER and len(ticks.ticker):
            self._since_ms = first_moving_ms(ticks)

    def follow(self, entry: Entry) -> None:
        """A strategy stands as it does; between two steps."""
        self._let_go(entry.number)
        self._left_out.discard(entry.number)
        if self._is_compared(entry):
            self._hold(entry)

    def counts_of(self, strategy_id: str) -> ShadowCounts | None:
        """What both throttles made of one strategy here; None where it was never met."""
        entry = self._index.entries.get(strategy_id)
        if entry is None:
            return None
        counts = self._counts(entry.number)
        held = self._held.get(entry.number)
        if held is not None:
            counts += self._sums(held)
        return ShadowCounts(*counts.tolist())

    @property
    def totals(self) -> ShadowCounts:
        """What they made of all strategies."""
        count = len(self._watchers)
        now = int(self._watchers.astype(np.int64) @ self._index.columns.tickers.updates[:count])
        return ShadowCounts._make([*self._state.totals.tolist(), self._seen_base + now])

    def more(self) -> ShadowCounts:
        """What the totals have grown by since this was last asked."""
        before, self._told = self._told, self.totals
        return ShadowCounts._make(now - then for now, then in zip(self._told, before, strict=True))

    def missed(self, most: int) -> dict[str, int]:
        """The strategies with the most alerts that only the old throttle would have sent, and how many."""
        if not self._state.totals[ONLY_OLD]:
            return {}
        ids = self._index.ids
        found = [(self._missed(number), ids[number]) for number in {**self._base, **self._held}]
        worst = sorted((-missed, strategy_id) for missed, strategy_id in found if missed)
        return {strategy_id: -missed for missed, strategy_id in worst[:most]}

    def _missed(self, number: int) -> int:
        counts, held = self._counts(number), self._held.get(number)
        return int((counts + self._sums(held) if held else counts)[ONLY_OLD])

    def _counts(self, number: int) -> Int64s:
        base = self._base.get(number)
        return np.zeros(len(ShadowCounts._fields), np.int64) if base is None else base.copy()

    def _sums(self, held: Held) -> Int64s:
        """What the tickers of a strategy have counted under its rule, since the shadow began."""
        found = np.zeros(len(ShadowCounts._fields), np.int64)
        shadow_kernel.add_up(self._state, held.universe, held.rule, found)
        runs = int(self._state.wholes[held.rule, RUNS])
        found[OLD_RUNS], found[OLD_TICKERS] = runs * held.is_home, runs * len(held.universe)
        found[TOTALS] = self._index.columns.tickers.updates[held.universe].sum()
        return found

    def _is_compared(self, entry: Entry) -> bool:
        """Whether the two throttles can differ, and it is in force."""
        index, strategy_id = self._index, entry.strategy.strategy_id
        by_either = entry.strategy.status == "active" and bool(entry.strategy.universe)
        return by_either and entry.strategy.version > 0 and strategy_id not in index.warnings

    def _hold(self, entry: Entry) -> None:
        """Compare it from here on."""
        index, number, universe = self._index, entry.number, entry.own
        is_home = index.is_home is None or index.is_home(entry.strategy.strategy_id)
        if not is_home and not len(universe):
            return
        if self._used + len(universe) > self._slots:
            self._left_out.add(number)
            return
        self._make_room_for_tickers()
        rule = self._rule(int(index.columns.strategies.rule[number]))
        self._add_slots(universe, rule)
        held = self._held[number] = Held(universe, rule, is_home)
        self._base[number] = self._counts(number) - self._sums(held)
        self._watch(held, 1)

    def _let_go(self, number: int) -> None:
        """Compare it no more."""
        held = self._held.pop(number, None)
        if held is not None:
            self._base[number] += self._sums(held)
            self._watch(held, -1)

    def _watch(self, held: Held, one: int) -> None:
        wholes = self._state.wholes
        shadow_kernel.watch(self._state, held.universe, held.rule, one)
        self._watchers[held.universe] += one
        self._seen_base -= one * int(self._index.columns.tickers.updates[held.universe].sum())
        wholes[held.rule, STRATEGIES] += one * held.is_home
        wholes[held.rule, PAIRS] += one * len(held.universe)

    def _rule(self, in_shard: int) -> int:
        """The number of a rule here, the next one where it is new."""
        known = self._rules.get(in_shard)
        if known is not None:
            return known
        number = self._rules[in_shard] = len(self._rules)
        self._state = self._state._replace(wholes=enlarged(self._state.wholes, number + 1, WHOLE))
        self._state.wholes[number, RULE] = in_shard
        shadow_kernel.begin_rule(self._index.columns.rules, self._state, number)
        return number

    def _add_slots(self, universe: Int32s, rule: int) -> None:
        """Have a slot for each of the tickers."""
        need, size = self._used + len(universe), len(self._state.slots)
        if need > size:
            self._state = with_slots(self._state, max(need, size * 3 // 2))
        columns = self._index.columns
        last_update = columns.tickers.last_update
        self._used = shadow_kernel.add(columns.rules, self._state, universe, rule, self._used, last_update)
        if self._used > self._packed:
            self._state, self._packed = by_ticker(self._state, self._used), self._used * 5 // 4

    def _make_room_for_tickers(self) -> None:
        """Have an entry for each ticker that has a number."""
        count = len(self._index.columns.tickers.last_update)
        if len(self._state.met) < count:
            self._state = self._state._replace(met=enlarged(self._state.met, count, TICKER))
            self._watchers = grown(self._watchers, count, 0)


def first_moving_ms(ticks: Ticks) -> int:
    """The time of the first record that moves stream time, or NEVER."""
    moving = (ticks.ticker == CLOCK) | ((ticks.ticker >= 0) & (ticks.moves_price == 1))
    return int(ticks.ts_ms[moving.argmax()]) if moving.any() else NEVER
