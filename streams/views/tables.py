"""The tables over HTTP, for reading; any worker answers.

    /tables/                                what tables there are
    /tables/last_update/AAPL                the ticker's last update, in ms since 1970
    /tables/last_bucket/AAPL                of each strategy that fired for it, the last bucket
    /tables/strategies/s1                   a strategy as it stands
    /tables/counts/s1                       what happened to it, in the shards of the worker that is asked
    /tables/last_update?limit=100           keys that this worker holds, which of all are only its own

A row of a ticker that another worker owns is asked of that one (`owner.py`). 404: there is no such row. 503: nobody
can say at the moment, because shards are on their way from one worker to another, or recover; ask again.
What is not checkpointed yet is seen too.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final, Protocol

from aiohttp import web

from streams.core.events import Strategy
from streams.core.limits import MAX_STRATEGY_ID_BYTES, MAX_TICKER_BYTES
from streams.errors import shortened
from streams.instruments import ShardStatus
from streams.kafka.partitions import partition_of
from streams.kafka.shard_states import HELD, State
from streams.views.owner import HOP, Answer, Owner
from streams.views.status import WorkerStatus

KEYS_SHOWN: Final = 100
MOST_KEYS_SHOWN: Final = 10_000


class Rows(Protocol):
    """A table, as Faust's tables read."""

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - a row of any table
        """One row, or KeyError."""

    def __iter__(self) -> Any:  # noqa: ANN401 - an iterator, typed in as many ways as there are tables
        """The keys held here."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table, and how it is asked."""

    rows: Rows
    by_ticker: bool
    """Whether its rows stand where the ticks of their ticker do; else every worker holds all of them."""
    as_json: Callable[[Any], Any] = lambda row: row

    @property
    def most_bytes(self) -> int:
        """How long a key may be."""
        return MAX_TICKER_BYTES if self.by_ticker else MAX_STRATEGY_ID_BYTES


@dataclass(frozen=True, slots=True)
class Tables:
    """What is shown, and who holds it."""

    tables: Mapping[str, Table]
    partitions: int
    """Of `ticks`."""
    status: WorkerStatus
    owner_url: Callable[[int], str]
    """Of a shard, as the group has it; empty where nobody is known."""
    own_url: Callable[[], str]


def routes(tables: Tables, owner: Owner) -> list[web.RouteDef]:
    """What to answer at which path."""
    reader = Reader(tables, owner)
    return [
        web.get("/tables", reader.names),
        web.get("/tables/", reader.names),
        web.get("/tables/{table}", reader.keys),
        web.get("/tables/{table}/{key}", reader.row),
    ]


class Reader:
    """The answers."""

    def __init__(self, tables: Tables, owner: Owner) -> None:
        self._all, self._owner = tables, owner

    async def names(self, _: web.Request) -> web.Response:
        """Which tables there are."""
        return answer(200, {"tables": sorted(self._all.tables)})

    async def keys(self, request: web.Request) -> web.Response:
        """Some of the keys that are held here."""
        table, limit = self._table(request), limit_of(request.query.get("limit", str(KEYS_SHOWN)))
        if not self._all.status.ready:
            raise away("this worker has not recovered yet; ask again")
        found = list(islice(iter(table.rows), limit + 1))
        return answer(200, {"table": request.match_info["table"], "keys": found[:limit], "more": len(found) > limit})

    async def row(self, request: web.Request) -> web.Response:
        """One row, from here or from its owner."""
        table, name, key = self._table(request), request.match_info["table"], request.match_info["key"]
        size = len(key.encode(errors="replace"))
        if size > table.most_bytes:
            raise refused(web.HTTPBadRequest, f"the key has {size} bytes, the limit is {table.most_bytes}")
        if table.by_ticker:
            elsewhere = self._elsewhere(partition_of(key.encode(errors="replace"), self._all.partitions), request)
            if elsewhere:
                return response(await self._owner.ask(elsewhere, name, key))
        elif not self._all.status.ready:
            raise away("this worker has not recovered yet; ask again")
        try:
            row = table.rows[key]
        except KeyError:
            raise refused(web.HTTPNotFound, f"{name} has no row for {shortened(key)}") from None
        return answer(200, {"table": name, "key": key, "row": table.as_json(row)})

    def _table(self, request: web.Request) -> Table:
        name = request.match_info["table"]
        if name not in self._all.tables:
            known = ", ".join(sorted(self._all.tables))
            raise refused(web.HTTPNotFound, f"there is no table {shortened(name)}; there are {known}")
        return self._all.tables[name]

    def _elsewhere(self, partition: int, request: web.Request) -> str:
        """Where a shard is that is not here; empty where it is here. Raises where nobody can say."""
        shard = next((each for each in self._all.status.shards if each.partition == partition), None)
        if shard is not None and shard.state in HELD:
            return ""
        if shard is not None and shard.state != State.CLOSED:
            raise away(f"shard {partition} is {why(shard)}; ask again")
        url = self._all.owner_url(partition)
        if not url:
            raise away(f"nobody is known to own shard {partition}; ask again")
        if request.headers.get(HOP):
            raise away(f"shard {partition} is not here, where another worker looks for it; ask again")
        if url == self._all.own_url():
            told = (
                "either it is on its way, or two workers say that they are reached at the same TICKGATE_ADVERTISED_URL"
            )
            raise away(f"shard {partition} is not here, and {url} is this worker: {told}")
        return url


def why(shard: ShardStatus) -> str:
    """How a shard stands."""
    return f"{shard.state}: {shard.reason}" if shard.reason else shard.state


def limit_of(text: str) -> int:
    """How many keys to show."""
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(MOST_KEYS_SHOWN)):
        raise refused(web.HTTPBadRequest, f"limit is {shortened(text)}; write a number from 1 to {MOST_KEYS_SHOWN}")
    if not 1 <= int(text) <= MOST_KEYS_SHOWN:
        raise refused(web.HTTPBadRequest, f"limit is {text}; write a number from 1 to {MOST_KEYS_SHOWN}")
    return int(text)


def strategy_row(strategy: Strategy) -> dict[str, Any]:
    """A strategy as a strategy file has it, with every field."""
    return {**asdict(strategy), "universe": sorted(strategy.universe) or "all"}


FRESH: Final = {"Cache-Control": "no-store"}


def answer(status: int, told: Mapping[str, Any]) -> web.Response:
    """An answer in JSON."""
    return web.json_response(told, status=status, headers=FRESH)


def response(asked: Answer) -> web.Response:
    """What another worker has answered, as it came."""
    return web.Response(status=asked.status, body=asked.body, content_type="application/json", headers=FRESH)


def away(problem: str) -> web.HTTPException:
    """Nobody can say now."""
    return refused(web.HTTPServiceUnavailable, problem)


def refused(kind: type[web.HTTPException], problem: str) -> web.HTTPException:
    """An answer that says what is wrong, as JSON like every other."""
    return kind(text=json.dumps({"problem": problem}), headers=FRESH, content_type="application/json")
