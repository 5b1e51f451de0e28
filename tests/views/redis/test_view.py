"""The view on a real Redis: equal to the tables, in whatever parts it is written, and whoever has written it before."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from redis import Redis

from bench.redis_server import RedisServer
from streams.core.events import Mode, Status, Strategy
from streams.errors import InputError
from streams.views.redis.counts import RedisCounts
from streams.views.redis.keys import NO_PREFIX, Keys
from streams.views.redis.marker import Marker
from streams.views.redis.view import STALE_S, View
from streams.views.redis.wire import Wire
from tests.views.redis.market import Follows, Shards, in_redis

TICKERS = [f"T{i}" for i in range(30)] + ["\0odd", "Ü %?#", "A:B"]
STRATEGIES = [
    Strategy("one", "1m", frozenset(TICKERS[:10])),
    Strategy("wide", "5m", frozenset(TICKERS)),
    Strategy("whole", "1m", frozenset(TICKERS[5:20]), mode=Mode.LEGACY),
    Strategy("global", "1m", frozenset()),
    Strategy("asleep", "1m", frozenset(TICKERS[3:6]), Status.PAUSED),
]


@dataclass
class Clock:
    """Time that passes when it is told to."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class One:
    """One who follows, from the start of the topics."""

    server: RedisServer
    shards: Shards
    run: str = "me"
    most: int = 5_000
    keys: Keys = NO_PREFIX
    view_of: str = "tickgate"
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.follows, self.counts = Follows(self.shards), RedisCounts()
        self.wire = Wire([self.server.url], 5.0)
        self.view = View(
            self.wire,
            self.follows.held,
            self.keys,
            view_of=self.view_of,
            run=self.run,
            most=self.most,
            now_s=self.clock,
            told=self.counts,
        )

    async def turn(self) -> bool:
        self.follows.take()
        return await self.view.turn()


