"""Both throttles over the same ticks, one event at a time and as plainly as it can be said. `shadow` must equal this.

*Old*: a strategy is throttled as a whole. It runs when stream time is in a bucket for the first time, and then runs
every ticker of its universe. *New*: each ticker is throttled by itself, and runs at its first update in a bucket.

**What an alert is here**: a strategy, a ticker and a bucket in which the ticker had an update. That the old throttle
also runs tickers without one is what the new one saves, and no alert: nothing has changed since they ran before.

- `both`: each runs the ticker in the bucket. The old run may have come before the update, and then did not see it.
- `only_new`: the old throttle did not run in that bucket, as stream time was never in it.
- `only_old`: **a missed alert**. The old throttle ran in that bucket; the new one did not run the ticker in it, and
  will not, because the ticker has run in a later one. So it is with an update that comes too late, if it is the first
  one of its ticker in its bucket.

Strategies with the same rule for buckets differ here only in their tickers. So each is compared as if it had been
there all along, from when on it counts: a ticker that had its update of a bucket before that is not counted in that
bucket, for neither of the two. What was before it counts is not known, nor is what lies too far back: an alert that
hangs on it is `unjudged`. A strategy that watches every ticker is throttled as a whole by both, and not compared.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import StrEnum

from streams.core.conditions import ConditionTable
from streams.core.events import Clock, Status, Strategy, Tick
from streams.core.limits import NEVER
from streams.core.timeframes import bucket_start, parse_timeframe


class Outcome(StrEnum):
    """What is counted of a tick, for each strategy that watches its ticker."""

    BOTH = "both"
    ONLY_NEW = "only_new"
    ONLY_OLD = "only_old"
    UNJUDGED_RUN = "unjudged_run"
    """The new throttle runs the ticker; whether the old one did is not known."""
    UNJUDGED_LATE = "unjudged_late"
    """It comes too late; whether the ticker was run, or the strategy as a whole, is not known."""
    LATE = "late"
    NO_BUCKET = "no_bucket"
    OPENED = "opened"
    """With this tick the strategy runs as a whole."""


@dataclass(slots=True)
class Whole:
    """The old throttle, under one rule for buckets."""

    strategy: Strategy
    """Any that has the rule."""
    been: set[int] = field(default_factory=set)
    """The buckets that stream time was in."""
    floor_ms: int = NEVER
    """The bucket that it was in when the rule was met. Of those before nothing is known."""

    def bucket(self, ts_ms: int) -> int:
        """The bucket that holds a time, or NEVER."""
        strategy = self.strategy
        timeframe = parse_timeframe(strategy.timeframe)
        found = bucket_start(ts_ms, timeframe, strategy.time_zone, strategy.session) if ts_ms > NEVER else None
        return NEVER if found is None else found


@dataclass(slots=True)
class Paired:
    """The new throttle: one ticker under one rule."""

    updated: set[int]
    """The buckets in which it had an update."""
    floor_ms: int
    """The bucket that stream time was in when the two met. Of this one and those before not all is known."""

    @property
    def last_ms(self) -> int:
        """The newest bucket it ran in."""
        return max(self.updated, default=NEVER)


Rule = tuple[str, str, str]


def rule_of(strategy: Strategy) -> Rule:
    """What a strategy's buckets hang on."""
    return strategy.timeframe, strategy.time_zone, strategy.session


class PlainShadow:
    """Of one shard."""

    def __init__(self, conditions: ConditionTable) -> None:
        self.conditions = conditions
        self.stream_ms = NEVER
        self.last_update: dict[str, int] = {}
        self.compared: dict[str, Strategy] = {}
        self.wholes: dict[Rule, Whole] = {}
        self.pairs: dict[tuple[str, Rule], Paired] = {}
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def follow(self, strategy: Strategy) -> None:
        """A version of a strategy is in force."""
        self.forget(strategy.strategy_id)
        if strategy.status is not Status.ACTIVE or not strategy.universe:
            return
        whole = Whole(strategy)
        try:
            floor_ms = whole.bucket(self.stream_ms if self.stream_ms > NEVER else 0)
        except ValueError:
            return
        self.compared[strategy.strategy_id] = strategy
        floor_ms = floor_ms if self.stream_ms > NEVER else NEVER
        rule = rule_of(strategy)
        if rule not in self.wholes:
            whole.floor_ms, whole.been = floor_ms, {floor_ms} - {NEVER}
            self.wholes[rule] = whole
        for ticker in strategy.universe:
            before_ms = whole.bucket(self.last_update.get(ticker, NEVER))
            self.pairs.setdefault((ticker, rule), Paired({before_ms} - {NEVER}, floor_ms))

    def forget(self, strategy_id: str) -> None:
        """A strategy is not compared any more; what was counted stays."""
        self.compared.pop(strategy_id, None)

    def clock(self, clock: Clock) -> None:
        """Time, where no tick brings it."""
        self._move_stream(clock.ts_ms)

    def tick(self, tick: Tick) -> None:
        """One trade."""
        if not self.conditions.moves_price(tick.conditions):
            return
        opened = self._move_stream(tick.ts_ms)
        self.last_update[tick.ticker] = max(tick.ts_ms, self.last_update.get(tick.ticker, NEVER))
        for (ticker, rule), pair in self.pairs.items():
            if ticker == tick.ticker:
                found = judge(self.wholes[rule], pair, self.wholes[rule].bucket(tick.ts_ms))
                found += [Outcome.OPENED] if rule in opened else []
                for sid, strategy in self.compared.items():
                    if rule_of(strategy) == rule and ticker in strategy.universe:
                        self.counts[sid].update(map(str, [*found, "seen"]))

    def _move_stream(self, ts_ms: int) -> set[Rule]:
        """Stream time moves on; returns the rules under which a new bucket begins: as a whole, strategies run."""
        self.stream_ms = max(self.stream_ms, ts_ms)
        opened = set()
        for rule, whole in self.wholes.items():
            bucket_ms = whole.bucket(self.stream_ms)
            if bucket_ms > max(whole.been, default=NEVER):
                whole.been.add(bucket_ms)
                opened.add(rule)
        for sid, strategy in self.compared.items():
            if rule_of(strategy) in opened:
                self.counts[sid].update({"old_runs": 1, "old_tickers": len(strategy.universe)})
        return opened


def judge(whole: Whole, pair: Paired, bucket_ms: int) -> list[Outcome]:
    """What an update of a ticker, in a bucket, is to both throttles. This is the rule; all else carries it."""
    old_ran, old_is_known = bucket_ms in whole.been, bucket_ms >= whole.floor_ms
    if bucket_ms == NEVER:
        return [Outcome.NO_BUCKET]
    if bucket_ms > pair.last_ms:
        pair.updated.add(bucket_ms)
        return [Outcome.BOTH if old_ran else Outcome.ONLY_NEW if old_is_known else Outcome.UNJUDGED_RUN]
    if bucket_ms in pair.updated:
        return [] if bucket_ms == pair.last_ms else [Outcome.LATE]
    if bucket_ms <= pair.floor_ms:
        return [Outcome.LATE, Outcome.UNJUDGED_LATE]
    pair.updated.add(bucket_ms)
    return [Outcome.LATE, Outcome.ONLY_OLD] if old_ran else [Outcome.LATE]
