"""Stand-ins for tests of universes: a clock that moves when somebody sleeps, and a list in memory."""

import asyncio
from collections.abc import Sequence

from streams.universes.http_products import Asking, HttpProducts
from streams.universes.lifetimes import Lifetime
from streams.universes.manager import UniverseManager
from streams.universes.pacing import Pacer
from streams.universes.product_cache import ProductCache
from streams.universes.products import Listing, Product, ProductSource, SourceError
from streams.universes.rate_limit import Limit, RateLimiter
from tests.universes.exchange import Exchange

MINUTE_MS = 60_000
LIFETIME = Lifetime(5 * MINUTE_MS, 15 * MINUTE_MS, 2 * MINUTE_MS)
WIDE = Limit(100_000, MINUTE_MS)


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.ms = 1_000_000
        self.slept_s: list[float] = []

    def now_ms(self) -> int:
        return self.ms

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.ms += round(seconds * 1_000)


class FakeProducts:
    """A `ProductSource` in memory."""

    def __init__(self, products: Sequence[Product] = ()) -> None:
        self.products, self.bad = list(products), 0
        self.trouble: SourceError | None = None
        self.asked: list[bool] = []
        """Of each call, whether it was critical."""
        self.gate: asyncio.Event | None = None
        """Where it is set: an answer waits for it."""

    async def list_products(self, *, critical: bool) -> Listing:
        self.asked.append(critical)
        if self.gate is not None:
            await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble
        once = {each.product_id: each for each in self.products}
        return Listing(tuple(once.values()), bad=self.bad, first_bad="x" if self.bad else "")


def some(*names: str, quote: str = "USD") -> list[Product]:
    """Products by their names, the most traded first."""
    return [Product(name, quote, volume=1_000.0 - rank) for rank, name in enumerate(names)]


def pacer(clock: Clock, limit: Limit = WIDE, most_wait_ms: int = 30_000) -> Pacer:
    return Pacer(RateLimiter({}, limit), clock.now_ms, clock.sleep, most_wait_ms)


def over_http(exchange: Exchange, paced: Pacer, page_size: int = 50, **more: float) -> HttpProducts:
    return HttpProducts(Asking(exchange.url, page_size, {"product_type": "SPOT"}, **more), paced)


def manager(
    source: ProductSource, clock: Clock, lifetime: Lifetime = LIFETIME, stale_ms: int = 60 * MINUTE_MS
) -> UniverseManager:
    return UniverseManager(source, ProductCache(lifetime, stale_ms), clock.now_ms)
