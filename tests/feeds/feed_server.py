"""A WebSocket server that says what a test tells it to: one play for each connection, in turn; the last stays open."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from socket import SO_SNDBUF, SOL_SOCKET
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self

from aiohttp import WSMsgType, web

Event = dict[str, Any]
KEY = "secret-key"
SENT_AHEAD_BYTES = 1 << 16
"""So little, that who is not read is held up soon."""


class Talk:
    """One connection, from the server's side."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self._socket, self._request = socket, request

    async def say(self, *messages: object) -> None:
        """Send each: bytes and text as they are, else as JSON."""
        for message in messages:
            if isinstance(message, bytes):
                await self._socket.send_frame(message, WSMsgType.TEXT)
            else:
                await self._socket.send_str(message if isinstance(message, str) else json.dumps(message))

    async def hear(self) -> Any:
        """What the client says next."""
        return json.loads(await self._socket.receive_str(timeout=20))

    async def close(self, code: int = 1000, words: str = "") -> None:
        """End in good order."""
        await self._socket.close(code=code, message=words.encode())

    def cut(self) -> None:
        """End as a cable does that is pulled."""
        assert self._request.transport is not None
        self._request.transport.abort()


Play = Callable[[Talk], Awaitable[None]]


class FeedServer:
    """See the head of this file."""

    def __init__(self, *plays: Play, tls: SSLContext | None = None) -> None:
        self._plays, self._tls = list(plays), tls
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0.1)
        self._begun = asyncio.Condition()
        self.connections = 0
        self.url = ""
        self.failed: list[BaseException] = []

    def _application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/", self._answer)
        return application

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        self.url = f"{'wss' if self._tls else 'ws'}://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
        if error is None:
            assert not self.failed, self.failed

    async def connected(self, times: int) -> None:
        """Wait for so many connections. Who connects again has read to the end of the one before."""
        async with asyncio.timeout(30), self._begun:
            await self._begun.wait_for(lambda: self.connections >= times)

    async def _answer(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        assert request.transport is not None
        request.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, SENT_AHEAD_BYTES)
        async with self._begun:
            self.connections += 1
            number = self.connections
            self._begun.notify_all()
        if number <= len(self._plays):
            try:
                await self._plays[number - 1](Talk(socket, request))
            except (ConnectionError, asyncio.CancelledError):
                raise
            except BaseException as error:  # noqa: BLE001 - the test is told
                self.failed.append(error)
            if number < len(self._plays):
                await socket.close()
        async for _ in socket:
            pass
        return socket


def status(word: str, message: str) -> list[Event]:
    """A status, as Polygon sends it."""
    return [{"ev": "status", "status": word, "message": message}]


async def welcome(talk: Talk, *params: str, key: str = KEY) -> None:
    """Polygon's side of a greeting; to be right, the key must be this."""
    wanted = params or ("T.*",)
    await talk.say(status("connected", "Connected Successfully"))
    assert await talk.hear() == {"action": "auth", "params": key}
    await talk.say(status("auth_success", "authenticated"))
    assert await talk.hear() == {"action": "subscribe", "params": ",".join(wanted)}
    for each in wanted:
        await talk.say(status("success", f"subscribed to: {each}"))


async def nothing(_: Talk) -> None:
    """Say nothing."""


def trade(ticker: str, number: int, ts: int = 1_536_036_818_784, **more: Any) -> Event:
    """A trade as Polygon's documentation shows it."""
    event = {"ev": "T", "sym": ticker, "i": "50578", "x": 4, "p": 114.125 + number, "s": 100, "c": [0, 12]}
    return {**event, "t": ts + number, "z": 3, "q": number, **more}
