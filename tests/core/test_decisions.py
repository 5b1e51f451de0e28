"""Every decision of the strategies that were asked for is what the oracle says, ticker by ticker."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from random import Random

import numpy as np
import pytest

from streams.core import decisions as decisions_module
from streams.core.asked import NOBODY, Asked
from streams.core.decisions import FIRED, NO_UPDATE, Decision, Recorder, Said
from streams.core.events import Clock, Fire, Mode, Strategy, Tick
from streams.core.index import Index
from streams.core.oracle import Oracle
from streams.core.shard import Shard
from tests.core.histories import (
    CONDITIONS,
    OUT_OF_SEQUENCE,
    Change,
    Event,
    batches,
    history,
    seeded,
    some,
    tell,
    ticks_of,
)
from tests.core.turn_cuts import between_turns

EVERYBODY = Asked(share=1.0)
AB = frozenset({"A", "B"})


class NotingOracle(Oracle):
    """Keeps what it did with each tick of each pair since it was last asked."""

    def __init__(self, default_mode: Mode = Mode.PER_TICKER) -> None:
        super().__init__(CONDITIONS, default_mode)
        self.noted: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
        self.touched: set[str] = set()

    def _pair(self, strategy: Strategy, tick: Tick) -> list[Fire]:
        sid = strategy.strategy_id
        before = Counter(self.counts_of[sid])
        fires = super()._pair(strategy, tick)
        (what,) = self.counts_of[sid] - before
        self.noted[sid][tick.ticker, what] += 1
        return fires

    def take(self, events: Sequence[Event]) -> None:
        """Take one emission."""
        self.noted.clear()
        self.touched.clear()
        for event in events:
            if isinstance(event, Tick):
                self.touched |= {event.ticker} if CONDITIONS.moves_price(event.conditions) else set()
                fires = self.tick(event)
            else:
                assert isinstance(event, Clock)
                fires = self.clock(event)
            for fire in fires:
                self.noted[fire.strategy_id]["", FIRED] += not fire.ticker

    def in_force(self) -> set[str]:
        """Those that decide, or would if they had a timeframe."""
        return self.whole | {sid for watchers in self.watchers.values() for sid in watchers} | {*self.without_rule()}


class Stage:
    """A shard that is recorded."""

    def __init__(self, *strategies: Strategy, asked: Asked = EVERYBODY, mode: Mode = Mode.PER_TICKER) -> None:
        self.shard = Shard(CONDITIONS, mode)
        self.recorder = Recorder(self.shard.index, asked)
        for strategy in strategies:
            self.shard.change(strategy)

    def emission(self, *steps: Sequence[Event]) -> list[Decision]:
        """Several steps, and what is then said of them."""
        for step in steps:
            ticks = ticks_of(self.shard.index.tickers, [each for each in step if not isinstance(each, Change)])
            self.recorder.before(ticks)
            self.recorder.after(self.shard.step(ticks))
        return self.recorder.take()


def told(decision: Decision) -> Counter[tuple[str, str]]:
    """Ticks by ticker and outcome."""
    counts: Counter[tuple[str, str]] = Counter()
    for each in decision.said:
        counts[each.ticker, each.outcome] += each.ticks
    return counts


def assert_as_the_oracle_says(found: Sequence[Decision], oracle: NotingOracle) -> None:
    by_id = {each.strategy.strategy_id: each for each in found}
    fired = {sid for sid, noted in oracle.noted.items() if noted["", FIRED]}
    assert by_id.keys() == (oracle.in_force() if oracle.touched else fired)
    for sid, decision in by_id.items():
        strategy = oracle.strategies[sid]
        assert told(decision) == +oracle.noted[sid]
        assert decision.strategy.version == strategy.version
        assert (decision.updated, decision.left_out) == (len(oracle.touched), 0)
        if sid not in oracle.whole and sid in oracle.timeframes:
            assert (decision.universe, decision.changed) == (
                len(oracle.universes[sid]),
                len(oracle.universes[sid] & oracle.touched),
            )
            assert (decision.outcome == NO_UPDATE) == (decision.changed == 0)
        by_outcome: Counter[str] = Counter()
        for (_, outcome), ticks in told(decision).items():
            by_outcome[outcome] += ticks
        assert decision.counts == by_outcome
        assert (decision.outcome == FIRED) == (FIRED in by_outcome)


def emissions(events: Sequence[Event], rng: Random) -> list[list[list[Event]]]:
    """Histories in emissions of several steps; a change stands alone."""
    parts: list[list[list[Event]]] = []
    for batch in batches(events, some(rng.choice, range(1, 9), 30)):
        is_change = isinstance(batch[0], Change)
        if parts and not is_change and not isinstance(parts[-1][0][0], Change) and rng.random() < 0.5:
            parts[-1].append(batch)
        else:
            parts.append([batch])
    return parts


def cut_at_turns(shard: Shard, emission: list[list[Event]]) -> Iterator[list[list[Event]]]:
    """An emission as it is, or in parts where strategies turn within it: they do so between two emissions only."""
    events = [event for step in emission for event in step]
    for part in between_turns(shard, events):
        yield emission if len(part) == len(events) else [part]


def test_over_many_histories_every_tick_of_every_pair_is_told_as_the_oracle_has_it() -> None:
    for seed in range(300):
        rng, mode = Random(seed), Random(seed).choice([Mode.PER_TICKER, Mode.PER_TICKER, Mode.LEGACY])
        stage, oracle = Stage(mode=mode), NotingOracle(mode)
        for emission in emissions(history(seeded(seed), 100), rng):
            if isinstance(emission[0][0], Change):
                tell(stage.shard, emission[0][0])
                tell(oracle, emission[0][0])
                continue
            for part in cut_at_turns(stage.shard, emission):
                found = stage.emission(*part)
                oracle.take([event for step in part for event in step])
                assert_as_the_oracle_says(found, oracle)


def test_a_fire_and_each_reason_are_told_with_their_buckets() -> None:
    stage = Stage(Strategy("s", "1m", AB))
    (first,) = stage.emission([Tick("A", 60_000), Tick("A", 60_001), Tick("C", 60_000)], [Tick("A", 1)])
    assert first.said == [
        Said("A", FIRED, 60_000, 1),
        Said("A", "bucket_dup", 60_000, 1),
        Said("A", "late", 60_000, 1),
    ]
    assert (first.outcome, first.bucket_ms, first.universe, first.updated, first.changed) == (FIRED, 60_000, 2, 2, 1)
    (second,) = stage.emission([Tick("A", 60_002), Tick("A", 60_003)])
    assert second.said == [Said("A", "bucket_dup", 60_000, 2)]
    assert (second.outcome, second.counts) == ("bucket_dup", {"bucket_dup": 2})
    (third,) = stage.emission([Tick("C", 60_004)])
    assert (third.outcome, third.said, third.bucket_ms, third.universe, third.updated) == (NO_UPDATE, [], -1, 2, 1)


def test_a_strategy_that_runs_as_a_whole_is_told_of_too() -> None:
    stage = Stage(Strategy("all", "1m"))
    (fired,) = stage.emission([Tick("A", 60_000)])
    assert (fired.mode, fired.outcome, fired.said) == ("global", FIRED, [Said("", FIRED, 60_000, 1)])
    (skipped,) = stage.emission([Tick("A", 60_001)])
    assert (skipped.outcome, skipped.said, skipped.bucket_ms) == ("bucket_dup", [], 60_000)
    (by_clock,) = stage.emission([Clock(120_000)])
    assert (by_clock.outcome, by_clock.bucket_ms) == (FIRED, 120_000)


def test_what_moves_nothing_is_no_emission_to_tell_of() -> None:
    stage = Stage(Strategy("s", "1m", AB))
    assert stage.emission([Tick("A", 0, conditions=(OUT_OF_SEQUENCE,)), Clock(1)]) == []


def test_only_those_are_told_of_that_are_asked_for() -> None:
    strategies = [Strategy(f"s{i}", "1m", AB) for i in range(4)]
    stage = Stage(*strategies, asked=Asked(frozenset({"s1", "s3", "none"})))
    assert [each.strategy.strategy_id for each in stage.emission([Tick("A", 0)])] == ["s1", "s3"]
    assert Stage(*strategies, asked=NOBODY).emission([Tick("A", 0)]) == []


def test_past_a_bound_strategies_are_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    strategies = [Strategy(f"s{i}", "1m", AB) for i in range(4)]
    monkeypatch.setattr(decisions_module, "MAX_ASKED_STRATEGIES", 3)
    stage = Stage(*strategies)
    assert [each.strategy.strategy_id for each in stage.emission([Tick("A", 0)])] == ["s0", "s1", "s2"]
    assert stage.recorder.left_out == ["s3"]
    monkeypatch.setattr(decisions_module, "MAX_ASKED_PAIRS", 5)
    stage = Stage(*strategies)
    assert [each.strategy.strategy_id for each in stage.emission([Tick("A", 0)])] == ["s0", "s1"]
    assert stage.recorder.left_out == ["s2", "s3"]


def test_so_many_tickers_are_named_and_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions_module, "MAX_TICKERS_NAMED", 3)
    stage = Stage(Strategy("s", "1m", frozenset(f"T{i}" for i in range(10))))
    (decision,) = stage.emission([Tick(f"T{i}", 0) for i in range(10)])
    assert (len(decision.said), decision.left_out, decision.counts) == (3, 7, {FIRED: 10})


def test_the_kernel_decides_the_same_where_somebody_looks() -> None:
    for seed in range(30):
        recorded, alone = Stage(), Shard(CONDITIONS)
        for batch in batches(history(seeded(seed), 60), [5] * 20):
            if isinstance(batch[0], Change):
                tell(recorded.shard, batch[0])
                tell(alone, batch[0])
                continue
            recorded.emission(batch)
            alone.step(ticks_of(alone.index.tickers, [each for each in batch if not isinstance(each, Change)]))
        assert recorded.shard.counts == alone.counts
        assert state(recorded.shard.index) == state(alone.index)


def state(index: Index) -> list[list[int]]:
    """What decides the next ticks."""
    columns = index.columns
    return [np.asarray(column).tolist() for column in (*columns.pairs, *columns.tickers, *columns.strategies)]
