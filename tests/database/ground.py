"""A topic of its own beside a database, people who edit both, and the command."""

import json
import sqlite3
import subprocess
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from typing import Any

import psycopg
from click.testing import CliRunner, Result
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.cli import main
from streams.core.events import Strategy
from streams.database.reconciling import Row
from streams.database.row_reading import RowReader
from streams.database.table import TABLE, UNIVERSE
from streams.kafka.codec import Decoder
from streams.kafka.registry import FileSchemas
from streams.kafka.strategy_topic import read_standing, write_changes
from streams.kafka.whole_topic import read_whole
from tests.serving import serving

SCHEMAS = FileSchemas()
PATIENCE_S = 90
"""A process that is the first to compile the kernel takes a while on a busy machine."""

NAMES = list(TABLE.columns.keys())


def sql(url: str, statement: str, *values: Any) -> list[Any]:
    """What a person types into a database; `?` stands for a value."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), 10)) as lite, lite:
            return lite.execute(statement, values).fetchall()
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        found = connection.execute(statement.replace("?", "%s").encode(), values)
        return found.fetchall() if found.description else []


class Ground:
    """See the head of this file."""

    def __init__(self, bootstrap: str, url: str) -> None:
        self.bootstrap, self.url, self.prefix = bootstrap, url, f"{uuid.uuid4().hex[:8]}."
        self.topic = f"{self.prefix}strategy-changes"
        admin = AdminClient({"bootstrap.servers": bootstrap})
        (made,) = admin.create_topics([NewTopic(self.topic, 2, 1, config={"retention.ms": "-1"})]).values()
        made.result(30)
        self.environment = {
            "TICKGATE_BROKER": bootstrap,
            "TICKGATE_TOPIC_PREFIX": self.prefix,
            "TICKGATE_DATABASE_URL": url,
            "TICKGATE_DATABASE_INTERVAL_MS": "100",
            "TICKGATE_WEB_PORT": "0",
        }

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """What a person types; `?` stands for a value."""
        return sql(self.url, statement, *values)

    def add(self, strategy_id: str, *tickers: str, timeframe: str = "5m") -> None:
        columns = f"insert into strategies (strategy_id, timeframe, {UNIVERSE}) values (?, ?, ?)"  # noqa: S608 - our own names
        self.sql(columns, strategy_id, timeframe, json.dumps(tickers))

    def sync(self, *arguments: str, **environment: str) -> Result:
        command = ["strategies", "sync", *arguments]
        return CliRunner().invoke(main, command, env={**self.environment, **environment})

    def synced(self, *arguments: str) -> dict[str, Any]:
        done = self.sync(*arguments)
        assert (done.exit_code, done.stderr) == (0, ""), done.output
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def write(self, *changes: Strategy) -> None:
        """What others write on the topic."""
        write_changes(self.bootstrap, self.topic, SCHEMAS, changes, 1, source="discovery")

    def stands(self) -> dict[str, Strategy]:
        return read_standing(self.bootstrap, self.topic, SCHEMAS).strategies

    def rows(self) -> dict[str, Strategy]:
        """The rows, each as the version that it has agreed on."""
        cast = ", ".join(f"cast({name} as text)" if name == UNIVERSE else name for name in NAMES)
        found = {}
        for values in self.sql(f"select {cast} from strategies"):  # noqa: S608 - our own names
            row = RowReader().read(dict(zip(NAMES, values, strict=True)))
            assert isinstance(row, Row)
            found[row.strategy.strategy_id] = replace(row.strategy, version=row.agreed.version)
        return found

    def records(self) -> list[dict[str, Any]]:
        decoder = Decoder(SCHEMAS, "strategy_change")
        values = [each.value for each in read_whole(self.bootstrap, self.topic)]
        return [decoder.decode(value) for value in values if value is not None]

    def sent(self) -> list[tuple[str, int]]:
        """The versions that rows have brought."""
        return [(each["strategy_id"], each["version"]) for each in self.records() if each["source"] == "database"]

    def is_equal(self) -> bool:
        return self.rows() == self.stands()


def following(ground: Ground, *arguments: str) -> AbstractContextManager[tuple[subprocess.Popen[str], str]]:
    """`tickgate strategies sync --follow` in a process of its own, and where it serves."""
    return serving(ground.environment, "strategies", "sync", "--follow", *arguments)


def until(is_so: Callable[[], bool]) -> None:
    """Another process has no event to wait for here."""
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, "it never was so"
        time.sleep(0.05)
