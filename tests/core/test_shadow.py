"""The shadow's counts are those of its rule, and the rule is what two oracles do that throttle in one way each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.events import Clock, Mode, Status, Strategy, Tick, Tombstone
from streams.core.lifecycle import Verdict
from streams.core.oracle import Oracle
from streams.core.shadow import Shadow, ShadowCounts, Since
from streams.core.shadow_rule import PlainShadow, Whole
from streams.core.shard import Shard
from tests.core.histories import (
    CONDITIONS,
    OUT_OF_SEQUENCE,
    Event,
    batches,
    fires_of_oracle,
    fires_of_shard,
    histories,
    history,
    seeded,
    some,
    tell,
)

SIZES = st.lists(st.integers(1, 12), max_size=30)
ENOUGH = 256
"""Buckets that hold any of these histories."""
MINUTE_MS = 60_000
ON_AB = Strategy("s", "1m", frozenset({"A", "B"}))
JUDGED = ("both", "only_new", "only_old")


def told_to_plain(plain: PlainShadow, oracle: Oracle, events: Sequence[Event]) -> None:
    """Changes reach the rule as they are settled."""
    for event in events:
        if isinstance(event, Tombstone):
            plain.forget(event.strategy_id)
            oracle.forget(event.strategy_id)
        elif isinstance(event, Strategy):
            if oracle.change(event).verdict is Verdict.ACCEPTED:
                plain.follow(event)
        elif isinstance(event, Clock):
            plain.clock(event)
        else:
            plain.tick(event)


def of_plain(plain: PlainShadow, strategy_id: str) -> ShadowCounts:
    return ShadowCounts(**{name: plain.counts[strategy_id][name] for name in ShadowCounts._fields})


def compared(mode: Mode, buckets: int = ENOUGH) -> Shard:
    shard = Shard(CONDITIONS, mode)
    shard.shadow = Shadow(shard.index, buckets, buckets)
    shard.shadow._packed = 0  # else so few slots are never put side by side
    return shard


def shadow_of(shard: Shard) -> Shadow:
    assert shard.shadow is not None
    return shard.shadow


def counts_of(shard: Shard, strategy_id: str) -> ShadowCounts:
    counts = shadow_of(shard).counts_of(strategy_id)
    assert counts is not None
    return counts


def summed(counts: Sequence[ShadowCounts]) -> ShadowCounts:
    return ShadowCounts(*map(sum, zip(*counts, strict=True))) if counts else ShadowCounts()


def assert_same_all_along(
    shard: Shard, plain: PlainShadow, oracle: Oracle, events: Sequence[Event], sizes: list[int]
) -> None:
    for batch in batches(events, sizes):
        fires_of_shard(shard, batch, [])
        told_to_plain(plain, oracle, batch)
        met = [sid for sid in shard.index.entries if sid in oracle.strategies or sid in plain.counts]
        assert {sid: counts_of(shard, sid) for sid in met} == {sid: of_plain(plain, sid) for sid in met}, batch
        assert shadow_of(shard).totals == summed([of_plain(plain, sid) for sid in list(plain.counts)])


@pytest.mark.parametrize("mode", [Mode.PER_TICKER, Mode.LEGACY])
def test_hundreds_of_fixed_histories_give_the_counts_of_the_rule_all_along(mode: Mode) -> None:
    for seed in range(200):
        pick = seeded(seed)
        events = history(pick, max_events=120)
        sizes = list(some(pick, range(1, 13), 30))
        assert_same_all_along(compared(mode), PlainShadow(CONDITIONS), Oracle(CONDITIONS), events, sizes)


@given(histories(), SIZES, st.sampled_from([Mode.PER_TICKER, Mode.LEGACY]))
def test_the_counts_are_those_of_the_rule(events: list[Event], sizes: list[int], mode: Mode) -> None:
    assert_same_all_along(compared(mode), PlainShadow(CONDITIONS), Oracle(CONDITIONS), events, sizes)


def assert_same_as_oracles(events: Sequence[Event]) -> Counter[str]:
    """Hold the rule against one oracle for each throttle, over strategies that were there all along."""
    standing = {event.strategy_id: event for event in events if isinstance(event, Strategy)}
    strategies = [replace(each, version=1, status=Status.ACTIVE, mode=None) for each in standing.values()]
    strategies = [each for each in strategies if each.universe]
    plain, old, new = PlainShadow(CONDITIONS), Oracle(CONDITIONS, Mode.LEGACY), Oracle(CONDITIONS, Mode.PER_TICKER)
    for strategy in strategies:
        plain.follow(strategy)
        assert old.change(strategy).verdict is new.change(strategy).verdict is Verdict.ACCEPTED
    moving = [event for event in events if isinstance(event, Tick | Clock)]
    for event in moving:
        plain.tick(event) if isinstance(event, Tick) else plain.clock(event)
    ran = {(fire.strategy_id, fire.bucket_ms) for fire in fires_of_oracle(old, moving)}
    fired = {(fire.strategy_id, fire.ticker, fire.bucket_ms) for fire in fires_of_oracle(new, moving)}
    found: Counter[str] = Counter()
    for strategy in strategies:
        if strategy.strategy_id not in new.timeframes:
            continue
        sid, ticks = strategy.strategy_id, [each for each in moving if isinstance(each, Tick)]
        relevant = [each for each in ticks if CONDITIONS.moves_price(each.conditions)]
        buckets = {(t.ticker, Whole(strategy).bucket(t.ts_ms)) for t in relevant if t.ticker in strategy.universe}
        updated = {(sid, ticker, b) for ticker, b in buckets}
        by_old = {each for each in updated if (sid, each[2]) in ran}
        by_new = {each for each in fired if each[0] == sid}
        counts = of_plain(plain, sid)
        assert (counts.both, counts.only_new, counts.only_old) == (
            len(by_old & by_new),
            len(by_new - by_old),
            len(by_old - by_new),
        )
        assert counts.unjudged_run == counts.unjudged_late == 0
        runs = sum(each[0] == sid for each in ran)
        assert (counts.old_runs, counts.old_tickers) == (runs, runs * len(strategy.universe))
        assert (counts.late, counts.no_bucket) == (new.counts_of[sid]["late"], new.counts_of[sid]["no_bucket"])
        skipped = counts.seen - counts.both - counts.only_new - counts.late - counts.no_bucket
        assert skipped == new.counts_of[sid]["bucket_dup"]
        found.update(counts._asdict())
    return found


@given(histories())
def test_the_rule_is_what_an_oracle_of_each_throttle_does(events: list[Event]) -> None:
    assert_same_as_oracles(events)


def test_the_rule_meets_every_kind_of_alert_in_fixed_histories() -> None:
    found: Counter[str] = Counter()
    for seed in range(300):
        found += assert_same_as_oracles(history(seeded(seed), max_events=120))
    assert all(found[name] > 10 for name in (*JUDGED, "late", "no_bucket", "opened")), found


@given(histories(), SIZES, st.sampled_from([1, 2]))
def test_what_is_forgotten_is_not_judged_and_never_guessed(events: list[Event], sizes: list[int], buckets: int) -> None:
    short, plain, oracle = compared(Mode.PER_TICKER, buckets), PlainShadow(CONDITIONS), Oracle(CONDITIONS)
    fires_of_shard(short, events, sizes)
    told_to_plain(plain, oracle, events)
    for sid in oracle.strategies:
        found, all_known = counts_of(short, sid), of_plain(plain, sid)
        assert runs_of(found) == runs_of(all_known)
        assert (found.late, found.no_bucket, found.old_runs) == (
            all_known.late,
            all_known.no_bucket,
            all_known.old_runs,
        )
        assert all(getattr(found, name) <= getattr(all_known, name) for name in JUDGED)
        lost = sum(getattr(all_known, name) - getattr(found, name) for name in JUDGED)
        assert lost <= found.unjudged_run - all_known.unjudged_run + found.unjudged_late - all_known.unjudged_late


def runs_of(counts: ShadowCounts) -> int:
    return counts.both + counts.only_new + counts.unjudged_run


@given(histories(), SIZES)
def test_it_changes_nothing_that_is_live(events: list[Event], sizes: list[int]) -> None:
    shard, other = Shard(CONDITIONS), compared(Mode.PER_TICKER)
    assert fires_of_shard(other, events, sizes) == fires_of_shard(shard, events, sizes)
    assert other.counts == shard.counts


# By example.


def tick(shard: Shard, ticker: str, *ts_ms: int) -> None:
    fires_of_shard(shard, [Tick(ticker, each) for each in ts_ms], [])


def test_a_ticker_that_moves_in_a_bucket_is_run_by_both() -> None:
    shard = compared(Mode.PER_TICKER)
    tell(shard, ON_AB)
    tick(shard, "A", 0, 1, 2)
    tick(shard, "B", 30_000)
    assert counts_of(shard, "s") == ShadowCounts(both=2, opened=1, old_runs=1, old_tickers=2, seen=4)


def test_a_ticker_that_does_not_move_is_no_missed_alert() -> None:
    shard = compared(Mode.PER_TICKER)
    tell(shard, ON_AB)
    tick(shard, "A", 0, MINUTE_MS)
    assert counts_of(shard, "s") == ShadowCounts(both=2, opened=2, old_runs=2, old_tickers=4, seen=2)


def test_an_update_that_comes_behind_one_of_a_later_bucket_is_a_missed_alert_once() -> None:
    shard = compared(Mode.PER_TICKER)
    tell(shard, ON_AB)
    tick(shard, "A", 0)
    tick(shard, "B", MINUTE_MS, 1, 2)
    counts = counts_of(shard, "s")
    assert (counts.both, counts.only_old, counts.late) == (2, 1, 2)
    assert shadow_of(shard).missed(3) == {"s": 1}


def test_a_tick_that_comes_late_to_a_bucket_in_which_its_ticker_has_run_is_none() -> None:
    shard = compared(Mode.PER_TICKER)
    tell(shard, ON_AB)
    tick(shard, "A", 0, MINUTE_MS, 1)
    counts = counts_of(shard, "s")
    assert (counts.both, counts.only_old, counts.late) == (2, 0, 1)
    assert shadow_of(shard).missed(3) == {}


def test_a_bucket_that_stream_time_was_never_in_is_run_by_the_new_throttle_alone() -> None:
    shard = compared(Mode.LEGACY)
    tell(shard, ON_AB)
    tick(shard, "A", 0, 2 * MINUTE_MS)
    tick(shard, "B", MINUTE_MS)
    counts = counts_of(shard, "s")
    assert (counts.both, counts.only_new, counts.only_old) == (2, 1, 0)


def test_a_strategy_counts_only_while_it_is_in_force() -> None:
    shard = compared(Mode.PER_TICKER)
    tell(shard, ON_AB)
    tick(shard, "A", 0)
    tell(shard, replace(ON_AB, version=2, status=Status.PAUSED))
    tick(shard, "A", MINUTE_MS)
    tell(shard, replace(ON_AB, version=3))
    tick(shard, "A", 2 * MINUTE_MS)
    assert counts_of(shard, "s").both == shadow_of(shard).totals.both == 2


def test_what_was_before_it_counts_is_neither_run_again_nor_guessed() -> None:
    shard = Shard(CONDITIONS)
    tell(shard, ON_AB)
    tick(shard, "A", 5 * MINUTE_MS)
    shard.compare(on=True)
    assert shadow_of(shard).since == Since(5 * MINUTE_MS, 5 * MINUTE_MS, 0)
    tick(shard, "A", 5 * MINUTE_MS + 1, 1)
    tick(shard, "B", 2 * MINUTE_MS)
    assert counts_of(shard, "s") == ShadowCounts(late=1, unjudged_late=1, unjudged_run=1, seen=3)
    assert shadow_of(shard).since == Since(5 * MINUTE_MS, 5 * MINUTE_MS + 1, 3)


def test_it_says_since_when_it_counts() -> None:
    shard = compared(Mode.PER_TICKER)
    fires_of_shard(shard, [Tick("A", 7, conditions=(OUT_OF_SEQUENCE,))], [])
    fires_of_shard(shard, [Clock(9), Tick("A", 8)], [])
    assert shadow_of(shard).since == Since(9, 9, 1)


def test_only_the_home_of_a_strategy_counts_its_runs_as_a_whole() -> None:
    for is_home, runs in ((True, 1), (False, 0)):
        shard = Shard(CONDITIONS, owns=lambda ticker: ticker == "A", is_home=lambda _, here=is_home: here)  # type: ignore[misc]
        shard.compare(on=True)
        tell(shard, ON_AB)
        tick(shard, "A", 0)
        assert counts_of(shard, "s") == ShadowCounts(both=1, opened=1, old_runs=runs, old_tickers=1, seen=1)


def test_strategies_that_watch_every_ticker_or_have_no_timeframe_are_not_compared() -> None:
    shard = compared(Mode.PER_TICKER)
    for strategy in (Strategy("whole", "1m"), replace(ON_AB, strategy_id="broken", timeframe="5 minutes"), ON_AB):
        tell(shard, strategy)
    assert shadow_of(shard).strategies == 1
    tick(shard, "A", 0)
    assert counts_of(shard, "whole") == counts_of(shard, "broken") == ShadowCounts()


def test_strategies_past_the_bound_are_left_out_and_told_of_until_they_fit() -> None:
    shard = Shard(CONDITIONS)
    shard.shadow = Shadow(shard.index, slots=3)
    tell(shard, ON_AB)
    tell(shard, replace(ON_AB, strategy_id="t", timeframe="5m"))
    tick(shard, "A", 0)
    assert (shadow_of(shard).strategies, shadow_of(shard).left_out) == (1, 1)
    assert (counts_of(shard, "s").both, counts_of(shard, "t").both) == (1, 0)
    tell(shard, replace(ON_AB, strategy_id="t", version=2, universe=frozenset({"A"}), timeframe="5m"))
    assert (shadow_of(shard).strategies, shadow_of(shard).left_out) == (2, 0)


def test_what_is_asked_again_has_grown_by_what_came_since() -> None:
    shard = compared(Mode.PER_TICKER)
    tell(shard, ON_AB)
    tick(shard, "A", 0)
    assert shadow_of(shard).more() == ShadowCounts(both=1, opened=1, old_runs=1, old_tickers=2, seen=1)
    assert shadow_of(shard).more() == ShadowCounts()
    tick(shard, "B", 1)
    assert shadow_of(shard).more() == ShadowCounts(both=1, seen=1)


def test_it_is_switched_off_and_begins_anew() -> None:
    shard = compared(Mode.PER_TICKER)
    shard.compare(on=True)
    tell(shard, ON_AB)
    tick(shard, "A", 0)
    assert shadow_of(shard).totals.both == 1, "it was on already"
    shard.compare(on=False)
    tick(shard, "A", MINUTE_MS)
    shard.compare(on=True)
    assert shadow_of(shard).totals == ShadowCounts()
