"""What shadows have counted, over HTTP; any worker answers for all.

    /rollout                  of all strategies
    /rollout?strategy=s1      of one

    {"partitions": 4, "shards": [...], "silent": {"3": "why nothing is known of it"}}

Shards of other workers are asked of these, each worker once. Nothing here decides: see `core/rollout.py`.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol
from urllib.parse import quote

from aiohttp import web
from yarl import URL

from streams.core.limits import MAX_STRATEGY_ID_BYTES
from streams.core.rollout import Report, as_told, read_report
from streams.errors import shortened
from streams.views.everywhere import Everywhere, Gathered, Question, parts_of
from streams.views.owner import Owner
from streams.views.tables import Tables, answer, refused


class Reports(Protocol):
    """What this worker has counted: see `kafka/shadow_reports.py`."""

    def knows(self, strategy_id: str) -> bool:
        """Whether there is such a strategy."""

    def reports(self, strategy_id: str = "") -> Sequence[Report]:
        """One for each shard that counts."""

    def silent(self) -> dict[int, str]:
        """Shards here that do not count, and why."""


def address(url: str, strategy_id: str = "") -> URL:
    """Where to ask a worker."""
    query = f"?strategy={quote(strategy_id, safe='')}" if strategy_id else ""
    return URL(f"{url}/rollout{query}", encoded=True)


class Rollout:
    """The answers."""

    def __init__(self, here: Reports, tables: Tables, owner: Owner) -> None:
        self._here, self._partitions, self._everywhere = here, tables.partitions, Everywhere(tables, owner)

    async def told(self, request: web.Request) -> web.Response:
        """What is counted, here and elsewhere."""
        strategy_id = request.query.get("strategy", "")
        if len(strategy_id.encode(errors="replace")) > MAX_STRATEGY_ID_BYTES:
            raise refused(web.HTTPBadRequest, f"strategy is longer than {MAX_STRATEGY_ID_BYTES} bytes")
        if strategy_id and not self._here.knows(strategy_id):
            raise refused(web.HTTPNotFound, f"there is no strategy {shortened(strategy_id)}")
        here = Gathered(by_shard(self._here.reports(strategy_id)), self._here.silent())
        question = Question(lambda url: address(url, strategy_id), read_answer)
        found = await self._everywhere.known(here, range(self._partitions), question, request)
        shards = [as_told(report) for _, report in found.in_order()]
        return answer(200, {"partitions": self._partitions, "shards": shards, "silent": found.silent_as_told()})


def by_shard(reports: Iterable[Report]) -> dict[int, Report]:
    """Each by the shard that it is of."""
    return {each.shard: each for each in reports}


def read_answer(body: Any) -> Gathered[Report]:  # noqa: ANN401 - JSON
    """What a worker has said; raises ValueError where it is no such answer, or one that says why not."""
    reports, silent = parts_of(body, list, "shadows")
    return Gathered(by_shard(read_report(each) for each in reports), silent)
