"""What a kept product list saves, beside what was promised of old: calls, the share of the limit, the time of a build.

An exchange of our own, over HTTP on this machine: ten pages of 50 products, each answered after 30 ms, as over a
network; 60 calls a minute. A cycle, one a minute, is five builds. Minutes pass by a clock that is moved by hand.
"""

import asyncio
import json
from statistics import median
from time import perf_counter
from typing import Final, NamedTuple

from aiohttp import web

from streams.universes.http_products import ENDPOINT, Asking, HttpProducts
from streams.universes.lifetimes import Lifetime
from streams.universes.manager import UniverseManager
from streams.universes.pacing import Pacer
from streams.universes.product_cache import ProductCache
from streams.universes.rate_limit import Limit, RateLimiter
from streams.universes.rules import Rule

PRODUCTS: Final = 480
PAGE_SIZE: Final = 50
ANSWER_S: Final = 0.03
MINUTE_MS: Final = 60_000
LIMIT: Final = Limit(60, MINUTE_MS)
LIFETIMES: Final = {
    "without a cache": Lifetime(0, 0, 0),
    "with one of 5 minutes": Lifetime(5 * MINUTE_MS, 15 * MINUTE_MS, 2 * MINUTE_MS),
}
RULES: Final = [Rule(f"top {top}", ("s1",), frozenset({"USD"}), top=top) for top in (10, 20, 50, 100, 200)]


class Cycled(NamedTuple):
    """What one cycle took."""

    calls: int
    used_pct: float
    build_s: list[float]


class Minutes:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.ms = 0

    def now_ms(self) -> int:
        """The time."""
        return self.ms

    async def sleep(self, seconds: float) -> None:
        """Let it pass."""
        self.ms += round(seconds * 1_000)


def report(cycles: int) -> list[str]:
    """Run it, and say what came of it."""
    found = {name: asyncio.run(measured(lifetime, cycles)) for name, lifetime in LIFETIMES.items()}
    lines = [f"universe: {cycles} cycles of {len(RULES)} builds, {PRODUCTS} products in pages of {PAGE_SIZE}"]
    for name, each in found.items():
        calls, used = [cycle.calls for cycle in each], [cycle.used_pct for cycle in each]
        builds = [1_000 * seconds for cycle in each for seconds in cycle.build_s]
        shares = f"{min(used):.0f} to {max(used):.0f} % of the limit"
        took = f"at most {max(calls)} calls a cycle, {sum(calls)} in all; {shares}; a build {median(builds):.2f} ms"
        lines.append(f"  {name}: {took}")
    builds = [seconds for cycle in found["with one of 5 minutes"] for seconds in cycle.build_s]
    missed, hit = max(builds), median(builds)
    promised = "promised: 50 to 10 calls, 80-100 % to less than 20 %, three times as fast"
    return [*lines, f"  a build on a miss {1_000 * missed:.0f} ms, on a hit {1_000 * hit:.2f} ms; {promised}"]


async def measured(lifetime: Lifetime, cycles: int) -> list[Cycled]:
    """Some cycles against an exchange that is started for them."""
    runner = web.AppRunner(exchange(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    minutes, found = Minutes(), list[Cycled]()
    pacer = Pacer(RateLimiter({ENDPOINT: LIMIT}, LIMIT), minutes.now_ms, minutes.sleep, MINUTE_MS)
    asking = Asking(f"http://127.0.0.1:{runner.addresses[0][1]}/products", PAGE_SIZE)
    try:
        async with HttpProducts(asking, pacer) as source:
            manager = UniverseManager(source, ProductCache(lifetime, 60 * MINUTE_MS), minutes.now_ms)
            for _ in range(cycles):
                before, build_s = manager.calls, [await built(manager, rule) for rule in RULES]
                found.append(Cycled(manager.calls - before, pacer.utilisations()[ENDPOINT], build_s))
                minutes.ms += MINUTE_MS
    finally:
        await runner.cleanup()
    return found


async def built(manager: UniverseManager, rule: Rule) -> float:
    """How long the universe of a rule took."""
    began = perf_counter()
    universe = await manager.build(rule)
    assert len(universe.tickers) == rule.top
    return perf_counter() - began


def exchange() -> web.Application:
    """One that lists products."""
    entries = [
        {
            "product_id": f"C{n:04d}-USD",
            "quote_currency_id": "USD",
            "status": "online",
            "price": "2",
            "volume_24h": str(n),
        }
        for n in range(PRODUCTS)
    ]

    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(ANSWER_S)
        first, size = int(request.query["offset"]), int(request.query["limit"])
        return web.Response(body=json.dumps({"products": entries[first : first + size]}).encode())

    made = web.Application()
    made.add_routes([web.get("/products", answer)])
    return made
