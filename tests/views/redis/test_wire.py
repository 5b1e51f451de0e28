"""One connection: answers read to the end, refusals told apart, and where it goes after a failure."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest
from redis.exceptions import MovedError, OutOfMemoryError, ReadOnlyError, ResponseError

from bench.redis_server import RedisServer
from streams.views.redis.connecting import connected
from streams.views.redis.wire import MovedOnError, Wire
from tests.views.redis.conftest import StartRedis

NOWHERE = "redis://127.0.0.1:1/0"


def told(wire: Wire, story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        try:
            await story()
        finally:
            await wire.close()

    asyncio.run(main())


def test_who_looks_again_and_again_is_not_held_to_what_it_saw_first(server: RedisServer) -> None:
    wire = Wire([server.url], 5.0)

    async def story() -> None:
        with closing(server.client) as client:
            assert await wire.watched("k") is None
            client.set("k", "1")
            assert await wire.watched("k") == b"1"
            await wire.transaction([("SET", "k", "2")])
            assert await wire.watched("k") == b"2"
            client.set("k", "3")
            with pytest.raises(MovedOnError):
                await wire.transaction([("SET", "k", "4")])
            assert client.get("k") == "3"

    told(wire, story)


def test_a_refusal_leaves_nothing_half_done_and_says_why(start_redis: StartRedis) -> None:
    server = start_redis()
    wire = Wire([server.url], 5.0)

    async def story() -> None:
        with closing(server.client) as client:
            client.config_set("maxmemory", "1")
            with pytest.raises(OutOfMemoryError):
                await wire.transaction([("DEL", "gone"), ("SET", "k", "1"), ("SET", "l", "1")])
            client.config_set("maxmemory", "0")
            assert client.dbsize() == 0
            with pytest.raises(ResponseError, match="unknown command"):
                await wire.transaction([("SET", "k", "1"), ("NOSUCH",)])
            assert client.dbsize() == 0
            client.set("text", "1")
            with pytest.raises(ResponseError, match="wrong kind"):
                await wire.transaction([("SADD", "text", "1")])
            await wire.transaction([("SET", "k", "1")])  # on another connection, with nothing left over on it
            assert await wire.watched("k") == b"1"

    told(wire, story)


def test_after_a_failure_the_next_address_is_tried_and_then_the_first_again(server: RedisServer) -> None:
    wire = Wire([NOWHERE, server.url], 5.0)

    async def story() -> None:
        for _turn in range(2):
            with pytest.raises(Exception, match="Connect"):
                await wire.watched("k")
            await wire.failed(ConnectionError())
            assert await wire.watched("k") is None
            await wire.failed(ConnectionError())

    told(wire, story)


def test_a_key_that_a_cluster_has_moved_is_followed(server: RedisServer) -> None:
    wire = Wire([NOWHERE], 5.0)

    async def story() -> None:
        await wire.failed(MovedError(f"1234 127.0.0.1:{server.port}"))
        assert await wire.watched("k") is None

    told(wire, story)


def test_a_replica_is_passed_over(start_redis: StartRedis) -> None:
    server, replica = start_redis(), start_redis()
    with closing(replica.client) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", server.port)  # type: ignore[no-untyped-call]

    async def main() -> None:
        async with connected([NOWHERE, replica.url, server.url], 5.0) as conn:
            await conn.set("k", "1")
        with pytest.raises(ReadOnlyError, match="is a replica"):
            async with connected([NOWHERE, replica.url], 5.0):
                pass

    asyncio.run(main())
