"""One connection to whichever Redis takes writes, for transactions that must know what became of them.

redis-py's pipelines retry by themselves and hide the reason of a failure while a key is watched. So this is its
connection and parser alone: commands are packed by hiredis and sent at once, and every answer is read. After any error
the connection is closed, since what is still on its way on it belongs to nobody; the next transaction opens another, to
the next of the addresses, or to where a cluster says that the key has moved.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import hiredis
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ExecAbortError, MovedError, RedisError, ResponseError

from streams.setting_readers import without_password

Command = Sequence[str | bytes | int]

PROTOCOL: Final = 2
TROUBLES: Final = (RedisError, OSError, TimeoutError)
"""All that Redis, or the way there, may do to us."""


class Packed(NamedTuple):
    """Commands as they are sent."""

    data: bytes
    size: int


NOTHING: Final = Packed(b"", 0)


def pack(commands: Sequence[Command]) -> Packed:
    """Lay commands out."""
    one: Any = hiredis.pack_command  # typed for a tuple of one
    return Packed(b"".join(one(tuple(command)) for command in commands), len(commands))


class MovedOnError(RedisError):
    """Somebody wrote the watched key in between; nothing of the transaction counts."""


class Wire:
    """Sends transactions, one at a time."""

    def __init__(self, urls: Sequence[str], timeout_s: float) -> None:
        self._urls, self._timeout_s = urls, timeout_s
        self._at = 0
        self._moved: tuple[str, int] | None = None
        self._connection: Any = None

    @property
    def place(self) -> str:
        """Where it writes, or tries to; without a password."""
        moved = f", moved to {self._moved[0]}:{self._moved[1]}" if self._moved else ""
        return without_password(self._urls[self._at]) + moved

    async def watched(self, key: str) -> bytes | None:
        """What a key holds; the transaction that follows counts only if it still does."""
        async with asyncio.timeout(self._timeout_s):
            _, _, found = await self._ask(await self._connected(), pack([("UNWATCH",), *_look(key)]))
        return None if found is None else bytes(found)

    async def transaction(self, commands: Sequence[Command], *, also: Packed = NOTHING, then: str = "") -> bytes | None:
        """All commands or none; raises `MovedOnError` where the watched key has changed.

        `also` comes before them. Returns what the key `then` holds behind it, which is watched from there on.
        """
        looks = _look(then) if then else []
        async with asyncio.timeout(self._timeout_s):
            packed = [pack([("MULTI",)]), also, pack([*commands, ("EXEC",), *looks])]
            answers = await self._ask(await self._connected(), *packed)
        done = answers[-1 - len(looks)]
        if done is None:
            raise MovedOnError("the watched key was written by somebody else")
        for answer in done:
            if isinstance(answer, Exception):  # such as a key of another type; the others have been carried out
                await self.close()
                raise answer
        return bytes(answers[-1]) if looks and answers[-1] is not None else None

    async def ask(self, *command: str | bytes | int) -> Any:  # noqa: ANN401 - whatever it answers
        """One command by itself."""
        async with asyncio.timeout(self._timeout_s):
            (answer,) = await self._ask(await self._connected(), pack([command]))
        return answer

    async def close(self) -> None:
        """Let the connection go. The next one is another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def failed(self, error: BaseException) -> None:
        """Close, and try the next address, or the one that was told."""
        await self.close()
        self._moved = (error.host, error.port) if isinstance(error, MovedError) else None
        if self._moved is None:
            self._at = (self._at + 1) % len(self._urls)

    async def _connected(self) -> Any:  # noqa: ANN401 - redis-py's
        if self._connection is None:
            retry = Retry(NoBackoff(), 0)  # whoever uses this begins anew, and knows from where
            # No time-out for each answer: that is most of what it costs to read one, and one holds for them all.
            options: dict[str, Any] = {"socket_timeout": None, "socket_connect_timeout": self._timeout_s}
            pool: Any = ConnectionPool.from_url(self._urls[self._at], retry=retry, protocol=PROTOCOL, **options)
            connection = pool.make_connection()
            if self._moved:
                connection.host, connection.port = self._moved
            self._connection = connection
            await connection.connect()
        return self._connection

    async def _ask(self, connection: Any, *packed: Packed) -> list[Any]:  # noqa: ANN401 - redis-py's
        """Send all, and read as many answers. The first refusal is raised when all have been read."""
        await connection.send_packed_command([each.data for each in packed], check_health=False)
        answers: list[Any] = []
        refused: ResponseError | None = None
        for _ in range(sum(each.size for each in packed)):
            try:
                answers.append(await connection.read_response())
            except ResponseError as error:
                answers.append(None)
                if refused is None or isinstance(refused, ExecAbortError):
                    refused = error
        if refused is not None:
            raise refused
        return answers


def _look(key: str) -> list[Command]:
    return [("WATCH", key), ("GET", key)]
