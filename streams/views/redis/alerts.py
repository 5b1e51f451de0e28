"""The helper functions of old, for those who still read or write Redis themselves.

    alerts = RedisAlerts(redis.asyncio.Redis(), counts=AlertCounts())
    await alerts.mark_ticker_updated("AAPL", 1_732_545_000_000)
    await alerts.get_tickers_updated_since(1_732_544_000_000)

Each touches one key, and so works on Redis Cluster, but for the intersection in Lua; see `keys.py`. Names, answers and
counts are those of old. What goes wrong in Redis is raised as redis-py has it, for the caller to decide about.
"""

import logging
from collections.abc import Awaitable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final, Protocol, TypeVar

from redis.exceptions import RedisError

from streams.views.redis.keys import NO_PREFIX, Keys

log = logging.getLogger(__name__)

LUA_THRESHOLD: Final = 1_000
"""Tickers of a universe beyond which it is intersected inside Redis."""

AT_ONCE: Final = 5_000
"""Members, fields or arguments in one command."""

DAY_MS: Final = 86_400_000

INTERSECT: Final = """
local updated = redis.call('ZRANGEBYSCORE', KEYS[2], ARGV[1], '+inf')
local found = {}
for first = 1, #updated, 1000 do
  local last = math.min(first + 999, #updated)
  local is_member = redis.call('SMISMEMBER', KEYS[1], unpack(updated, first, last))
  for i = first, last do
    if is_member[i - first + 1] == 1 then found[#found + 1] = updated[i] end
  end
end
return found
"""
"""Its keys are the universe and the updates: on a cluster they must share a slot."""

Item = TypeVar("Item")


class Conn(Protocol):
    """What is needed of a redis-py client, `Redis` or `RedisCluster`."""

    def execute_command(self, *args: Any) -> Awaitable[Any]:  # noqa: ANN401 - redis-py's
        """Send a command, and wait for what it answers."""

    def pipeline(self, transaction: Any = True) -> Any:  # noqa: ANN401, FBT002 - as above
        """Commands that are sent together."""


@dataclass
class AlertCounts:
    """What was done, by the names of old, and beside them how often Lua had to be done without."""

    ticker_updates: int = 0
    universe_updates: int = 0
    strategy_runs: int = 0
    skipped_no_update: int = 0
    skipped_bucket_dup: int = 0
    cleanup_operations: int = 0
    lua_intersections: int = 0
    universe_discoveries: int = 0
    lua_failures: int = 0
    client_intersections: int = 0


