"""What the transport needs of the worker that it fetches for."""

from collections.abc import Collection, Mapping
from typing import Protocol

from streams.kafka.fetch import Bounds
from streams.settings import Settings


class Shards(Protocol):
    """What the transport needs of the shards: see `shards.py`."""

    async def fence(self, partitions: Collection[int]) -> None:
        """Shut out whoever owned these partitions of `ticks` before. Runs before anything is read of them."""

    def position(self, topic: str, partition: int) -> int | None:
        """Where the restored state of a shard stands in an input of its own; None where it has none."""

    def seeked(self, positions: Mapping[tuple[str, int], tuple[int, Bounds]]) -> None:
        """The partitions of these inputs go on from here; and what each holds."""

    def wants_more(self, topic: str, partition: int) -> bool:
        """Whether more of an input should be fetched for a shard."""

    def fetched(self) -> None:
        """Ticks have come."""

    def committed(self) -> dict[int, int]:
        """How far each shard has come."""

    async def drain(self) -> None:
        """Checkpoint what has been taken, and let go."""


class Results(Protocol):
    """What the transport needs of the discoveries: see `discoveries.py`."""

    def seeked(self, positions: Mapping[int, int]) -> None:
        """These partitions of `alert-results` go on from here."""

    def sought(self, partition: int, offset: int) -> None:
        """A partition is read again from here."""

    def wants_more(self, partition: int) -> bool:
        """Whether results should be fetched for a partition."""

    def fetched(self, partition: int, position: int) -> None:
        """Results have come, up to here."""

    def committed(self) -> dict[int, int]:
        """Of each partition, up to where results are done with."""

    async def let_go(self) -> None:
        """Begin nothing more, and end what is under way."""


class App(Protocol):
    """What the transport needs of the application: see `faust_app.py`."""

    tickgate: Settings
    shards: Shards
    results: Results
