"""Redis held against the tables, with somebody writing in between the two looks."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from bench.redis_server import RedisServer
from streams.views.redis.alerts import DAY_MS
from streams.views.redis.comparing import Report
from streams.views.redis.connecting import connected
from streams.views.redis.held import EVERYTHING
from streams.views.redis.keys import NO_PREFIX, Keys
from streams.views.redis.reconcile import LASTS, UNIVERSES, UPDATES, Looks, Wishes
from tests.views.redis.market import Follows, Shards, in_redis
from tests.views.redis.test_view import STRATEGIES, TICKERS, One, a_market

MEND = Wishes(dry_run=False, remove_left_over=True, settle_s=0.0, retention_days=90)


def nothing(_: Any) -> None:
    """Nobody writes."""


def looked(
    server: RedisServer,
    shards: Shards,
    meanwhile: Callable[[Any], None] = nothing,
    wishes: Wishes = MEND,
    keys: Keys = NO_PREFIX,
) -> dict[str, Report]:
    """Two looks, and what happens in between."""

    async def main() -> dict[str, Report]:
        follows = Follows(shards)
        follows.take()
        follows.held.gather(EVERYTHING)
        async with connected([server.url], 5.0) as conn:
            looks = Looks(follows.held, conn, keys, wishes)
            first = await looks.first()
            with closing(server.client) as client:
                meanwhile(client)
            follows.take()
            follows.held.gather(EVERYTHING)
            for kind, found in first.items():
                await looks.second(kind, found)
        return {kind.name: report for kind, report in looks.reports.items()}

    return asyncio.run(main())


def filled(server: RedisServer, keys: Keys = NO_PREFIX) -> Shards:
    shards = a_market()
    shards.tick(200)
    one = One(server, shards, keys=keys)

    async def main() -> None:
        await one.turn()
        await one.wire.close()

    asyncio.run(main())
    return shards


def counted(report: Report) -> dict[str, int]:
    return {kind: count for kind, count in report.counts.items() if count}


def test_what_is_equal_is_called_equal_and_nothing_is_written(server: RedisServer) -> None:
    keys = Keys("{tg}*?:")
    shards = filled(server, keys)
    with closing(server.client) as client:
        client.sadd("STRAT:other:UNIV", "of another prefix")
    reports = looked(server, shards, keys=keys)
    expected = shards.expected()
    assert [counted(each) for each in reports.values()] == [{}] * 3
    assert reports["updates"].equal == len(expected.updates)
    assert reports["universes"].equal == sum(map(len, expected.universes.values()))
    assert reports["last buckets"].equal == sum(map(len, expected.lasts.values()))
    assert not any(report.mended or report.left for report in reports.values())


def test_an_empty_redis_is_filled(server: RedisServer) -> None:
    shards = a_market()
    shards.tick(200)
    reports = looked(server, shards)
    assert all(counted(each) == {"missing": each.mended} for each in reports.values())
    with closing(server.client) as client:
        assert in_redis(client) == shards.expected()


def test_what_deviates_is_named_and_mended(server: RedisServer) -> None:
    shards = filled(server)
    with closing(server.client) as client:
        client.zadd("TICK:UPD", {"T1": 5, "T2": 9e15, "STRANGER": 1_760_000_000_000, "T3": 7.5})
        client.zrem("TICK:UPD", "T4")
        client.srem("STRAT:one:UNIV", "T3", "T4")
        client.sadd("STRAT:one:UNIV", "STRANGER")
        client.hset("STRAT:wide:LAST", mapping={"T5": "soon", "T6": 3, "STRANGER": 4})
        client.hset("STRAT:gone:LAST", "T1", 1)
    reports = looked(server, shards)
    assert counted(reports["updates"]) == {"missing": 1, "different": 3, "left over": 1}
    assert counted(reports["universes"]) == {"missing": 2, "left over": 1}
    assert counted(reports["last buckets"]) == {"different": 2, "left over": 2}
    assert all(each.left == 0 for each in reports.values())
    with closing(server.client) as client:
        assert in_redis(client) == shards.expected()


@pytest.mark.parametrize("wishes", [MEND._replace(dry_run=True), MEND._replace(remove_left_over=False)])
def test_it_does_no_more_than_is_wished(server: RedisServer, wishes: Wishes) -> None:
    shards = filled(server)
    with closing(server.client) as client:
        client.zadd("TICK:UPD", {"T1": 5, "STRANGER": 1_760_000_000_000})
        reports = looked(server, shards, wishes=wishes)
        assert reports["updates"].left == (2 if wishes.dry_run else 1)
        assert client.zscore("TICK:UPD", "STRANGER")
        assert (client.zscore("TICK:UPD", "T1") == 5) is wishes.dry_run


def test_what_somebody_writes_meanwhile_is_no_fault_and_is_left_to_them(server: RedisServer) -> None:
    shards = filled(server)

    def meanwhile(client: Any) -> None:
        client.zadd("TICK:UPD", {"T1": 6, "T2": shards.expected().updates["T2"]})
        client.sadd("STRAT:one:UNIV", "T3")
        client.hset("STRAT:wide:LAST", "T6", 4)

    with closing(server.client) as client:
        client.zadd("TICK:UPD", {"T1": 5, "T2": 5})
        client.srem("STRAT:one:UNIV", "T3")
        client.hset("STRAT:wide:LAST", "T6", 3)
        reports = looked(server, shards, meanwhile)
        assert counted(reports["updates"]) == {"moving": 1}, "T2 came right by itself"
        assert counted(reports["universes"]) == {}
        assert counted(reports["last buckets"]) == {"moving": 1}
        assert client.zscore("TICK:UPD", "T1") == 6
        assert client.hget("STRAT:wide:LAST", "T6") == "4"


def test_tables_that_move_between_the_looks_are_believed_as_they_are_then(server: RedisServer) -> None:
    shards = filled(server)

    def meanwhile(_: Any) -> None:
        shards.tick(50)
        shards.change(replace(STRATEGIES[0], universe=frozenset(TICKERS[4:9])))

    with closing(server.client) as client:
        client.srem("STRAT:one:UNIV", "T3")
    reports = looked(server, shards, meanwhile)
    assert counted(reports["universes"]) == {}, "T3 is not in it any more"


def test_what_changes_between_look_and_mending_is_not_written_over(server: RedisServer) -> None:
    filled(server)
    with closing(server.client) as client:
        client.zadd("TICK:UPD", {"T1": 5})
        client.hset("STRAT:wide:LAST", "T6", 3)
        client.srem("STRAT:one:UNIV", "T3")
        for kind, key, items in (
            (UPDATES, "TICK:UPD", ("T1", 4, 9)),
            (LASTS, "STRAT:wide:LAST", ("T6", 4, 9)),
            (UNIVERSES, "STRAT:one:UNIV", ("T3", 1, "")),
        ):
            assert client.eval(kind.mend, 1, key, *items) == 0, "it is not what was found"
        assert client.zscore("TICK:UPD", "T1") == 5
        assert client.hget("STRAT:wide:LAST", "T6") == "3"


def test_an_update_that_was_cleaned_up_is_not_missing(server: RedisServer) -> None:
    shards = filled(server)
    shards.tick(1, seconds=100 * DAY_MS // 1_000)
    newest_ms = max(shards.expected().updates.values())
    with closing(server.client) as client:
        client.zremrangebyscore("TICK:UPD", "-inf", newest_ms - 90 * DAY_MS)
        client.zadd("TICK:UPD", {t: ms for t, ms in shards.expected().updates.items() if ms == newest_ms})
        assert counted(looked(server, shards)["updates"]) == {}
        assert in_redis(client).updates == {t: ms for t, ms in shards.expected().updates.items() if ms == newest_ms}
