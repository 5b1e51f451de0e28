"""Clean-up on a real Redis: when it comes, one at a time, by the event clock, and what a failure does."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bench.redis_server import RedisServer
from streams.views.redis.alerts import DAY_MS, RedisAlerts
from streams.views.redis.cleanup import Cleanup, Plan
from streams.views.redis.connecting import connected
from streams.views.redis.counts import RedisCounts
from streams.views.redis.keys import NO_PREFIX
from streams.views.redis.lock import Lock
from tests.views.redis.test_view import One, a_market

HOUR_MS = 3_600_000
PLAN = Plan(HOUR_MS, DAY_MS, 90)
NOW_MS = 1_760_000_000_000
LIVE_S = 5.0
ME = "me"


class Over(Exception):  # noqa: N818 - it is no error
    """Time has passed as often as was wanted."""


def a_cleanup(server: RedisServer, counts: RedisCounts, *, now_ms: int | None = NOW_MS, **more: Any) -> Cleanup:
    return Cleanup(
        more.pop("connect", lambda: connected([server.url], LIVE_S)),
        NO_PREFIX,
        PLAN,
        alerts=lambda conn: RedisAlerts(conn, counts=counts.alerts),
        token=ME,
        now_ms=lambda: now_ms,
        told=counts,
        **more,
    )


def filled(server: RedisServer) -> None:
    """Two updates that are old, and one that is not."""
    with closing(server.client) as client:
        days = {"A": 91, "B": 90, "C": 89}
        client.zadd("TICK:UPD", {ticker: NOW_MS - ago * DAY_MS for ticker, ago in days.items()})


def left(server: RedisServer) -> Any:
    with closing(server.client) as client:
        return client.zrange("TICK:UPD", 0, -1)


def value(counts: RedisCounts, name: str) -> float | None:
    return counts.registry.get_sample_value(name)


def slept(times: int, waits: list[float]) -> Callable[[float], Awaitable[None]]:
    """Time passes at once, so often."""

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) > times:
            raise Over

    return sleep


def test_it_comes_after_an_hour_and_then_every_day(server: RedisServer) -> None:
    filled(server)
    counts, waits = RedisCounts(), list[float]()
    with pytest.raises(Over):
        asyncio.run(a_cleanup(server, counts, sleep=slept(3, waits)).work())
    assert waits == [3_600, 86_400, 86_400, 86_400]
    assert left(server) == ["C"]
    assert value(counts, "cleanup_operations_total") == 3
    assert value(counts, "tickgate_redis_cleaned_updates_total") == 2
    assert value(counts, "total_ticker_updates") == 1


def test_nothing_is_old_while_no_event_says_what_time_it_is(server: RedisServer) -> None:
    filled(server)
    assert asyncio.run(a_cleanup(server, RedisCounts(), now_ms=None).once())
    assert asyncio.run(a_cleanup(server, RedisCounts(), now_ms=NOW_MS - 30 * DAY_MS).once())
    assert len(left(server)) == 3


def test_one_at_a_time_and_whoever_died_at_it_holds_up_nobody_for_good(server: RedisServer) -> None:
    filled(server)
    counts = RedisCounts()

    async def main() -> None:
        async with connected([server.url], LIVE_S) as conn:
            other = Lock(conn, NO_PREFIX.cleanup, "other", 60_000)
            assert await other.take()
            assert 0 < await conn.pttl(NO_PREFIX.cleanup) <= 60_000
            assert not await Lock(conn, NO_PREFIX.cleanup, "third", 60_000).release(), "it is not theirs"
            assert await a_cleanup(server, counts).once()
            assert len(left(server)) == 3, "the other is at it"
            assert await other.release()
            assert await a_cleanup(server, counts).once()
            assert not await conn.exists(NO_PREFIX.cleanup), "given back"

    asyncio.run(main())
    assert left(server) == ["C"]
    assert counts.alerts.cleanup_operations == 1


def test_a_failure_is_counted_and_said_and_tried_again_soon(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    filled(server)
    counts, waits, tries = RedisCounts(), list[float](), 0

    @asynccontextmanager
    async def connect() -> AsyncIterator[Redis]:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RedisError("gone fishing")
        async with connected([server.url], LIVE_S) as conn:
            yield conn

    with pytest.raises(Over):
        asyncio.run(a_cleanup(server, counts, connect=connect, sleep=slept(2, waits)).work())
    assert waits == [3_600, 3_600, 86_400]
    assert value(counts, "tickgate_redis_cleanup_failures_total") == 1
    assert [each.message for each in caplog.records if each.levelno == logging.ERROR] == [
        "Redis could not be cleaned up: gone fishing"
    ]
    assert left(server) == ["C"]


def test_what_was_cleaned_up_does_not_come_back_when_all_is_written_anew(server: RedisServer) -> None:
    shards = a_market()
    one = One(server, shards)

    async def main() -> None:
        shards.tick(200)
        await one.turn()
        first = {ticker for ticker, ts_ms in shards.expected().updates.items() if ts_ms}
        shards.tick(3, seconds=100 * 86_400)
        await one.turn()
        held = one.follows.held
        young = {ticker for ticker, ts_ms in shards.expected().updates.items() if ts_ms == held.newest_ms()}
        cleanup = a_cleanup(
            server, one.counts, now_ms=held.newest_ms(), cleaned_before=lambda ms: setattr(held, "oldest_ms", ms)
        )
        assert await cleanup.once()
        assert set(left(server)) == young < first
        with closing(server.client) as client:
            client.flushall()
        await one.turn()
        assert set(left(server)) == young
        await one.wire.close()

    asyncio.run(main())
