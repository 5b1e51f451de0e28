"""`tickgate strategies sync` on real databases and a real broker: what goes which way, once, and what does not."""

import asyncio
import re
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streams.core.events import Mode, Status, Strategy
from streams.database.process import Wishes, made, working
from streams.settings import Settings
from tests.database.ground import Ground, following, until
from tests.house.readme import run, steps
from tests.house.tree import ROOT
from tests.serving import got

S1 = Strategy("s1", "5m", frozenset({"AAPL", "MSFT"}))
S2 = Strategy("s2", "1h", frozenset({"Ü"}), Status.PAUSED, 3, "Asia/Tokyo", "XTKS", Mode.LEGACY, 50)


def test_rows_go_out_and_what_others_write_comes_in_each_once(on_postgres: Ground) -> None:
    on_postgres.write(S2)
    assert on_postgres.synced("--create") == {"strategies": 1, "sent": 0, "written": 0, "bad_rows": 0}
    on_postgres.add("s1", "MSFT", "AAPL")
    assert on_postgres.synced("--adopt") == {"strategies": 2, "sent": 1, "written": 2, "bad_rows": 0}
    assert on_postgres.stands() == on_postgres.rows() == {"s1": S1, "s2": S2}
    assert on_postgres.records()[-1]["reason"] == "row_version 1"
    discovered = replace(S1, universe=S1.universe | {"NVDA"}, version=2)
    on_postgres.write(discovered)
    on_postgres.sql("update strategies set timeframe = '1m', coalesce_ms = null where strategy_id = 's2'")
    assert on_postgres.synced() == {"strategies": 2, "sent": 1, "written": 2, "bad_rows": 0}
    assert on_postgres.rows() == {"s1": discovered, "s2": replace(S2, timeframe="1m", coalesce_ms=None, version=4)}
    assert on_postgres.is_equal()
    before = on_postgres.sql("select * from strategies order by strategy_id")
    assert on_postgres.synced() == {"strategies": 2, "sent": 0, "written": 0, "bad_rows": 0}
    assert on_postgres.sql("select * from strategies order by strategy_id") == before
    assert on_postgres.sent() == [("s1", 1), ("s2", 4)]


def test_an_edit_of_the_same_universe_stays_against_a_discovery_and_other_fields_are_united(sqlite: Ground) -> None:
    sqlite.synced("--create")
    sqlite.add("s1", "AAPL", "MSFT")
    sqlite.synced()
    sqlite.write(replace(S1, universe=frozenset({"X"}), timeframe="1m", version=2))
    sqlite.sql("update strategies set alert_universe_full = ?, row_version = row_version + 1", '["AAPL"]')
    sqlite.synced()
    assert sqlite.rows() == sqlite.stands() == {"s1": Strategy("s1", "1m", frozenset({"AAPL"}), version=3)}


def test_deleted_is_deleted_on_both_sides_and_the_row_stays(sqlite: Ground) -> None:
    sqlite.synced("--create")
    sqlite.add("s1", "AAPL")
    sqlite.add("s2", "AAPL")
    sqlite.synced()
    sqlite.write(Strategy("s1", "5m", frozenset({"AAPL"}), Status.DELETED, 2))
    sqlite.sql("update strategies set status = 'deleted' where strategy_id = 's2'")
    sqlite.synced()
    assert sqlite.stands() == {}
    assert {each.status for each in sqlite.rows().values()} == {Status.DELETED}
    sqlite.sql("update strategies set status = 'active' where strategy_id = 's1'")
    assert sqlite.synced()["sent"] == 1
    assert sqlite.stands() == {"s1": Strategy("s1", "5m", frozenset({"AAPL"}), version=3)}


@pytest.mark.parametrize("step", ["make_ours", "send"])
def test_of_two_that_would_send_the_same_one_does(sqlite: Ground, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite.synced("--create")
    sqlite.add("s1", "AAPL", "MSFT")
    sqlite.add("s2", "AAPL")
    settings = Settings.read(sqlite.environment)

    async def work() -> None:
        async with (
            made(settings, Wishes(), print) as one,
            made(settings, Wishes(), print) as other,
            working(one),
            working(other),
        ):
            does = getattr(one.topic, step)

            async def later(*given: Any) -> None:
                """All that the other has to do falls between what this one has read and what it does of it."""
                monkeypatch.undo()
                assert await other.syncing.look()
                await does(*given)

            monkeypatch.setattr(one.topic, step, later)
            looks = [await one.syncing.look() for _ in range(3)]
            assert looks == [step == "make_ours", True, True], "who was shut out looks again"

    asyncio.run(work())
    assert sorted(sqlite.sent()) == [("s1", 1), ("s2", 1)]
    assert sqlite.is_equal()


def test_it_follows_both_sides_until_it_is_told_to_stop(on_postgres: Ground) -> None:
    with following(on_postgres, "--create") as (process, url):
        until(lambda: got(f"{url}/readyz")[0] == 200)
        on_postgres.add("s1", "AAPL", "MSFT")
        until(lambda: on_postgres.stands() == {"s1": S1})
        on_postgres.write(replace(S1, universe=frozenset({"X"}), version=2))
        until(lambda: on_postgres.rows() == on_postgres.stands())
        until(lambda: "tickgate_database_sent_total 1.0" in got(f"{url}/metrics")[1])
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert on_postgres.sent() == [("s1", 1)]


def test_it_syncs_as_the_readme_says(sqlite: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    markdown = (ROOT / "README.md").read_text()
    sqlite.write(Strategy("breakout", "5m", frozenset({"AAPL", "MSFT"})))
    for name, each in sqlite.environment.items():
        monkeypatch.setenv(name, each)
    monkeypatch.delenv("TICKGATE_DATABASE_URL")
    first, second = (step for step in steps(markdown) if step.command.startswith("tickgate strategies sync"))
    assert list(run(first, tmp_path)) == []
    (statement,) = re.findall(r"```sql\n(update strategies.*?)```", markdown, re.DOTALL)
    with closing(sqlite3.connect(tmp_path / "strategies.db")) as connection, connection:
        assert connection.execute(statement).rowcount == 1
    assert list(run(second, tmp_path)) == []
    assert sqlite.stands()["breakout"].universe == {"AAPL", "NVDA"}
