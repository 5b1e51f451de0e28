"""What is wrong with a database or a row is told with its place and remedy; the rest goes on, and nothing is lost."""

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

from bench.postgres_server import PostgresServer
from streams.core.events import Status, Strategy
from streams.core.limits import MAX_UNIVERSE
from tests.database.ground import Ground

SOON = {"TICKGATE_DATABASE_TIMEOUT_MS": "600"}


def refused(ground: Ground, *arguments: str, **environment: str) -> str:
    done = ground.sync(*arguments, **environment)
    assert (done.exit_code, done.stdout) == (2, "")
    return done.stderr


def test_what_is_no_database_or_has_no_table_is_refused(sqlite: Ground, tmp_path: Path) -> None:
    assert "sqlite:///" in refused(sqlite, TICKGATE_DATABASE_URL="mysql://u:secret@h/d")
    assert "secret" not in refused(sqlite, TICKGATE_DATABASE_URL="mysql://u:secret@h/d")
    assert "strategies.db: there is no such file; mend TICKGATE_DATABASE_URL, or make one with --create" in refused(
        sqlite
    )
    folder = f"sqlite:///{tmp_path}"
    for wish in ((), ("--create",)):
        words = refused(sqlite, *wish, TICKGATE_DATABASE_URL=folder)
        assert f"{folder}: is a folder; write the path of a file in it into TICKGATE_DATABASE_URL" in words
    missing = f"sqlite:///{tmp_path}/no/such/folder.db"
    assert "unable to open database file; see that the folder is there" in refused(
        sqlite, "--create", TICKGATE_DATABASE_URL=missing
    )
    (tmp_path / "strategies.db").touch()
    assert "table strategies: there is no such table; make it by `tickgate strategies sync --create`" in refused(sqlite)
    with closing(sqlite3.connect(tmp_path / "strategies.db")) as connection:
        connection.execute("create table strategies (strategy_id text primary key, timeframe text, status text)")
    words = refused(sqlite)
    assert "has no column alert_universe_full, time_zone, session, mode, coalesce_ms, row_version, version, a" in words
    assert "add it: ALTER TABLE strategies ADD COLUMN alert_universe_full JSON NOT NULL" in words
    (tmp_path / "strategies.db").write_text("no database" * 1000)
    assert "file is not a database; give the path of an SQLite file" in refused(sqlite)


def test_a_locked_database_is_told_and_nothing_is_lost(sqlite: Ground, tmp_path: Path) -> None:
    sqlite.synced("--create")
    sqlite.add("s1", "AAPL")
    with closing(sqlite3.connect(tmp_path / "strategies.db", isolation_level=None)) as other:
        other.execute("begin exclusive")
        assert "database is locked; another program writes to it" in refused(sqlite, **SOON)
    with closing(sqlite3.connect(tmp_path / "strategies.db", isolation_level=None)) as other:
        other.execute("begin immediate")  # it may be read, so the version goes out; the row cannot be told
        assert "database is locked" in refused(sqlite, **SOON)
    assert sqlite.stands().keys() == {"s1"}
    assert sqlite.synced() == {"strategies": 1, "sent": 0, "written": 1, "bad_rows": 0}
    assert sqlite.is_equal()
    assert sqlite.sent() == [("s1", 1)]


def test_a_server_that_is_frozen_read_only_or_gone_is_told(on_postgres: Ground, postgres: PostgresServer) -> None:
    on_postgres.synced("--create")
    on_postgres.add("s1", "AAPL")
    postgres.signal(signal.SIGSTOP)
    try:
        assert "has not answered within 0.6 s; see that it runs" in refused(on_postgres, **SOON)
    finally:
        postgres.signal(signal.SIGCONT)
    on_postgres.sql("alter database postgres set default_transaction_read_only = on")
    assert "read-only transaction; take a server that takes writes" in refused(on_postgres)
    with postgres.connect() as connection:
        connection.execute("set default_transaction_read_only = off")
        connection.execute("alter database postgres reset default_transaction_read_only")
    gone = "postgresql://postgres:secret@127.0.0.1:1/postgres"
    words = refused(on_postgres, TICKGATE_DATABASE_URL=gone)
    assert "refused" in words
    assert "see that it runs there and takes connections" in words
    assert "secret" not in words
    assert on_postgres.synced()["sent"] == 0, "it had gone out while the row could not be written"
    assert on_postgres.is_equal()


