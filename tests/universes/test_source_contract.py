"""What every source of product lists keeps to: one in memory, and the one over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from streams.universes.products import Listing, Product, ProductSource, SourceError
from tests.universes.exchange import Exchange, entry
from tests.universes.stage import Clock, FakeProducts, over_http, pacer

Use = Callable[[ProductSource], Awaitable[Any]]
PAGE = 3
NAMES = [f"C{number}-USD" for number in range(8)]


class InMemory:
    """The source that tests use."""

    def __init__(self) -> None:
        self.source = FakeProducts()

    def lists(self, *names: str, twice: str = "") -> None:
        again = [Product(twice, "USD", volume=2.0)] if twice else []
        self.source.products = [*(Product(name, "USD", volume=1.0) for name in names), *again]

    def has_bad(self, count: int) -> None:
        self.source.bad = count

    def fails(self, *, now: bool) -> None:
        self.source.trouble = SourceError("down", "wait") if now else None

    def use(self, work: Use) -> Any:
        async def main() -> Any:
            return await work(self.source)

        return asyncio.run(main())


async def down(_: web.Request) -> web.Response:
    return web.Response(status=503)


class OverHttp:
    """The source that asks an exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def lists(self, *names: str, twice: str = "") -> None:
        again = [entry(twice, 2.0)] if twice else []
        self.exchange.entries = [*(entry(name) for name in names), *again]

    def has_bad(self, count: int) -> None:
        self.exchange.entries = [*self.exchange.entries, *[{"product_id": ""}] * count]

    def fails(self, *, now: bool) -> None:
        self.exchange.behaviour = down if now else None

    def use(self, work: Use) -> Any:
        async def main() -> Any:
            async with over_http(self.exchange, pacer(Clock()), PAGE) as source:
                return await work(source)

        return asyncio.run(main())


Stage = InMemory | OverHttp


@pytest.fixture(params=["in memory", "over http"])
def stage(request: pytest.FixtureRequest, exchange: Exchange) -> Stage:
    return InMemory() if request.param == "in memory" else OverHttp(exchange)


async def listed(source: ProductSource) -> Listing:
    return await source.list_products(critical=True)


@pytest.mark.parametrize("count", [1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, len(NAMES)])
def test_all_that_is_listed_comes_once_and_in_order(stage: Stage, count: int) -> None:
    stage.lists(*NAMES[:count])
    found: Listing = stage.use(listed)
    assert [each.product_id for each in found.products] == NAMES[:count]
    assert found.products[0] == Product("C0-USD", "USD", "online", 1.0, tradable=True)
    assert found.calls >= 1
    assert (found.bad, found.first_bad) == (0, "")


def test_an_empty_list_is_told_as_one(stage: Stage) -> None:
    assert list(stage.use(listed).products) == []


def test_a_product_that_moves_from_page_to_page_comes_once(stage: Stage) -> None:
    stage.lists(*NAMES[:PAGE], NAMES[PAGE - 1], *NAMES[PAGE:])
    assert [each.product_id for each in stage.use(listed).products] == NAMES
    stage.lists(*NAMES[: 2 * PAGE], twice=NAMES[0])  # alone on the last page
    assert {each.product_id: each.volume for each in stage.use(listed).products}[NAMES[0]] == 2.0, (
        "as it was listed last"
    )


def test_what_cannot_be_read_is_counted_and_left_out(stage: Stage) -> None:
    stage.lists(*NAMES)
    stage.has_bad(2)
    found: Listing = stage.use(listed)
    assert (len(found.products), found.bad) == (len(NAMES), 2)
    assert found.first_bad


def test_a_failure_says_what_to_do_and_is_over_when_it_is_over(stage: Stage) -> None:
    stage.lists(*NAMES)

    async def failing(source: ProductSource) -> str:
        with pytest.raises(SourceError) as raised:
            await source.list_products(critical=False)
        assert raised.value.problem
        assert raised.value.remedy
        return str(raised.value)

    stage.fails(now=True)
    assert "; " in stage.use(failing)
    stage.fails(now=False)
    assert len(stage.use(listed).products) == len(NAMES)
