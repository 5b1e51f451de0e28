"""What shadows have counted, over HTTP; any worker answers for all.

    /rollout                  of all strategies
    /rollout?strategy=s1      of one

    {"partitions": 4, "shards": [...], "silent": {"3": "why nothing is known of it"}}

Shards of other workers are asked of these, each worker once. Nothing here decides: see `core/rollout.py`.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

from aiohttp import web
from yarl import URL

from streams.core.limits import MAX_STRATEGY_ID_BYTES
from streams.core.rollout import Report, as_told, read_report
from streams.errors import shortened
from streams.views.owner import HOP, Owner
from streams.views.tables import Tables, answer, owners_of, refused


class Reports(Protocol):
    """What this worker has counted: see `kafka/shadow_reports.py`."""

    def knows(self, strategy_id: str) -> bool:
        """Whether there is such a strategy."""

    def reports(self, strategy_id: str = "") -> Sequence[Report]:
        """One for each shard that counts."""

    def silent(self) -> dict[int, str]:
        """Shards here that do not count, and why."""


class Gathered(NamedTuple):
    """What is known of some shards."""

    reports: list[Report]
    silent: dict[int, str]


def address(url: str, strategy_id: str = "") -> URL:
    """Where to ask a worker."""
    query = f"?strategy={quote(strategy_id, safe='')}" if strategy_id else ""
    return URL(f"{url}/rollout{query}", encoded=True)


class Rollout:
    """The answers."""

    def __init__(self, here: Reports, tables: Tables, owner: Owner) -> None:
        self._here, self._tables, self._owner = here, tables, owner

    async def told(self, request: web.Request) -> web.Response:
        """What is counted, here and elsewhere."""
        strategy_id = request.query.get("strategy", "")
        if len(strategy_id.encode(errors="replace")) > MAX_STRATEGY_ID_BYTES:
            raise refused(web.HTTPBadRequest, f"strategy is longer than {MAX_STRATEGY_ID_BYTES} bytes")
        if strategy_id and not self._here.knows(strategy_id):
            raise refused(web.HTTPNotFound, f"there is no strategy {shortened(strategy_id)}")
        found = Gathered(list(self._here.reports(strategy_id)), self._here.silent())
        if not request.headers.get(HOP):
            found = await self._with_others(found, strategy_id)
        silent = {str(partition): why for partition, why in sorted(found.silent.items())}
        shards = [as_told(each) for each in sorted(found.reports)]
        return answer(200, {"partitions": self._tables.partitions, "shards": shards, "silent": silent})

    async def _with_others(self, found: Gathered, strategy_id: str) -> Gathered:
        """Ask for the shards that are not here."""
        here, silent = {each.shard for each in found.reports} | found.silent.keys(), dict(found.silent)
        elsewhere, lost = owners_of(self._tables, [p for p in range(self._tables.partitions) if p not in here])
        silent.update(lost)
        asked = [self._ask(url, partitions, strategy_id) for url, partitions in elsewhere.items()]
        reports = list(found.reports)
        for other in await asyncio.gather(*asked):
            reports += other.reports
            silent.update(other.silent)
        return Gathered(reports, silent)

    async def _ask(self, url: str, partitions: Sequence[int], strategy_id: str) -> Gathered:
        """What another worker says of the shards that it is known to own."""
        got = await self._owner.get(url, address(url, strategy_id), {HOP: "1"})
        try:
            read = read_answer(json.loads(got.body))
        except ValueError as error:
            return Gathered([], dict.fromkeys(partitions, str(error)))
        reports = [each for each in read.reports if each.shard in partitions]
        known = {each.shard for each in reports}
        missing = f"the worker at {url} does not count it; it is on its way, or recovers; ask again"
        return Gathered(reports, {p: read.silent.get(p, missing) for p in partitions if p not in known})


def read_answer(body: Any) -> Gathered:  # noqa: ANN401 - JSON
    """What a worker has said; raises ValueError where it is no such answer, or one that says why not."""
    told = body if isinstance(body, dict) else {}
    if not isinstance(told.get("shards"), list):
        problem = told.get("problem", "it is no answer of a worker about shadows")
        raise ValueError(problem)  # noqa: TRY004 - what is wrong is a value, for all
    silent = {int(partition): str(why) for partition, why in body["silent"].items()}
    return Gathered([read_report(each) for each in body["shards"]], silent)
