"""The table in real databases: every edit is seen, and no row is written over that somebody has edited meanwhile."""

import asyncio
from collections.abc import Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.postgres_server import PostgresServer
from streams.core.events import Strategy
from streams.database.engine import Database
from streams.database.reconciling import Row, agreed_on
from streams.database.row_reading import RowReader
from streams.database.store import Store, Write
from tests.database.ground import sql

S1 = Strategy("s1", "5m", frozenset({"AAPL", "MSFT"}), version=3)
WANTED = Row(S1, agreed_on(S1))


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/strategies.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    with closing(server.connect()) as connection:
        connection.execute("drop table if exists strategies")
    return server.url


def on_store(url: str, work: Any) -> Any:
    """Run some work on a store with one row."""

    async def run() -> Any:
        store = Store(Database(url, 5.0, create=True))
        await store.prepare(create=True)
        sql(
            url,
            "insert into strategies (strategy_id, timeframe, alert_universe_full) values ('s1', '5m', '[\"AAPL\"]')",
        )
        try:
            return await work(store)
        finally:
            await store.close()

    coroutine: Coroutine[Any, Any, Any] = run()
    return asyncio.run(coroutine)


@pytest.mark.parametrize(
    "edit",
    [
        "update strategies set row_version = row_version + 1",
        "update strategies set timeframe = '1m'",
        "update strategies set alert_universe_full = '[\"TSLA\"]'",
        "update strategies set mode = 'legacy'",
        "delete from strategies",
    ],
)
def test_a_row_that_was_edited_since_it_was_read_is_not_written(url: str, edit: str) -> None:
    async def work(store: Store) -> None:
        await store.changed()
        raw = (await store.rows(["s1"]))["s1"]
        before = RowReader().read(raw)
        assert isinstance(before, Row)
        sql(url, edit)
        edited = sql(url, "select * from strategies")
        assert await store.write([Write(raw, before, WANTED)]) == {"s1"}
        assert sql(url, "select * from strategies") == edited
        assert await store.changed() == {"s1"}, "and it is seen"
        assert await store.changed() == set()

    on_store(url, work)


def test_a_row_that_is_as_it_was_read_is_written_and_the_version_of_the_row_raised(url: str) -> None:
    async def work(store: Store) -> None:
        raw = (await store.rows(["s1", "gone"]))["s1"]
        before = RowReader().read(raw)
        assert isinstance(before, Row)
        assert await store.write([Write(raw, before, WANTED)]) == set()
        after = (await store.rows(["s1"]))["s1"]
        assert RowReader().read(after) == Row(Strategy("s1", "5m", S1.universe), agreed_on(S1))
        assert (raw["row_version"], after["row_version"]) == (1, 2)

    on_store(url, work)


def test_a_row_is_added_only_where_there_is_none(url: str) -> None:
    async def work(store: Store) -> None:
        other = Row(Strategy("s2", "1h"))
        await store.add([WANTED, other])
        assert sorted(await store.rows(["s1", "s2"])) == ["s1", "s2"]
        assert (await store.rows(["s1"]))["s1"]["version"] == 0, "what stood there stays"

    on_store(url, work)
