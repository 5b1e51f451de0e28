"""Follows a feed over a WebSocket, for good: connects, logs in, reads, and connects again where it was cut off.

A feed that says nothing for a while is pinged, and left if it does not answer that. While there is no room for more it
is not read, and neither asked nor blamed for that.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import aiohttp

from streams.errors import in_words
from streams.feeds.backoff import STEADY_S, wait_s
from streams.feeds.encoded_ticks import TickEncoder
from streams.feeds.feed_counts import FeedCounts
from streams.feeds.inbox import Inbox
from streams.feeds.trades import Read, UnansweredError
from streams.reaching import Address, unreached
from streams.settings import KNOWN

log = logging.getLogger(__name__)

MOST_MESSAGE_BYTES: Final = 16 << 20
CLOSING_S: Final = 1.0
USER_AGENT: Final = "tickgate"
ADDRESS: Final = Address("--url", "wss://", "ws://")


class Exchange(Protocol):
    """What there is to know of one exchange's messages."""

    name: str
    encoder: TickEncoder

    def greeting(self) -> Generator[bytes | None, bytes, list[bytes]]:
        """See `Polygon.greeting`."""

    def disconnected(self) -> None:
        """Told where a connection has ended."""

    def read(self, messages: Sequence[bytes], first: int) -> Read:
        """Read messages in their order."""


class Where(NamedTuple):
    """A feed's address."""

    url: str
    believed: ssl.SSLContext
    """Who may say that it is the one, where the address is `wss://`."""


class Ways(NamedTuple):
    """How long to wait for what, and what decides it."""

    luck: Callable[[], float]
    """From 0 to 1: shortens the pause before the next attempt."""
    now_s: Callable[[], float]
    answer_s: float
    """For a connection, for a greeting to be over, for the answer to a ping."""
    quiet_s: float
    """Silence behind which a feed is pinged."""


class Follower:
    """See the head of this file."""

    def __init__(self, where: Where, exchange: Exchange, inbox: Inbox, counts: FeedCounts, ways: Ways) -> None:
        self._where, self._exchange, self._inbox, self._counts, self._ways = where, exchange, inbox, counts, ways
        self._place = f"{exchange.name} at {urlsplit(where.url).hostname}"
        """For the log: an address may hold what is nobody's business."""
        self._heard = 0
        self.is_subscribed = False

    async def run(self) -> None:
        """Follow until cancelled; raises `InputError` where the feed refuses for good."""
        failures = 0
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._ways.answer_s)
        async with aiohttp.ClientSession(timeout=timeout, headers={"User-Agent": USER_AGENT}) as session:
            while True:
                began_s = self._ways.now_s()
                why = await self._follow_once(session)
                if self._ways.now_s() - began_s >= STEADY_S:
                    failures = 0
                pause_s = wait_s(failures, self._ways.luck())
                failures += 1
                self._counts.reconnects += 1
                log.warning("%s: %s; next attempt in %.1f s", self._place, why, pause_s)
                await asyncio.sleep(pause_s)

    async def _follow_once(self, session: aiohttp.ClientSession) -> str:
        """One connection, from its first word to its last; returns how it ended."""
        try:
            async with asyncio.timeout(self._ways.answer_s) as limit, self._connected(session) as socket:
                early = await greeted(socket, self._exchange.greeting())
                limit.reschedule(None)
                self.is_subscribed = True
                log.info("%s: subscribed", self._place)
                for message in early:
                    self._take(message)
                return await self._read(socket)
        except TimeoutError:
            return f"no answer within {self._ways.answer_s:g} s"
        except UnansweredError as error:
            return str(error)
        except (aiohttp.ClientError, OSError) as error:
            return why_not(error)
        finally:
            if self.is_subscribed:
                self._inbox.disconnected()
            self.is_subscribed = False

    @asynccontextmanager
    async def _connected(self, session: aiohttp.ClientSession) -> AsyncIterator[aiohttp.ClientWebSocketResponse[bool]]:
        closing = aiohttp.ClientWSTimeout(ws_close=CLOSING_S)
        async with session.ws_connect(
            self._where.url,
            autoping=False,
            max_msg_size=MOST_MESSAGE_BYTES,
            decode_text=False,
            timeout=closing,
            ssl=self._where.believed,
        ) as socket:
            yield socket

    async def _read(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> str:
        """Read until it ends; returns why."""
        watch = asyncio.create_task(self._watch(socket))
        try:
            while True:
                message = await socket.receive()
                self._heard += 1
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._take(message.data)
                    if self._inbox.is_full:
                        await self._inbox.room()
                elif message.type is aiohttp.WSMsgType.PING:
                    await socket.pong(message.data)
                elif message.type in ENDS:
                    return ended(socket, message)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    def _take(self, message: bytes) -> None:
        self._counts.messages += 1
        self._counts.bytes += len(message)
        self._inbox.put(message)

    async def _watch(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        """Ping the feed where it is quiet, and leave it where it does not answer."""
        while True:
            if not await self._is_quiet(self._ways.quiet_s):
                continue
            await socket.ping()
            if await self._is_quiet(self._ways.answer_s):
                log.warning("%s: no answer to a ping", self._place)
                await socket.close()

    async def _is_quiet(self, seconds: float) -> bool:
        """Whether nothing has come for so long, though we have read."""
        heard = self._heard
        await asyncio.sleep(seconds)
        return self._heard == heard and not self._inbox.is_full


def why_not(error: aiohttp.ClientError | OSError) -> str:
    """Why there is no connection, and what to do."""
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"no WebSocket there: {error.status}, {error.message}; see that --url is the address of the feed"
    problem, remedy = unreached(error, ADDRESS) or (in_words(error), "")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        remedy = f"name who signed it in {KNOWN['feed_ca_file'].variable}"
    return f"{problem}; {remedy}" if remedy else problem


ENDS: Final = frozenset(
    {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
)


def ended(socket: aiohttp.ClientWebSocketResponse[bool], message: Any) -> str:  # noqa: ANN401 - of one of two kinds
    """How a connection ended, in words."""
    if message.type is aiohttp.WSMsgType.ERROR:
        return in_words(socket.exception() or ConnectionError("the connection broke"))
    reason = f" ({message.extra})" if message.extra else ""
    return f"disconnected with {socket.close_code}{reason}"


async def greeted(
    socket: aiohttp.ClientWebSocketResponse[bool], greeting: Generator[bytes | None, bytes, list[bytes]]
) -> list[bytes]:
    """Go through a greeting; returns the messages that came meanwhile and are to be read again."""
    answer = next(greeting)
    while True:
        try:
            if answer is not None:
                await socket.send_str(answer.decode())
                answer = next(greeting)
                continue
            message = await socket.receive()
            if message.type in ENDS:
                raise UnansweredError(f"{ended(socket, message)} before it had confirmed the subscription")
            if message.type is aiohttp.WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                answer = greeting.send(message.data)
        except StopIteration as stop:
            early: list[bytes] = stop.value
            return early