def together(*ones: One, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        try:
            await story()
        finally:
            for one in ones:
                await one.wire.close()

    asyncio.run(main())


def a_market() -> Shards:
    return Shards(STRATEGIES, TICKERS)


@pytest.mark.parametrize("most", [1, 7, 5_000])
def test_it_is_equal_to_the_tables_in_parts_of_any_size(server: RedisServer, most: int) -> None:
    shards, keys = a_market(), Keys("{tg}[x]:")
    one = One(server, shards, most=most, keys=keys)

    async def story() -> None:
        with closing(server.client) as client:
            for i in range(6):
                shards.tick(20)
                if i == 3:
                    shards.change(replace(STRATEGIES[0], universe=frozenset(TICKERS[8:14])))
                    shards.forget("wide")
                if i == 4:
                    shards.change(STRATEGIES[1])  # its buckets come back with it
                assert await one.turn()
                assert in_redis(client, keys.prefix) == shards.expected()

    together(one, story=story)
    assert one.counts.refills == 1, "the first time it was empty"


def test_the_checks_of_old_hold(server: RedisServer) -> None:
    shards = a_market()
    one = One(server, shards)

    async def story() -> None:
        shards.tick(200)
        await one.turn()

    together(one, story=story)
    with closing(server.client) as client:
        assert client.zcard("TICK:UPD") == len(shards.expected().updates) > 20
        assert client.scard("STRAT:wide:UNIV") == len(TICKERS)
        assert client.zscore("TICK:UPD", "T1") == shards.expected().updates["T1"]


def test_a_turn_without_news_writes_the_marker_alone(server: RedisServer) -> None:
    shards = a_market()
    one = One(server, shards)

    async def story() -> None:
        shards.tick(50)
        await one.turn()
        writes = one.counts.writes
        await one.turn()
        assert one.counts.writes == writes > 0

    together(one, story=story)


def test_who_starts_again_writes_only_what_came_since(server: RedisServer) -> None:
    shards = a_market()
    first, second, third = (One(server, shards, run=name) for name in ("first", "second", "third"))

    async def story() -> None:
        shards.tick(200)
        await first.turn()
        await first.view.let_go()
        shards.tick(1)
        shards.change(replace(STRATEGIES[0], universe=frozenset(TICKERS[:2])))
        await second.turn()
        assert second.counts.refills == 0
        assert 0 < second.counts.writes < first.counts.writes / 4
        with closing(server.client) as client:
            assert in_redis(client) == shards.expected()
        await second.view.let_go()
        await third.turn()
        assert third.counts.writes == 0

    together(first, second, third, story=story)


def test_a_redis_that_is_flushed_is_filled_anew(server: RedisServer) -> None:
    shards = a_market()
    one = One(server, shards)

    async def story() -> None:
        with closing(server.client) as client:
            shards.tick(100)
            await one.turn()
            client.flushall()
            await one.turn()
            assert in_redis(client) == shards.expected()
            assert one.counts.refills == 2

    together(one, story=story)


def test_a_redis_that_went_back_in_time_is_filled_anew(server: RedisServer) -> None:
    shards = a_market()
    one = One(server, shards)

    async def story() -> None:
        with closing(server.client) as client:
            shards.tick(100)
            await one.turn()
            old = dumped(server)
            shards.tick(100, seconds=120)
            await one.turn()
            client.flushall()
            restored(server, old)
            await one.turn()
            assert in_redis(client) == shards.expected()
            assert one.counts.refills == 2

    together(one, story=story)


def dumped(server: RedisServer) -> dict[bytes, bytes]:
    """All keys as Redis would write them down."""
    with closing(raw(server)) as client:
        return {key: client.dump(key) for key in client.scan_iter()}


def restored(server: RedisServer, old: dict[bytes, bytes]) -> None:
    with closing(raw(server)) as client:
        for key, value in old.items():
            client.restore(key, 0, value)


def raw(server: RedisServer) -> Any:
    return Redis(port=server.port)


class Dying(Wire):
    """Dies, or is cut off, when so many transactions were sent."""

    def __init__(self, url: str, lives: int, *, before: bool) -> None:
        super().__init__([url], 5.0)
        self.lives, self.before = lives, before

    async def transaction(self, commands: Any, **more: Any) -> bytes | None:
        self.lives -= 1
        if self.lives == 0 and self.before:
            raise ConnectionError("cut off before")
        found = await super().transaction(commands, **more)
        if self.lives == 0:
            raise ConnectionError("cut off behind")
        return found


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("lives", [1, 2, 5, 12])
def test_whatever_became_of_a_transaction_the_view_is_right_in_the_end(
    server: RedisServer, lives: int, before: bool
) -> None:
    shards = a_market()
    one, heir = One(server, shards, most=10), One(server, shards, run="heir")

    async def story() -> None:
        shards.tick(100)
        one.wire = one.view._wire = dying = Dying(server.url, lives, before=before)
        with pytest.raises(ConnectionError):
            await one.turn()
        await dying.failed(ConnectionError())
        if lives % 2:  # it goes on itself
            await one.turn()
            nothing_came = lives == 1 and before
            assert one.counts.refills == 1 + nothing_came, "its own half-done transaction is no loss"
        else:  # it has died, and another finds what it left
            for _ in range(2):
                assert not await heir.turn()
                heir.clock.now_s += STALE_S
            assert await heir.turn()
        with closing(server.client) as client:
            assert in_redis(client) == shards.expected()

    together(one, heir, story=story)


def test_of_two_who_follow_one_writes_and_the_other_takes_over_when_it_stands_still(server: RedisServer) -> None:
    shards = a_market()
    one, other = One(server, shards, run="one"), One(server, shards, run="other")

    async def story() -> None:
        shards.tick(50)
        assert await one.turn()
        for _ in range(5):  # its marker moves
            assert not await other.turn()
            other.clock.now_s += STALE_S
            assert await one.turn()
        shards.tick(50)
        assert [await other.turn() for _ in range(3)] == [False] * 3
        other.clock.now_s += STALE_S
        assert await other.turn()
        assert not await one.turn(), "one finds that another follows, and leaves it to that"
        with closing(server.client) as client:
            assert in_redis(client) == shards.expected()

    together(one, other, story=story)


def test_who_was_cut_out_meanwhile_cannot_write_past_the_other(server: RedisServer) -> None:
    shards = a_market()
    one = One(server, shards, run="one")

    async def story() -> None:
        shards.tick(50)
        await one.turn()
        with closing(server.client) as client:
            marker = Marker("tickgate", "other", 1, {}).encoded()
            await one.wire.watched(one.keys.marker)
            client.set(one.keys.marker, marker)
            before = in_redis(client)
            with pytest.raises(Exception, match="written by somebody else"):
                await one.wire.transaction([("ZADD", "TICK:UPD", 1, "T1"), ("DEL", "STRAT:one:UNIV")])
            assert in_redis(client) == before
            assert client.get(one.keys.marker) == marker.decode()

    together(one, story=story)


def test_who_takes_over_from_somebody_who_had_less_writes_it_all(server: RedisServer) -> None:
    shards = a_market()
    one = One(server, shards, run="one")

    async def story() -> None:
        with closing(server.client) as client:
            shards.tick(50)
            await one.turn()
            client.flushall()
            client.set(one.keys.marker, Marker("tickgate", "", 7, {("last_update", 0): 1}).encoded())
            await one.turn()
            assert in_redis(client) == shards.expected()

    together(one, story=story)


def test_the_view_of_another_environment_is_left_alone(server: RedisServer) -> None:
    shards = a_market()
    one = One(server, shards, view_of="staging.tickgate")
    other = One(server, shards)

    async def story() -> None:
        await one.turn()
        with pytest.raises(InputError, match=r"holds the view of 'staging.tickgate'.*TICKGATE_REDIS_PREFIX"):
            await other.turn()

    together(one, other, story=story)


def test_topics_that_were_made_anew_are_written_whole(server: RedisServer) -> None:
    old, shards = a_market(), Shards(STRATEGIES[:2], TICKERS[:8], seed=8)
    one, other = One(server, old), One(server, shards, run="other")

    async def story() -> None:
        for _ in range(4):
            old.tick(100)
            await one.turn()
        await one.view.let_go()
        shards.second = 10_000
        shards.tick(100)
        await other.turn()
        assert other.counts.refills == 1
        with closing(server.client) as client:
            found = in_redis(client)
        expected = shards.expected()
        assert {t: found.updates[t] for t in expected.updates} == expected.updates
        assert {s: found.universes[s] for s in expected.universes} == expected.universes

    together(one, other, story=story)


def test_a_key_of_another_kind_is_named(server: RedisServer) -> None:
    shards = a_market()
    one = One(server, shards)

    async def story() -> None:
        with closing(server.client) as client:
            client.set("STRAT:one:LAST", "what?")
            shards.tick(50)
            with pytest.raises(Exception, match="wrong kind of value"):
                await one.turn()
            client.delete("STRAT:one:LAST")
            await one.turn()
            assert in_redis(client) == shards.expected()

    together(one, story=story)
