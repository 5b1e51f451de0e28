"""The made-up market: the same plan gives the same ticks, and they are what a market's ticks are."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.core.timeframes import parse_timeframe
from streams.feeds.synthetic import CONDITIONS, MAX_TICKERS, PART_TICKS, Plan, Ticks, parts, ticker_names, walked
from streams.feeds.synthetic_strategies import made_up_strategies
from streams.reference_data import load_conditions

START_MS = 1_772_461_800_000

PLANS = st.builds(
    Plan,
    start_ms=st.just(START_MS),
    rate=st.floats(1, 20_000),
    seconds=st.floats(0, 4),
    tickers=st.integers(1, 300),
    seed=st.integers(0, 1 << 40),
    speed=st.floats(0.01, 1_000),
    opening_s=st.floats(0, 5),
    opening_times=st.floats(1, 10),
)
MARKET = Plan(START_MS, rate=20_000, seconds=5, tickers=500)


def whole(plan: Plan) -> Ticks:
    columns: tuple[Any, ...] = tuple(zip(*parts(plan), strict=True))
    return Ticks._make(map(np.concatenate, columns))


def same(one: Ticks, other: Ticks) -> bool:
    pairs: list[tuple[Any, Any]] = list(zip(one, other, strict=True))
    return all(np.array_equal(a, b) for a, b in pairs)


@given(PLANS)
def test_a_plan_gives_its_ticks_every_time_and_within_its_bounds(plan: Plan) -> None:
    made = list(parts(plan))
    assert all(same(one, other) for one, other in zip(made, parts(plan), strict=True))
    assert sum(len(part.ticker) for part in made) == plan.total_ticks
    for part in made:
        assert 0 < len(part.ticker) <= PART_TICKS
        assert part.ticker.min() >= 0
        assert part.ticker.max() < plan.tickers
        assert part.ts_ms.min() >= plan.start_ms
        assert part.ts_ms.max() <= plan.start_ms + plan.seconds * plan.speed * 1_000
        assert part.price.min() >= 0.01
        assert part.size.min() > 0


@given(PLANS, st.integers(1, 1_000))
def test_a_tick_is_due_when_its_moment_has_come_and_not_before(plan: Plan, number: int) -> None:
    number %= max(1, plan.total_ticks)
    moment_s = float(plan.moments_s(number, 1)[0])
    assert plan.due_ticks(moment_s - 1e-6) <= number
    if plan.total_ticks:
        assert plan.due_ticks(moment_s + 1 / plan.rate + 1e-6) > number


def test_a_longer_market_begins_with_the_shorter_one() -> None:
    short, long = whole(MARKET), whole(Plan(START_MS, rate=20_000, seconds=9, tickers=500))
    assert len(short.ticker) % PART_TICKS
    assert same(short, Ticks._make(column[: len(short.ticker)] for column in long))


def test_another_seed_gives_another_market() -> None:
    other = whole(Plan(START_MS, rate=20_000, seconds=5, tickers=500, seed=8))
    assert not np.array_equal(whole(MARKET).ticker, other.ticker)


def test_the_opening_is_as_many_times_busier_as_was_asked_for() -> None:
    plan = Plan(START_MS, rate=1_000, seconds=10, opening_s=2, opening_times=5)
    assert [plan.due_ticks(t) for t in (0, 1, 2, 3, 10, 11)] == [0, 5_000, 10_000, 11_000, 18_000, 18_000]


def test_a_few_tickers_make_most_of_the_trades() -> None:
    counts = np.bincount(whole(MARKET).ticker, minlength=500)
    assert counts[:25].sum() > counts.sum() / 2
    assert np.count_nonzero(counts) > 450


def test_some_trades_must_not_move_the_price_and_most_do() -> None:
    table, made = load_conditions(), whole(MARKET).conditions
    assert [table.moves_price(codes) for codes in CONDITIONS] == [True] * 4 + [False] * 5
    share = np.mean([table.moves_price(CONDITIONS[at]) for at in made.tolist()])
    assert 0.85 < share < 0.98


def test_some_ticks_come_out_of_order_and_a_few_are_late() -> None:
    ts_ms = whole(MARKET).ts_ms
    behind_ms = np.maximum.accumulate(ts_ms) - ts_ms
    assert 0.01 < np.mean(behind_ms > 0) < 0.05
    # The market has lasted five seconds, so nothing can be later than that.
    assert np.count_nonzero(behind_ms > 1_000) > 20


def test_prices_go_by_small_steps() -> None:
    made = whole(MARKET)
    for ticker in range(20):
        path = np.log(made.price[made.ticker == ticker])
        assert len(set(path.tolist())) > 20
        assert np.abs(np.diff(path)).max() < 0.05


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-9, 9)), min_size=1))
def test_walking_at_once_is_walking_step_by_step(moves: list[tuple[int, int]]) -> None:
    start = np.arange(5.0)
    path, ends = walked(start, np.array([who for who, _ in moves], np.int32), np.array([float(by) for _, by in moves]))
    value = start.tolist()
    for at, (who, by) in enumerate(moves):
        value[who] += by
        assert path[at] == value[who]
    assert ends.tolist() == value
    assert start.tolist() == [0, 1, 2, 3, 4]


def test_every_ticker_has_a_name_of_its_own() -> None:
    names = ticker_names(MAX_TICKERS)
    assert len(set(names)) == MAX_TICKERS
    assert ticker_names(10) == names[:10]


def test_strategies_are_of_every_size_and_kind() -> None:
    made = made_up_strategies(400, ticker_names(2_000), 7, sessions=True)
    assert made == made_up_strategies(400, ticker_names(2_000), 7, sessions=True)
    assert len({each.strategy_id for each in made}) == 400
    sizes = {len(each.universe) for each in made}
    assert {0, 3, 8, 25, 80, 250, 800, 1_500} == sizes
    assert {each.mode for each in made} == {None, "legacy"}
    assert {each.session for each in made} == {"", "XNYS"}
    assert len({each.time_zone for each in made}) == 2
    for each in made:
        parse_timeframe(each.timeframe)


def test_no_strategy_asks_for_a_session_where_there_are_no_calendars() -> None:
    assert {each.session for each in made_up_strategies(200, ticker_names(50), 7, sessions=False)} == {""}


def test_no_universe_is_larger_than_the_market() -> None:
    assert max(len(each.universe) for each in made_up_strategies(200, ticker_names(5), 7, sessions=False)) == 5
