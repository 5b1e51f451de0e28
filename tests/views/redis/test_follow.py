"""The commands of `tickgate redis`, as the README has them, behind a real worker, a real Kafka and a real Redis."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench import workload
from bench.kafka_flow import producer, put
from bench.kafka_ground import Place, import_strategies, make_topics, tickgate
from bench.redis_server import RedisServer
from streams.core.events import Strategy
from tests.kafka.conftest import broker, real_broker, session_broker
from tests.kafka.shared_broker import SharedBroker
from tests.views.redis.market import View, in_redis
from tests.worker.conftest import a_place

__all__ = ["broker", "real_broker", "session_broker"]

MINUTE_MS = 60_000
START_MS = workload.START_MS // (5 * MINUTE_MS) * 5 * MINUTE_MS
TICKERS = [f"T{i}" for i in range(60)] + ["Ü %?#"]
STRATEGIES = [
    Strategy("one", "1m", frozenset(TICKERS[:20])),
    Strategy("five", "5m", frozenset(TICKERS[10:])),
    Strategy("global", "1m", frozenset()),
]
WAIT_S = 30.0


@pytest.fixture
def place(real_broker: SharedBroker, tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Topics with strategies; whatever `tickgate` runs uses this Redis."""
    monkeypatch.setenv("TICKGATE_REDIS_URL", server.url)
    place = a_place(real_broker.bootstrap, real_broker.kind, tmp_path)
    make_topics(place)
    import_strategies(place, STRATEGIES)
    return place


def ticked(place: Place) -> View:
    """Let ticks through a worker; what must stand in Redis after them, worked out by hand."""
    last: dict[str, int] = {}
    to = producer(place.ground.bootstrap, 5.0)
    for i in range(1_500):
        ticker, ts_ms = TICKERS[i * 7 % len(TICKERS)], START_MS + i * 400
        put(to, place.topics.ticks, ticker.encode(), workload.encode(ticker, ts_ms, 100.0), ts_ms)
        last[ticker] = ts_ms
    assert to.flush(60) == 0
    tickgate(place, "worker", "--drain")
    lasts = {
        each.strategy_id: {t: last[t] // step * step for t in each.universe}
        for each, step in zip(STRATEGIES, (MINUTE_MS, 5 * MINUTE_MS), strict=False)
    }
    return View(last, {each.strategy_id: set(each.universe) for each in STRATEGIES[:2]}, lasts)


def without_global(view: View) -> View:
    """But for the strategy of every ticker, whose buckets are no pairs."""
    return View(view.updates, view.universes, {name: each for name, each in view.lasts.items() if name != "global"})


def said(place: Place, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "streams.cli", "redis", *arguments]
    done = subprocess.run(command, env=place.environment(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr[-2_000:]
    return done.stdout


def wait_for(is_so: Callable[[], Any]) -> None:
    until = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < until, "it never was so"
        time.sleep(0.05)


def test_it_follows_and_reconciles_as_the_readme_says(place: Place, server: RedisServer) -> None:
    expected = ticked(place)
    with closing(server.client) as client:
        first = json.loads(said(place, "follow", "--drain"))
        assert without_global(in_redis(client)) == expected
        assert first["errors"] == 0
        assert first["refills"] == 1
        assert client.zcard("TICK:UPD") == len(TICKERS)
        assert client.scard("STRAT:five:UNIV") == len(TICKERS) - 10
        again = json.loads(said(place, "follow", "--drain"))
        assert (again["writes"], again["refills"]) == (0, 0), "it goes on from where Redis says that it has come to"
        before = in_redis(client)

        client.zadd("TICK:UPD", {"T1": 5, "STRANGER": START_MS})
        client.srem("STRAT:one:UNIV", "T3")
        client.hset("STRAT:five:LAST", "T40", "soon")
        client.sadd("STRAT:old:UNIV", "T1")
        damaged = in_redis_keys(client)
        told = said(place, "reconcile", "--dry-run", "--settle-s", "0", code=1)
        assert in_redis_keys(client) == damaged, "a dry run changes nothing"
        assert told.splitlines()[0] == (
            f"updates: {len(TICKERS) - 1} equal, 0 missing, 1 different, 1 left over, 0 moving; 0 mended"
        )
        assert f"  different: TICK:UPD T1: 5 instead of {expected.updates['T1']}" in told
        assert "  missing: STRAT:one:UNIV T3: nothing instead of 1" in told
        assert "  left over: STRAT:old:UNIV T1: 1 instead of nothing" in told
        assert "  different: STRAT:five:LAST T40: soon instead of" in told
        said(place, "reconcile", "--settle-s", "0", code=1)  # what is left over is another's, until told otherwise
        assert client.zscore("TICK:UPD", "STRANGER")
        said(place, "reconcile", "--settle-s", "0", "--remove-left-over")
        assert in_redis(client) == before
        follows_live(place, client)


def in_redis_keys(client: Any) -> dict[str, Any]:
    """Everything, as it stands."""
    kinds = {"zset": lambda key: client.zrange(key, 0, -1, withscores=True), "set": client.smembers}
    return {k: kinds.get(client.type(k), client.get if "VIEW" in k else client.hgetall)(k) for k in client.scan_iter()}


def follows_live(place: Place, client: Any) -> None:
    """A change of a strategy is there soon; SIGTERM ends it in good order."""
    environment = place.environment(os.environ, TICKGATE_REPORT_MS="1000")
    command = [sys.executable, "-m", "streams.cli", "redis", "follow"]
    log = place.ground.scratch / "follow.log"
    with log.open("w") as to, subprocess.Popen(command, env=environment, stderr=to) as process:
        try:
            tickgate(place, "strategies", "edit", "one", "--universe", "T5,T6")
            tickgate(place, "strategies", "delete", "five")
            wait_for(lambda: client.smembers("STRAT:one:UNIV") == {"T5", "T6"})
            wait_for(lambda: not client.exists("STRAT:five:UNIV", "STRAT:five:LAST"))
            line = "Advanced operations - Cleanup ops: 0, Lua intersections: 0, Redis writes: "
            wait_for(lambda: line in log.read_text())
        finally:
            process.terminate()
        assert process.wait(10) == 0
    assert '"run": ""' in client.get("TICKGATE:VIEW"), "the next one need not wait"


def test_what_is_wrong_is_said_plainly(place: Place, server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKGATE_REDIS_URL", "redis://me:secret@127.0.0.1:1/0")
    command = [sys.executable, "-m", "streams.cli", "redis", "reconcile"]
    environment = place.environment(os.environ)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "error: Redis at redis://***@127.0.0.1:1/0: cannot be used: " in done.stderr
    assert "secret" not in done.stderr
    environment["TICKGATE_TOPIC_PREFIX"] = "nowhere."
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "run `tickgate topics apply`" in done.stderr
