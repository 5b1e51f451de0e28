"""What stands now of a ticker or a strategy, over HTTP; any worker answers for all.

    /state?ticker=AAPL          of the shard that holds the ticker
    /state?strategy=s1          of every shard

    {"app_id": "tickgate", "partitions": 4, "shards": {"0": {...}}, "silent": {"3": "why nothing is known of it"}}

Shards of other workers are asked of these, each worker once. What is not checkpointed yet is seen too.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

from aiohttp import web
from yarl import URL

from streams.core.limits import MAX_STRATEGY_ID_BYTES, MAX_TICKER_BYTES
from streams.kafka.partitions import partition_of
from streams.views.owner import HOP, Owner
from streams.views.tables import Tables, answer, owners_of, refused

Told = dict[str, Any]

LIMITS = {"ticker": MAX_TICKER_BYTES, "strategy": MAX_STRATEGY_ID_BYTES}


class Asked(NamedTuple):
    """One of the two."""

    what: str
    name: str


class States(Protocol):
    """What this worker knows: see `kafka/state_reports.py`."""

    app_id: str

    def of_ticker(self, partition: int, ticker: str) -> Told | None:
        """What the ticker's shard knows of it, where it is here."""

    def of_strategy(self, strategy_id: str) -> dict[int, Told]:
        """What each shard here knows of it."""

    def silent(self) -> dict[int, str]:
        """Shards here that cannot be asked, and why."""


class Gathered(NamedTuple):
    """What some shards know."""

    shards: dict[int, Told]
    silent: dict[int, str]


def address(url: str, asked: Asked) -> URL:
    """Where to ask a worker."""
    return URL(f"{url}/state?{asked.what}={quote(asked.name, safe='')}", encoded=True)


class StateView:
    """The answers."""

    def __init__(self, here: States, tables: Tables, owner: Owner) -> None:
        self._here, self._tables, self._owner = here, tables, owner

    async def told(self, request: web.Request) -> web.Response:
        """What is known, here and elsewhere."""
        asked = asked_in(request)
        everywhere: Sequence[int] = range(self._tables.partitions)
        wanted = everywhere if asked.what == "strategy" else [partition_of(asked.name.encode(), len(everywhere))]
        found = self._known(asked, wanted)
        if not request.headers.get(HOP):
            found = await self._with_others(found, asked, wanted)
        body = {str(partition): told for partition, told in sorted(found.shards.items())}
        silent = {str(partition): why for partition, why in sorted(found.silent.items())}
        told = {"app_id": self._here.app_id, "partitions": len(everywhere), "shards": body, "silent": silent}
        return answer(200, told)

    def _known(self, asked: Asked, wanted: Sequence[int]) -> Gathered:
        """What is known here."""
        silent = {partition: why for partition, why in self._here.silent().items() if partition in wanted}
        if asked.what == "strategy":
            return Gathered(self._here.of_strategy(asked.name), silent)
        told = self._here.of_ticker(wanted[0], asked.name)
        return Gathered({} if told is None else {wanted[0]: told}, silent)

    async def _with_others(self, found: Gathered, asked: Asked, wanted: Sequence[int]) -> Gathered:
        """Ask for the shards that are not here."""
        elsewhere, lost = owners_of(self._tables, [p for p in wanted if p not in found.shards | found.silent])
        asking = [self._ask(url, partitions, asked) for url, partitions in elsewhere.items()]
        shards, silent = dict(found.shards), found.silent | lost
        for other in await asyncio.gather(*asking):
            shards |= other.shards
            silent |= other.silent
        return Gathered(shards, silent)

    async def _ask(self, url: str, partitions: Sequence[int], asked: Asked) -> Gathered:
        """What another worker says of the shards that it is known to own."""
        got = await self._owner.get(url, address(url, asked), {HOP: "1"})
        try:
            read = read_answer(json.loads(got.body))
        except ValueError as error:
            return Gathered({}, dict.fromkeys(partitions, str(error)))
        missing = f"the worker at {url} does not have it; it is on its way, or recovers; ask again"
        silent = {p: read.silent.get(p, missing) for p in partitions if p not in read.shards}
        return Gathered({p: read.shards[p] for p in partitions if p in read.shards}, silent)


def asked_in(request: web.Request) -> Asked:
    """What a request asks for; raises where that is not one thing."""
    asked = [Asked(what, request.query[what]) for what in LIMITS if request.query.get(what)]
    if len(asked) != 1:
        raise refused(web.HTTPBadRequest, "ask for one thing: /state?ticker=AAPL or /state?strategy=s1")
    size = len(asked[0].name.encode(errors="replace"))
    if size > LIMITS[asked[0].what]:
        problem = f"{asked[0].what} has {size} bytes, the limit is {LIMITS[asked[0].what]}"
        raise refused(web.HTTPBadRequest, problem)
    return asked[0]


def read_answer(body: Any) -> Gathered:  # noqa: ANN401 - JSON
    """What a worker has said; raises ValueError where it is no such answer, or one that says why not."""
    told = body if isinstance(body, dict) else {}
    if not isinstance(told.get("shards"), dict):
        problem = told.get("problem", "it is no answer of a worker about its state")
        raise ValueError(problem)  # noqa: TRY004 - what is wrong is a value, for all
    shards = {int(partition): dict(each) for partition, each in told["shards"].items()}
    return Gathered(shards, {int(partition): str(why) for partition, why in told["silent"].items()})
