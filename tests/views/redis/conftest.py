"""A Redis server that the tests of this folder share, each with an empty one; and some that they may hurt."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.redis_server import RedisServer
from streams.kafka.kafka_jars import Unavailable

StartRedis = Callable[..., RedisServer]


@pytest.fixture(scope="session")
def session_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer | Unavailable]:
    try:
        server = RedisServer(tmp_path_factory.mktemp("redis"))
    except Unavailable as why:
        yield why
        return
    with server:
        yield server


@pytest.fixture
def server(session_redis: RedisServer | Unavailable) -> RedisServer:
    """An empty Redis."""
    if isinstance(session_redis, Unavailable):
        pytest.skip(f"needs a Redis server: {session_redis}")
    with session_redis.client as client:
        client.flushall()
    return session_redis


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[StartRedis]:
    """Starts servers that a test may kill, with options of their own."""
    started: list[RedisServer] = []

    def start(*options: str) -> RedisServer:
        folder = tmp_path / f"redis{len(started)}"
        folder.mkdir()
        try:
            started.append(RedisServer(folder, *options))
        except Unavailable as why:
            pytest.skip(f"needs a Redis server of its own: {why}")
        return started[-1]

    yield start
    for each in started:
        each.kill()
