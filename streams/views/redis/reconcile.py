"""`tickgate redis reconcile`: holds Redis against the tables, and mends it, for a cut-over from the system of old.

Each key is looked at twice, see `comparing.py`, and an item is mended only if it still holds what was found: a script
on that one key compares and writes. So it may run while the system of old, or `tickgate redis follow`, writes on.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final, NamedTuple

from streams.kafka.sending import given_up
from streams.views.redis.alerts import AT_ONCE, DAY_MS, Conn, flat, in_parts, text
from streams.views.redis.comparing import LEFT_OVER, MOVING, Deviation, Report, Value, deviations, is_moving
from streams.views.redis.follow import Source
from streams.views.redis.held import EVERYTHING, Held
from streams.views.redis.keys import Keys

EXAMPLES: Final = 10
"""Of each kind of key that are named."""

_MEND: Final = """
local mended = 0
for i = 1, #ARGV, 3 do
  local item, found, wanted = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local now = {ask} or ''
  if now == found or (tonumber(now) and tonumber(now) == tonumber(found)) then
    if wanted == '' then {remove} else {put} end
    mended = mended + 1
  end
end
return mended
"""


class Kind(NamedTuple):
    """One kind of key: how a look reads it, how it is scanned in parts, and the script that mends it."""

    name: str
    scan: str
    mend: str


def _mending(ask: str, remove: str, put: str) -> str:
    calls = {name: f"redis.call({call})" for name, call in (("ask", ask), ("remove", remove), ("put", put))}
    return _MEND.format(**{**calls, "ask": f"({calls['ask']})"})


_MEMBER: Final = _mending("'SISMEMBER', KEYS[1], item", "'SREM', KEYS[1], item", "'SADD', KEYS[1], item")
UPDATES: Final = Kind(
    "updates", "ZSCAN", _mending("'ZSCORE', KEYS[1], item", "'ZREM', KEYS[1], item", "'ZADD', KEYS[1], wanted, item")
)
UNIVERSES: Final = Kind("universes", "SSCAN", _MEMBER.replace(") or ''", " == 1 and '1') or ''"))
LASTS: Final = Kind(
    "last buckets", "HSCAN", _mending("'HGET', KEYS[1], item", "'HDEL', KEYS[1], item", "'HSET', KEYS[1], item, wanted")
)


class Wishes(NamedTuple):
    """What to do."""

    dry_run: bool
    remove_left_over: bool
    settle_s: float
    """Between the two looks."""
    retention_days: int


async def reconcile(source: Source, conn: Conn, keys: Keys, wishes: Wishes) -> list[Report]:
    """Read the topics to their ends, look at Redis twice, and mend."""
    tasks = [asyncio.create_task(each) for each in source.work()]
    try:
        caught_up = asyncio.create_task(source.caught_up())
        await asyncio.wait([*tasks, caught_up], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()  # raises
        source.held.gather(EVERYTHING)
        looks = Looks(source.held, conn, keys, wishes)
        first = await looks.first()
        await asyncio.sleep(wishes.settle_s)
        source.held.gather(EVERYTHING)
        for kind, found in first.items():
            await looks.second(kind, found)
        return list(looks.reports.values())
    finally:
        await given_up(tasks)


class Looks:
    """Two looks at every key."""

    def __init__(self, held: Held, conn: Conn, keys: Keys, wishes: Wishes) -> None:
        self._held, self._conn, self._keys, self._wishes = held, conn, keys, wishes
        self.reports = {kind: Report(kind.name) for kind in (UPDATES, UNIVERSES, LASTS)}

    async def first(self) -> dict[Kind, list[Deviation]]:
        """All that deviates at this moment."""
        found: dict[Kind, list[Deviation]] = {UPDATES: await self._look(UPDATES, self._keys.updates)}
        for kind, pattern, name in (
            (UNIVERSES, self._keys.universes, self._keys.universe),
            (LASTS, self._keys.lasts, self._keys.last),
        ):
            there = {key async for key in self._scan(pattern)}
            there |= {name(strategy_id) for strategy_id in self._held.ids}
            found[kind] = [each for key in sorted(there) for each in await self._look(kind, key)]
        return found

    async def second(self, kind: Kind, first: Iterable[Deviation]) -> None:
        """Look again at what deviated, note what still does, and mend that."""
        by_key: dict[str, dict[str, Deviation]] = {}
        for each in first:
            by_key.setdefault(each.key, {})[each.item] = each
        for key, before in by_key.items():
            still = [each for each in await self._look(kind, key, counted=False) if each.item in before]
            moving = {each.item for each in still if is_moving(before[each.item], each)}
            for each in still:
                self.reports[kind].noted(MOVING if each.item in moving else each.kind, each, EXAMPLES)
            self.reports[kind].equal += len(before) - len(still)
            await self._mend(kind, key, [each for each in still if each.item not in moving])

    async def _look(self, kind: Kind, key: str, *, counted: bool = True) -> list[Deviation]:
        found = await self._read(kind, key)
        wanted = self._wanted(kind, key, found)
        deviating = deviations(key, wanted, found)
        if counted:
            self.reports[kind].equal += len(wanted.keys() | found.keys()) - len(deviating)
        return deviating

    async def _mend(self, kind: Kind, key: str, deviating: Iterable[Deviation]) -> None:
        if self._wishes.dry_run:
            return
        wanted = [each for each in deviating if each.kind != LEFT_OVER or self._wishes.remove_left_over]
        for some in in_parts(wanted, AT_ONCE // 3):
            arguments = [part for each in some for part in (_sent(each.item), _said(each.found), _said(each.wanted))]
            self.reports[kind].mended += int(await self._conn.execute_command("EVAL", kind.mend, 1, key, *arguments))

    def _wanted(self, kind: Kind, key: str, found: Mapping[str, Value]) -> dict[str, Value]:
        """What the tables say of a key. An update that is old may have been cleaned up."""
        held = self._held
        if kind is UPDATES:
            count = len(held.names)
            oldest_ms = (held.newest_ms() or 0) - self._wishes.retention_days * DAY_MS
            named = zip(map(text, held.names), held.update_ms[:count].tolist(), strict=True)
            return {ticker: ts_ms for ticker, ts_ms in named if ts_ms > oldest_ms or ticker in found}
        strategy_id = self._keys.strategy_of(key)
        number = held.strategies.get(strategy_id)
        if number is None or not held.alive[number]:
            return {}
        if kind is UNIVERSES:
            return dict.fromkeys(held.universe_of(strategy_id), 1)
        return {text(ticker): bucket_ms for ticker, bucket_ms in held.buckets_of(number)}

    async def _read(self, kind: Kind, key: str) -> dict[str, Value]:
        """All of a key, in parts: to ask for a large one at once holds Redis up."""
        found: dict[str, Value] = {}
        cursor: Any = 0
        while True:
            cursor, some = await self._conn.execute_command(kind.scan, key, cursor, "COUNT", AT_ONCE)
            found |= dict.fromkeys(map(text, some), 1) if kind is UNIVERSES else _items(some)
            if int(cursor) == 0:
                return found

    async def _scan(self, pattern: str) -> AsyncIterator[str]:
        cursor: Any = 0
        while True:
            cursor, some = await self._conn.execute_command("SCAN", cursor, "MATCH", pattern, "COUNT", AT_ONCE)
            for key in some:
                yield text(key)
            if int(cursor) == 0:
                return


def _items(some: Any) -> dict[str, Value]:  # noqa: ANN401 - as redis-py has parsed it: a dict, pairs, or flat
    pairs = some.items() if isinstance(some, dict) else _pairs(list(flat(some)))
    return {text(item): _number(value) for item, value in pairs}


def _pairs(listed: list[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(listed[::2], listed[1::2], strict=True)


def _number(value: Any) -> Value:  # noqa: ANN401 - bytes, text or a number
    """The value as a time in ms; as it stands where it is none."""
    shown = text(value) if isinstance(value, bytes | str) else repr(value)
    try:
        number = float(shown)
        return int(number) if number.is_integer() else shown
    except (ValueError, OverflowError):
        return shown


def _sent(item: str) -> bytes:
    return item.encode(errors="surrogateescape")


def _said(value: Value | None) -> bytes:
    return b"" if value is None else str(value).encode(errors="surrogateescape")
