"""The worker's own small web server: whether it lives, whether it is ready, its metrics, and its tables.

    /healthz  200 as long as the event loop answers.
    /readyz   200 once the worker has recovered and while every shard that it owns moves; else 503, and why.
    /metrics  Prometheus.
    /tables/  Rows; see `tables.py`.
    /rollout  What shadows have counted; see `rollout.py`.

It stands beside Faust's server and needs nothing of it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NamedTuple

from aiohttp import web

from streams.errors import InputError, os_trouble
from streams.views.owner import Owner
from streams.views.rollout import Reports, Rollout
from streams.views.status import WorkerStatus
from streams.views.tables import Tables, routes

SHUTDOWN_TIMEOUT_S: Final = 1.0
"""For answers under way when it stops; a worker must be gone within ten seconds."""

NOT_READY: Final = 503


Expose = Callable[[str], tuple[bytes, str]]
"""Gives the metrics for an Accept header, and their content type; see `Metrics.exposed`."""


class Readiness(NamedTuple):
    """Whether traffic may come, and what there is to say about it."""

    ready: bool
    report: dict[str, Any]


UNREADY: Final = "the worker has not recovered yet"
MEND_PORT: Final = "set TICKGATE_WEB_PORT to another, or to 0 for any, or mend TICKGATE_WEB_HOST"


def readiness(status: WorkerStatus, unready: str = UNREADY) -> Readiness:
    """Look at the worker, or whatever else is served, once."""
    shards = status.shards
    reasons = [] if status.ready else [unready]
    reasons += [
        f"shard {shard.partition} of {shard.topic} is {shard.state}{shard.reason and f': {shard.reason}'}"
        for shard in shards
        if not shard.moving
    ]
    ready = not reasons
    described = [{**shard._asdict(), "lag": shard.lag} for shard in shards]
    return Readiness(ready, {"ready": ready, "reasons": reasons, "shards": described})


def application(
    status: WorkerStatus,
    expose: Expose,
    tables: Tables | None = None,
    reports: Reports | None = None,
    unready: str = UNREADY,
) -> web.Application:
    """All answers; of tables and shadows, where there are some."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="alive\n", headers=_FRESH)

    async def readyz(_: web.Request) -> web.Response:
        found = readiness(status, unready)
        return web.json_response(found.report, status=200 if found.ready else NOT_READY, headers=_FRESH)

    async def metrics(request: web.Request) -> web.Response:
        body, content_type = expose(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={**_FRESH, "Content-Type": content_type})

    answers: dict[str, Callable[[web.Request], Awaitable[web.Response]]]
    answers = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics}
    made = web.Application()
    made.add_routes([web.get(path, answer) for path, answer in answers.items()])
    if tables is not None:
        owner = Owner()
        made.add_routes(routes(tables, owner))
        if reports is not None:
            made.add_routes([web.get("/rollout", Rollout(reports, tables, owner).told)])
        made.cleanup_ctx.append(lambda _: opened(owner))
    return made


async def opened(owner: Owner) -> AsyncIterator[None]:
    """While the application runs, other workers can be asked."""
    async with owner:
        yield


_FRESH: Final = {"Cache-Control": "no-store"}


class HealthServer:
    """The application on a port."""

    def __init__(
        self,
        status: WorkerStatus,
        expose: Expose,
        tables: Tables | None = None,
        reports: Reports | None = None,
        unready: str = UNREADY,
    ) -> None:
        served = application(status, expose, tables, reports, unready)
        self._runner = web.AppRunner(served, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S, handle_signals=False)

    async def start(self, host: str, port: int, remedy: str = MEND_PORT) -> int:
        """Listen; returns the port, which is a free one where 0 was asked for."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            problem = f"cannot listen at {host}:{port} ({os_trouble(error)})"
            raise InputError("the web server", problem, remedy) from error
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close every connection. May be called twice."""
        await self._runner.cleanup()
