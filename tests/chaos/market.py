"""A small made-up market with all that may go wrong in it, from a seed: ticks, edits of strategies, bad records."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Final, NamedTuple

from streams.core.events import Mode, Status, Strategy
from streams.core.flags import PER_TICKER_THROTTLE, Control, Scope
from streams.core.lifecycle import MOVES
from streams.core.limits import MAX_CLOCK_AHEAD_MS
from streams.kafka import control_records
from streams.kafka.codec import Encoder
from streams.kafka.registry import FileSchemas
from streams.kafka.strategy_records import record_of
from streams.topic_names import CONTROLS
from tests.core.avro_bytes import codes, framed, tick

START_MS: Final = 1_760_000_000_000
TIMEFRAMES: Final = ("1m", "1m", "1m", "5m", "5m", "15m", "1h", "1d")
WINDOWS_MS: Final = (None, None, 0, 1, 1_500, 20_000)
"""In which fires gather; the longer ones over several checkpoints."""
SIZES: Final = (1, 1, 2, 5, 10, 30, 100, 0)
"""Of universes; none: every ticker."""

NOT_PRICE_RELEVANT: Final = 2
TICKS: Final = "ticks"
CHANGES: Final = "strategy-changes"
CLOCK: Final = "clock"
BY_KEY: Final = -1
GENERATIONS: Final = 9
VERSIONS_OF_ONE: Final = 1_000
"""A strategy is born so often, each time under lower numbers than before; so no number stands for two versions."""

BAD_EVERY: Final = 90
CLOCK_EVERY: Final = 40
FLAGS_EVERY: Final = 300
"""Ticks between two of them, in the mean."""

SETTLED_MS: Final = 120_000
"""By then every shard has had a tick."""


class Pace(NamedTuple):
    """How much happens."""

    step_ms: int
    """Between two ticks, in the mean."""
    changes_every: int
    """Ticks between two changes of strategies, in the mean."""


USUAL: Final = Pace(400, 60)


class Sent(NamedTuple):
    """A record to send."""

    topic: str
    """Without its prefix."""
    key: bytes | None
    value: bytes | None
    partition: int = BY_KEY


class Market:
    """Makes records, one after the other, for good; the same seed makes the same."""

    def __init__(self, seed: int, tickers: int = 300, strategies: int = 40, pace: Pace = USUAL) -> None:
        self.pick, self.pace = Random(seed), pace
        self.tickers = [f"T{number}" for number in range(tickers)]
        self.ids = [f"s{number}" for number in range(strategies)]
        self.standing: dict[str, Strategy] = {}
        """The last version of each; of one behind a tombstone, a deleted one that was never sent."""
        self.graves: Counter[str] = Counter()
        self.now_ms = START_MS
        self._pick_clock, self._pick_flags = Random(~seed), Random(-2 - 2 * seed)
        self._encoder = Encoder(FileSchemas(), ["strategy_change", "clock", "control"])

    def opening(self) -> list[Sent]:
        """The first version of each strategy."""
        return [self._sent(self._born(strategy_id, self._first_version(strategy_id))) for strategy_id in self.ids]

    def ticks(self, count: int) -> Iterator[Sent]:
        """So many ticks, with edits and bad records between them."""
        for _ in range(count):
            if not self.pick.randrange(self.pace.changes_every):
                yield self._change()
            if not self.pick.randrange(BAD_EVERY):
                yield self._bad_tick()
            if not self._pick_clock.randrange(CLOCK_EVERY):
                yield self._clock()
            if not self._pick_flags.randrange(FLAGS_EVERY):
                yield self._flag()
            yield self._tick()

    def _clock(self) -> Sent:
        """The time, for one of the first shards: late, early, or none at all."""
        pick = self._pick_clock
        good = self._time(self.now_ms + pick.choice((0, 0, 1_000, 90_000, -60_000)))
        early = self._time(self.now_ms + 2 * MAX_CLOCK_AHEAD_MS)
        if self.now_ms < START_MS + SETTLED_MS:  # a shard without time of its own would believe it
            early = good[:-1]
        bad = pick.choice((None, b"", good[:-1], framed(b"", 77), early, early, early))
        return Sent(CLOCK, None, good if pick.randrange(4) else bad, pick.randrange(2))

    def _time(self, ts_ms: int) -> bytes:
        return self._encoder.encode("clock", {"ts": ts_ms})

    def _tick(self) -> Sent:
        """One trade: some tickers trade more than others, some trades are late, some do not move the price."""
        self.now_ms += self.pick.randrange(2 * self.pace.step_ms)
        late_ms = self.pick.choice((0,) * 12 + (1, 500, 60_000, 400_000))
        ticker = self.tickers[int(len(self.tickers) * self.pick.random() ** 2)].encode()
        conditions = self.pick.choice((b"\0",) * 9 + (codes(0, 14), codes(NOT_PRICE_RELEVANT)))
        return Sent(TICKS, ticker, tick(ticker, self.now_ms - late_ms, conditions))

    def _flag(self) -> Sent:
        """The throttle's flag, for all, for some or for one; or a record that sets nothing."""
        scope, value = self.pick.choice([*Scope]), self.pick.choice([True, True, False, None])
        target = self.pick.choice(self.ids) if scope is Scope.STRATEGY else ""
        control = Control(PER_TICKER_THROTTLE, value, scope, target, self.pick.choice((10.0, 40.0)))
        good = self._encoder.encode("control", control_records.record_of(control, self.now_ms))
        if not self.pick.randrange(8):
            return self.pick.choice((Sent(CONTROLS, b"throttle", good), Sent(CONTROLS, b"", good[:-2])))
        return Sent(CONTROLS, control_records.key_of(control), good)

    def _bad_tick(self) -> Sent:
        """A record that is no tick, or one that lies where it does not belong."""
        good = self._tick()
        assert good.value is not None
        value: bytes | None = self.pick.choice(
            (None, b"", b"\0\0", b"\1" + good.value[1:], good.value[:-3], good.value + b"x", framed(b"", 77))
        )
        bad = good._replace(value=value)
        astray = good._replace(partition=0)
        return self.pick.choice((bad, bad, bad, good._replace(key=None), astray))

    def _born(self, strategy_id: str, version: int) -> Strategy:
        universe = frozenset(self.pick.sample(self.tickers, min(self.pick.choice(SIZES), len(self.tickers))))
        mode = self.pick.choice((None, None, None, Mode.LEGACY, Mode.PER_TICKER))
        timeframe = self.pick.choice((*TIMEFRAMES * 4, "5 minutes"))
        window_ms = self.pick.choice(WINDOWS_MS)
        return Strategy(strategy_id, timeframe, universe, version=version, mode=mode, coalesce_ms=window_ms)

    def _change(self) -> Sent:
        """The next version of some strategy, mostly; or a record that does not count."""
        old = self.standing[self.pick.choice(self.ids)]
        if not self.pick.randrange(8):
            return self._bad_change(old)
        chances = 6 if old.status is Status.DELETED else 20
        if self.graves[old.strategy_id] < GENERATIONS - 1 and not self.pick.randrange(chances):
            return self._tombstone(old)
        return self._sent(self._next(old))

    def _first_version(self, strategy_id: str) -> int:
        return VERSIONS_OF_ONE * (GENERATIONS - self.graves[strategy_id])

    def _tombstone(self, old: Strategy) -> Sent:
        """Behind it everything may begin anew, under any number."""
        self.graves[old.strategy_id] += 1
        version = self._first_version(old.strategy_id) - 1
        self.standing[old.strategy_id] = replace(old, status=Status.DELETED, version=version)
        return Sent(CHANGES, old.strategy_id.encode(), None)

    def _next(self, old: Strategy) -> Strategy:
        version = old.version + 1
        if old.status is Status.DELETED:
            return self._born(old.strategy_id, version)
        if old.status is not Status.ACTIVE:
            return replace(old, status=Status.ACTIVE, version=version)
        match self.pick.randrange(8):
            case 0 | 1:
                return replace(old, status=self.pick.choice(sorted(MOVES[old.status])), version=version)
            case 2:
                timeframe, window_ms = self.pick.choice(TIMEFRAMES), self.pick.choice(WINDOWS_MS)
                return replace(old, timeframe=timeframe, coalesce_ms=window_ms, version=version)
            case 3:
                return self._born(old.strategy_id, version)
            case _:
                some = frozenset(self.pick.sample(self.tickers, 3))
                return replace(old, universe=old.universe ^ some, version=version)

    def _bad_change(self, old: Strategy) -> Sent:
        key, good = old.strategy_id.encode(), self._value(replace(old, version=old.version + 1))
        conflict = self._value(replace(old, timeframe="2m"))
        again, stale = self._value(old), self._value(replace(old, version=max(1, old.version - 1), timeframe="3m"))
        value = self.pick.choice((b"", good[:-2], b"\7" + good[1:], framed(b"", 77), conflict, again, stale))
        key_of_another = self.ids[0 if old.strategy_id != self.ids[0] else 1].encode()
        return self.pick.choice(
            (
                Sent(CHANGES, key, value),
                Sent(CHANGES, key, value),
                Sent(CHANGES, b"\xff", good),
                Sent(CHANGES, key_of_another, good),
                Sent(CHANGES, b"never there", None),
            )
        )

    def _sent(self, strategy: Strategy) -> Sent:
        self.standing[strategy.strategy_id] = strategy
        return Sent(CHANGES, strategy.strategy_id.encode(), self._value(strategy))

    def _value(self, strategy: Strategy) -> bytes:
        return self._encoder.encode("strategy_change", record_of(strategy, self.now_ms))
