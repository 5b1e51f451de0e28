"""Product lists over HTTP, page by page, in the manner of Coinbase's `GET .../market/products?limit=&offset=`.

A page that is not full is the last one. An answer is bounded in time and size; one of 429 is waited for as it asks
(`Retry-After`), a few times. Every other way to fail is a `SourceError` with its remedy.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple, Self

import aiohttp

from streams.errors import in_words
from streams.reaching import Address, unreached
from streams.universes.limits import MAX_PAGE_BYTES, MAX_PAGES, MAX_PRODUCTS, MAX_REFUSALS, MAX_RETRY_AFTER_MS
from streams.universes.pacing import Pacer
from streams.universes.products import Listing, Page, Product, SourceError, read_page

ENDPOINT: Final = "list_products"
"""What the limiter and the metrics call it."""

RETRY_AFTER_MS: Final = 5_000
"""Where a 429 does not say how long."""

ADDRESS: Final = Address("url of universe.yaml", "https://", "http://")
_OK, _TOO_MANY = 200, 429
_AGAIN: Final = "it is asked again; see that it runs and can be reached"


class Asking(NamedTuple):
    """Where the list is, and how it is asked for."""

    url: str
    page_size: int = 250
    query: Mapping[str, str] = {}
    """Filters of the exchange's own, such as product_type."""
    timeout_s: float = 10.0
    """For one answer, all in all."""


class HttpProducts:
    """A `ProductSource`. Use it in an `async with`."""

    def __init__(self, asking: Asking, pacer: Pacer) -> None:
        self._asking, self._pacer = asking, pacer
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._asking.timeout_s))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._client is not None, "it was entered"
        await self._client.close()

    async def list_products(self, *, critical: bool) -> Listing:
        """All pages, one after the other."""
        found: dict[str, Product] = {}
        pages = offset = bad = refusals = 0
        first_bad = ""
        while pages < MAX_PAGES:
            await self._pacer.let_through(ENDPOINT, critical=critical)
            page = await self._page(offset)
            if isinstance(page, int):
                refusals += 1
                if refusals > MAX_REFUSALS:
                    raise SourceError(f"it has answered {refusals} times that it was asked too often", _AGAIN, page)
                self._pacer.refused(ENDPOINT, page)
                continue
            pages += 1
            known, offset, bad = len(found), offset + page.entries, bad + page.entries - len(page.products)
            first_bad = first_bad or page.first_bad
            found |= {each.product_id: each for each in page.products}  # one that has moved between pages comes twice
            if len(found) > MAX_PRODUCTS:
                raise SourceError(f"the list has more than {MAX_PRODUCTS} products", "filter it by its query")
            if page.entries != self._asking.page_size:  # the last one, or a server that knows no pages
                return Listing(tuple(found.values()), pages + refusals, bad, first_bad)
            if page.products and len(found) == known:
                problem = "a page brings nothing but products of those before it: pages repeat"
                raise SourceError(problem, "see that the url is one that takes limit and offset")
        raise SourceError(f"the list has more than {MAX_PAGES} pages", "ask for larger pages, or filter it")

    async def _page(self, offset: int) -> Page | int:
        """One answer; where it is one of 429, for how many ms nothing is to be asked."""
        assert self._client is not None, "use it in an `async with`"
        asked = {**self._asking.query, "limit": str(self._asking.page_size), "offset": str(offset)}
        try:
            async with self._client.get(self._asking.url, params=asked, allow_redirects=False) as got:
                if got.status == _TOO_MANY:
                    return retry_after_ms(got.headers.get("Retry-After", ""), got.headers.get("Date", ""))
                if got.status != _OK:
                    raise SourceError(f"the exchange answers with {got.status}", _remedy(got.status))
                body = await _bounded(got)
        except TimeoutError as error:
            raise SourceError(f"the exchange has not answered within {self._asking.timeout_s:g} s", _AGAIN) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            problem, remedy = unreached(error, ADDRESS) or (in_words(error), "see that it runs and can be reached")
            raise SourceError(f"the exchange does not answer ({problem})", f"it is asked again; {remedy}") from error
        return read_page(body)


async def _bounded(got: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in got.content.iter_any():
        body += piece
        if len(body) > MAX_PAGE_BYTES:
            raise SourceError(f"one answer has more than {MAX_PAGE_BYTES} bytes", "ask for smaller pages")
    return bytes(body)


def _remedy(status: int) -> str:
    if status in {401, 403, 407}:
        return "give the url of a list that anybody may read"
    if 300 <= status < 400 or status in {404, 405}:  # noqa: PLR2004 - HTTP's
        return "give the address of the list itself; redirects are not followed"
    if 400 <= status < 500:  # noqa: PLR2004 - as above
        return "mend the query in universe.yaml"
    return _AGAIN


def retry_after_ms(told: str, now: str) -> int:
    """What a `Retry-After` asks for: seconds, or a date, held against the server's own."""
    if told.isascii() and told.isdecimal():
        return min(int(told[:9]) * 1_000, MAX_RETRY_AFTER_MS)
    try:
        wanted_s = (_moment(told) - _moment(now)).total_seconds()
    except ValueError:
        return RETRY_AFTER_MS
    return max(0, min(round(wanted_s * 1_000), MAX_RETRY_AFTER_MS))


def _moment(text: str) -> datetime:
    moment = parsedate_to_datetime(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
