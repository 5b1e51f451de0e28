"""What happened to a strategy, counted by example; that the counts are the oracle's is held by the property tests."""

from dataclasses import replace

import numpy as np

from streams.core.events import Clock, Mode, Status, Strategy, Tick
from streams.core.oracle import Oracle
from streams.core.shard import Shard
from streams.core.strategy_counts import StrategyCounts
from tests.core.histories import CONDITIONS, OUT_OF_SEQUENCE, fires_of_oracle, fires_of_shard

NOTHING = StrategyCounts(0, 0, 0, 0, 0)
MINUTE_MS, NOON_MS = 60_000, 43_200_000
ON_A = Strategy("s", "1m", frozenset({"A"}))


def shard_with(*strategies: Strategy) -> Shard:
    shard = Shard(CONDITIONS)
    for strategy in strategies:
        shard.change(strategy)
    return shard


def tick(shard: Shard, *ts_ms: int, ticker: str = "A") -> None:
    """Each in a step of its own."""
    fires_of_shard(shard, [Tick(ticker, each) for each in ts_ms], [1] * len(ts_ms))


def test_a_strategy_that_is_not_known_has_no_counts_and_one_that_met_nothing_has_none_above_zero() -> None:
    shard = shard_with(ON_A)
    assert shard.counts_of("other") is None
    assert shard.counts_of("s") == NOTHING


def test_ticks_that_touch_no_pair_are_duplicates_of_every_strategy_of_the_row() -> None:
    shard = shard_with(ON_A, Strategy("t", "5m", frozenset({"A", "B"})))
    tick(shard, *range(0, 30_000, 1_000))
    assert shard.counts["looks"] == 2, "most ticks ended at one comparison"
    for strategy_id in "st":
        assert shard.counts_of(strategy_id) == NOTHING._replace(fired=1, bucket_dup=29)
    tick(shard, 0, ticker="B")
    assert shard.counts_of("t") == NOTHING._replace(fired=2, bucket_dup=29)


def test_a_strategy_counts_only_while_it_is_in_force() -> None:
    shard = shard_with(Strategy("t", "1m", frozenset({"A"})))
    tick(shard, 0, 1, 2)
    shard.change(ON_A)
    tick(shard, 3, 4)
    shard.change(replace(ON_A, version=2, status=Status.PAUSED))
    tick(shard, 5, 6, 7)
    assert shard.counts_of("s") == NOTHING._replace(fired=1, bucket_dup=1)
    shard.change(replace(ON_A, version=3, universe=frozenset({"A", "B"})))
    tick(shard, 8, 60_000)
    tick(shard, 60_000, ticker="B")
    tick(shard, 59_999)
    assert shard.counts_of("s") == NOTHING._replace(fired=3, bucket_dup=2, late=1)


def test_ticks_that_an_edit_has_made_late_for_long_are_counted_and_cost_no_look_each() -> None:
    shard = shard_with(Strategy("long", "1m", frozenset("A")), Strategy("short", "1m", frozenset("A")))
    tick(shard, NOON_MS + 5 * MINUTE_MS)
    shard.change(Strategy("long", "1h", frozenset("A"), version=2))
    looks = shard.counts["looks"]
    for at in range(100):
        tick(shard, NOON_MS + 5 * MINUTE_MS + at)
    assert shard.counts["late"] == 100
    assert shard.counts_of("long") == NOTHING._replace(fired=1, late=100)
    assert shard.counts_of("short") == NOTHING._replace(fired=1, bucket_dup=100)
    assert shard.counts["looks"] - looks <= 4
    shard.change(Strategy("long", "1h", frozenset("B"), version=3))
    tick(shard, NOON_MS + 5 * MINUTE_MS + 100)
    assert shard.counts["late"] == 100
    assert shard.counts_of("long") == NOTHING._replace(fired=1, late=100)
    assert shard.counts_of("short") == NOTHING._replace(fired=1, bucket_dup=101)


