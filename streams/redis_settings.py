"""The settings of the Redis view, which are part of `Settings`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from streams.setting_readers import key_prefix, redis_urls, whole_number


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Where Redis is, and how it is written and cleaned up."""

    redis_url: str = field(default="redis://127.0.0.1:6379/0", repr=False)
    redis_prefix: str = ""
    redis_batch: int = 5_000
    redis_interval_ms: int = 50
    redis_timeout_ms: int = 5_000
    redis_lua_threshold: int = 1_000
    redis_cleanup_first_ms: int = 3_600_000
    redis_cleanup_every_ms: int = 86_400_000
    redis_retention_days: int = 90

    @property
    def redis_urls(self) -> list[str]:
        """Each address by itself."""
        return self.redis_url.split(",")


_LONG_MS: Final = 30 * 86_400_000
REDIS_MEANINGS: Final[dict[str, tuple[Callable[[str], Any], str]]] = {
    "redis_url": (redis_urls, "where the view is kept; several with commas, of which one takes writes"),
    "redis_prefix": (key_prefix, "stands before every key in Redis; on a cluster a hash tag, such as `{tickgate}:`"),
    "redis_batch": (whole_number(1, 100_000), "members and fields that one transaction of the view writes"),
    "redis_interval_ms": (whole_number(0, 5_000), "least time between two looks at what has changed"),
    "redis_timeout_ms": (whole_number(100, 60_000), "so long without an answer, and Redis counts as gone"),
    "redis_lua_threshold": (whole_number(0, 1 << 30), "tickers of a universe beyond which Redis intersects it itself"),
    "redis_cleanup_first_ms": (whole_number(0, _LONG_MS), "after so long Redis is cleaned up for the first time, and"),
    "redis_cleanup_every_ms": (whole_number(1, _LONG_MS), "so often from then on"),
    "redis_retention_days": (whole_number(1, 36_500), "days, in event time, that an update is kept in Redis"),
}
"""Of each field: how its text is read, and what it means."""
