"""How long a list stays fresh: bounds, and what volatility makes of them, by properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.universes.lifetimes import CALM, UNKNOWN, VOLATILE_SHARE, Lifetime, changed_share, next_level
from streams.universes.products import Product
from tests.universes.stage import LIFETIME, MINUTE_MS, some

LEVELS = st.floats(0, 1)
LENGTHS = st.integers(0, 86_400_000)
LIFETIMES = st.builds(Lifetime, st.just(0) | LENGTHS, LENGTHS, LENGTHS)
PRODUCTS = st.dictionaries(
    st.sampled_from("ABCDEFGH"),
    st.builds(Product, st.just("x"), st.just("USD"), st.sampled_from(("online", "offline")), tradable=st.booleans()),
)


def test_it_is_fifteen_minutes_when_quiet_two_when_volatile_and_five_where_nothing_is_known() -> None:
    assert LIFETIME.at(0.0) == 15 * MINUTE_MS
    assert LIFETIME.at(UNKNOWN) == 5 * MINUTE_MS
    assert LIFETIME.at(1.0) == 2 * MINUTE_MS


@given(LIFETIMES, LEVELS)
def test_it_keeps_within_its_bounds_and_off_is_off(lifetime: Lifetime, level: float) -> None:
    found = lifetime.at(level)
    if not lifetime.base_ms:
        assert found == 0
    else:
        assert min(lifetime.volatile_ms, lifetime.base_ms) <= found <= max(lifetime.quiet_ms, lifetime.base_ms)


@given(LIFETIMES, LEVELS, LEVELS)
def test_the_more_volatile_the_shorter(lifetime: Lifetime, one: float, other: float) -> None:
    assert lifetime.at(min(one, other)) >= lifetime.at(max(one, other))


@given(LEVELS, LEVELS)
def test_a_level_rises_at_once_and_falls_by_halves(level: float, share: float) -> None:
    found = next_level(level, share)
    assert 0 <= found <= 1
    assert found >= min(1.0, share / VOLATILE_SHARE)
    assert found >= level / 2 or level / 2 < CALM
    assert found <= max(level / 2, min(1.0, share / VOLATILE_SHARE))


@given(st.floats(VOLATILE_SHARE, 1), LEVELS)
def test_a_list_that_has_changed_much_makes_the_shortest(share: float, level: float) -> None:
    assert LIFETIME.at(next_level(level, share)) == 2 * MINUTE_MS


@given(LEVELS)
def test_a_market_without_changes_comes_to_rest(level: float) -> None:
    for _ in range(6):
        level = next_level(level, 0.0)
    assert LIFETIME.at(level) == 15 * MINUTE_MS


@given(PRODUCTS, PRODUCTS)
def test_what_has_changed_is_a_share_and_the_same_from_both_sides(
    one: dict[str, Product], other: dict[str, Product]
) -> None:
    assert 0 <= changed_share(one, other) <= 1
    assert changed_share(one, other) == changed_share(other, one)
    assert changed_share(one, one) == 0
    if not one.keys() & other.keys() and one.keys() | other.keys():
        assert changed_share(one, other) == 1


def test_new_gone_and_halted_count_and_prices_do_not() -> None:
    before = {each.product_id: each for each in some("A", "B", "C", "D")}
    assert changed_share(before, {key: each._replace(volume=0.5) for key, each in before.items()}) == 0
    assert changed_share(before, {**before, "A": before["A"]._replace(tradable=False)}) == 0.25
    assert changed_share(before, {**before, "A": before["A"]._replace(status="offline")}) == 0.25
    assert changed_share(before, {key: each for key, each in before.items() if key != "A"}) == 0.25
    assert changed_share(before, {**before, "E": before["A"]}) == pytest.approx(0.2)
