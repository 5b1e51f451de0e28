"""The tables over real HTTP: rows of this worker, rows of another, and what is said where nobody can tell."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from streams.core.events import Status, Strategy
from streams.core.limits import MAX_STRATEGY_ID_BYTES, MAX_TICKER_BYTES
from streams.instruments import ShardStatus
from streams.kafka.partitions import partition_of
from streams.metrics import Metrics
from streams.views import owner
from streams.views.health import HealthServer, Shown
from streams.views.owner import HOP, own_url
from streams.views.tables import Table, Tables, strategy_row
from tests.views.stranger import stranger

HOST = "127.0.0.1"
PARTITIONS = 4
HERE, THERE = 0, 1
"""Two shards."""


def ticker_of(partition: int, form: str = "T{}") -> str:
    """A ticker whose ticks stand in a partition."""
    return next(each for i in range(1000) if partition_of((each := form.format(i)).encode(), PARTITIONS) == partition)


def shard(partition: int, state: str = "running", reason: str = "") -> ShardStatus:
    return ShardStatus("ticks", partition, state, state == "running", 0, 0, reason)


@dataclass
class Worker:
    """What stands in for a worker: its rows, its shards, and whom it takes for the owners of the others."""

    updates: dict[str, int] = field(default_factory=dict)
    shards: list[ShardStatus] = field(default_factory=lambda: [shard(HERE)])
    ready: bool = True
    url: str = ""
    owners: dict[int, str] = field(default_factory=dict)
    strategies: dict[str, Strategy] = field(default_factory=dict)

    def tables(self) -> Tables:
        buckets = {ticker: {"s1": ts_ms} for ticker, ts_ms in self.updates.items()}
        tables = {
            "last_update": Table(self.updates, by_ticker=True),
            "last_bucket": Table(buckets, by_ticker=True),
            "strategies": Table(self.strategies, by_ticker=False, as_json=strategy_row),
        }
        return Tables(tables, PARTITIONS, self, lambda each: self.owners.get(each, ""), lambda: self.url)


class Answer(NamedTuple):
    """What the first worker said."""

    status: int
    told: dict[str, Any]


Ask = Callable[..., Awaitable[Answer]]


@asynccontextmanager
async def serving(worker: Worker) -> Any:
    server = HealthServer(worker, Metrics().exposed, Shown(worker.tables()))
    worker.url = own_url("", HOST, await server.start(HOST, 0))
    try:
        yield
    finally:
        await server.stop()


def served(*workers: Worker, ask: Callable[[Ask], Awaitable[None]]) -> None:
    """Serve the workers, and ask the first."""

    async def main() -> None:
        async with AsyncExitStack() as running, aiohttp.ClientSession() as client:
            for worker in workers:
                await running.enter_async_context(serving(worker))

            async def get(path: str, **headers: str) -> Answer:
                url = URL(f"{workers[0].url}{path}", encoded=True)
                async with client.get(url, headers=headers) as response:
                    assert response.headers["Cache-Control"] == "no-store"
                    return Answer(response.status, json.loads(await response.read()))

            await ask(get)

    asyncio.run(main())


def asked(path: str, worker: Worker, **headers: str) -> Answer:
    """One answer of one worker."""
    answers: list[Answer] = []

    async def ask(get: Ask) -> None:
        answers.append(await get(path, **headers))

    served(worker, ask=ask)
    return answers[0]


@pytest.mark.parametrize("path", ["/tables", "/tables/"])
def test_it_lists_the_tables(path: str) -> None:
    assert asked(path, Worker()) == (200, {"tables": ["last_bucket", "last_update", "strategies"]})


@pytest.mark.parametrize("ticker", [ticker_of(HERE), ticker_of(HERE, "A/{}"), ticker_of(HERE, "Ü %{}?#")])
@pytest.mark.parametrize(("table", "row"), [("last_update", 77), ("last_bucket", {"s1": 77})])
def test_a_row_of_this_worker_comes_from_here(ticker: str, table: str, row: Any) -> None:
    path = f"/tables/{table}/{quote(ticker, safe='')}"
    assert asked(path, Worker({ticker: 77})) == (200, {"table": table, "key": ticker, "row": row})


def test_a_strategy_is_shown_with_every_field_by_any_worker() -> None:
    strategies = {
        "s/1": Strategy("s/1", "5m", frozenset({"B", "A"}), version=3),
        "all": Strategy("all", "1h", status=Status.PAUSED),
    }

    async def ask(get: Ask) -> None:
        assert (await get("/tables/strategies/s%2F1")).told["row"] == {
            "strategy_id": "s/1",
            "timeframe": "5m",
            "universe": ["A", "B"],
            "status": "active",
            "version": 3,
            "time_zone": "UTC",
            "session": "",
            "mode": None,
            "coalesce_ms": None,
        }
        row = (await get("/tables/strategies/all")).told["row"]
        assert (row["universe"], row["status"]) == ("all", "paused")

    served(Worker(shards=[], strategies=strategies), ask=ask)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (f"/tables/last_update/{ticker_of(HERE)}", f"last_update has no row for '{ticker_of(HERE)}'"),
        ("/tables/strategies/s1", "strategies has no row for 's1'"),
        ("/tables/none/X", "there is no table 'none'; there are last_bucket, last_update, strategies"),
        ("/tables/none", "there is no table 'none'; there are last_bucket, last_update, strategies"),
    ],
)
def test_what_is_not_there_is_404_and_says_so(path: str, problem: str) -> None:
    assert asked(path, Worker()) == (404, {"problem": problem})


@pytest.mark.parametrize(("table", "most"), [("last_update", MAX_TICKER_BYTES), ("strategies", MAX_STRATEGY_ID_BYTES)])
def test_a_key_may_be_as_long_as_a_name_can_be_and_no_longer(table: str, most: int) -> None:
    longest = ticker_of(HERE, "X" * (most - 3) + "{:03}")
    assert asked(f"/tables/{table}/{longest}", Worker()).status == 404
    told = asked(f"/tables/{table}/{longest}X", Worker())
    assert told == (400, {"problem": f"the key has {most + 1} bytes, the limit is {most}"})


@pytest.mark.parametrize("key", ["%FF", "%00", "%ED%A0%80", "..", "%2e%2e", "%E2%82"])
def test_a_key_that_is_no_name_is_no_row(key: str) -> None:
    everywhere = Worker(shards=[shard(each) for each in range(PARTITIONS)])
    assert asked(f"/tables/last_update/{key}", everywhere).status == 404


def test_keys_are_listed_up_to_a_limit_and_more_are_mentioned() -> None:
    async def ask(get: Ask) -> None:
        two = await get("/tables/last_update?limit=2")
        assert two == (200, {"table": "last_update", "keys": ["A", "B"], "more": True})
        three = {"table": "last_update", "keys": ["A", "B", "C"], "more": False}
        assert (await get("/tables/last_update?limit=3")).told == three
        assert (await get("/tables/last_update")).told["keys"] == ["A", "B", "C"]
        for wrong in ("0", "-1", "10001", "x", "", "1e3", "9" * 5000, "²"):
            answer = await get(f"/tables/last_update?limit={quote(wrong)}")
            assert (answer.status, "write a number from 1 to 10000" in answer.told["problem"]) == (400, True)

    served(Worker({"A": 1, "B": 2, "C": 3}), ask=ask)


@pytest.mark.parametrize("path", ["/tables/last_update", "/tables/strategies", "/tables/strategies/s1"])
def test_while_it_recovers_nobody_can_say(path: str) -> None:
    told = asked(path, Worker(ready=False, strategies={"s1": Strategy("s1", "5m")}))
    assert told == (503, {"problem": "this worker has not recovered yet; ask again"})


@pytest.mark.parametrize(
    ("standing", "problem"),
    [
        (shard(HERE, "recovering"), "shard 0 is recovering; ask again"),
        (shard(HERE, "stopped", "fenced"), "shard 0 is stopped: fenced; ask again"),
        (shard(HERE, "closed"), "nobody is known to own shard 0; ask again"),
        (shard(THERE), "nobody is known to own shard 0; ask again"),
    ],
)
def test_a_row_of_a_shard_that_is_not_in_force_is_503_though_there_is_one(standing: ShardStatus, problem: str) -> None:
    ticker = ticker_of(HERE)
    assert asked(f"/tables/last_update/{ticker}", Worker({ticker: 1}, [standing])) == (503, {"problem": problem})


@pytest.mark.parametrize("ticker", [ticker_of(THERE), ticker_of(THERE, "A/{}"), ticker_of(THERE, "Ü %{}?#")])
def test_a_row_of_another_worker_is_asked_of_that_one(ticker: str) -> None:
    here, there = Worker(), Worker({ticker: 99}, [shard(THERE)])
    missing = ticker_of(THERE, "missing{}")

    async def ask(get: Ask) -> None:
        here.owners[THERE] = there.url
        told = await get(f"/tables/last_bucket/{quote(ticker, safe='')}")
        assert told == (200, {"table": "last_bucket", "key": ticker, "row": {"s1": 99}})
        told = await get(f"/tables/last_update/{missing}")
        assert told == (404, {"problem": f"last_update has no row for '{missing}'"})
        there.shards = [shard(THERE, "recovering")]
        assert (await get(f"/tables/last_update/{missing}")).told["problem"] == "shard 1 is recovering; ask again"

    served(here, there, ask=ask)


def test_two_workers_that_take_each_other_for_the_owner_do_not_go_round_and_round() -> None:
    here, there = Worker(), Worker(shards=[])

    async def ask(get: Ask) -> None:
        here.owners[THERE], there.owners[THERE] = there.url, here.url
        told = await get(f"/tables/last_update/{ticker_of(THERE)}")
        assert told == (503, {"problem": "shard 1 is not here, where another worker looks for it; ask again"})

    served(here, there, ask=ask)


def test_a_worker_that_is_asked_by_another_asks_nobody() -> None:
    worker = Worker(owners={THERE: "http://127.0.0.1:9"})
    told = asked(f"/tables/last_update/{ticker_of(THERE)}", worker, **{HOP: "1"})
    assert told == (503, {"problem": "shard 1 is not here, where another worker looks for it; ask again"})


def test_a_worker_that_is_told_that_it_is_itself_the_owner_does_not_ask_itself() -> None:
    here = Worker()

    async def ask(get: Ask) -> None:
        here.owners[THERE] = here.url
        told = await get(f"/tables/last_update/{ticker_of(THERE)}")
        assert told.status == 503
        assert f"{here.url} is this worker" in told.told["problem"]
        assert "TICKGATE_ADVERTISED_URL" in told.told["problem"]

    served(here, ask=ask)


def test_an_owner_that_nobody_reaches_is_503() -> None:
    with socket.socket() as closed:  # bound, and nobody listens
        closed.bind((HOST, 0))
        url = f"http://{HOST}:{closed.getsockname()[1]}"
        told = asked(f"/tables/last_update/{ticker_of(THERE)}", Worker(owners={THERE: url}))
    assert told.status == 503
    assert told.told["problem"].startswith(f"the owner, {url}, does not answer (Client")


def test_an_owner_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "ASK_TIMEOUT_S", 0.05)
    with socket.create_server((HOST, 0)) as silent:
        url = f"http://{HOST}:{silent.getsockname()[1]}"
        told = asked(f"/tables/last_update/{ticker_of(THERE)}", Worker(owners={THERE: url}))
    assert (told.status, "does not answer (TimeoutError)" in told.told["problem"]) == (503, True)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda: web.Response(status=200, text="<html>"), "is no worker: it answers with 200"),
        (lambda: web.Response(status=302, headers={"Location": "/elsewhere"}), "is no worker: it answers with 302"),
        (lambda: web.json_response({"row": "x" * 100}), "answers with more than 64 bytes"),
    ],
)
def test_what_is_no_worker_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[], web.Response], problem: str
) -> None:
    monkeypatch.setattr(owner, "MAX_ROW_BYTES", 64)

    async def main() -> Answer:
        async with stranger(answer) as elsewhere, aiohttp.ClientSession() as client:
            here = Worker(owners={THERE: elsewhere})
            path = f"/tables/last_update/{ticker_of(THERE)}"
            async with serving(here), client.get(f"{here.url}{path}") as response:
                return Answer(response.status, await response.json())

    told = asyncio.run(main())
    assert (told.status, problem in told.told["problem"]) == (503, True), told


@pytest.mark.parametrize(
    ("said", "host", "found"),
    [
        ("https://w1.example", "127.0.0.1", "https://w1.example"),
        ("", "127.0.0.1", "http://127.0.0.1:7"),
        ("", "::1", "http://[::1]:7"),
        ("", "0.0.0.0", f"http://{socket.gethostname()}:7"),  # noqa: S104 - only read
        ("", "::", f"http://{socket.gethostname()}:7"),
    ],
)
def test_others_find_a_worker_where_it_says_or_where_it_listens(said: str, host: str, found: str) -> None:
    assert own_url(said, host, 7) == found


def test_a_post_changes_nothing() -> None:
    worker = Worker({ticker_of(HERE): 1})

    async def main() -> int:
        path = f"/tables/last_update/{ticker_of(HERE)}"
        async with serving(worker), aiohttp.ClientSession() as client, client.post(f"{worker.url}{path}") as response:
            return response.status

    assert asyncio.run(main()) == 405
