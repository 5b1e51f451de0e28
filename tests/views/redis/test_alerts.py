"""The helper functions of old on a real Redis, a cluster's rules included; and what they count."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

import pytest
from redis.asyncio import Redis

from bench.redis_server import RedisServer
from streams.views.redis.alerts import DAY_MS, RedisAlerts, intersect_client_side
from streams.views.redis.keys import NO_PREFIX, Keys

T0 = 1_732_545_000_000
MANY = [f"T{i:04d}" for i in range(2_500)]
Story = Callable[[RedisAlerts], Awaitable[None]]


def told(server: RedisServer, story: Story, keys: Keys = NO_PREFIX, **options: Any) -> RedisAlerts:
    """Run a story on an open client, and hand back what counted it."""

    async def main() -> RedisAlerts:
        client = Redis.from_url(server.url, **options)
        alerts = RedisAlerts(client, keys)
        try:
            await story(alerts)
        finally:
            await client.aclose()
        return alerts

    return asyncio.run(main())


@pytest.mark.parametrize("options", [{}, {"decode_responses": True}, {"protocol": 2}, {"protocol": 3}])
def test_updates_are_marked_and_found_again(server: RedisServer, options: dict[str, Any]) -> None:
    async def story(alerts: RedisAlerts) -> None:
        assert await alerts.get_newest_update_ms() is None
        await alerts.mark_ticker_updated("AAPL", T0)
        await alerts.mark_ticker_updated("MSFT", T0 + 5)
        await alerts.mark_ticker_updated("AAPL", T0 - 1)  # late: the later one stands
        assert await alerts.get_tickers_updated_since(T0) == {"AAPL", "MSFT"}
        assert await alerts.get_tickers_updated_since(T0 + 1) == {"MSFT"}
        assert await alerts.get_ticker_update_count() == 2
        assert await alerts.get_newest_update_ms() == T0 + 5

    assert told(server, story, **options).counts.ticker_updates == 3
    with closing(server.client) as client:
        assert client.zscore("TICK:UPD", "AAPL") == T0
        assert client.zcard("TICK:UPD") == 2


def test_a_universe_is_replaced_whole(server: RedisServer) -> None:
    async def story(alerts: RedisAlerts) -> None:
        await alerts.set_strategy_universe("123", ["AAPL", "MSFT"])
        await alerts.set_strategy_universe("123", ["MSFT", "Ü"])
        assert await alerts.get_strategy_universe("123") == {"MSFT", "Ü"}
        assert await alerts.get_universe_size("123") == 2
        await alerts.set_strategy_universe("7", MANY)
        assert await alerts.get_universe_size("7") == len(MANY)
        await alerts.set_strategy_universe("7", [])  # every ticker: no key
        assert await alerts.get_universe_size("7") == 0

    assert told(server, story).counts.universe_updates == 4
    with closing(server.client) as client:
        assert client.scard("STRAT:123:UNIV") == 2
        assert client.keys("STRAT:*") == ["STRAT:123:UNIV"]


def test_last_buckets_are_set_and_found_again(server: RedisServer) -> None:
    async def story(alerts: RedisAlerts) -> None:
        assert await alerts.get_strategy_last_buckets("1", ["AAPL"]) == {}
        await alerts.set_strategy_last_buckets("1", {"AAPL": T0, "MSFT": T0 + 60_000})
        await alerts.set_strategy_last_buckets("1", {})
        found = await alerts.get_strategy_last_buckets("1", ["AAPL", "MSFT", "NVDA"])
        assert found == {"AAPL": T0, "MSFT": T0 + 60_000}
        assert await alerts.get_strategy_last_buckets("1", []) == {}

    told(server, story)
    with closing(server.client) as client:
        assert client.hget("STRAT:1:LAST", "AAPL") == str(T0)


@pytest.mark.parametrize("size", [1_000, 1_001])
def test_large_universes_are_intersected_in_redis_and_others_here(server: RedisServer, size: int) -> None:
    async def story(alerts: RedisAlerts) -> None:
        await alerts.mark_tickers_updated({ticker: T0 + i for i, ticker in enumerate(MANY)})
        await alerts.set_strategy_universe("1", [*MANY[-size + 1 :], "NEVER"])
        assert await alerts.get_changed_tickers("1", T0 + 1_400) == set(MANY[max(1_400, 2_501 - size) :])

    counts = told(server, story).counts
    assert (counts.lua_intersections, counts.client_intersections) == ((0, 1) if size == 1_000 else (1, 0))
    assert counts.lua_failures == 0


async def large(alerts: RedisAlerts) -> None:
    """Two answers of a universe that is large."""
    await alerts.mark_tickers_updated(dict.fromkeys(MANY, T0))
    await alerts.set_strategy_universe("1", MANY[1_000:])
    for _ in range(2):
        assert await alerts.get_changed_tickers("1", T0) == set(MANY[1_000:])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, session_redis: RedisServer) -> Any:
    """A cluster of one node, that has every slot; it holds to the rules as any does."""
    if not isinstance(session_redis, RedisServer):
        pytest.skip(f"needs a Redis server: {session_redis}")
    with RedisServer(tmp_path_factory.mktemp("cluster"), "--cluster-enabled", "yes") as node:
        with closing(node.client) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)  # type: ignore[no-untyped-call]
            until = time.monotonic() + 20
            while "'ok'" not in str(client.execute_command("CLUSTER INFO")):  # type: ignore[no-untyped-call]
                assert time.monotonic() < until
                time.sleep(0.02)
        yield node


def test_where_lua_fails_the_client_does_it_and_both_are_counted(cluster: RedisServer) -> None:
    """On a cluster without a hash tag the two keys lie in two slots."""
    counts = told(cluster, large).counts
    assert (counts.lua_intersections, counts.lua_failures, counts.client_intersections) == (0, 2, 2)


def test_with_a_hash_tag_all_keys_share_a_slot(cluster: RedisServer) -> None:
    counts = told(cluster, large, Keys("{tickgate}:")).counts
    assert (counts.lua_intersections, counts.lua_failures, counts.client_intersections) == (2, 0, 0)


def test_what_is_old_at_a_time_is_cleaned_up(server: RedisServer) -> None:
    async def story(alerts: RedisAlerts) -> None:
        day = DAY_MS
        await alerts.mark_tickers_updated({"OLD": T0 - 90 * day - 1, "EDGE": T0 - 90 * day, "YOUNG": T0 - 90 * day + 1})
        assert await alerts.cleanup_ticker_updates(91, T0) == 0
        assert await alerts.cleanup_ticker_updates(90, T0) == 2
        assert await alerts.get_tickers_updated_since(0) == {"YOUNG"}

    assert told(server, story).counts.cleanup_operations == 2


def test_the_metrics_have_the_names_of_old(server: RedisServer) -> None:
    async def story(alerts: RedisAlerts) -> None:
        await alerts.mark_tickers_updated({"AAPL": T0, "MSFT": T0})
        await alerts.set_strategy_universe("1", ["AAPL"])
        await alerts.intersect_tickers_server_side("1", T0)
        alerts.increment_strategy_runs()
        alerts.increment_skipped_no_update()
        alerts.increment_skipped_bucket_dup()
        alerts.increment_universe_discoveries()
        found = await alerts.get_detailed_alert_metrics()
        assert found == {
            **alerts.get_alert_metrics(),
            "ticker_updates": 2,
            "universe_updates": 1,
            "strategy_runs": 1,
            "skipped_no_update": 1,
            "skipped_bucket_dup": 1,
            "cleanup_operations": 0,
            "lua_intersections": 1,
            "universe_discoveries": 1,
            "total_ticker_updates": 2,
        }

    told(server, story)
    assert intersect_client_side(["AAPL", "MSFT"], {"MSFT", "NVDA"}) == {"MSFT"}
