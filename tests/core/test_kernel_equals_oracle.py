"""The kernel is the oracle, only faster: the same fires, counts and state over any history, in any batches."""

from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from streams.core.columns import Counters
from streams.core.events import Clock, Mode, Strategy, Tick
from streams.core.oracle import Oracle
from streams.core.shard import Shard
from streams.core.strategy_counts import StrategyCounts, all_counts
from tests.core.histories import (
    CONDITIONS,
    Change,
    Event,
    batches,
    fires_of_oracle,
    fires_of_shard,
    histories,
    history,
    seeded,
    shard_with_small_buffers,
    some,
    state_of_oracle,
    state_of_shard,
    tell,
    ticks_of,
)
from tests.core.spoiling import spoil

DEFAULTS = st.sampled_from([Mode.PER_TICKER, Mode.LEGACY])
SIZES = st.lists(st.integers(1, 12), max_size=30)
SAME_COUNTS = ["ticks", "irrelevant", "updates", "fired", "bucket_dup", "late", "no_bucket", "triggered", "clocks"]
OF_STRATEGIES = StrategyCounts._fields


def assert_same(oracle: Oracle, shard: Shard) -> None:
    assert {name: shard.counts[name] for name in SAME_COUNTS} == {name: oracle.counts[name] for name in SAME_COUNTS}
    assert state_of_shard(shard) == state_of_oracle(oracle)
    assert shard.counts["no_update"] == oracle.counts["no_update"]
    found = {sid: shard.counts_of(sid) for sid in oracle.strategies}
    assert all_counts(shard.index) == [shard.counts_of(sid) for sid in shard.strategy_ids]
    assert found == {sid: StrategyCounts(*(oracle.counts_of[sid][name] for name in OF_STRATEGIES)) for sid in found}


def test_a_spoilt_stamp_is_found_at_a_ticker_that_the_step_does_not_touch() -> None:
    shard = Shard(CONDITIONS)
    shard.step(ticks_of(shard.index.tickers, [Tick("A", 1), Tick("B", 1)]))
    spoil(shard, "stamp", shard.index.tickers.number("A"))
    shard.step(ticks_of(shard.index.tickers, [Tick("B", 2)]))
    assert shard.counts["corruptions"] == 1
    shard.step(ticks_of(shard.index.tickers, [Tick("A", 3)]))
    assert shard.counts["corruptions"] == 1


def test_what_was_derived_from_the_pairs_is_derived_anew_when_every_row_is_looked_at() -> None:
    shard = Shard(CONDITIONS)
    shard.change(Strategy("s", "1m", frozenset({"A"})))
    fires_of_shard(shard, [Tick("A", 0)], [])
    shard.index.columns.tickers.next_due[0] = 1 << 61  # wrong: this ticker would never fire again
    shard.tracked = False
    fires_of_shard(shard, [Clock(1)], [])
    shard.tracked = True
    assert [fire.bucket_ms for fire in fires_of_shard(shard, [Tick("A", 60_000)], [])] == [60_000]


def test_a_pair_that_an_edit_made_late_is_late_also_after_every_row_was_looked_at() -> None:
    shard = Shard(CONDITIONS)
    shard.change(Strategy("s", "1m", frozenset({"A"})))
    fires_of_shard(shard, [Tick("A", 60_000)], [])
    shard.change(Strategy("s", "5m", frozenset({"A"}), version=2))  # its bucket began at 0
    shard.tracked = False
    fires_of_shard(shard, [Clock(60_001)], [])
    shard.tracked = True
    assert fires_of_shard(shard, [Tick("A", 61_000), Tick("A", 299_999)], []) == []
    assert (shard.counts["late"], shard.counts["bucket_dup"]) == (2, 0)


def test_a_late_tick_of_a_bucket_before_the_turn_to_pairs_fires_nothing() -> None:
    oracle, shard = Oracle(CONDITIONS), Shard(CONDITIONS)
    events: list[Event] = [
        Tick("C", 800_000),
        Strategy("s", "1m", frozenset({"A", "B"}), mode=Mode.LEGACY),
        Tick("C", 810_000),
        Strategy("s", "1m", frozenset({"A", "B"}), version=2),
        Tick("B", 850_000),
        Tick("A", 700_000),
        Tick("A", 860_000),
    ]
    fires = fires_of_shard(shard, events, [])
    assert fires == fires_of_oracle(oracle, events)
    assert [(fire.ticker, fire.bucket_ms) for fire in fires] == [("B", 840_000), ("A", 840_000)]
    assert shard.counts["late"] == 1
    assert_same(oracle, shard)