class RedisAlerts:
    """The keys of one view, through one client."""

    def __init__(
        self,
        conn: Conn,
        keys: Keys = NO_PREFIX,
        *,
        counts: AlertCounts | None = None,
        lua_threshold: int = LUA_THRESHOLD,
    ) -> None:
        self._conn, self._keys = conn, keys
        self.counts = counts or AlertCounts()
        self.lua_threshold = lua_threshold

    async def mark_ticker_updated(self, ticker: str, timestamp_ms: int) -> None:
        """Note a price update; one that comes late leaves the later one standing."""
        await self.mark_tickers_updated({ticker: timestamp_ms})

    async def mark_tickers_updated(self, updates: Mapping[str, int]) -> None:
        """Note many."""
        for some in in_parts(updates.items()):
            arguments = [part for ticker, ts_ms in some for part in (ts_ms, ticker)]
            await self._conn.execute_command("ZADD", self._keys.updates, "GT", *arguments)
            self.counts.ticker_updates += len(some)

    async def set_strategy_universe(self, strategy_id: str, tickers: Collection[str]) -> None:
        """Put a universe in the place of what there was, at once. One of every ticker, given as empty, has no key."""
        key = self._keys.universe(strategy_id)
        async with self._conn.pipeline(transaction=True) as pipeline:
            pipeline.execute_command("DEL", key)
            for some in in_parts(sorted(tickers)):
                pipeline.execute_command("SADD", key, *some)
            await pipeline.execute()
        self.counts.universe_updates += 1

    async def get_strategy_universe(self, strategy_id: str) -> set[str]:
        """The tickers of a strategy; empty where it has none here."""
        return texts(await self._conn.execute_command("SMEMBERS", self._keys.universe(strategy_id)))

    async def get_universe_size(self, strategy_id: str) -> int:
        """How many tickers it has."""
        return int(await self._conn.execute_command("SCARD", self._keys.universe(strategy_id)))

    async def get_tickers_updated_since(self, since_ms: int) -> set[str]:
        """The tickers with an update at this time or later."""
        return texts(await self._conn.execute_command("ZRANGEBYSCORE", self._keys.updates, since_ms, "+inf"))

    async def get_ticker_update_count(self) -> int:
        """How many tickers have an update."""
        return int(await self._conn.execute_command("ZCARD", self._keys.updates))

    async def get_newest_update_ms(self) -> int | None:
        """The time of the newest update of any ticker: the event clock. None where there is no update."""
        found = await self._conn.execute_command(
            "ZREVRANGEBYSCORE", self._keys.updates, "+inf", "-inf", "WITHSCORES", "LIMIT", 0, 1
        )
        return None if not found else int(float(list(flat(found))[1]))

    async def get_strategy_last_buckets(self, strategy_id: str, tickers: Collection[str]) -> dict[str, int]:
        """Of these tickers, the last bucket; those that never ran are left out."""
        found: dict[str, int] = {}
        for some in in_parts(sorted(tickers)):
            values = await self._conn.execute_command("HMGET", self._keys.last(strategy_id), *some)
            found |= {ticker: int(value) for ticker, value in zip(some, values, strict=True) if value is not None}
        return found

    async def set_strategy_last_buckets(self, strategy_id: str, ticker_buckets: Mapping[str, int]) -> None:
        """Note the last bucket of each of these tickers."""
        for some in in_parts(sorted(ticker_buckets.items())):
            arguments = [part for pair in some for part in pair]
            await self._conn.execute_command("HSET", self._keys.last(strategy_id), *arguments)

    async def intersect_tickers_server_side(self, strategy_id: str, since_ms: int) -> set[str]:
        """The tickers of a universe with an update since, worked out inside Redis."""
        keys = (self._keys.universe(strategy_id), self._keys.updates)
        found = texts(await self._conn.execute_command("EVAL", INTERSECT, len(keys), *keys, since_ms))
        self.counts.lua_intersections += 1
        return found

    async def get_changed_tickers(self, strategy_id: str, since_ms: int) -> set[str]:
        """The same in the cheaper way: in Lua for a large universe, and here for others, or where Lua fails."""
        if await self.get_universe_size(strategy_id) > self.lua_threshold:
            try:
                return await self.intersect_tickers_server_side(strategy_id, since_ms)
            except RedisError as error:
                self.counts.lua_failures += 1
                log.warning("strategy %s is intersected here, as Lua failed: %s", strategy_id, error)
        updated, universe = (
            await self.get_tickers_updated_since(since_ms),
            await self.get_strategy_universe(strategy_id),
        )
        self.counts.client_intersections += 1
        return intersect_client_side(updated, universe)

    async def cleanup_ticker_updates(self, max_days: int, now_ms: int) -> int:
        """Remove updates that are so many days old at a time; returns how many those were."""
        cutoff_ms = now_ms - max_days * DAY_MS
        removed = int(await self._conn.execute_command("ZREMRANGEBYSCORE", self._keys.updates, "-inf", cutoff_ms))
        self.counts.cleanup_operations += 1
        return removed

    def get_alert_metrics(self) -> dict[str, int]:
        """What was done through this object, and reported to it."""
        return asdict(self.counts)

    async def get_detailed_alert_metrics(self) -> dict[str, int]:
        """The same, and how many tickers have an update in Redis."""
        return {**self.get_alert_metrics(), "total_ticker_updates": await self.get_ticker_update_count()}

    def increment_strategy_runs(self) -> None:
        """Count a run."""
        self.counts.strategy_runs += 1

    def increment_skipped_no_update(self) -> None:
        """Count a strategy that was skipped, as none of its tickers was updated."""
        self.counts.skipped_no_update += 1

    def increment_skipped_bucket_dup(self) -> None:
        """Count a strategy that was skipped, as its tickers had run in the bucket."""
        self.counts.skipped_bucket_dup += 1

    def increment_universe_discoveries(self) -> None:
        """Count a universe that a worker's used symbols changed."""
        self.counts.universe_discoveries += 1


def intersect_client_side(updated_tickers: Iterable[str], strategy_universe: Iterable[str]) -> set[str]:
    """The tickers that are in both."""
    return set(updated_tickers) & set(strategy_universe)


def in_parts(items: Iterable[Item], size: int = AT_ONCE) -> Iterator[list[Item]]:
    """So many at a time."""
    left = iter(items)
    while some := list(islice(left, size)):
        yield some


def texts(values: Iterable[bytes | str]) -> set[str]:
    """Names, also from a client that leaves them bytes."""
    return {text(each) for each in values}


def text(value: bytes | str) -> str:
    """One of them. What is not UTF-8 is none of ours, and is kept apart from all that is."""
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value


def flat(found: Iterable[Any]) -> Iterator[Any]:
    """Members and scores one behind the other, as RESP2 has them; RESP3 pairs them up."""
    for each in found:
        if isinstance(each, list | tuple):
            yield from each
        else:
            yield each
