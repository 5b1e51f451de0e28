"""What is no worker, where others look for one."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

HOST = "127.0.0.1"


@asynccontextmanager
async def stranger(answer: Callable[[], web.Response]) -> AsyncIterator[str]:
    """It says this to whatever it is asked; where it is found."""

    async def say(_: web.Request) -> web.Response:
        return answer()

    made = web.Application()
    made.add_routes([web.get("/{path:.*}", say)])
    runner = web.AppRunner(made)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
