"""Health over real HTTP: alive, ready or why not, metrics; on any port, and gone when it stops."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streams.errors import InputError
from streams.instruments import Done, ShardStatus
from streams.metrics import Metrics
from streams.views.health import HealthServer

HOST = "127.0.0.1"
RUNNING = ShardStatus("w.ticks", 0, "running", moving=True, position=7, end=9)
STOPPED = ShardStatus("w.ticks", 1, "stopped", moving=False, position=3, end=8, reason="FencedError: another owner")


@dataclass
class Status:
    """What a worker would say of itself."""

    ready: bool = True
    shards: list[ShardStatus] = field(default_factory=list)


@dataclass
class Answer:
    """What the server said."""

    status: int
    text: str
    headers: dict[str, str]


Get = Callable[..., Awaitable[Answer]]


def served(status: Status, ask: Callable[[Get], Awaitable[None]], metrics: Metrics | None = None) -> None:
    """Start a server on any port, ask it, and stop it."""

    async def main() -> None:
        server = HealthServer(status, (metrics or Metrics()).exposed)
        port = await server.start(HOST, 0)
        try:
            async with aiohttp.ClientSession(f"http://{HOST}:{port}") as client:

                async def get(path: str, **headers: str) -> Answer:
                    async with client.get(path, headers=headers) as response:
                        return Answer(response.status, await response.text(), dict(response.headers))

                await ask(get)
        finally:
            await server.stop()

    asyncio.run(main())


def readyz(status: Status) -> tuple[int, dict[str, object]]:
    answers: list[Answer] = []

    async def ask(get: Get) -> None:
        answers.append(await get("/readyz"))

    served(status, ask)
    return answers[0].status, json.loads(answers[0].text)


def test_it_is_alive_as_long_as_it_answers_ready_or_not() -> None:
    async def ask(get: Get) -> None:
        answer = await get("/healthz")
        assert (answer.status, answer.text) == (200, "alive\n")
        assert answer.headers["Cache-Control"] == "no-store"

    served(Status(ready=False, shards=[STOPPED]), ask)


def test_it_is_ready_when_recovered_and_every_shard_moves() -> None:
    assert readyz(Status(shards=[RUNNING])) == (
        200,
        {
            "ready": True,
            "reasons": [],
            "shards": [
                {
                    "topic": "w.ticks",
                    "partition": 0,
                    "state": "running",
                    "moving": True,
                    "position": 7,
                    "end": 9,
                    "reason": "",
                    "lag": 2,
                }
            ],
        },
    )


def test_a_worker_that_was_given_no_shard_is_ready() -> None:
    assert readyz(Status()) == (200, {"ready": True, "reasons": [], "shards": []})


def test_a_shard_that_stopped_makes_it_not_ready_and_says_why() -> None:
    code, report = readyz(Status(shards=[RUNNING, STOPPED]))
    assert (code, report["ready"]) == (503, False)
    assert report["reasons"] == ["shard 1 of w.ticks is stopped: FencedError: another owner"]
    assert isinstance(report["shards"], list)
    assert [(each["state"], each["position"], each["end"]) for each in report["shards"]] == [
        ("running", 7, 9),
        ("stopped", 3, 8),
    ]


def test_before_it_has_recovered_it_is_not_ready() -> None:
    code, report = readyz(Status(ready=False, shards=[RUNNING._replace(state="recovering", moving=False)]))
    assert code == 503
    assert report["reasons"] == ["the worker has not recovered yet", "shard 0 of w.ticks is recovering"]


def test_what_it_says_follows_the_worker() -> None:
    status = Status(ready=False)

    async def ask(get: Get) -> None:
        assert (await get("/readyz")).status == 503
        status.ready = True
        assert (await get("/readyz")).status == 200

    served(status, ask)


@pytest.mark.parametrize(
    ("accept", "content_type", "ending"),
    [
        ("", "text/plain; version=", ""),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=", "# EOF\n"),
    ],
)
def test_metrics_come_in_the_format_that_is_asked_for(accept: str, content_type: str, ending: str) -> None:
    metrics = Metrics()
    metrics.done(Done(0.1, ticks=42))

    async def ask(get: Get) -> None:
        answer = await get("/metrics", Accept=accept)
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith(content_type)
        assert "\ntickgate_ticks_total 42.0\n" in answer.text
        assert answer.text.endswith(ending)

    served(Status(), ask, metrics)


def test_metrics_are_those_of_the_moment_and_parse() -> None:
    metrics = Metrics()

    async def ask(get: Get) -> None:
        for expected in (1.0, 2.0):
            metrics.universe_discoveries(1)
            families = {each.name: each for each in text_string_to_metric_families((await get("/metrics")).text)}
            assert families["universe_discoveries"].samples[0].value == expected

    served(Status(), ask, metrics)


def test_other_paths_and_methods_are_refused() -> None:
    async def ask(get: Get) -> None:
        assert (await get("/")).status == 404
        assert (await get("/healthz/..%2f")).status == 404

    served(Status(), ask)


def test_a_port_that_is_taken_is_told_with_the_remedy() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        server = HealthServer(Status(), Metrics().exposed)
        with pytest.raises(InputError, match=rf"cannot listen at {HOST}:{port} .*in use.*TICKGATE_WEB_PORT"):
            asyncio.run(server.start(HOST, port))


def test_after_it_has_stopped_nobody_listens_and_stopping_again_is_nothing() -> None:
    async def main() -> int:
        server = HealthServer(Status(), Metrics().exposed)
        port = await server.start(HOST, 0)
        await server.stop()
        await server.stop()
        return port

    with socket.socket() as client:
        assert client.connect_ex((HOST, asyncio.run(main()))) != 0


@pytest.mark.parametrize("left", [b"", b"GET /healthz HTTP/1.1\r\nHo"])
def test_a_client_that_keeps_its_connection_does_not_hold_up_the_stop(left: bytes) -> None:
    async def main() -> None:
        server = HealthServer(Status(), Metrics().exposed)
        port = await server.start(HOST, 0)
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + left)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(5):
            await server.stop()
            await reader.read()  # to the end: it was closed
        writer.close()

    asyncio.run(main())
