"""Which partition a key belongs in: as Java's producer has it, so that all clients agree."""

from aiokafka.partitioner import murmur2

POSITIVE: int = 0x7FFFFFFF


def partition_of(key: bytes | None, partitions: int) -> int:
    """The partition of a key; a record without one goes to the first."""
    return 0 if key is None else (murmur2(key) & POSITIVE) % partitions


class Homes(dict[str, int]):
    """The partition of each key asked for, worked out once: universes ask for the same tickers again and again."""

    def __init__(self, partitions: int) -> None:
        super().__init__()
        self._partitions = partitions

    def __missing__(self, key: str) -> int:
        home = self[key] = partition_of(key.encode(), self._partitions)
        return home


class Here(dict[str, bool]):
    """Whether a key belongs in one partition, worked out once: looking it up costs no call of Python."""

    def __init__(self, partition: int, homes: Homes) -> None:
        super().__init__()
        self._partition, self._homes = partition, homes

    def __missing__(self, key: str) -> bool:
        is_here = self[key] = self._homes[key] == self._partition
        return is_here
