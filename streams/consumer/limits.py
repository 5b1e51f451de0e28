"""How much the consumer of executions may hold, and how long it waits: every bound in one place."""

from typing import NamedTuple


class Limits(NamedTuple):
    """Bounds of one consumer."""

    seen_pairs: int = 100_000
    """Of each partition so many pairs (strategy, ticker, bucket) are known at least, and twice as many at most."""

    look_back_records: int = 10_000
    """So many offsets before the committed one are read when a partition comes, to learn what has been handed out."""

    under_way: int = 1_000
    """Executions that `run` holds at a time: those that run, and those that wait for their turn."""

    fetch_records: int = 500
    """Records that are taken from the client at a time."""

    partition_fetch_bytes: int = 1 << 20
    """What one fetch brings of one partition; the next one waits until that is used up. A larger batch comes whole."""

    fetch_bytes: int = 16 << 20
    """What one fetch brings of all partitions of one broker."""

    commit_every_s: float = 1.0
    """How often what has been handled is committed. Hand-over and stop commit by themselves."""

    commit_within_s: float = 5.0
    """An attempt to commit ends after so long."""

    close_within_s: float = 10.0
    """A broker that does not answer a goodbye is left after so long."""

    hand_over_s: float = 20.0
    """What is under way has so long to end when partitions are let go, and when `run` stops. The rest comes again."""

    session_s: float = 10.0
    """A consumer that is silent for so long loses its partitions."""

    handling_s: float = 300.0
    """A consumer that asks for nothing for so long loses its partitions. No execution may take longer."""

    ask_again_s: float = 1.0
    """Between two questions to a schema registry that does not answer."""

    @property
    def rebalance_s(self) -> float:
        """How long the group waits for a member that hands over: it ends what is under way, and commits it."""
        return self.hand_over_s + 2 * self.commit_within_s
