"""What stands now of a ticker or a strategy, over HTTP; any worker answers for all.

    /state?ticker=AAPL          of the shard that holds the ticker
    /state?strategy=s1          of every shard

    {"app_id": "tickgate", "partitions": 4, "shards": {"0": {...}}, "silent": {"3": "why nothing is known of it"}}

Shards of other workers are asked of these, each worker once. What is not checkpointed yet is seen too.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

from aiohttp import web
from yarl import URL

from streams.core.limits import MAX_STRATEGY_ID_BYTES, MAX_TICKER_BYTES
from streams.kafka.partitions import partition_of
from streams.views.everywhere import Everywhere, Gathered, Question, parts_of
from streams.views.owner import Owner
from streams.views.tables import Tables, answer, refused

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


def address(url: str, asked: Asked) -> URL:
    """Where to ask a worker."""
    return URL(f"{url}/state?{asked.what}={quote(asked.name, safe='')}", encoded=True)


class StateView:
    """The answers."""

    def __init__(self, here: States, tables: Tables, owner: Owner) -> None:
        self._here, self._partitions, self._everywhere = here, tables.partitions, Everywhere(tables, owner)

    async def told(self, request: web.Request) -> web.Response:
        """What is known, here and elsewhere."""
        asked = asked_in(request)
        every: Sequence[int] = range(self._partitions)
        wanted = every if asked.what == "strategy" else [partition_of(asked.name.encode(), len(every))]
        question = Question(lambda url: address(url, asked), read_answer)
        found = await self._everywhere.known(self._known(asked, wanted), wanted, question, request)
        shards = {str(partition): told for partition, told in found.in_order()}
        told = {"app_id": self._here.app_id, "partitions": len(every), "shards": shards}
        return answer(200, {**told, "silent": found.silent_as_told()})

    def _known(self, asked: Asked, wanted: Sequence[int]) -> Gathered[Told]:
        """What is known here."""
        silent = {partition: why for partition, why in self._here.silent().items() if partition in wanted}
        if asked.what == "strategy":
            return Gathered(self._here.of_strategy(asked.name), silent)
        told = self._here.of_ticker(wanted[0], asked.name)
        return Gathered({} if told is None else {wanted[0]: told}, silent)


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


def read_answer(body: Any) -> Gathered[Told]:  # noqa: ANN401 - JSON
    """What a worker has said; raises ValueError where it is no such answer, or one that says why not."""
    shards, silent = parts_of(body, dict, "its state")
    return Gathered({int(partition): dict(told) for partition, told in shards.items()}, silent)
