"""What the bench of Redis in trouble counts is right, each trouble is one on a real server, and it ends."""

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import fastavro
import numpy as np
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from bench import reference
from bench.kafka_answer import EXECUTION, FRAMING_BYTES, Record
from bench.kafka_ground import RunError
from bench.kafka_summary import is_other
from bench.pair_sums import of_executions, of_workload
from bench.redis_ends import has
from bench.redis_hurt import NEEDS_REPLICA, TROUBLES, Servers
from bench.redis_slices import Slice, costs, described
from streams.kafka.kafka_jars import Unavailable
from streams.views.redis.keys import NO_PREFIX
from streams.views.redis.marker import Marker
from tests.bench.test_kafka_answer import brute_force

FOR_S = 0.6
WELL_WITHIN_S = 20.0
SLOW_TO_ANSWER_S = 0.06
CAUSE = {"topic": "ticks", "partition": 1, "first_offset": 2, "last_offset": 3}


def records(pairs: list[tuple[str, str, int]]) -> Iterator[Record]:
    """One execution of each strategy and bucket."""
    tickers: dict[tuple[str, int], list[str]] = {}
    for strategy_id, ticker, bucket_ms in pairs:
        tickers.setdefault((strategy_id, bucket_ms), []).append(ticker)
    head = {"execution_id": "x", "strategy_version": 1, "mode": "per_ticker", "timeframe": "1m", "scope": "tickers"}
    for (strategy_id, bucket_ms), names in tickers.items():
        told = {**head, "strategy_id": strategy_id, "bucket_ms": bucket_ms, "tickers": names, "ts": 0, "cause": CAUSE}
        yield b"", bytes(FRAMING_BYTES) + encoded(told)


def encoded(told: dict[str, object]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, EXECUTION, told)
    return out.getvalue()


def work() -> reference.Workload:
    made = reference.make(5, 300, tickers=40, strategies=20)
    return made._replace(when=made.when + np.arange(300) * 5_000)


def test_what_must_fire_is_what_executions_of_it_hold() -> None:
    made = work()
    pairs = brute_force(made)
    assert of_workload(made) == of_executions(records(pairs), made)
    assert of_workload(made).pairs == len(pairs)


@pytest.mark.parametrize("spoilt", ["lost", "repeated", "moved", "another's"])
def test_wrong_executions_are_noticed(spoilt: str) -> None:
    made = work()
    first, *others = brute_force(made)
    strategy_id, ticker, bucket_ms = first
    wrong = {
        "lost": others,
        "repeated": [first, first, *others],
        "moved": [(strategy_id, ticker, bucket_ms + 60_000), *others],
        "another's": [("s19" if strategy_id != "s19" else "s18", ticker, bucket_ms), *others],
    }
    assert of_executions(records(wrong[spoilt]), made) != of_workload(made)


def slices(*rates: float) -> list[Slice]:
    """So many, well and in trouble as they come."""
    return [Slice(is_other(number), rate, 1.0, 0.5 + number) for number, rate in enumerate(rates)]


def test_what_a_trouble_costs_is_taken_between_neighbours() -> None:
    found = costs(slices(100.0, 90.0, 40.0, 50.0, 7.0))
    assert (found.median, found.least, found.most) == pytest.approx((0.15, 0.1, 0.2))
    with pytest.raises(RunError, match="more ticks"):
        costs(slices(100.0))


def test_the_worst_return_is_told_and_how_far_the_view_lags_while_all_is_well() -> None:
    told = " ".join(described("killed", slices(100e3, 90e3, 40e3, 50e3)))
    assert "killed: 75 thousand ticks/s while well, 65 with it: costs 15.0% (10.0% to 20.0%) in 2 pairs" in told
    assert "equal 2.5 s after its return at most (bound 10; 2.0 behind while well)" in told


@pytest.fixture
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Servers]:
    try:
        made = Servers(tmp_path, with_replica=request.param == NEEDS_REPLICA)
    except Unavailable as why:
        pytest.skip(f"needs a Redis server: {why}")
    yield made
    made.kill()


def is_hurt(port: int, marker: str) -> bool:
    """Whether a write fails or is late, or what was written is gone."""
    try:
        never = Retry(NoBackoff(), 0)
        with Redis(port=port, socket_timeout=SLOW_TO_ANSWER_S, retry=never, decode_responses=True) as client:
            if client.get("marker") != marker:
                return True
            client.set("written", "now")
    except RedisError:
        return True
    return False


@pytest.mark.parametrize(("servers", "name"), [(name, name) for name in TROUBLES], indirect=["servers"])
def test_each_trouble_is_one_and_ends(servers: Servers, name: str) -> None:
    with servers.main.client as client:
        client.set("marker", name)
        if name == NEEDS_REPLICA:
            assert client.wait(1, 20_000) == 1, "the replica has it"
    port, hurt = servers.main.port, []
    until_s = time.monotonic() + WELL_WITHIN_S
    while is_hurt(port, name):  # a busy machine is slow by itself
        assert time.monotonic() < until_s
    trouble = threading.Thread(target=TROUBLES[name], args=(servers, FOR_S))
    trouble.start()
    began_s = time.monotonic()
    while trouble.is_alive():
        hurt.append(is_hurt(port, name))
        trouble.join(0.01)
    assert any(hurt), "it was felt"
    assert time.monotonic() - began_s >= FOR_S / 2
    with servers.main.client as client:
        assert client.set("written", "behind it")
    kept = {"killed": False, "flushed": False}.get(name, True)
    with servers.main.client as client:
        assert (client.get("marker") == name) is kept
    if name == NEEDS_REPLICA:
        assert servers.main.port != port
        servers.stand_ready()


@pytest.mark.parametrize("servers", ["paused"], indirect=True)
def test_the_view_is_equal_when_its_marker_has_come_so_far(servers: Servers) -> None:
    wanted = {("last_update", 0): 5, ("last_bucket", 1): 7}
    assert not has(servers.main, wanted), "there is no view"
    for short in ({**wanted, ("last_bucket", 1): 6}, {}, {("last_update", 0): 5}):
        with servers.main.client as client:
            client.set(NO_PREFIX.marker, Marker("v", "r", 1, short).encoded())
        assert not has(servers.main, wanted)
    with servers.main.client as client:
        client.set(NO_PREFIX.marker, Marker("v", "r", 1, wanted).encoded())
    assert has(servers.main, wanted)
    servers.main.kill()
    assert not has(servers.main, wanted), "one that is gone is not equal"