BAD: dict[str, list[tuple[str | bytes | None, str]]] = {
    "alert_universe_full": [
        ("[oops", "'[oops' is no JSON; write such as"),
        ("[" * 100_000, "is no JSON"),
        ('{"a": 1}', "an object, where a list belongs"),
        ("[1]", "the number 1, where text belongs"),
        ('["A", ""]', "the text is empty; write a name"),
        (None, "is no JSON"),
        (json.dumps([f"T{i}" for i in range(MAX_UNIVERSE + 1)]), "100001 tickers, the limit is 100000"),
        (json.dumps([f"T{i:060}" for i in range(20_000)]), "in a record, 1048576 are the limit"),
        (b'["\xff"]', "has a control character or half a character in it"),
    ],
    "status": [("running", "the text 'running' is not known"), ("draft", "no move from active to draft; send one of")],
    "time_zone": [("Mars", "Mars")],
    "coalesce_ms": [("soon", "the text 'soon', where a whole number belongs")],
}


def test_a_bad_row_is_told_by_table_id_and_column_and_the_others_go_on(sqlite: Ground) -> None:
    sqlite.synced("--create")
    sqlite.sql("drop table strategies")
    plain = "strategy_id primary key, timeframe, alert_universe_full, status, time_zone, session, mode, coalesce_ms"
    sqlite.sql(f"create table strategies ({plain}, row_version default 1, version default 0, agreed default '')")
    cases = [(f"{column}{i}", column, *each) for column, found in BAD.items() for i, each in enumerate(found)]
    for strategy_id, *_ in cases:
        sqlite.add(strategy_id, "AAPL")
    sqlite.add("good", "AAPL")
    assert sqlite.synced()["sent"] == len(cases) + 1
    for strategy_id, column, value, _ in cases:
        change = f"update strategies set {column} = ? where strategy_id = ?"  # noqa: S608 - our own names
        sqlite.sql(change.replace("= ? w", "= cast(? as text) w"), value, strategy_id)
    sqlite.sql("update strategies set timeframe = '7x' where strategy_id = 'good'")
    done = sqlite.sync()
    assert done.exit_code == 1
    assert json.loads(done.stdout)["bad_rows"] == len(cases) == done.stderr.count("error: ")
    told = {line.split("'")[1]: line for line in done.stderr.splitlines() if line.startswith("error: ")}
    for strategy_id, column, _, words in cases:
        assert told[strategy_id].startswith(f"error: table strategies, strategy '{strategy_id}', {column}: ")
        assert words in told[strategy_id]
    stands = sqlite.stands()
    assert stands["good"].timeframe == "7x"
    assert "warning: table strategies, strategy 'good', timeframe: " in done.stderr
    assert all(stands[strategy_id].version == 1 for strategy_id, *_ in cases)
    sqlite.write(Strategy("status0", "15m", frozenset({"AAPL"}), version=2))
    sqlite.sync()
    sqlite.sql("update strategies set status = 'paused' where strategy_id = 'status0'")
    sqlite.sync()
    assert sqlite.stands()["status0"] == Strategy("status0", "15m", frozenset({"AAPL"}), Status.PAUSED, 3)


def test_a_universe_of_the_largest_size_goes_both_ways(on_postgres: Ground) -> None:
    ground = on_postgres
    universe = frozenset(f"T{i}" for i in range(MAX_UNIVERSE))
    ground.synced("--create")
    ground.add("large", *sorted(universe))
    ground.synced()
    assert ground.stands()["large"].universe == universe
    ground.write(Strategy("large", "5m", universe ^ {"T0", "U0"}, version=2))
    ground.synced()
    assert ground.is_equal()
    assert ground.sent() == [("large", 1)]
