"""What rules make of a list."""

import random

from hypothesis import given
from hypothesis import strategies as st

from streams.universes.products import Product
from streams.universes.rules import Rule, resolve

PRODUCTS = [
    Product("BTC-USD", "USD", "online", 900.0),
    Product("ETH-USD", "USD", "online", 800.0),
    Product("ETH-EUR", "EUR", "online", 700.0),
    Product("SOL-USD", "USD", "online", 600.0),
    Product("OLD-USD", "USD", "delisted", 500.0),
    Product("OFF-USD", "USD", "online", 400.0, tradable=False),
    Product("ADA-USD", "USD", "online", 300.0),
    Product("XRP-USD", "USD", "online", 300.0),
]
RULE = Rule("r", ("s1",))


def tickers(rule: Rule, current: tuple[str, ...] = ()) -> set[str]:
    return set(resolve(rule, PRODUCTS, frozenset(current)).tickers)


def fs(*names: str) -> frozenset[str]:
    return frozenset(names)


def test_without_filters_all_that_is_online_and_traded_is_in() -> None:
    assert tickers(RULE) == {each.product_id for each in PRODUCTS} - {"OLD-USD", "OFF-USD"}


def test_filters_by_currency_status_and_volume() -> None:
    assert tickers(RULE._replace(quote=fs("EUR"))) == {"ETH-EUR"}
    assert tickers(RULE._replace(status=fs("delisted"))) == {"OLD-USD"}
    assert "OLD-USD" in tickers(RULE._replace(status=fs()))
    assert tickers(RULE._replace(quote=fs("USD"), min_volume=600.0)) == {"BTC-USD", "ETH-USD", "SOL-USD"}


def test_the_most_traded_by_rank_and_where_volumes_are_the_same_by_name() -> None:
    dollars = RULE._replace(quote=fs("USD"))
    assert tickers(dollars._replace(top=2)) == {"BTC-USD", "ETH-USD"}
    four = dollars._replace(top=4)
    for products in (PRODUCTS, PRODUCTS[::-1]):
        assert set(resolve(four, products).tickers) == {"BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD"}


def test_who_is_in_stays_up_to_a_rank() -> None:
    rule = RULE._replace(quote=fs("USD"), top=2, keep_top=3)
    assert tickers(rule) == {"BTC-USD", "ETH-USD"}
    assert tickers(rule, ("SOL-USD",)) == {"BTC-USD", "ETH-USD", "SOL-USD"}
    assert tickers(rule, ("ADA-USD",)) == {"BTC-USD", "ETH-USD"}


def test_included_ones_are_in_whatever_the_filters_and_excluded_ones_out() -> None:
    rule = RULE._replace(quote=fs("EUR"), include=fs("XRP-USD", "OLD-USD"), exclude=fs("ETH-EUR"))
    assert tickers(rule) == {"XRP-USD", "OLD-USD"}
    assert tickers(rule._replace(exclude=fs("XRP-USD"))) == {"OLD-USD", "ETH-EUR"}


def test_included_ones_take_no_rank_from_the_others() -> None:
    assert tickers(RULE._replace(top=1, include=fs("BTC-USD"))) == {"BTC-USD", "ETH-USD"}


def test_what_is_not_traded_is_not_included_and_told() -> None:
    rule = RULE._replace(top=1, include=fs("OFF-USD", "NONE-USD", "ADA-USD"))
    found = resolve(rule, PRODUCTS)
    assert (set(found.tickers), found.unlisted) == ({"BTC-USD", "ADA-USD"}, ("NONE-USD", "OFF-USD"))


def test_at_most_so_many_and_included_ones_come_first() -> None:
    assert tickers(RULE._replace(include=fs("XRP-USD"), at_most=2)) == {"XRP-USD", "BTC-USD"}


RULES = st.builds(
    Rule,
    st.just("r"),
    st.just(("s1",)),
    quote=st.frozensets(st.sampled_from(("USD", "EUR"))),
    top=st.integers(1, 10),
    keep_top=st.integers(0, 10),
    include=st.frozensets(st.sampled_from([each.product_id for each in PRODUCTS])),
    exclude=st.frozensets(st.sampled_from([each.product_id for each in PRODUCTS])),
    at_most=st.integers(1, 10),
)


@given(RULES, st.randoms(use_true_random=False))
def test_the_order_of_the_list_does_not_matter_and_to_ask_again_changes_nothing(
    rule: Rule, chance: random.Random
) -> None:
    found = resolve(rule, PRODUCTS)
    assert resolve(rule, chance.sample(PRODUCTS, len(PRODUCTS))) == found
    assert resolve(rule, PRODUCTS, found.tickers) == found
    assert len(found.tickers) <= rule.at_most
    assert not found.tickers & rule.exclude
    assert not found.tickers & {"OFF-USD"}
