"""A redis-py client of the address that takes writes, of those that are set."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError, RedisError

from streams.errors import InputError
from streams.setting_readers import without_password
from streams.views.redis.telling import problem_of, remedy_for
from streams.views.redis.wire import PROTOCOL, TROUBLES


@asynccontextmanager
async def connected(urls: Sequence[str], timeout_s: float) -> AsyncIterator[Any]:
    """The first that answers and is no replica; raises what the last one did."""
    client = await _first(urls, timeout_s)
    try:
        yield client
    finally:
        await client.aclose()


async def _first(urls: Sequence[str], timeout_s: float) -> Any:  # noqa: ANN401 - redis-py types no two versions alike
    wrong: Exception | None = None
    for url in urls:
        options: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
        client: Any = Redis.from_url(url, protocol=PROTOCOL, retry=Retry(NoBackoff(), 0), **options)
        try:
            role, *_ = await client.execute_command("ROLE")
            if role in {b"master", "master"}:
                return client
            wrong = ReadOnlyError(f"{without_password(url)} is a replica")
        except TROUBLES as error:
            wrong = error
        await client.aclose()
    raise wrong or RedisError("no address is set")


def unreachable(urls: Sequence[str], error: BaseException) -> InputError:
    """What to tell whoever has asked for something that needs Redis now."""
    shown = ", ".join(map(without_password, urls))
    return InputError(f"Redis at {shown}", f"cannot be used: {problem_of(error)}", remedy_for(error, shown))