def test_most_ticks_look_at_no_pair() -> None:
    shard = Shard(CONDITIONS)
    shard.change(Strategy("s", "1m", frozenset({"A"})))
    fires_of_shard(shard, [Tick("A", ts_ms) for ts_ms in range(0, 60_000, 100)], [1] * 600)
    assert shard.counts["looks"] == 1
    assert shard.counts["bucket_dup"] == 599


def test_counters_have_names_and_places_of_their_own() -> None:
    places = [at for name, at in vars(Counters).items() if name.isupper()]
    assert sorted(places) == list(range(Counters.SIZE + 1))


def assert_same_all_along(seed: int) -> None:
    """Take one history through both, with tracking switched and spoilt on the way."""
    pick = seeded(seed)
    events, default, spoilt = history(pick, max_events=120), pick((Mode.PER_TICKER, Mode.PER_TICKER, Mode.LEGACY)), 0
    oracle, shard = Oracle(CONDITIONS, default), shard_with_small_buffers(default)
    for batch in batches(events, some(pick, range(1, 13), 30)):
        shard.tracked = pick((True, True, True, False))
        what = pick(("nothing", "nothing", "nothing", "flag", "counter"))
        if what != "nothing" and shard.tracked and not isinstance(batch[0], Change):
            spoil(shard, what, pick(range(300)))
            spoilt += 1
        assert fires_of_shard(shard, batch, []) == fires_of_oracle(oracle, batch), f"seed {seed}, at {batch}"
        if pick((True, False, False)):
            shard.end_round()
            oracle.end_round()
        assert_same(oracle, shard)
    assert shard.counts["corruptions"] == spoilt, f"seed {seed}"


def test_hundreds_of_fixed_histories_give_the_same_all_along() -> None:
    for seed in range(300):
        assert_same_all_along(seed)


@given(histories(), SIZES, DEFAULTS, st.booleans())
def test_same_fires_in_the_same_order_and_same_state(
    events: list[Event], sizes: list[int], default: Mode, tracked: bool
) -> None:
    oracle, shard = Oracle(CONDITIONS, default), shard_with_small_buffers(default, tracked=tracked)
    assert fires_of_shard(shard, events, sizes) == fires_of_oracle(oracle, events)
    assert_same(oracle, shard)


@given(histories(), SIZES, DEFAULTS)
def test_no_pair_ever_fires_twice_in_a_bucket(events: list[Event], sizes: list[int], default: Mode) -> None:
    """A fire of a whole strategy runs every ticker of its universe, or every ticker there is."""
    shard = Shard(CONDITIONS, default)
    universes: dict[str, frozenset[str]] = {}
    ran: defaultdict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for batch in batches(events, sizes):
        if isinstance(batch[0], Change):
            if tell(shard, batch[0]) and isinstance(batch[0], Strategy):
                universes[batch[0].strategy_id] = batch[0].universe
            continue
        for fire in fires_of_shard(shard, batch, []):
            if fire.mode is Mode.GLOBAL:
                before = ran[fire.strategy_id, fire.bucket_ms]
                assert not before, f"{fire} after {before}"
                before["every ticker"] += 1
            for ticker in [fire.ticker] if fire.ticker else universes[fire.strategy_id]:
                ran[fire.strategy_id, fire.bucket_ms][ticker] += 1
    for key, tickers in ran.items():
        assert max(tickers.values(), default=1) == 1, (key, tickers)
        assert "every ticker" not in tickers or len(tickers) == 1, (key, tickers)


@given(histories(), SIZES, st.data())
def test_tracking_switched_while_running_changes_nothing(
    events: list[Event], sizes: list[int], data: st.DataObject
) -> None:
    oracle, shard = Oracle(CONDITIONS), shard_with_small_buffers(Mode.PER_TICKER)
    fires = []
    for batch in batches(events, sizes):
        shard.tracked = data.draw(st.booleans())
        fires += fires_of_shard(shard, batch, [])
    assert fires == fires_of_oracle(oracle, events)
    assert_same(oracle, shard)
    assert shard.counts["corruptions"] == 0


@given(histories(), SIZES, st.data())
def test_spoilt_tracking_is_found_within_a_step_and_survived(
    events: list[Event], sizes: list[int], data: st.DataObject
) -> None:
    oracle, shard = Oracle(CONDITIONS), shard_with_small_buffers(Mode.PER_TICKER)
    fires, spoilt = [], 0
    for batch in batches(events, sizes):
        what = data.draw(st.sampled_from(["nothing", "nothing", "flag", "counter"]))
        if what != "nothing" and not isinstance(batch[0], Change):
            spoil(shard, what, data.draw(st.integers(0, 300)))
            spoilt += 1
        fires += fires_of_shard(shard, batch, [])
    assert fires == fires_of_oracle(oracle, events)
    assert_same(oracle, shard)
    assert shard.counts["corruptions"] == spoilt
