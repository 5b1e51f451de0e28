"""The table of strategies: its name, its columns, and who writes which.

strategy_id          whose row it is
timeframe            such as 5m
alert_universe_full  a JSON list of tickers; [] for every ticker
status               active, paused, draft; deleted ends the strategy, and the row stays
time_zone, session, mode, coalesce_ms   as in a strategy file
row_version          counts the writes: raise it with every edit, and an edit that met another one is noticed
version, agreed      what the row and the topic last had in common; nobody but `tickgate strategies sync` writes it
"""

from typing import Any, Final

from sqlalchemy import JSON, BigInteger, Cast, Column, Integer, MetaData, Table, Text, cast, text
from sqlalchemy.dialects.postgresql import JSONB

METADATA: Final = MetaData()

UNIVERSE: Final = "alert_universe_full"

TABLE: Final = Table(
    "strategies",
    METADATA,
    Column("strategy_id", Text, primary_key=True),
    Column("timeframe", Text, nullable=False),
    Column(UNIVERSE, JSON().with_variant(JSONB(), "postgresql"), nullable=False),
    Column("status", Text, nullable=False, server_default="active"),
    Column("time_zone", Text, nullable=False, server_default="UTC"),
    Column("session", Text, nullable=False, server_default=""),
    Column("mode", Text),
    Column("coalesce_ms", Integer),
    Column("row_version", BigInteger, nullable=False, server_default=text("1")),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    Column("agreed", Text, nullable=False, server_default=""),
)

COLUMNS: Final = {"timeframe": "timeframe", UNIVERSE: "universe"} | {
    name: name for name in ("status", "time_zone", "session", "mode", "coalesce_ms")
}
"""What people edit: of each column, the field of a strategy."""


def as_read(name: str) -> Column[Any] | Cast[str]:
    """A column as it is read and compared: the universe as its text, since it may be no JSON."""
    column = TABLE.c[name]
    return cast(column, Text) if name == UNIVERSE else column
