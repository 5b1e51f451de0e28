"""Redis killed, flushed, frozen, paused, full, or replaced by its replica, under a stream of rows: equal soon after."""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest

from bench.redis_server import RedisServer
from streams.views.redis.keeping import Keeper
from streams.views.redis.wire import Wire
from tests.views.redis.conftest import StartRedis
from tests.views.redis.market import Shards, in_redis
from tests.views.redis.test_view import One, a_market

TIMEOUT_S = 0.4
EQUAL_WITHIN_S = 10.0
HURT_S = 0.6

logging.getLogger("asyncio").setLevel(logging.ERROR)


class Stage:
    """One who follows a market that never rests."""

    def __init__(self, server: RedisServer, *urls: str, most: int = 50) -> None:
        self.shards: Shards = a_market()
        self.one = One(server, self.shards, most=most)
        self.one.wire = self.one.view._wire = Wire([server.url, *urls], TIMEOUT_S)
        held, counts = self.one.follows.held, self.one.counts
        self.keeper = Keeper(self.one.view, self.one.wire, held, told=counts, interval_s=0.0, now_s=time.monotonic)
        self.arrived = asyncio.Event()
        self.ticked = 0

    async def ticking(self) -> None:
        while True:
            self.shards.tick(5)
            self.one.follows.take()
            self.arrived.set()
            self.ticked += 1
            await asyncio.sleep(0.02)

    async def equal(self, server: RedisServer) -> None:
        """Wait until Redis is equal to the tables, but not for longer than it may take."""
        with closing(server.client) as client:
            async with asyncio.timeout(EQUAL_WITHIN_S):
                while in_redis(client) != self.shards.expected():  # noqa: ASYNC110 - a server rings no bell
                    await asyncio.sleep(0.02)

    async def course(self, hurt: Callable[[], Awaitable[RedisServer]]) -> float:
        """Let it run, hurt it, let it run; seconds from the end of the hurt until Redis is equal, all quiet."""
        keeping = asyncio.create_task(self.keeper.work(self.arrived))
        ticking = asyncio.create_task(self.ticking())
        async with asyncio.timeout(EQUAL_WITHIN_S):
            while not self.keeper.is_equal:  # noqa: ASYNC110 - as for a server
                await asyncio.sleep(0.02)
        before = self.ticked
        server = await hurt()
        healed_s = time.monotonic()
        assert self.ticked > before, "nothing waits for Redis"
        await asyncio.sleep(0.2)
        ticking.cancel()
        await self.equal(server)
        took_s = time.monotonic() - healed_s
        keeping.cancel()
        await asyncio.gather(keeping, ticking, return_exceptions=True)
        await self.keeper.end()
        return took_s


def played(stage: Callable[[], Stage], hurt: Callable[[Stage], Awaitable[RedisServer]]) -> Stage:
    async def main() -> Stage:
        made = stage()
        took_s = await made.course(lambda: hurt(made))
        assert took_s < EQUAL_WITHIN_S
        return made

    return asyncio.run(main())


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records if each.name.endswith("keeping")]


def test_killed_and_back_empty(start_redis: StartRedis, caplog: pytest.LogCaptureFixture) -> None:
    server = start_redis()

    async def hurt(_: Stage) -> RedisServer:
        server.kill()
        await asyncio.sleep(HURT_S)
        server.start()
        return server

    stage = played(lambda: Stage(server), hurt)
    assert stage.one.counts.errors > 2
    assert stage.one.counts.refills == 2
    said = warnings(caplog)
    kinds = [each.partition("waited for: ")[2].partition(":")[0] for each in said[:-1]]
    assert sorted(kinds) == sorted(set(kinds)), f"each kind is said once: {said}"
    assert "again, after" in said[-1]


def test_flushed(start_redis: StartRedis) -> None:
    server = start_redis()

    async def hurt(_: Stage) -> RedisServer:
        with closing(server.client) as client:
            for _turn in range(5):
                client.flushall()
                await asyncio.sleep(0.05)
        return server

    assert played(lambda: Stage(server), hurt).one.counts.refills > 1


