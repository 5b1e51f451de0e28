"""A process's own small web server: whether it lives, whether it is ready, and its metrics.

/healthz  200 as long as the event loop answers.
/readyz   200 while there is nothing to say against it; else 503, and why.
/metrics  Prometheus.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from aiohttp import web

from streams.errors import InputError, os_trouble

SHUTDOWN_TIMEOUT_S: Final = 1.0
"""For answers under way when it stops; a worker must be gone within ten seconds."""

NOT_READY: Final = 503
FRESH: Final = {"Cache-Control": "no-store"}

Expose = Callable[[str], tuple[bytes, str]]
"""Gives the metrics for an Accept header, and their content type; see `OwnRegistry.exposed`."""


class Readiness(NamedTuple):
    """Whether traffic may come, and what there is to say about it."""

    ready: bool
    report: dict[str, Any]


def ready_but_for(reasons: Sequence[str]) -> Readiness:
    """Ready where nothing speaks against it."""
    return Readiness(not reasons, {"ready": not reasons, "reasons": list(reasons)})


def application(expose: Expose, look: Callable[[], Readiness]) -> web.Application:
    """The answers that all have."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="alive\n", headers=FRESH)

    async def readyz(_: web.Request) -> web.Response:
        found = look()
        return web.json_response(found.report, status=200 if found.ready else NOT_READY, headers=FRESH)

    async def metrics(request: web.Request) -> web.Response:
        body, content_type = expose(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={**FRESH, "Content-Type": content_type})

    answers: dict[str, Callable[[web.Request], Awaitable[web.Response]]]
    answers = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics}
    made = web.Application()
    made.add_routes([web.get(path, answer) for path, answer in answers.items()])
    return made


class Server:
    """An application on a port."""

    def __init__(self, served: web.Application, remedy: str) -> None:
        """Take what to do where the port can't be had."""
        self._runner = web.AppRunner(served, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S, handle_signals=False)
        self._remedy = remedy

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which is a free one where 0 was asked for."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            problem = f"cannot listen at {host}:{port} ({os_trouble(error)})"
            raise InputError("the web server", problem, self._remedy) from error
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close every connection. May be called twice."""
        await self._runner.cleanup()
