"""What shadows have counted, over real HTTP: of this worker, of others, and what is said where nobody can tell."""

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from streams.core.limits import MAX_STRATEGY_ID_BYTES
from streams.core.rollout import Report, as_told
from streams.core.shadow import ShadowCounts
from streams.instruments import ShardStatus
from streams.metrics import Metrics
from streams.views.health import HealthServer, Shown
from streams.views.owner import HOP, own_url
from streams.views.rollout import address, read_answer
from streams.views.tables import Tables
from tests.views.stranger import stranger

HOST = "127.0.0.1"
PARTITIONS = 3


def report(shard: int, **counts: int) -> Report:
    return Report(shard, 5, 9, 4, 1, 0, ShadowCounts(**counts), {})


@dataclass
class Worker:
    """What stands in for a worker: its reports, and whom it takes for the owners of other shards."""

    told: list[Report] = field(default_factory=lambda: [report(0, both=3)])
    quiet: dict[int, str] = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=dict)
    url: str = ""
    ready: bool = True
    shards: list[ShardStatus] = field(default_factory=list)
    asked_of: list[str] = field(default_factory=list)

    def knows(self, strategy_id: str) -> bool:
        return strategy_id == "s/1 ß"

    def reports(self, strategy_id: str = "") -> list[Report]:
        self.asked_of.append(strategy_id)
        return self.told

    def silent(self) -> dict[int, str]:
        return self.quiet


@asynccontextmanager
async def serving(worker: Worker) -> Any:
    tables = Tables({}, PARTITIONS, worker, lambda each: worker.owners.get(each, ""), lambda: worker.url)
    server = HealthServer(worker, Metrics().exposed, Shown(tables, worker))
    worker.url = own_url("", HOST, await server.start(HOST, 0))
    try:
        yield
    finally:
        await server.stop()


def asked(*workers: Worker, strategy_id: str = "", others: dict[int, int] | None = None, **headers: str) -> Any:
    """Serve the workers, and ask the first, which takes `others` for the owners of shards, by place."""

    async def main() -> Any:
        async with AsyncExitStack() as running, aiohttp.ClientSession() as client:
            for worker in workers:
                await running.enter_async_context(serving(worker))
            workers[0].owners |= {shard: workers[at].url for shard, at in (others or {}).items()}
            async with client.get(address(workers[0].url, strategy_id), headers=headers) as got:
                return got.status, await got.json()

    return asyncio.run(main())


def test_a_worker_tells_of_all_shards_and_asks_each_other_worker_once() -> None:
    here, there = Worker(), Worker([report(1, both=1), report(2, only_old=2)])
    status, told = asked(here, there, others={1: 1, 2: 1})
    assert status == 200
    assert [each["counts"]["both"] for each in told["shards"]] == [3, 1, 0]
    assert (told["partitions"], told["silent"]) == (3, {})
    assert there.asked_of == [""]
    assert [*read_answer(told).shards] == [0, 1, 2]


def test_who_is_asked_by_a_worker_asks_nobody_else() -> None:
    here, there = Worker(), Worker([report(1)])
    _, told = asked(here, there, others={1: 1}, **{HOP: "1"})
    assert [each["shard"] for each in told["shards"]] == [0]
    assert there.asked_of == []


def test_of_one_strategy_the_others_are_asked_too() -> None:
    here, there = Worker(), Worker([report(1)])
    status, _ = asked(here, there, strategy_id="s/1 ß", others={1: 1})
    assert (status, here.asked_of, there.asked_of) == (200, ["s/1 ß"], ["s/1 ß"])


@pytest.mark.parametrize(("strategy_id", "status"), [("other", 404), ("x" * (MAX_STRATEGY_ID_BYTES + 1), 400)])
def test_a_strategy_that_is_not_there_is_an_error(strategy_id: str, status: int) -> None:
    found, told = asked(Worker(), strategy_id=strategy_id)
    assert found == status
    assert "strategy" in told["problem"]


def test_shards_of_which_nobody_can_tell_are_named_with_the_reason() -> None:
    here = Worker([], {0: "its worker runs without a shadow"})
    there = Worker([], {1: "as here"})
    _, told = asked(here, there, others={1: 1, 2: 1})
    assert told["shards"] == []
    assert told["silent"]["0"] == "its worker runs without a shadow"
    assert told["silent"]["1"] == "as here"
    assert told["silent"]["2"].startswith(f"the worker at {there.url} does not have it")
    _, told = asked(Worker(), others={1: 0})
    assert [each.partition(";")[0] for each in told["silent"].values()] == ["nobody is known to own it"] * 2


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        ({"problem": "not now"}, 503, "not now"),
        ([1], 200, "no answer of a worker"),
        ({"shards": []}, 200, "no answer of a worker"),
        ({"shards": [{"shard": 1}], "silent": {}}, 200, "no report of a shard"),
        ({"shards": [as_told(report(2))], "silent": {}}, 200, "does not have it"),
        ({}, 500, "is no worker"),
    ],
)
def test_an_owner_that_gives_no_good_answer_is_told_of(body: Any, status: int, problem: str) -> None:
    async def main() -> Any:
        async with (
            stranger(lambda: web.json_response(body, status=status)) as elsewhere,
            aiohttp.ClientSession() as client,
        ):
            here = Worker(owners={1: elsewhere})
            async with serving(here), client.get(address(here.url)) as got:
                return json.loads(await got.read())

    told = asyncio.run(main())
    assert problem in told["silent"]["1"]
    assert [each["shard"] for each in told["shards"]] == [0]


def test_an_address_keeps_every_letter_of_an_id() -> None:
    assert address("http://h:1", "a&b=ß#?") == URL("http://h:1/rollout?strategy=a%26b%3D%C3%9F%23%3F", encoded=True)
