"""`python -m bench.feed_server SEED TRADES PER_MESSAGE`: a WebSocket server that sends a market as Polygon does.

It says its port, and sends as fast as the other side takes it: at `/` behind Polygon's greeting, at `/bare` at once.
"""

import asyncio
import json
import sys
from itertools import count
from typing import Final

import numpy as np
from aiohttp import WSMsgType, web

from streams.feeds.synthetic import CONDITIONS, Plan, parts, ticker_names

START_MS: Final = 1_772_461_800_000
TICKERS: Final = 2_000
MARKET_RATE: Final = 100_000
_CODES: Final = [json.dumps(codes, separators=(",", ":")) for codes in CONDITIONS]


def messages(seed: int, trades: int, per_message: int) -> list[bytes]:
    """The market, as Polygon would write it; the numbers of each ticker follow each other."""
    plan = Plan(START_MS, rate=MARKET_RATE, seconds=trades / MARKET_RATE, tickers=TICKERS, seed=seed, opening_s=0)
    names, numbers = ticker_names(TICKERS), [count(1) for _ in range(TICKERS)]
    written: list[str] = []
    for part in parts(plan):
        for ticker, ts, price, size, at in zip(*(column.tolist() for column in part), strict=True):
            head = f'{{"ev":"T","sym":"{names[ticker]}","i":"{len(written)}","x":4,"p":{price},"s":{size}'
            written.append(f'{head},"c":{_CODES[at]},"t":{ts},"z":3,"q":{next(numbers[ticker])}}}')
    cuts = np.arange(0, len(written), per_message).tolist()
    return [f"[{','.join(written[at : at + per_message])}]".encode() for at in cuts]


async def serve(market: list[bytes]) -> None:
    """Serve until ended."""

    async def greet(socket: web.WebSocketResponse) -> None:
        said = ("connected", "auth_success", "success")
        for word, message in zip(said, ("", "", "subscribed to: T.*"), strict=True):
            await socket.send_json([{"ev": "status", "status": word, "message": message}])
            if word != said[-1]:
                await socket.receive()

    async def answer(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        if request.path == "/":
            await greet(socket)
        for message in market:
            await socket.send_frame(message, WSMsgType.TEXT)
        if request.path == "/":
            await socket.receive()
        await socket.close()
        return socket

    application = web.Application()
    application.add_routes([web.get("/", answer), web.get("/bare", answer)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(messages(*map(int, sys.argv[1:]))))
