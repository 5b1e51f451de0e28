"""The settings of the database of strategies, which are part of `Settings`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from streams.redis_settings import REDIS_MEANINGS, RedisSettings
from streams.setting_readers import database_url, whole_number


@dataclass(frozen=True, slots=True)
class DatabaseSettings(RedisSettings):
    """Where the database is, and how it is asked; beside those of the Redis view."""

    database_url: str = field(default="sqlite:///strategies.db", repr=False)
    database_interval_ms: int = 1_000
    database_timeout_ms: int = 5_000


DATABASE_MEANINGS: Final[dict[str, tuple[Callable[[str], Any], str]]] = {
    **REDIS_MEANINGS,
    "database_url": (database_url, "where the table of strategies is; or `postgresql://USER:PASSWORD@HOST/DATABASE`"),
    "database_interval_ms": (whole_number(50, 3_600_000), "how often the table is looked at for edits"),
    "database_timeout_ms": (whole_number(100, 600_000), "so long without an answer, and the database counts as gone"),
}
"""Of each field, those of the Redis view too: how its text is read, and what it means."""
