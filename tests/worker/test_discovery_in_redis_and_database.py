"""A universe that a result discovers stands in Redis and in the database soon after: all of the way on real ones."""

import json
import os
from contextlib import closing
from pathlib import Path

from bench.kafka_ground import PARTITIONS, Place, import_strategies, make_topics
from bench.kafka_worker import Worker
from bench.redis_server import RedisServer
from streams.core.events import Strategy
from tests.database.ground import sql, until
from tests.serving import got, serving
from tests.views.redis.conftest import server, session_redis
from tests.worker.reports import Reporter

__all__ = ["server", "session_redis"]

ROW = "select version, alert_universe_full from strategies where strategy_id = 's'"


def test_a_universe_that_is_reported_reaches_both(once: Place, server: RedisServer, tmp_path: Path) -> None:
    make_topics(once)
    import_strategies(once, [Strategy("s", "5m", frozenset({"AAPL", "MSFT"}))])
    database = f"sqlite:///{tmp_path}/strategies.db"
    environment = once.environment(os.environ, TICKGATE_REDIS_URL=server.url, TICKGATE_DATABASE_URL=database)
    synced = ("strategies", "sync", "--follow", "--create", "--adopt")
    with (
        closing(server.client) as client,
        Worker(once) as worker,
        serving(environment, "redis", "follow") as (_, redis_view),
        serving(environment, *synced) as (_, sync),
    ):

        def stands(version: int, *tickers: str) -> bool:
            """Whether both sides have this universe."""
            ((row_version, universe),) = sql(database, ROW)
            both = client.smembers("STRAT:s:UNIV"), set(json.loads(universe))
            return row_version == version and both == (set(tickers), set(tickers))

        worker.wait_until_ready(PARTITIONS)
        until(lambda: got(f"{redis_view}/readyz")[0] == got(f"{sync}/readyz")[0] == 200)
        assert stands(1, "AAPL", "MSFT")
        Reporter(once).report("s", ["MSFT", "NVDA"])
        until(lambda: stands(2, "MSFT", "NVDA"))
