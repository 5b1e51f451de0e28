"""An exchange for tests: a real HTTP server that lists products, with a limit that bites, and that may misbehave."""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from aiohttp import web

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Asked(NamedTuple):
    """One request."""

    query: dict[str, str]
    status: int


def entry(product_id: str, volume: float = 1.0, /, **more: Any) -> dict[str, Any]:
    """A product as Coinbase lists it."""
    base, _, quote = product_id.partition("-")
    told: dict[str, Any] = {"product_id": product_id, "price": "2.5", "volume_24h": "10", "base_currency_id": base}
    told |= {"quote_currency_id": quote or "USD", "status": "online", "is_disabled": False, "trading_disabled": False}
    return {**told, "approximate_quote_24h_volume": str(volume), **more}


def many(count: int, quote: str = "USD") -> list[dict[str, Any]]:
    """So many products, the most traded first."""
    return [entry(f"C{number:04d}-{quote}", volume=1_000_000 - number) for number in range(count)]


class Exchange:
    """What is listed, what was asked, and how it behaves."""

    def __init__(self) -> None:
        self.entries: Sequence[Any] = []
        self.asked: list[Asked] = []
        self.behaviour: Behaviour | None = None
        self.calls_allowed, self.window_ms = 1 << 30, 60_000
        self.now_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000
        self.retry_after = True
        self.pages = True
        self.answer_s = 0.0
        self.stopped = asyncio.Event()
        self.url = ""
        self._times: list[int] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request, held against the limit, as exchanges count: by calls within the last window."""
        query = dict(request.query)
        now_ms = self.now_ms()
        self._times = [each for each in self._times if each + self.window_ms > now_ms]
        if len(self._times) >= self.calls_allowed:
            self.asked.append(Asked(query, 429))
            wait_s = -(-(self._times[0] + self.window_ms - now_ms) // 1_000)
            return web.Response(status=429, headers={"Retry-After": str(wait_s)} if self.retry_after else {})
        self._times.append(now_ms)
        self.asked.append(Asked(query, 200))
        if self.behaviour is not None:
            return await self.behaviour(request)
        await asyncio.sleep(self.answer_s)
        first = int(query.get("offset", 0)) if self.pages else 0
        size = int(query["limit"]) if self.pages else len(self.entries)
        return web.Response(body=body(self.entries[first : first + size]), content_type="application/json")

    def utilisation_pct(self) -> float:
        """How much of the limit is used, as the exchange counts."""
        return 100 * len([each for each in self._times if each + self.window_ms > self.now_ms()]) / self.calls_allowed

    def forget(self) -> None:
        """Begin anew: nobody has asked yet."""
        self.asked.clear()
        self._times.clear()

    @property
    def refusals(self) -> int:
        """Answers of 429."""
        return sum(each.status == 429 for each in self.asked)


def body(entries: Sequence[Any]) -> bytes:
    """An answer."""
    return json.dumps({"products": list(entries), "num_products": len(entries)}).encode()


@contextmanager
def running() -> Iterator[Exchange]:
    """An exchange that can be reached, in a thread of its own."""
    exchange, started = Exchange(), threading.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        made = web.Application()
        made.add_routes([web.get("/market/products", exchange.answer)])
        runner = web.AppRunner(made, access_log=None, shutdown_timeout=0.1, handle_signals=False)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        exchange.url = f"http://127.0.0.1:{runner.addresses[0][1]}/market/products"
        started.set()
        await exchange.stopped.wait()
        await runner.cleanup()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield exchange
    finally:
        loop.call_soon_threadsafe(exchange.stopped.set)
        thread.join(10)
