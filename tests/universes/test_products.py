"""What of an exchange's list can be used."""

from typing import Any

import pytest

from streams.universes.products import Listing, Product, SourceError, read_page, read_product, usable
from tests.universes.exchange import body, entry
from tests.universes.stage import some


def test_a_product_is_read_as_coinbase_writes_it() -> None:
    assert read_product(entry("BTC-USD", 7.5)) == Product("BTC-USD", "USD", "online", 7.5, tradable=True)


@pytest.mark.parametrize(
    ("more", "volume"),
    [
        ({"approximate_quote_24h_volume": 3}, 3.0),
        ({"approximate_quote_24h_volume": ""}, 25.0),
        ({"approximate_quote_24h_volume": None}, 25.0),
        ({"approximate_quote_24h_volume": None, "volume_24h": ""}, 0.0),
        ({"approximate_quote_24h_volume": None, "price": None}, 0.0),
        ({"approximate_quote_24h_volume": "0"}, 0.0),
    ],
)
def test_a_volume_is_the_one_told_or_made_of_the_price(more: dict[str, Any], volume: float) -> None:
    assert read_product(entry("A-USD", 1.0, **more)).volume == volume


@pytest.mark.parametrize("name", ["is_disabled", "trading_disabled", "cancel_only", "view_only"])
def test_what_cannot_be_traded_is_known(name: str) -> None:
    assert not read_product(entry("A-USD", 1.0, **{name: True})).tradable
    assert read_product(entry("A-USD", 1.0, **{name: None})).tradable


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (None, "'None' is no product"),
        (["A-USD"], "is no product"),
        ({}, "product_id: nothing, where text belongs"),
        (entry("A-USD", product_id=""), "product_id: the text is empty"),
        (entry("A-USD", product_id=7), "product_id: the number 7"),
        (entry("A-USD", product_id="A" * 65), "has 65 bytes in UTF-8, the limit is 64"),
        (entry("A-USD", product_id="A\n"), "control character"),
        (entry("A-USD", quote_currency_id=None), "'A-USD' has no quote_currency_id"),
        (entry("A-USD", status=3), "a status that is no text"),
        (entry("A-USD", approximate_quote_24h_volume="much"), "that is no number"),
        (entry("A-USD", approximate_quote_24h_volume=True), "that is no number"),
        (entry("A-USD", approximate_quote_24h_volume="nan"), "has a volume of nan"),
        (entry("A-USD", approximate_quote_24h_volume="inf"), "has a volume of inf"),
        (entry("A-USD", approximate_quote_24h_volume=-1), "has a volume of -1.0"),
        (entry("A-USD", approximate_quote_24h_volume=10**400), "that is no number"),
    ],
)
def test_one_that_cannot_be_used_says_why(told: Any, words: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the words are looked at
        read_product(told)
    assert words in str(raised.value)


def test_a_bad_product_costs_only_itself() -> None:
    page = read_page(body([entry("A-USD"), {"product_id": ""}, 5, entry("B-USD")]))
    assert [each.product_id for each in page.products] == ["A-USD", "B-USD"]
    assert (page.entries, page.first_bad) == (4, "product_id: the text is empty")


def test_an_empty_list_is_no_list() -> None:
    with pytest.raises(SourceError, match="the list is empty, which no exchange's is"):
        usable(Listing(()))


def test_a_list_that_mostly_cannot_be_read_is_refused_whole() -> None:
    products = some(*(f"C{number}" for number in range(90)))
    assert usable(Listing(products, bad=10)).bad == 10
    with pytest.raises(SourceError, match="11 of 101 products cannot be read, first: that one"):
        usable(Listing(products, bad=11, first_bad="that one"))
    with pytest.raises(SourceError, match="1 of 1 products cannot be read"):
        usable(Listing((), bad=1))
