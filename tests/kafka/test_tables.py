"""In an application, the tables read as any Faust table, refuse to be written to, and leave no folder behind."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest
from faust.types import TP

from streams.core.events import Mode, Strategy, Tick
from streams.core.shard import Shard
from streams.errors import InputError
from streams.kafka import tables
from streams.kafka.faust_app import NOWHERE, TickgateApp
from streams.kafka.shard_states import State
from streams.kafka.shards import Shards
from streams.kafka.strategy_book import StrategyBook
from streams.kafka.table_rows import LastBucketRows, LastUpdateRows, StrategyRows
from streams.settings import Settings
from tests.core.histories import CONDITIONS, fires_of_shard
from tests.holes.stage import NotingResults

S1 = Strategy("s1", "1m", frozenset({"AAPL", "MSFT", "IBM"}))
MINUTE = 60_000


def a_shard(*ticks: Tick) -> Shard:
    """One in which `s1` is in force, after these ticks."""
    shard = Shard(CONDITIONS, Mode.PER_TICKER)
    shard.change(S1)
    fires_of_shard(shard, ticks, [])
    return shard


def owned(shard: Shard | None, state: State = State.RUNNING) -> Any:
    """What stands in for an owned shard."""
    return SimpleNamespace(deciding=shard and SimpleNamespace(shard=shard), state=state)


class Made(NamedTuple):
    """The tables of an application, and its shards."""

    last_update: tables.StateTable
    last_bucket: tables.StateTable
    strategies: tables.WholeTable
    shards: dict[int, Any]


@pytest.fixture
def made() -> Made:
    """An application with two shards, that is not started."""
    shards = {
        0: owned(a_shard(Tick("AAPL", MINUTE + 5), Tick("AAPL", MINUTE + 7))),
        1: owned(a_shard(Tick("MSFT", 2 * MINUTE), Tick("OTHER", 3 * MINUTE))),
        2: owned(None, State.RECOVERING),
    }
    book = cast("StrategyBook", SimpleNamespace(strategies={"s1": S1}, positions={}))
    fake = cast("Shards", SimpleNamespace(owned=shards))

    async def main() -> Made:
        app = TickgateApp(Settings(), cast("Any", fake), NotingResults())

        def table(kind: Any, name: str, rows: Any, **options: Any) -> Any:
            topic = tables.changelog(app, f"changelog-{name}", 4)
            ours = {"rows": rows, "stop_worker": lambda _: None, "changelog_topic": topic, "partitions": 4}
            return app.tables.add(kind(app, name=name, recovery_buffer_size=2, **ours, **options))

        return Made(
            table(tables.StateTable, "last_update", LastUpdateRows(fake)),
            table(tables.StateTable, "last_bucket", LastBucketRows(fake)),
            table(tables.WholeTable, "strategies", StrategyRows(book), is_global=True),
            shards,
        )

    return asyncio.run(main())


def test_a_row_is_read_by_its_key(made: Made) -> None:
    assert made.last_update["AAPL"] == MINUTE + 7
    assert made.last_bucket["MSFT"] == {"s1": 2 * MINUTE}
    assert made.last_bucket["OTHER"] == {}
    assert made.strategies["s1"] is S1


def test_what_was_never_updated_is_not_in_a_table_though_a_universe_holds_it(made: Made) -> None:
    for table in (made.last_update, made.last_bucket):
        assert "AAPL" in table
        for absent in ("IBM", "", "aapl"):
            assert absent not in table
            assert table.get(absent, "none") == "none"
            with pytest.raises(KeyError):
                table[absent]
    assert "s2" not in made.strategies


def test_a_table_is_walked_through(made: Made) -> None:
    updates = {"AAPL": MINUTE + 7, "MSFT": 2 * MINUTE, "OTHER": 3 * MINUTE}
    assert len(made.last_update) == 3
    assert sorted(made.last_update) == sorted(made.last_update.keys()) == sorted(updates)
    assert dict(made.last_update.items()) == updates
    assert sorted(made.last_update.values()) == sorted(updates.values())
    assert dict(made.last_bucket.items()) == {"AAPL": {"s1": MINUTE}, "MSFT": {"s1": 2 * MINUTE}, "OTHER": {}}
    assert list(made.strategies.items()) == [("s1", S1)]


def test_rows_of_a_shard_that_was_let_go_are_not_here(made: Made) -> None:
    made.shards[0].state = State.CLOSED
    assert list(made.last_update) == ["MSFT", "OTHER"]
    assert "AAPL" not in made.last_bucket


WRITES: dict[str, Callable[[Any], object]] = {
    "set": lambda table: table.__setitem__("AAPL", 1),
    "delete": lambda table: table.__delitem__("AAPL"),
    "update": lambda table: table.update({"AAPL": 1}),
    "setdefault": lambda table: table.setdefault("NEW", 1),
    "pop": lambda table: table.pop(next(iter(table))),
    "popitem": lambda table: table.popitem(),
    "clear": lambda table: table.clear(),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_write_is_refused_and_sends_nothing(made: Made, write: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    for table in (made.last_update, made.last_bucket, made.strategies):
        monkeypatch.setattr(table, "send_changelog", lambda *each, **_: sent.append(each))
        with pytest.raises(TypeError, match="this table is for reading"):
            WRITES[write](table)
    assert sent == []
    assert made.last_update["AAPL"] == MINUTE + 7


def test_faust_is_told_where_rows_go_on_and_also_that_there_are_none(made: Made) -> None:
    read_up_to: dict[int, int | None] = {0: None, 1: 0, 2: 1, 3: 70}
    store: Any = made.last_update.data
    store.rows = cast("Any", SimpleNamespace(read_up_to=read_up_to.__getitem__))
    # None would leave it with what it remembers of an earlier assignment.
    assert [made.last_update.persisted_offset(TP("t", each)) for each in read_up_to] == [-1, -1, 0, 69]


def application(settings: Settings) -> TickgateApp:
    """An application that has made its folders, as it does when it starts."""

    async def main() -> TickgateApp:
        app = TickgateApp(settings, cast("Any", SimpleNamespace()), NotingResults())
        await app.on_first_start()
        return app

    return asyncio.run(main())


def test_without_a_data_folder_nothing_is_made_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = application(Settings())
    assert app.conf.datadir == NOWHERE
    assert list(tmp_path.iterdir()) == []
    assert not NOWHERE.exists()


@pytest.mark.parametrize("name", ["data", "a/b c/{conf.id}"])
def test_a_data_folder_that_is_asked_for_is_where_faust_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    here, folder = tmp_path / "here", tmp_path / name
    here.mkdir()
    monkeypatch.chdir(here)
    app = application(Settings(data_dir=folder))
    assert app.conf.datadir == folder
    assert folder.is_dir()
    assert list(here.iterdir()) == []


def test_a_data_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"TICKGATE_DATA_DIR: .*file.* cannot be made .*name a folder"):
        application(Settings(data_dir=tmp_path / "file" / "data"))


def test_the_owner_of_a_shard_is_who_the_group_says() -> None:
    app = TickgateApp(Settings(topic_prefix="w."), cast("Any", SimpleNamespace()), NotingResults())
    assert app.owner(0) == ""
    assignor: Any = app.assignor
    assignor.external_topic_distribution = {
        "http://a:1": {"w.ticks": [0, 2], "other": [1]},
        "http://b:2": {"w.ticks": [1]},
    }
    assert [app.owner(each) for each in range(4)] == ["http://a:1", "http://b:2", "http://a:1", ""]
    app.reached_at("http://c:3")
    assert str(app.conf.canonical_url) == "http://c:3"
