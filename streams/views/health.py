"""The worker's own small web server: whether it lives, whether it is ready, its metrics, and its tables.

    /healthz  200 as long as the event loop answers.
    /readyz   200 once the worker has recovered and while every shard that it owns moves; else 503, and why.
    /metrics  Prometheus.
    /tables/  Rows; see `tables.py`.
    /rollout  What shadows have counted; see `rollout.py`.
    /state    What stands of a ticker or a strategy; see `state.py`.

It stands beside Faust's server and needs nothing of it.
"""

from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from aiohttp import web

from streams.views import served
from streams.views.owner import Owner
from streams.views.rollout import Reports, Rollout
from streams.views.served import Expose, Readiness, Server
from streams.views.state import States, StateView
from streams.views.status import WorkerStatus
from streams.views.tables import Tables, routes

MEND_PORT: Final = "set TICKGATE_WEB_PORT to another, or to 0 for any, or mend TICKGATE_WEB_HOST"


def readiness(status: WorkerStatus) -> Readiness:
    """Look at the worker once."""
    shards = status.shards
    reasons = [] if status.ready else ["the worker has not recovered yet"]
    reasons += [
        f"shard {shard.partition} of {shard.topic} is {shard.state}{shard.reason and f': {shard.reason}'}"
        for shard in shards
        if not shard.moving
    ]
    described = [{**shard._asdict(), "lag": shard.lag} for shard in shards]
    return Readiness(not reasons, {"ready": not reasons, "reasons": reasons, "shards": described})


class Shown(NamedTuple):
    """What is told of the shards, beside their health."""

    tables: Tables
    reports: Reports | None = None
    states: States | None = None


def application(status: WorkerStatus, expose: Expose, shown: Shown | None = None) -> web.Application:
    """All answers; of tables, shadows and states, where there are some."""
    made = served.application(expose, lambda: readiness(status))
    if shown is not None:
        owner = Owner()
        made.add_routes(routes(shown.tables, owner))
        if shown.reports is not None:
            made.add_routes([web.get("/rollout", Rollout(shown.reports, shown.tables, owner).told)])
        if shown.states is not None:
            made.add_routes([web.get("/state", StateView(shown.states, shown.tables, owner).told)])
        made.cleanup_ctx.append(lambda _: opened(owner))
    return made


async def opened(owner: Owner) -> AsyncIterator[None]:
    """While the application runs, other workers can be asked."""
    async with owner:
        yield


class HealthServer(Server):
    """The application on a port."""

    def __init__(self, status: WorkerStatus, expose: Expose, shown: Shown | None = None) -> None:
        super().__init__(application(status, expose, shown), MEND_PORT)
