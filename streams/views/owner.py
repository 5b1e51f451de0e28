"""Asks the worker that owns a row for it, once, within bounds of time and size; and where we are found ourselves."""

import json
import socket
from collections.abc import Mapping
from typing import Final, NamedTuple, Self
from urllib.parse import quote

import aiohttp
from yarl import URL

HOP: Final = "X-Tickgate-Asked-By-Worker"
"""Stands in a question of one worker to another: who doesn't hold the row then says so, and asks nobody else."""

ASK_TIMEOUT_S: Final = 2.0
MAX_ROW_BYTES: Final = 64 << 20
"""A row of `last_bucket` may name every strategy there is."""

EVERY_INTERFACE: Final = {"0.0.0.0", "::"}  # noqa: S104 - nothing is bound here

PASSED_ON: Final = {200, 404, 503}
"""What a worker answers to a question that is well put; anything else comes from something that is no worker."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class Owner:
    """Asks other workers. Use it in an `async with`."""

    def __init__(self) -> None:
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_TIMEOUT_S))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._client is not None, "it was entered"
        await self._client.close()

    async def ask(self, url: str, table: str, key: str) -> Answer:
        """The row of a key, as the worker at `url` gives it."""
        return await self.get(url, address(url, table, key), {HOP: "1"})

    async def get(self, url: str, where: URL, headers: Mapping[str, str]) -> Answer:
        """What the worker at `url` answers there."""
        assert self._client is not None, "use it in an `async with`"
        try:
            async with self._client.get(where, headers=headers, allow_redirects=False) as got:
                body = bytearray()
                async for piece in got.content.iter_any():
                    body += piece
                    if len(body) > MAX_ROW_BYTES:
                        return unanswered(f"the owner, {url}, answers with more than {MAX_ROW_BYTES} bytes")
                if got.status in PASSED_ON and got.content_type == "application/json":
                    return Answer(got.status, bytes(body))
                return unanswered(f"what stands at {url} is no worker: it answers with {got.status}")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return unanswered(f"the owner, {url}, does not answer ({type(error).__name__}); ask again")


def unanswered(problem: str) -> Answer:
    """Nobody can say now."""
    return Answer(503, json.dumps({"problem": problem}).encode())


def own_url(advertised: str, host: str, port: int) -> str:
    """Where other workers find this one: as it was said, or where it listens."""
    if advertised:
        return advertised
    name = socket.gethostname() if host in EVERY_INTERFACE else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def address(url: str, table: str, key: str) -> URL:
    """Where the row of a key is found."""
    return URL(f"{url}/tables/{table}/{quote(key, safe='')}", encoded=True)  # a slash in a key stays one of the key
