"""Product lists over a real HTTP server: pages, limits that bite, and every way in which an exchange may fail."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from streams.universes import http_products
from streams.universes.http_products import ENDPOINT, RETRY_AFTER_MS, retry_after_ms
from streams.universes.limits import MAX_RETRY_AFTER_MS
from streams.universes.products import Listing, SourceError
from streams.universes.rate_limit import Limit
from tests.universes.exchange import Exchange, body, entry, many
from tests.universes.stage import Clock, over_http, pacer

MINUTE = Limit(100_000, 60_000)


def fetch(exchange: Exchange, clock: Clock | None = None, limit: Limit = MINUTE, **more: Any) -> Listing:
    async def main() -> Listing:
        async with over_http(exchange, pacer(clock or Clock(), limit), **more) as source:
            return await source.list_products(critical=True)

    return asyncio.run(main())


def trouble(exchange: Exchange, **more: Any) -> SourceError:
    with pytest.raises(SourceError) as raised:
        fetch(exchange, **more)
    return raised.value


def answering(
    text: bytes = b"", status: int = 200, headers: dict[str, str] | None = None
) -> Callable[[web.Request], Any]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=text, status=status, headers=headers)

    return answer


def test_pages_are_asked_for_one_after_the_other_with_the_filters(exchange: Exchange) -> None:
    exchange.entries = many(120)
    found = fetch(exchange)
    assert (len(found.products), found.calls) == (120, 3)
    filters = {"product_type": "SPOT", "limit": "50"}
    assert [each.query for each in exchange.asked] == [{**filters, "offset": str(at)} for at in (0, 50, 100)]


def test_a_server_that_knows_no_pages_is_asked_once(exchange: Exchange) -> None:
    exchange.entries, exchange.pages = many(120), False
    found = fetch(exchange)
    assert (len(found.products), found.calls) == (120, 1)


def test_a_huge_list_comes_whole(exchange: Exchange) -> None:
    exchange.entries = many(20_000)
    assert len(fetch(exchange, page_size=5_000).products) == 20_000


def test_asked_too_often_it_waits_as_long_as_it_is_told_and_goes_on(exchange: Exchange) -> None:
    clock = Clock()
    exchange.entries, exchange.now_ms, exchange.calls_allowed = many(120), clock.now_ms, 2
    exchange.window_ms = 20_000
    found = fetch(exchange, clock)
    assert (len(found.products), found.calls, exchange.refusals) == (120, 4, 1)
    assert clock.slept_s == [20.0]


def test_a_limit_that_is_known_is_kept_so_that_nothing_is_refused(exchange: Exchange) -> None:
    clock = Clock()
    exchange.entries, exchange.now_ms, exchange.calls_allowed = many(220), clock.now_ms, 2
    exchange.window_ms = 10_000
    assert len(fetch(exchange, clock, Limit(2, 10_000)).products) == 220
    assert exchange.refusals == 0
    assert clock.slept_s == [10.0, 10.0]


def test_a_pause_that_is_too_long_is_not_waited_for_but_told(exchange: Exchange) -> None:
    exchange.behaviour = answering(status=429, headers={"Retry-After": "600"})
    found = trouble(exchange)
    assert found.problem == f"the limit of {ENDPOINT} lets no call through"
    assert found.retry_after_ms == 600_000


def test_refusals_without_end_are_given_up(exchange: Exchange) -> None:
    exchange.behaviour = answering(status=429)
    found = trouble(exchange)
    assert found.problem == "it has answered 4 times that it was asked too often"
    assert found.retry_after_ms == RETRY_AFTER_MS
    assert exchange.asked[0].query["offset"] == exchange.asked[-1].query["offset"] == "0"


@pytest.mark.parametrize(
    ("told", "now", "wait_ms"),
    [
        ("7", "", 7_000),
        ("0", "", 0),
        ("99999999999999999999", "", MAX_RETRY_AFTER_MS),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 30_000),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:30 GMT", 0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "", RETRY_AFTER_MS),
        ("", "", RETRY_AFTER_MS),
        ("soon", "Wed, 21 Oct 2026 07:28:30 GMT", RETRY_AFTER_MS),
        ("-5", "", RETRY_AFTER_MS),
        ("²", "", RETRY_AFTER_MS),
        ("٣", "", RETRY_AFTER_MS),
    ],
)
def test_a_retry_after_is_read_as_seconds_or_a_date(told: str, now: str, wait_ms: int) -> None:
    assert retry_after_ms(told, now) == wait_ms


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"<html>down</html>", "the answer is no JSON, it begins with '<html>down</html>'"),
        (b"", "the answer is no JSON, it begins with ''"),
        (b"\xff\xfe\x00", "the answer is no JSON"),
        (b"[" * 100_000, "the answer is no JSON"),
        (b"[]", "the answer holds no list of products"),
        (b'{"products": {}}', "the answer holds no list of products"),
        (b'{"error": "x"}', "the answer holds no list of products"),
    ],
)
def test_an_answer_that_is_no_list_is_refused_in_words(exchange: Exchange, text: bytes, words: str) -> None:
    exchange.behaviour = answering(text)
    found = trouble(exchange)
    assert words in found.problem
    assert found.remedy == "see that the url is that of a product list"


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (500, "it is asked again"),
        (503, "it is asked again"),
        (401, "anybody may read"),
        (403, "anybody may read"),
        (404, "give the address of the list itself"),
        (301, "redirects are not followed"),
        (400, "mend the query"),
    ],
)
def test_another_status_says_what_to_do(exchange: Exchange, status: int, remedy: str) -> None:
    exchange.behaviour = answering(status=status, headers={"Location": "http://127.0.0.1:1/"})
    found = trouble(exchange)
    assert found.problem == f"the exchange answers with {status}"
    assert remedy in found.remedy
    assert len(exchange.asked) == 1


def test_pages_that_repeat_end_at_once(exchange: Exchange) -> None:
    exchange.behaviour = answering(body(many(50)))
    assert "pages repeat" in trouble(exchange).problem
    assert len(exchange.asked) == 2


def test_pages_without_end_end(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    async def more(request: web.Request) -> web.Response:
        return web.Response(body=body([entry(f"C{request.query['offset']}-USD")]))

    monkeypatch.setattr(http_products, "MAX_PAGES", 5)
    exchange.behaviour = more
    assert trouble(exchange, page_size=1).problem == "the list has more than 5 pages"
    monkeypatch.setattr(http_products, "MAX_PRODUCTS", 3)
    assert trouble(exchange, page_size=1).problem == "the list has more than 3 products"


def test_an_answer_that_is_too_large_is_not_read_to_its_end(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_products, "MAX_PAGE_BYTES", 1_000)
    exchange.entries = many(50)
    assert trouble(exchange).problem == "one answer has more than 1000 bytes"


def test_a_slow_exchange_is_given_up(exchange: Exchange) -> None:
    exchange.answer_s = 60
    found = trouble(exchange, timeout_s=0.1)
    assert found.problem == "the exchange has not answered within 0.1 s"


def test_an_answer_that_drips_is_given_up(exchange: Exchange) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while not exchange.stopped.is_set():
            await answer.write(b" ")
            await asyncio.sleep(0.01)
        return answer

    exchange.behaviour = drip
    assert "has not answered within" in trouble(exchange, timeout_s=0.2).problem


def test_a_connection_that_breaks_is_told(exchange: Exchange) -> None:
    async def breaking(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b'{"products": [')
        assert request.transport is not None
        request.transport.close()
        return answer

    exchange.behaviour = breaking
    assert trouble(exchange).problem.startswith("the exchange does not answer (")


def test_an_exchange_that_is_down_is_told(exchange: Exchange) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        exchange.url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        found = trouble(exchange)
    port = exchange.url.rpartition(":")[2].rstrip("/")
    assert found.problem.startswith(
        f"the exchange does not answer (nobody takes connections at port {port} of 127.0.0.1 (connect call failed"
    )
    assert found.remedy == "it is asked again; mend url of universe.yaml, or see what is in the way"


def test_tls_asked_of_who_speaks_none_is_told(exchange: Exchange) -> None:
    exchange.url = exchange.url.replace("http://", "https://")
    found = trouble(exchange)
    assert "no TLS at port" in found.problem
    assert (
        found.remedy
        == "it is asked again; write http:// in place of https:// into url of universe.yaml, or another port"
    )


def test_a_host_that_nobody_knows_is_told(exchange: Exchange) -> None:
    exchange.url = "http://no-such-host.invalid/"
    found = trouble(exchange)
    assert "nobody knows the host no-such-host.invalid" in found.problem
    assert found.remedy == "it is asked again; mend url of universe.yaml, or see that names are resolved"
