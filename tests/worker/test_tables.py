"""Real workers on a real broker: each answers for the rows of all, and one goes on from its copy of another's."""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from confluent_kafka import Producer

from bench import workload
from bench.kafka_flow import producer, put
from bench.kafka_ground import PARTITIONS, Ground, Place, import_strategies, make_topics
from bench.kafka_worker import Worker
from streams.core.events import Strategy
from streams.kafka.clients import transactional_id
from streams.kafka.partitions import partition_of
from streams.settings import Settings
from tests.kafka.shared_broker import SharedBroker

LINGER_MS = 5.0
MINUTE = 60_000
START_MS = workload.START_MS // MINUTE * MINUTE
TICKERS = [f"T{i}" for i in range(40)] + ["A/B", "Ü %?#"]


@pytest.fixture
def place(real_broker: SharedBroker, tmp_path: Path) -> Place:
    prefix = f"{tmp_path.name[-20:].replace('_', '-')}-{os.getpid()}."
    place = Place(Ground(real_broker.bootstrap, real_broker.kind, tmp_path), prefix, "tables", "exactly_once")
    make_topics(place)
    import_strategies(place, [Strategy("s/1", "1m", frozenset(TICKERS))])
    return place


@contextmanager
def running(place: Place, *names: str) -> Iterator[list[Worker]]:
    """Workers by their names; all are stopped in the end."""
    with ExitStack() as started:
        yield [started.enter_context(Worker(place, name)) for name in names]


def send(place: Place, minute: int, tickers: list[str]) -> None:
    """One tick of each ticker, in a minute; returns when the broker has them."""
    to = producer(place.ground.bootstrap, LINGER_MS)
    ts_ms = START_MS + minute * MINUTE
    for ticker in tickers:
        put(to, place.topics.ticks, ticker.encode(), workload.encode(ticker, ts_ms, 100.0), ts_ms)
    assert to.flush(60) == 0


def asked(worker: Worker, path: str) -> tuple[int, dict[str, Any]]:
    with closing(HTTPConnection("127.0.0.1", worker._port, timeout=10)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def row(worker: Worker, table: str, key: str) -> Any:
    """A row, or the status where there is none."""
    status, told = asked(worker, f"/tables/{table}/{quote(key, safe='')}")
    return told["row"] if status == 200 else status


def share(workers: list[Worker]) -> None:
    """Wait until every shard moves, and each worker has some."""
    half = PARTITIONS // len(workers)
    for worker in workers:
        worker.wait_until(lambda each: len(each.partitions()) == half and each.readiness()["ready"], "sharing")


def knows(ticker: str, minute: int) -> Callable[[Worker], bool]:
    ts_ms = START_MS + minute * MINUTE
    return lambda worker: bool(row(worker, "last_update", ticker) == ts_ms)


def test_each_worker_answers_for_the_rows_of_both(place: Place) -> None:
    with running(place, "w0", "w1") as workers:
        share(workers)
        send(place, 1, TICKERS)
        for worker in workers:
            for ticker in TICKERS:
                worker.wait_until(knows(ticker, 1), f"told of {ticker}")
                assert row(worker, "last_bucket", ticker) == {"s/1": START_MS + MINUTE}
            assert row(worker, "last_update", "NONE") == 404
            assert row(worker, "strategies", "s/1")["universe"] == sorted(TICKERS)
        held = [asked(worker, "/tables/last_update?limit=1000")[1]["keys"] for worker in workers]
        assert sorted(held[0] + held[1]) == sorted(TICKERS)
        assert all(held), "a worker was asked for what it has, and for what it has not"
        for worker, keys in zip(workers, held, strict=True):
            assert {partition_of(key.encode(), PARTITIONS) for key in keys} <= worker.partitions()


def test_a_shard_that_was_shut_out_shows_what_waits_and_goes_on_where_nobody_else_has(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKGATE_SESSION_TIMEOUT_MS", "3000")
    monkeypatch.setenv("TICKGATE_HEARTBEAT_MS", "500")
    ticker = TICKERS[0]
    shard = partition_of(ticker.encode(), PARTITIONS)
    with running(place, "w0") as (worker,):
        worker.wait_until_ready(PARTITIONS)
        settings = Settings(topic_prefix=place.prefix, app_id=place.app_id)
        stranger = {"bootstrap.servers": place.ground.bootstrap, "transactional.id": transactional_id(settings, shard)}
        Producer(stranger).init_transactions()  # shuts the shard out
        send(place, 1, [ticker])
        worker.wait_until(lambda each: shard not in each.partitions(), "told that it is shut out")
        send(place, 2, [ticker] * 500)
        worker.wait_until(lambda each: each.readiness()["shards"][shard]["lag"] == 501, "told of what waits")
        worker.wait_until(lambda each: each.readiness()["shards"][shard]["lag"] == 0, "going on")
        assert worker.readiness()["ready"]
        worker.wait_until(knows(ticker, 2), "told of the last tick")


COPIED = re.compile(r"shard (\d) goes on from its copy, which holds last_update up to (\d+), last_bucket up to (\d+)")
"""What a worker says when it takes a shard over of which it kept a copy."""


def taken_over(worker: Worker) -> list[tuple[int, int]]:
    """Of each shard that it went on with from a copy: which, and up to where its copy of `last_bucket` went."""
    said = worker._log.read_text()
    assert "were read again" not in said, "what Faust handed over was not whole"
    return [(int(shard), int(last_bucket)) for shard, _, last_bucket in COPIED.findall(said)]


def test_who_keeps_a_copy_goes_on_from_it_as_often_as_the_owner_is_killed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKGATE_STANDBY_REPLICAS", "1")
    monkeypatch.setenv("TICKGATE_SESSION_TIMEOUT_MS", "3000")
    monkeypatch.setenv("TICKGATE_HEARTBEAT_MS", "500")
    with running(place, "keeps") as (keeps,):
        for turn in range(2):
            with Worker(place, f"killed{turn}") as killed:
                share([keeps, killed])
                for minute in range(4 * turn + 1, 4 * turn + 5):
                    send(place, minute, TICKERS)
                    for ticker in TICKERS:
                        keeps.wait_until(knows(ticker, minute), f"told of {ticker}")
                lost = killed.partitions()
                killed.kill()
            keeps.wait_until_ready(PARTITIONS)
            for ticker in TICKERS:  # the last may not have been checkpointed
                keeps.wait_until(knows(ticker, minute), f"told of {ticker}")
            copies = taken_over(keeps)[-len(lost) :]
            assert {shard for shard, _ in copies} == lost
            assert all(end > 0 for _, end in copies)
