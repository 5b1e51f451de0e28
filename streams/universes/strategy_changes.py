"""What the rules find against `strategy-changes`: read what stands, write what differs. Blocks: for a thread."""

import time
from collections.abc import Collection
from typing import Final

from streams.core.events import Strategy
from streams.kafka.schema_source import open_schemas, registry_told
from streams.kafka.security import for_confluent
from streams.kafka.strategy_topic import Standing, read_standing, write_changes
from streams.kafka.whole_topic import committed_ends
from streams.settings import Settings

SOURCE: Final = "products"
"""Who made the change, as `schemas/strategy_change.avsc` calls it."""


class StrategyChanges:
    """The topic of one environment."""

    def __init__(self, settings: Settings, *, may_write: bool) -> None:
        url, prefix = settings.schema_registry_url, settings.topic_prefix
        with registry_told():
            self._schemas = open_schemas(url, time.monotonic, prefix=prefix, may_register=may_write)
        self._broker, self._topic = settings.broker, settings.topics.strategy_changes
        self._security = for_confluent(settings)
        self._last: Standing | None = None
        self._ends: dict[int, int] = {}

    def standing(self) -> Standing:
        """What stands now; raises `InputError`. The topic is read only where it has grown since the last time."""
        ends = committed_ends(self._broker, self._topic, self._security)
        if self._last is None or ends != self._ends:
            self._last, self._ends = read_standing(self._broker, self._topic, self._schemas, self._security), ends
        return self._last

    def write(self, changes: Collection[Strategy], reason: str) -> None:
        """Write versions, and wait until the broker has them; raises `InputError`."""
        now_ms = time.time_ns() // 1_000_000
        write_changes(
            self._broker,
            self._topic,
            self._schemas,
            changes,
            now_ms,
            security=self._security,
            source=SOURCE,
            reason=reason,
        )
