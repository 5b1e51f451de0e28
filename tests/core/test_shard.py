"""The rules, one after the other, by example and with numbers; and the limits of a shard.

Times are in ms from 1970 on, buckets mostly of a minute: 0, 60,000, 120,000.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from streams.core import index as index_module
from streams.core import kernel
from streams.core.columns import Batch, Columns, Scalars, column_bytes, fire_columns, tracking_columns
from streams.core.events import Clock, Mode, Status, Strategy, Tick
from streams.core.index import LimitError
from streams.core.lifecycle import Verdict
from streams.core.limits import NEVER
from streams.core.shard import Shard, Ticks
from streams.core.tickers import TooManyTickersError
from tests.core.histories import CONDITIONS, OUT_OF_SEQUENCE, Event, fires_of_shard, ticks_of

A, AB = frozenset({"A"}), frozenset({"A", "B"})
ON_A = Strategy("s", "1m", A)


def shard_with(*strategies: Strategy, default: Mode = Mode.PER_TICKER) -> Shard:
    """A shard in which these are in force."""
    shard = Shard(CONDITIONS, default)
    for strategy in strategies:
        assert shard.change(strategy).verdict is Verdict.ACCEPTED
    return shard


def fired(shard: Shard, *events: Event) -> list[tuple[str, str, int]]:
    """What fires as the events come in: strategy, ticker (empty for the whole), bucket."""
    return [(fire.strategy_id, fire.ticker, fire.bucket_ms) for fire in fires_of_shard(shard, events, [])]


def edit(shard: Shard, strategy_id: str = "s", **fields: Any) -> None:
    """Put the next version of a strategy in force: the one before, but for these fields."""
    entry = shard.index.entries[strategy_id]
    names = shard.index.tickers.all_names()
    before = replace(entry.strategy, universe=frozenset(names[t] for t in entry.universe))
    change = replace(before, version=before.version + 1, **fields)
    assert shard.change(change).verdict is Verdict.ACCEPTED


# 1. Price-relevant.


def test_a_tick_that_must_not_move_the_price_changes_nothing_and_is_counted() -> None:
    shard = shard_with(ON_A, Strategy("all", "1m"))
    assert fired(shard, Tick("A", 60_000, conditions=(0, OUT_OF_SEQUENCE))) == []
    assert shard.stream_ms == NEVER
    assert shard.index.columns.tickers.last_update[0] == NEVER
    assert shard.counts["ticks"] == shard.counts["irrelevant"] == 1
    assert shard.counts["updates"] == 0
    assert fired(shard, Tick("A", 60_000, conditions=(0, 14))) == [("all", "", 60_000), ("s", "A", 60_000)]


# 2. Update.


def test_the_last_update_is_the_latest_time_not_the_last_to_arrive() -> None:
    shard = shard_with()
    fired(shard, Tick("A", 5), Tick("B", 1), Tick("A", 9), Tick("A", 7))
    assert shard.index.columns.tickers.last_update[:2].tolist() == [9, 1]


# 3. Per-ticker throttle.


def test_the_first_tick_of_a_bucket_fires_others_are_duplicates_and_older_ones_late() -> None:
    shard = shard_with(ON_A)
    assert fired(shard, Tick("A", 60_000)) == [("s", "A", 60_000)]
    assert fired(shard, Tick("A", 60_000), Tick("A", 119_999)) == []
    assert (shard.counts["bucket_dup"], shard.counts["late"]) == (2, 0)
    assert fired(shard, Tick("A", 59_999)) == []
    assert (shard.counts["bucket_dup"], shard.counts["late"]) == (2, 1)
    assert fired(shard, Tick("A", 120_000)) == [("s", "A", 120_000)]


def test_a_tick_is_late_or_a_duplicate_by_the_tick_before_it_also_within_one_batch() -> None:
    shard = shard_with(ON_A)
    fired(shard, Tick("A", 0))
    assert fired(shard, Tick("A", 60_000), Tick("A", 59_999)) == [("s", "A", 60_000)]
    assert (shard.counts["bucket_dup"], shard.counts["late"]) == (0, 1)


def test_each_pair_is_throttled_for_itself() -> None:
    shard = shard_with(Strategy("s1", "1m", AB), Strategy("s5", "5m", A))
    assert fired(shard, Tick("A", 60_000)) == [("s1", "A", 60_000), ("s5", "A", 0)]
    assert fired(shard, Tick("B", 60_001)) == [("s1", "B", 60_000)]
    assert fired(shard, Tick("A", 120_000), Tick("C", 120_000)) == [("s1", "A", 120_000)]


def test_a_strategy_paused_and_resumed_in_one_bucket_does_not_fire_again() -> None:
    shard = shard_with(ON_A)
    fired(shard, Tick("A", 60_000))
    edit(shard, status=Status.PAUSED)
    assert fired(shard, Tick("A", 60_001)) == []
    edit(shard, status=Status.ACTIVE, universe=A)
    assert fired(shard, Tick("A", 60_002)) == []
    assert fired(shard, Tick("A", 120_000)) == [("s", "A", 120_000)]


def test_a_strategy_paused_over_a_border_fires_when_it_is_resumed() -> None:
    shard = shard_with(ON_A)
    fired(shard, Tick("A", 60_000))
    edit(shard, status=Status.PAUSED)
    assert fired(shard, Tick("A", 120_000)) == []
    edit(shard, status=Status.ACTIVE, universe=A)
    assert fired(shard, Tick("A", 120_001)) == [("s", "A", 120_000)]


def test_a_ticker_that_leaves_a_universe_and_comes_back_in_one_bucket_does_not_fire_again() -> None:
    shard = shard_with(Strategy("s", "1m", AB))
    fired(shard, Tick("A", 60_000))
    edit(shard, universe=frozenset({"B"}))
    assert fired(shard, Tick("A", 60_001), Tick("B", 60_001)) == [("s", "B", 60_000)]
    edit(shard, universe=AB)
    assert fired(shard, Tick("A", 60_002), Tick("B", 60_002)) == []
    assert fired(shard, Tick("A", 120_000)) == [("s", "A", 120_000)]


def test_a_strategy_deleted_and_made_again_in_one_bucket_does_not_fire_again() -> None:
    shard = shard_with(ON_A)
    fired(shard, Tick("A", 60_000))
    edit(shard, status=Status.DELETED)
    assert fired(shard, Tick("A", 60_001)) == []
    edit(shard, status=Status.ACTIVE, universe=AB)
    assert fired(shard, Tick("A", 60_002), Tick("B", 60_002)) == [("s", "B", 60_000)]


def test_a_timeframe_edited_from_1m_to_5m_and_back_repeats_no_bucket() -> None:
    shard = shard_with(ON_A)
    fired(shard, Tick("A", 60_000))
    edit(shard, timeframe="5m")
    assert fired(shard, Tick("A", 61_000), Tick("A", 299_999)) == []
    assert shard.counts["late"] == 2  # the bucket of five minutes began at 0
    edit(shard, timeframe="1m")
    assert fired(shard, Tick("A", 62_000)) == []
    assert shard.counts["bucket_dup"] == 1
    assert fired(shard, Tick("A", 120_000)) == [("s", "A", 120_000)]
    edit(shard, timeframe="5m")
    assert fired(shard, Tick("A", 300_000)) == [("s", "A", 300_000)]
    edit(shard, timeframe="1m")
    assert fired(shard, Tick("A", 300_001)) == []


def test_what_is_not_taken_changes_nothing() -> None:
    shard = shard_with(replace(ON_A, version=3))
    for version, verdict in ((3, Verdict.CONFLICT), (2, Verdict.STALE), (0, Verdict.INVALID)):
        assert shard.change(Strategy("s", "5m", AB, version=version)).verdict is verdict
    assert shard.change(replace(ON_A, version=3)).verdict is Verdict.REPEATED
    assert fired(shard, Tick("A", 60_000), Tick("B", 60_000)) == [("s", "A", 60_000)]


def test_what_stands_elsewhere_is_in_force_as_if_it_had_been_told_here() -> None:
    shard = Shard(CONDITIONS)
    shard.stand(replace(ON_A, version=3))
    assert fired(shard, Tick("A", 60_000), Tick("A", 60_001)) == [("s", "A", 60_000)]
    assert shard.change(replace(ON_A, version=3)).verdict is Verdict.REPEATED
    assert shard.change(replace(ON_A, version=2)).verdict is Verdict.STALE
    shard.stand(replace(ON_A, version=2, universe=frozenset("B")))  # what has come before is not asked for here
    assert fired(shard, Tick("A", 120_000), Tick("B", 120_000)) == [("s", "B", 120_000)]


@pytest.mark.parametrize("version", [1, 9])
@pytest.mark.parametrize("mode", [Mode.PER_TICKER, Mode.LEGACY])
def test_behind_a_tombstone_any_version_is_a_birth_and_what_has_fired_does_not_fire_again(
    version: int, mode: Mode
) -> None:
    shard = shard_with(replace(ON_A, version=5, mode=mode))
    assert len(fired(shard, Tick("A", 60_000))) == 1
    shard.forget("s")
    assert fired(shard, Tick("A", 120_000)) == []
    assert shard.change(replace(ON_A, version=version, universe=AB)).verdict is Verdict.ACCEPTED
    if mode is Mode.LEGACY:  # to the end of the bucket it goes on as a whole
        assert fired(shard, Tick("A", 60_001), Tick("B", 60_001)) == [("s", "", 120_000)]
        assert fired(shard, Tick("A", 120_001), Tick("A", 180_000)) == [("s", "A", 180_000)]
    else:
        assert fired(shard, Tick("A", 60_001), Tick("B", 60_001)) == [("s", "B", 60_000)]
        assert fired(shard, Tick("A", 120_001)) == [("s", "A", 120_000)]
    shard.forget("never met")


def test_of_a_strategy_that_is_skipped_a_tombstone_takes_the_warning_too() -> None:
    shard = shard_with(replace(ON_A, timeframe="5 minutes"))
    assert "s" in shard.index.warnings
    shard.forget("s")
    assert shard.index.warnings == {}


def test_new_tickers_are_numbered_in_one_order_whatever_the_order_of_a_universe() -> None:
    names = [f"T{number}" for number in range(40)]
    shards = [shard_with(Strategy("s", "1m", frozenset(order))) for order in (names, names[::-1])]
    assert [shard.index.tickers.all_names() for shard in shards] == [sorted(names)] * 2


# 4. Missing state means not yet fired.


def test_a_new_strategy_fires_in_the_middle_of_a_bucket() -> None:
    shard = shard_with(ON_A)
    fired(shard, Tick("A", 60_000))
    shard.change(Strategy("new", "1m", A))
    assert fired(shard, Tick("A", 90_000)) == [("new", "A", 60_000)]


def test_a_ticker_new_to_a_universe_fires_in_the_middle_of_a_bucket() -> None:
    shard = shard_with(ON_A)
    fired(shard, Tick("A", 60_000), Tick("B", 60_000))
    edit(shard, universe=AB)
    assert fired(shard, Tick("A", 90_000), Tick("B", 90_000)) == [("s", "B", 60_000)]


# 6. Global strategies and legacy mode.


def test_a_global_strategy_fires_once_a_bucket_at_whatever_ticker() -> None:
    shard = shard_with(Strategy("s", "1m"))
    assert fired(shard, Tick("A", 60_000), Tick("B", 60_001), Tick("A", 119_999)) == [("s", "", 60_000)]
    assert fired(shard, Tick("C", 120_000)) == [("s", "", 120_000)]
    assert shard.counts["triggered"] == 2


@pytest.mark.parametrize(
    ("default", "mode"), [(Mode.LEGACY, None), (Mode.PER_TICKER, Mode.LEGACY), (Mode.LEGACY, Mode.LEGACY)]
)
def test_a_legacy_strategy_fires_once_a_bucket_without_a_ticker_filter(default: Mode, mode: Mode | None) -> None:
    shard = shard_with(replace(ON_A, mode=mode), default=default)
    assert fired(shard, Tick("not watched", 60_000), Tick("A", 60_001)) == [("s", "", 60_000)]
    assert fired(shard, Tick("A", 120_000)) == [("s", "", 120_000)]


def test_a_strategy_may_ask_for_the_per_ticker_throttle_where_legacy_is_the_default() -> None:
    shard = shard_with(replace(ON_A, mode=Mode.PER_TICKER), default=Mode.LEGACY)
    assert fired(shard, Tick("B", 60_000), Tick("A", 60_001)) == [("s", "A", 60_000)]


def test_clock_records_move_on_what_is_throttled_as_a_whole_and_nothing_else() -> None:
    shard = shard_with(Strategy("all", "1m"), ON_A)
    assert fired(shard, Clock(60_000)) == [("all", "", 60_000)]
    assert fired(shard, Clock(119_999), Clock(60_000), Clock(0)) == []
    assert shard.stream_ms == 119_999
    assert shard.clock(120_000).ts_ms.tolist() == [120_000]
    assert shard.counts["clocks"] == 5
    assert shard.counts["ticks"] == shard.counts["fired"] == 0


def test_a_late_tick_moves_no_stream_time() -> None:
    shard = shard_with(Strategy("all", "1m"))
    fired(shard, Tick("A", 120_000))
    assert fired(shard, Tick("A", 60_000)) == []
    assert shard.stream_ms == 120_000


@pytest.mark.parametrize("whole", [{"mode": Mode.LEGACY}, {"universe": frozenset()}], ids=["legacy", "global"])
def test_from_the_whole_to_pairs_and_back_no_ticker_runs_twice_in_a_bucket(whole: dict[str, Any]) -> None:
    shard = shard_with(replace(Strategy("s", "1m", AB), **whole))
    assert fired(shard, Tick("A", 60_000)) == [("s", "", 60_000)]
    edit(shard, universe=AB, mode=Mode.PER_TICKER)
    assert fired(shard, Tick("A", 60_001), Tick("B", 60_001)) == []
    assert fired(shard, Tick("A", 120_000)) == [("s", "A", 120_000)]
    edit(shard, **whole)
    assert fired(shard, Tick("A", 120_001)) == []
    assert fired(shard, Tick("B", 180_000)) == [("s", "", 180_000)]


def test_after_a_legacy_run_tickers_outside_of_its_universe_wait_for_the_next_bucket() -> None:
    shard = shard_with(replace(ON_A, mode=Mode.LEGACY))
    fired(shard, Tick("A", 60_000))
    edit(shard, universe=AB, mode=Mode.PER_TICKER)
    assert fired(shard, Tick("A", 60_001), Tick("B", 60_001)) == []  # the bucket is decided as a whole
    assert fired(shard, Tick("A", 120_000), Tick("B", 119_999)) == [("s", "A", 120_000)]


@pytest.mark.parametrize("whole", [{"mode": Mode.LEGACY}, {"universe": frozenset()}], ids=["legacy", "global"])
def test_a_whole_strategy_that_did_not_run_leaves_its_tickers_as_they_were(whole: dict[str, Any]) -> None:
    shard = shard_with(Strategy("s", "1m", AB))
    fired(shard, Tick("A", 60_000))
    edit(shard, **whole)
    assert fired(shard, Tick("A", 60_001)) == []
    assert fired(shard, Tick("B", 60_001)) == [("s", "B", 60_000)]  # to the end of the bucket it goes on as it was
    edit(shard, universe=AB, mode=Mode.PER_TICKER)
    assert fired(shard, Tick("A", 60_002), Tick("B", 120_000)) == [("s", "B", 120_000)]


def test_a_legacy_universe_without_the_ticker_that_ran_fires_by_pairs_to_the_end_of_the_bucket() -> None:
    shard = shard_with(ON_A)
    fired(shard, Tick("A", 60_000))
    edit(shard, mode=Mode.LEGACY)
    edit(shard, universe=frozenset({"B"}))
    assert fired(shard, Tick("B", 60_001), Tick("A", 60_002)) == [("s", "B", 60_000)]
    assert fired(shard, Tick("A", 120_000), Tick("B", 120_000)) == [("s", "", 120_000)]


# 7. Invalid timeframe.


@pytest.mark.parametrize(
    "broken",
    [{"timeframe": "5 minutes"}, {"timeframe": "1d", "time_zone": "Mars/Base"}, {"session": "NONE SUCH"}],
    ids=str,
)
def test_a_strategy_without_buckets_is_skipped_with_a_warning_and_disturbs_nothing(broken: dict[str, str]) -> None:
    shard = shard_with(ON_A, Strategy("x", "1m", A), Strategy("all", "1m"))
    fired(shard, Tick("A", 0))
    edit(shard, "x", **broken)
    assert list(shard.index.warnings) == ["x"]
    assert [*broken.values()][-1] in shard.index.warnings["x"]
    assert fired(shard, Tick("A", 60_000)) == [("all", "", 60_000), ("s", "A", 60_000)]
    edit(shard, "x", universe=A, timeframe="1m", time_zone="UTC", session="")
    assert shard.index.warnings == {}
    assert fired(shard, Tick("A", 60_001)) == [("x", "A", 60_000)]


# 8. Update tracking.


def flagged(columns: Columns) -> list[int]:
    """The tickers with a flag."""
    bits: list[int] = np.flatnonzero(np.unpackbits(columns.tracking.flags.view(np.uint8), bitorder="little")).tolist()
    return bits


def observed(shard: Shard, *numbers: int) -> Columns:
    """Let a step take ticks of these tickers, and stop before it decides."""
    shard.step(ticks_of(shard.index.tickers, [Tick(f"T{t}", 0) for t in range(200)]))
    columns, size = shard.index.columns, len(numbers)
    columns.scalars[Scalars.RESUME_AT] = 0
    tick = Batch(np.array(numbers, np.int32), np.full(size, 7), np.ones(size, np.uint8), np.empty(size, np.int32))
    assert kernel.observe(columns, tick, True, fire_columns(0))  # noqa: FBT003 (compiled: no keywords)
    return columns


def test_an_update_sets_the_flag_of_its_ticker_the_time_beside_it_and_the_counter() -> None:
    columns = observed(Shard(CONDITIONS), 0, 199, 31, 32, 199)
    assert flagged(columns) == [0, 31, 32, 199]
    assert columns.tracking.stamps[[0, 1, 199]].tolist() == [7, 0, 7]
    assert columns.tracking.counter.tolist() == [205]
    assert kernel.flags_agree(columns)


def test_a_flag_that_moved_is_found_though_as_many_are_set() -> None:
    columns = observed(Shard(CONDITIONS), 3, 64)
    columns.tracking.flags[2] = 0b10
    assert flagged(columns) == [3, 65]
    assert not kernel.flags_agree(columns)


def test_a_step_clears_each_flag_after_it_looked() -> None:
    shard = shard_with(Strategy("s", "1m", frozenset({"T0", "T199"})))
    fires = fired(shard, *(Tick(f"T{t}", 60_000) for t in range(200)))
    assert fires == [("s", "T0", 60_000), ("s", "T199", 60_000)]
    assert flagged(shard.index.columns) == []


def test_tracking_200_symbols_takes_less_than_5_kb() -> None:
    tracking = tracking_columns(200)
    assert len(tracking.flags) == 7
    assert column_bytes(tracking) == 7 * 4 + 200 * 8 + 8


def test_a_step_looks_only_at_the_rows_of_tickers_that_were_updated() -> None:
    shard = shard_with(Strategy("s", "1m", frozenset(f"T{t}" for t in range(100))))
    assert len(fired(shard, Tick("T1", 0), Tick("T2", 0))) == 2
    assert shard.counts["looks"] == 2


def test_without_tracking_every_row_is_looked_at_and_the_fires_are_the_same() -> None:
    shard = shard_with(Strategy("s", "1m", frozenset(f"T{t}" for t in range(100))))
    shard.tracked = False
    assert fired(shard, Tick("T1", 0)) == [("s", "T1", 0)]
    assert shard.counts["looks"] == 100
    shard.tracked = True
    assert fired(shard, Tick("T1", 1), Tick("T1", 60_000)) == [("s", "T1", 60_000)]
    assert shard.counts["looks"] == 101
    assert shard.counts["corruptions"] == 0


def test_corrupt_flags_are_counted_and_no_fire_is_lost() -> None:
    shard = shard_with(ON_A)
    shard.index.columns.tracking.flags[0] = 0xFFFFFFFF
    assert fired(shard, Tick("A", 0)) == [("s", "A", 0)]
    assert shard.counts["corruptions"] == 1
    assert fired(shard, Tick("A", 60_000)) == [("s", "A", 60_000)]
    assert shard.counts["corruptions"] == 1


# Which tickers and strategies are a shard's own.


def test_a_shard_holds_pairs_of_its_own_tickers_only() -> None:
    shard = Shard(CONDITIONS, owns=lambda ticker: ticker == "B")
    shard.change(Strategy("s", "1m", AB))
    assert shard.index.tickers.all_names() == ["B"]
    assert fired(shard, Tick("A", 0), Tick("B", 0)) == [("s", "B", 0)]


@pytest.mark.parametrize("whole", [Strategy("s", "1m"), replace(ON_A, mode=Mode.LEGACY)], ids=["global", "legacy"])
@pytest.mark.parametrize(("home", "fires"), [("s", [("s", "", 0)]), ("t", [])])
def test_a_whole_strategy_fires_in_its_home_shard_only(
    whole: Strategy, home: str, fires: list[tuple[str, str, int]]
) -> None:
    shard = Shard(CONDITIONS, is_home=lambda strategy_id: strategy_id == home)
    shard.change(whole)
    assert fired(shard, Tick("A", 0)) == fires


# Limits and growth.


def test_one_ticker_too_many_in_a_universe_is_refused_and_what_stood_goes_on() -> None:
    shard = shard_with(ON_A)
    shard.index.tickers.limit = 2
    with pytest.raises(TooManyTickersError, match="more than 2 tickers in one shard; spread the topic"):
        shard.change(Strategy("s", "5m", frozenset("ABC"), version=2))
    assert shard.index.tickers.all_names() == ["A"]
    assert fired(shard, Tick("A", 60_000)) == [("s", "A", 60_000)]
    assert shard.change(Strategy("s", "1m", AB, version=2)).verdict is Verdict.ACCEPTED
    assert fired(shard, Tick("A", 60_001), Tick("B", 60_001)) == [("s", "B", 60_000)]


def test_a_tick_of_one_ticker_too_many_is_left_out_and_the_others_are_taken() -> None:
    shard = shard_with(ON_A)
    shard.index.tickers.limit = 2
    names, no_codes = ["C", "B", "A"], np.zeros(0, np.int32)
    ticks, refused = shard.from_columns(
        names, np.arange(3, dtype=np.int32), np.zeros(3, int), no_codes, np.zeros(3, int)
    )
    assert refused == [1]
    assert [fire.ticker for fire in shard.named(shard.step(ticks))] == ["A"]
    assert shard.counts["ticks"] == 2


def test_one_strategy_too_many_is_refused_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "MAX_STRATEGIES", 1)
    shard = shard_with(ON_A)
    with pytest.raises(LimitError, match="more than 1 strategies in one shard"):
        shard.change(Strategy("t", "1m", A))
    assert fired(shard, Tick("A", 0)) == [("s", "A", 0)]
    edit(shard, timeframe="5m")


@pytest.mark.parametrize("mode", [Mode.PER_TICKER, Mode.LEGACY])
def test_one_pair_too_many_is_refused_and_what_stood_goes_on(monkeypatch: pytest.MonkeyPatch, mode: Mode) -> None:
    monkeypatch.setattr(index_module, "MAX_PAIRS", 3)
    shard = shard_with(Strategy("s", "1m", AB, mode=mode))
    with pytest.raises(LimitError, match="more than 3 pairs in one shard; spread the topic over more partitions"):
        shard.change(Strategy("s", "5m", frozenset("CDEF"), version=2))
    tickers = ["A", "B"] if mode is Mode.PER_TICKER else [""]
    assert fired(shard, Tick("A", 60_000), Tick("B", 60_000)) == [("s", ticker, 60_000) for ticker in tickers]
    assert shard.change(Strategy("s", "1m", A, version=2)).verdict is Verdict.ACCEPTED
    assert fired(shard, Tick("A", 60_001)) == []
    assert fired(shard, Tick("A", 120_000)) == [("s", "A", 120_000)]


def test_thousands_of_strategies_on_one_ticker_fire_each_once_in_the_order_of_their_ids() -> None:
    ids = [f"s{number}" for number in range(5_000)]
    shard = shard_with(*(Strategy(sid, "1m", AB) for sid in ids))
    ran = [(sid, "A", 0) for sid in sorted(ids)]
    assert fired(shard, Tick("A", 0), Tick("A", 1)) == ran
    shard.change(Strategy("one more", "1m", A))
    assert fired(shard, Tick("A", 2)) == [("one more", "A", 0)]
    assert fired(shard, Tick("B", 3)) == [(sid, "B", 0) for sid in sorted(ids)]


def test_hundreds_of_global_strategies_fire_each_once() -> None:
    ids = [f"s{number:03}" for number in range(300)]
    shard = shard_with(*(Strategy(sid, "1m") for sid in ids))
    fires = fired(shard, Tick("A", 0), Clock(1), Clock(60_000))
    assert fires == [(sid, "", bucket_ms) for bucket_ms in (0, 60_000) for sid in ids]


def test_packing_gives_back_the_room_that_moved_rows_left() -> None:
    universe = frozenset(f"T{t}" for t in range(50))
    shard = shard_with(*(Strategy(f"s{number}", "1m", universe) for number in range(400)))
    assert shard.counts["fired"] == 0
    assert int(shard.index.columns.tickers.row_used.sum()) == 20_000
    assert len(shard.index.columns.pairs.strategy) < 2 * 20_000
    assert len(fired(shard, *(Tick(f"T{t}", 0) for t in range(50)))) == 20_000


def test_tickers_met_between_two_steps_have_their_columns_when_a_strategy_changes() -> None:
    shard = shard_with(replace(ON_A, mode=Mode.LEGACY))
    fired(shard, Tick("A", 0))
    names = [f"T{t}" for t in range(1_000)]
    ticks: Ticks = ticks_of(shard.index.tickers, [Tick(name, 0) for name in names])
    edit(shard, status=Status.PAUSED)
    assert len(shard.index.columns.tickers.last_update) >= 1_001
    shard.change(Strategy("t", "1m", frozenset(names)))
    assert len(shard.step(ticks).tick) == 1_000