def test_late_ticks_count_for_a_strategy_that_leaves_the_ticker_before_anybody_asks() -> None:
    shard = shard_with(Strategy("long", "1m", frozenset("A")), Strategy("short", "1m", frozenset("A")))
    tick(shard, NOON_MS + 5 * MINUTE_MS)
    shard.change(Strategy("long", "1h", frozenset("A"), version=2))
    for at in range(100):
        tick(shard, NOON_MS + 5 * MINUTE_MS + at)
    shard.change(Strategy("long", "1h", frozenset("B"), version=3))
    assert shard.counts_of("long") == NOTHING._replace(fired=1, late=100)
    assert shard.counts_of("short") == NOTHING._replace(fired=1, bucket_dup=100)


def test_what_must_not_move_the_price_and_clocks_count_for_nobody() -> None:
    shard = shard_with(ON_A)
    fires_of_shard(shard, [Tick("A", 0, conditions=(OUT_OF_SEQUENCE,)), Clock(5), Tick("B", 0)], [])
    assert shard.counts_of("s") == NOTHING


def test_a_strategy_that_runs_as_a_whole_counts_its_runs_beside_what_its_pairs_did() -> None:
    shard = shard_with(ON_A)
    tick(shard, 0, 1)
    shard.change(replace(ON_A, version=2, mode=Mode.LEGACY))
    tick(shard, 60_000, 60_001, 120_000)
    assert shard.counts_of("s") == NOTHING._replace(fired=3, bucket_dup=1)


def test_a_round_skips_those_of_which_no_ticker_was_updated() -> None:
    shard = shard_with(ON_A, Strategy("t", "1m", frozenset({"A", "B"})), Strategy("whole", "1m"))
    shard.end_round()
    assert shard.counts["no_update"] == 0, "a round without ticks skips nobody"
    tick(shard, 0, ticker="B")
    shard.end_round()
    assert [shard.counts_of(sid) for sid in "st"] == [NOTHING._replace(no_update=1), NOTHING._replace(fired=1)]
    tick(shard, 1, ticker="OTHER")
    shard.end_round()
    shard.end_round()
    assert [counts.no_update for sid in ("s", "t", "whole") if (counts := shard.counts_of(sid))] == [2, 1, 0]
    assert shard.counts["no_update"] == 3


def test_a_timeframe_that_does_not_exist_is_skipped_in_each_round_and_by_one_shard_alone() -> None:
    broken = replace(ON_A, timeframe="5 minutes")
    home, other = (Shard(CONDITIONS, is_home=lambda _, here=here: here) for here in (True, False))  # type: ignore[misc]
    oracle = Oracle(CONDITIONS)
    for each in (home, other, oracle):
        each.change(broken)
    for shard in (home, other):
        tick(shard, 0)
        shard.end_round()
    fires_of_oracle(oracle, [Tick("A", 0)])
    oracle.end_round()
    assert home.counts_of("s") == NOTHING._replace(no_update=1)
    assert other.counts_of("s") == NOTHING
    assert oracle.counts_of["s"]["no_update"] == 1
    home.change(replace(ON_A, version=2))
    tick(home, 1)
    home.end_round()
    assert home.counts_of("s") == NOTHING._replace(fired=1, no_update=1)


def test_checks_say_how_many_tickers_were_looked_at_and_how_many_were_not() -> None:
    shard = shard_with(Strategy("s", "1m", frozenset(f"T{t}" for t in range(100))))
    fires_of_shard(shard, [Tick(f"T{t}", 0) for t in range(20)], [])
    fires_of_shard(shard, [Clock(1)], [])  # looks at none: no check
    assert [shard.counts[name] for name in ("checks", "processed", "skipped")] == [1, 20, 80]
    shard.tracked = False
    fires_of_shard(shard, [Tick("T0", 1)], [])
    assert [shard.counts[name] for name in ("checks", "processed", "skipped")] == [2, 120, 80]


def test_a_step_that_found_its_flags_corrupt_has_looked_at_every_ticker() -> None:
    shard = shard_with(Strategy("s", "1m", frozenset(f"T{t}" for t in range(100))))
    shard.index.columns.tracking.flags[1] ^= np.uint32(1)
    fires_of_shard(shard, [Tick("T0", 0)], [])
    assert [shard.counts[name] for name in ("checks", "processed", "skipped", "corruptions")] == [1, 100, 0, 1]
