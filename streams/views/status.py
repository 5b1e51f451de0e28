"""What a worker says of itself to those who look from outside."""

from collections.abc import Sequence
from typing import Protocol

from streams.instruments import ShardStatus


class WorkerStatus(Protocol):
    """Whether it is ready, and how its shards stand."""

    @property
    def ready(self) -> bool:
        """Whether it has joined, and recovered what it owns."""

    @property
    def shards(self) -> Sequence[ShardStatus]:
        """Every shard that it owns, in order."""