def test_frozen(start_redis: StartRedis) -> None:
    """What it was sent before it answers again it carries out late, and in between."""
    server = start_redis()

    async def hurt(_: Stage) -> RedisServer:
        server.signal(signal.SIGSTOP)
        await asyncio.sleep(2 * TIMEOUT_S + HURT_S)
        server.signal(signal.SIGCONT)
        return server

    assert played(lambda: Stage(server), hurt).one.counts.errors > 0


def test_paused(start_redis: StartRedis) -> None:
    server = start_redis()

    async def hurt(_: Stage) -> RedisServer:
        with closing(server.client) as client:
            client.client_pause(int(1_000 * (TIMEOUT_S + HURT_S)), all=True)
        await asyncio.sleep(TIMEOUT_S + HURT_S)
        return server

    assert played(lambda: Stage(server), hurt).one.counts.errors > 0


def test_slow_but_there(start_redis: StartRedis) -> None:
    server = start_redis()

    async def hurt(_: Stage) -> RedisServer:
        with closing(server.client) as client:
            for _turn in range(5):
                client.client_pause(int(1_000 * TIMEOUT_S / 3), all=True)
                await asyncio.sleep(TIMEOUT_S / 2)
        return server

    assert played(lambda: Stage(server), hurt).one.counts.refills == 1, "nothing was lost"


def test_full(start_redis: StartRedis, caplog: pytest.LogCaptureFixture) -> None:
    server = start_redis("--maxmemory-policy", "noeviction")

    async def hurt(stage: Stage) -> RedisServer:
        with closing(server.client) as client:
            client.config_set("maxmemory", "1")
            await asyncio.sleep(HURT_S)
            assert not stage.keeper.is_equal
            assert client.zcard("TICK:UPD"), "it is full, not empty"
            client.config_set("maxmemory", "0")
        return server

    stage = played(lambda: Stage(server), hurt)
    assert stage.one.counts.refills == 1, "nothing was lost"
    assert len([each for each in warnings(caplog) if "OOM" in each or "maxmemory" in each]) == 1


def test_its_replica_promoted(start_redis: StartRedis) -> None:
    """The replica was cut off for a while, and has not all; the old one comes back as nobody asks for it."""
    server, replica = start_redis("--repl-diskless-sync-delay", "0"), start_redis()

    async def hurt(_: Stage) -> RedisServer:
        with closing(replica.client) as client, closing(server.client) as old:
            client.execute_command("REPLICAOF", "127.0.0.1", server.port)  # type: ignore[no-untyped-call]
            while client.info("replication").get("master_link_status") != "up":  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.1)
            old.execute_command("CLIENT", "KILL", "TYPE", "replica")  # type: ignore[no-untyped-call]
            client.execute_command("REPLICAOF", "127.0.0.1", 1)  # type: ignore[no-untyped-call]
            await asyncio.sleep(0.3)  # from here on it misses what is written
            server.kill()
            await asyncio.sleep(HURT_S)  # READONLY
            client.execute_command("REPLICAOF", "NO", "ONE")  # type: ignore[no-untyped-call]
        return replica

    stage = played(lambda: Stage(server, replica.url), hurt)
    assert stage.one.counts.refills == 2, "it was seen that something was lost"


def test_gone_from_the_start(start_redis: StartRedis) -> None:
    server = start_redis()
    server.kill()

    async def main() -> None:
        stage = Stage(server)
        keeping = asyncio.create_task(stage.keeper.work(stage.arrived))
        ticking = asyncio.create_task(stage.ticking())
        await asyncio.sleep(HURT_S)
        server.start()
        ticking.cancel()
        await stage.equal(server)
        keeping.cancel()
        await asyncio.gather(keeping, ticking, return_exceptions=True)
        await stage.keeper.end()

    asyncio.run(main())
