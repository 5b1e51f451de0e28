"""What is wrong with an address is told with the place and the remedy, by follower and one-off commands alike."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from bench.redis_server import RedisServer
from streams.demo.stage import free_port
from streams.views.redis.connecting import connected, unreachable
from streams.views.redis.keeping import Keeper
from streams.views.redis.wire import TROUBLES, Wire
from tests.views.redis.conftest import StartRedis
from tests.views.redis.test_view import One, a_market

TIMEOUT_S = 2.0
Address = Callable[[RedisServer], str]


class Portal(BaseHTTPRequestHandler):
    """Answers as a web server does."""

    def handle(self) -> None:
        self.request.recv(1_000)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n<html>no</html>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def portal() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Portal)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def closed_port() -> int:
    return free_port()


def log_line(server: RedisServer, url: str, caplog: pytest.LogCaptureFixture) -> str:
    """The first that a follower writes of its trouble."""
    shards = a_market()
    one = One(server, shards, most=50)

    async def main() -> None:
        wire = one.view._wire = Wire([url], TIMEOUT_S)
        one.follows.take()
        keeper = Keeper(one.view, wire, one.follows.held, told=one.counts, interval_s=0.0, now_s=time.monotonic)
        keeping = asyncio.create_task(keeper.work(asyncio.Event()))
        async with asyncio.timeout(20):
            while not one.counts.errors:  # noqa: ASYNC110 - a server rings no bell
                await asyncio.sleep(0.01)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await keeper.end()

    asyncio.run(main())
    (line, *_) = [each.getMessage() for each in caplog.records if each.name.endswith("keeping")]
    return line


def error_line(url: str) -> str:
    """What a command ends with."""

    async def main() -> str:
        try:
            async with connected([url], TIMEOUT_S) as conn:
                await conn.get("key")
                await conn.set("key", "value")
        except TROUBLES as error:
            return str(unreachable([url], error))
        raise AssertionError("nothing was wrong")

    return asyncio.run(main())


def told(server: RedisServer, url: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.set_level(logging.WARNING)
    return [log_line(server, url, caplog), error_line(url)]


def test_a_password_that_is_missing_or_wrong(start_redis: StartRedis, caplog: pytest.LogCaptureFixture) -> None:
    server = start_redis()
    with contextlib.closing(server.client) as client:
        client.config_set("requirepass", "secret")
    for url in (server.url, f"redis://:hunter2@127.0.0.1:{server.port}/0"):
        for line in told(server, url, caplog):
            assert f"127.0.0.1:{server.port}" in line
            assert "write its name and password into TICKGATE_REDIS_URL, such as redis://NAME:PASSWORD@HOST" in line
            assert "hunter2" not in line
        caplog.clear()


def test_a_user_who_may_not(start_redis: StartRedis, caplog: pytest.LogCaptureFixture) -> None:
    server = start_redis()
    with contextlib.closing(server.client) as client:
        client.acl_setuser("reader", enabled=True, passwords=["+p"], keys=["*"], categories=["+@all", "-@write"])
    for line in told(server, f"redis://reader:p@127.0.0.1:{server.port}/0", caplog):
        assert "let this user read and write all keys of the view: ACL SETUSER NAME ~* +@all" in line


def test_a_port_of_somebody_else(server: RedisServer, portal: int, caplog: pytest.LogCaptureFixture) -> None:
    for line in told(server, f"redis://127.0.0.1:{portal}/0", caplog):
        assert f"redis://127.0.0.1:{portal}/0" in line
        assert "what answers there is no Redis; mend TICKGATE_REDIS_URL" in line


def test_nobody_there(server: RedisServer, closed_port: int, caplog: pytest.LogCaptureFixture) -> None:
    for line in told(server, f"redis://127.0.0.1:{closed_port}/0", caplog):
        assert f"redis://127.0.0.1:{closed_port}/0" in line
        assert line.endswith("; start it, or mend TICKGATE_REDIS_URL")


def test_tls_to_a_plain_port(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    for line in told(server, f"rediss://127.0.0.1:{server.port}/0", caplog):
        assert f"rediss://127.0.0.1:{server.port}/0" in line
        assert "one that does not speak TLS is as silent: then write redis:// in place of rediss://" in line


def test_a_database_that_there_is_not(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    for line in told(server, f"redis://127.0.0.1:{server.port}/99", caplog):
        assert "DB index is out of range; name a database that there is, such as /0" in line
