"""The small web server that processes beside the worker have."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from streams.errors import InputError
from streams.trader.exporter import PrometheusExporter
from streams.views.served import Server, application, ready_but_for

HOST = "127.0.0.1"


def asked(path: str, *troubles: str) -> tuple[int, str, Any]:
    async def main() -> tuple[int, str, Any]:
        server = Server(application(PrometheusExporter().exposed, lambda: ready_but_for(troubles)), "name another")
        port = await server.start(HOST, 0)
        try:
            async with aiohttp.ClientSession() as client, client.get(f"http://{HOST}:{port}{path}") as got:
                return got.status, got.content_type, await got.text()
        finally:
            await server.stop()

    return asyncio.run(main())


def test_it_is_ready_where_nothing_is_wrong_and_else_says_why() -> None:
    assert asked("/healthz", "no list")[::2] == (200, "alive\n")
    status, _, told = asked("/readyz")
    assert (status, json.loads(told)) == (200, {"ready": True, "reasons": []})
    status, _, told = asked("/readyz", "no list")
    assert (status, json.loads(told)) == (503, {"ready": False, "reasons": ["no list"]})


def test_metrics_come_as_prometheus_wants_them() -> None:
    status, kind, told = asked("/metrics")
    assert (status, kind) == (200, "text/plain")
    assert "# TYPE trader_trades_per_hour gauge" in told


def test_a_port_that_is_taken_is_told_with_the_remedy() -> None:
    async def main() -> None:
        served = application(PrometheusExporter().exposed, lambda: ready_but_for(()))
        one, other = (Server(served, "name another") for _ in range(2))
        port = await one.start(HOST, 0)
        try:
            with pytest.raises(InputError, match=f"the web server: cannot listen at {HOST}:{port} .*; name another"):
                await other.start(HOST, port)
        finally:
            await one.stop()

    asyncio.run(main())
