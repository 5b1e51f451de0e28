"""The rules, one event at a time, as plainly as they can be said. Everything faster must equal this.

What a ticker has run in for a strategy is kept for good, whatever happens to the strategy in between; so a
pair never fires twice in one bucket. A strategy throttled as a whole runs every ticker of its universe at
once, and that counts for each of them.

A bucket is decided in one way, by pairs or as a whole. So a strategy turns between two buckets: with the first that
starts behind the time that stream time had come to when the turn was asked for. One shard among several has the
times of its turns from all of them together (`turn`); one alone has only its own.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable

from streams.core.conditions import ConditionTable
from streams.core.events import Clock, Fire, Mode, Status, Strategy, Tick
from streams.core.flags import NO_FLAGS, Flags
from streams.core.lifecycle import Settled, Verdict, settle
from streams.core.limits import NEVER
from streams.core.timeframes import Timeframe, bucket_start, parse_timeframe
from streams.core.turns import (
    UNTURNED,
    Turn,
    Turns,
    Way,
    first_turn_ms,
    last_old_bucket,
    mode_in,
    turn_at,
    way_wanted,
    with_turn,
)


class Oracle:
    """The state of one shard, and what each event does to it."""

    def __init__(self, conditions: ConditionTable, default_mode: Mode = Mode.PER_TICKER) -> None:
        self.conditions = conditions
        self.default_mode = default_mode
        self.strategies: dict[str, Strategy] = {}
        self.timeframes: dict[str, Timeframe] = {}
        """Of the strategies in force. One that is active and not here has none that exists, and is skipped."""
        self.universes: dict[str, frozenset[str]] = {}
        """What each strategy in force decides on by pairs: where its version has emptied it, the one before."""
        self.watchers: defaultdict[str, set[str]] = defaultdict(set)
        self.whole: set[str] = set()
        self.flags = NO_FLAGS
        self.turns: dict[str, Turns] = {}
        self.under: dict[str, Turn | None] = {}
        """The turn that each strategy in force decides under; None where its bucket is older than all known ones."""
        self.last_update: dict[str, int] = {}
        self.last_bucket: defaultdict[str, dict[str, int]] = defaultdict(dict)
        """By strategy, then ticker: the newest bucket it ran in."""
        self.last_trigger: dict[str, int] = {}
        self.every_ticker_ran: dict[str, int] = {}
        """By strategy: the newest bucket in which it ran on the whole market."""
        self.stream_ms = NEVER
        self.counts: Counter[str] = Counter()
        self.counts_of: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """By strategy: what came of its pairs, and rounds without an update."""
        self.updated: set[str] = set()
        """Tickers updated in this round."""

    def change(self, change: Strategy) -> Settled:
        """A strategy's version, in force from the next tick on."""
        old = self.strategies.get(change.strategy_id)
        settled = settle(old, change)
        if settled.verdict is not Verdict.ACCEPTED:
            return settled
        self.stand(change, self.universes.get(change.strategy_id, frozenset()))
        return settled

    def stand(self, change: Strategy, before: frozenset[str] = frozenset()) -> None:
        """A version that was settled elsewhere; `before` is what it goes on with by pairs, if it has no universe."""
        self._end(change.strategy_id)
        self.strategies[change.strategy_id] = change
        if change.status is Status.ACTIVE:
            self.universes[change.strategy_id] = change.universe or before
            self._put_in_force(change)

    def forget(self, strategy_id: str) -> None:
        """A strategy's tombstone: its next version is its first, and what it fired stays."""
        self._end(strategy_id)
        self.strategies.pop(strategy_id, None)

    def set_flags(self, flags: Flags) -> None:
        """The flags are these from now on."""
        self.flags = flags
        for sid in self.universes:
            self._turn_if_wanted(sid)

    def turn(self, strategy_id: str, turns: Turns) -> None:
        """What is agreed on for a strategy."""
        self.turns[strategy_id] = turns
        self._reach(strategy_id, self.stream_ms)

    def tick(self, tick: Tick) -> list[Fire]:
        """One trade."""
        self.counts["ticks"] += 1
        if not self.conditions.moves_price(tick.conditions):
            self.counts["irrelevant"] += 1
            return []
        self.counts["updates"] += 1
        self.updated.add(tick.ticker)
        self.last_update[tick.ticker] = max(tick.ts_ms, self.last_update.get(tick.ticker, NEVER))
        fires = self._move_stream(tick.ts_ms)
        for strategy_id in self.watchers[tick.ticker]:
            fires += self._pair(self.strategies[strategy_id], tick)
        return sorted(fires)

    def clock(self, clock: Clock) -> list[Fire]:
        """Time, where no tick brings it."""
        self.counts["clocks"] += 1
        return sorted(self._move_stream(clock.ts_ms))

    def _pair(self, strategy: Strategy, tick: Tick) -> list[Fire]:
        """The per-ticker throttle: the first tick of the pair in a bucket fires."""
        sid, ticker = strategy.strategy_id, tick.ticker
        bucket_ms = self._bucket(strategy, tick.ts_ms)
        last = max(self.last_bucket[sid].get(ticker, NEVER), self.every_ticker_ran.get(sid, NEVER))
        if bucket_ms is None:
            self._count(sid, "no_bucket")
        elif bucket_ms > max(last, self._floor(sid)):
            self.last_bucket[sid][ticker] = bucket_ms
            self._count(sid, "fired")
            return [Fire(sid, ticker, bucket_ms, tick.ts_ms, Mode.PER_TICKER)]
        else:
            self._count(sid, "bucket_dup" if bucket_ms == last else "late")
        return []

    def _count(self, strategy_id: str, what: str) -> None:
        self.counts[what] += 1
        self.counts_of[strategy_id][what] += 1

    def end_round(self) -> None:
        """Every strategy with pairs of which no ticker was updated in this round was skipped, and those without a rule.

        How long a round is, is for others to say. One without ticks skips nobody.
        """
        watching = {sid for watchers in self.watchers.values() for sid in watchers}
        reached = {sid for ticker in self.updated for sid in self.watchers[ticker]}
        if self.updated:
            for sid in [*(watching - reached), *self.without_rule()]:
                self._count(sid, "no_update")
        self.updated.clear()

    def without_rule(self) -> list[str]:
        """Active strategies with a timeframe that does not exist."""
        active = [sid for sid, strategy in self.strategies.items() if strategy.status is Status.ACTIVE]
        return [sid for sid in active if sid not in self.timeframes]

    def _move_stream(self, ts_ms: int) -> list[Fire]:
        """Stream time moves on, and with it every strategy that is throttled as a whole."""
        self.stream_ms = max(self.stream_ms, ts_ms)
        for sid in self.turns:
            self._reach(sid, self.stream_ms)
        fires = []
        for sid in self.whole:
            strategy = self.strategies[sid]
            mode = mode_in(Way.WHOLE, strategy)
            bucket_ms = self._bucket(strategy, self.stream_ms)
            if bucket_ms is not None and bucket_ms > self.newest_run(strategy):
                self._run_whole(strategy, mode, bucket_ms)
                fires.append(Fire(sid, "", bucket_ms, self.stream_ms, mode))
                self.counts_of[sid]["fired"] += 1
        self.counts["triggered"] += len(fires)
        return fires

    def newest_run(self, strategy: Strategy) -> int:
        """The newest bucket that the strategy may not run in as a whole: it, or a ticker of its universe, has run."""
        sid = strategy.strategy_id
        ran = self.last_bucket[sid]
        tickers = strategy.universe & ran.keys() if strategy.universe else ran
        return max([self.last_trigger.get(sid, NEVER), self._floor(sid), *(ran[ticker] for ticker in tickers)])

    def _floor(self, sid: str) -> int:
        """No bucket up to here is the present turn's to decide."""
        turn = self.under.get(sid)
        return last_old_bucket(turn) if turn else NEVER

    def _run_whole(self, strategy: Strategy, mode: Mode, bucket_ms: int) -> None:
        """Every ticker of the universe runs."""
        sid = strategy.strategy_id
        self.last_trigger[sid] = bucket_ms
        if mode is Mode.GLOBAL:
            self.every_ticker_ran[sid] = bucket_ms
        else:
            self.last_bucket[sid].update(dict.fromkeys(strategy.universe, bucket_ms))

    def _bucket(self, strategy: Strategy, ts_ms: int) -> int | None:
        timeframe = self.timeframes[strategy.strategy_id]
        return bucket_start(ts_ms, timeframe, strategy.time_zone, strategy.session)

    def _end(self, strategy_id: str) -> None:
        """Take what stands out of force; what it fired stays."""
        self._decide_nothing(strategy_id)
        self.universes.pop(strategy_id, None)
        self.timeframes.pop(strategy_id, None)

    def _decide_nothing(self, sid: str) -> None:
        for ticker in self.universes.get(sid, ()):
            self.watchers[ticker].discard(sid)
        self.whole.discard(sid)
        self.under.pop(sid, None)

    def _put_in_force(self, strategy: Strategy) -> None:
        sid = strategy.strategy_id
        try:
            timeframe = parse_timeframe(strategy.timeframe)
            bucket_start(0, timeframe, strategy.time_zone, strategy.session)
        except ValueError:
            return
        self.timeframes[sid] = timeframe
        self._decide(sid, self._turn_at(sid, self.stream_ms))
        self._turn_if_wanted(sid)

    def _turn_if_wanted(self, sid: str) -> None:
        """Where there is no other shard to agree with, a turn counts behind what has been decided."""
        strategy, turns = self.strategies[sid], self.turns.get(sid, UNTURNED)
        wanted = way_wanted(strategy, self.flags.mode(sid, self.default_mode))
        if sid in self.timeframes and wanted is not turns[-1].way:
            self.turn(sid, with_turn(turns, first_turn_ms(self.stream_ms), wanted))

    def _reach(self, sid: str, now_ms: int) -> None:
        """Let a strategy turn, if it is time."""
        if sid in self.timeframes and self._turn_at(sid, now_ms) != self.under[sid]:
            self._decide_nothing(sid)
            self._decide(sid, self._turn_at(sid, now_ms))

    def _turn_at(self, sid: str, now_ms: int) -> Turn | None:
        """What the bucket at a time is decided under; a time that is in none stands for itself."""
        start_ms = self._bucket(self.strategies[sid], now_ms)
        return turn_at(self.turns.get(sid, UNTURNED), now_ms if start_ms is None else start_ms)

    def _decide(self, sid: str, turn: Turn | None) -> None:
        """Decide under a turn, and no bucket that is older."""
        self.under[sid] = turn
        if turn is not None and turn.way is Way.WHOLE:
            self.whole.add(sid)
        elif turn is not None:
            self.start_pairs(sid, self.universes[sid])

    def start_pairs(self, sid: str, tickers: Iterable[str]) -> None:
        """Let these tickers fire by themselves."""
        for ticker in tickers:
            self.watchers[ticker].add(sid)
