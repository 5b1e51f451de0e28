"""The small web server of the process that makes universes.

/healthz  200 as long as the event loop answers.
/readyz   200 where the last look had a product list and a broker; else 503, and why.
/metrics  Prometheus.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from streams.errors import InputError, os_trouble

SHUTDOWN_TIMEOUT_S: Final = 1.0
NOT_READY: Final = 503
_FRESH: Final = {"Cache-Control": "no-store"}

Expose = Callable[[str], tuple[bytes, str]]
"""Gives the metrics for an Accept header, and their content type."""


def application(expose: Expose, troubles: Callable[[], list[str]]) -> web.Application:
    """All answers. `troubles` says why it is not ready; nothing, where it is."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="alive\n", headers=_FRESH)

    async def readyz(_: web.Request) -> web.Response:
        found = troubles()
        told = {"ready": not found, "reasons": found}
        return web.json_response(told, status=NOT_READY if found else 200, headers=_FRESH)

    async def metrics(request: web.Request) -> web.Response:
        body, content_type = expose(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={**_FRESH, "Content-Type": content_type})

    answers: dict[str, Callable[[web.Request], Awaitable[web.Response]]]
    answers = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics}
    made = web.Application()
    made.add_routes([web.get(path, answer) for path, answer in answers.items()])
    return made


class Server:
    """The application on a port."""

    def __init__(self, served: web.Application) -> None:
        self._runner = web.AppRunner(served, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S, handle_signals=False)

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which is a free one where 0 was asked for."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            problem = f"cannot listen at {host}:{port} ({os_trouble(error)})"
            remedy = "write another port into universe.yaml, such as metrics: {port: 8001}; 0 for any"
            raise InputError("the metrics", problem, remedy) from error
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close every connection."""
        await self._runner.cleanup()
