"""What the shadows of a worker's shards have counted, told to those who ask over HTTP and to the metrics."""

from streams.core.rollout import MOST_NAMED, Report
from streams.core.shadow import Shadow, ShadowCounts
from streams.kafka.shard_states import State
from streams.kafka.shards import Shards
from streams.kafka.strategy_book import StrategyBook

NO_SHADOW = "it does not count, as `shadow` is not set"


class ShadowReports:
    """Of every shard that this worker owns."""

    def __init__(self, shards: Shards, book: StrategyBook) -> None:
        self._shards, self._book = shards, book

    def knows(self, strategy_id: str) -> bool:
        """Whether there is such a strategy."""
        return strategy_id in self._book.strategies

    def reports(self, strategy_id: str = "") -> list[Report]:
        """One for each shard that counts; of one strategy where it is named."""
        return [report_of(partition, shadow, strategy_id) for partition, shadow in self._shadows().items() if shadow]

    def silent(self) -> dict[int, str]:
        """Shards here that do not count, and why."""
        return {partition: NO_SHADOW for partition, shadow in self._shadows().items() if shadow is None}

    def _shadows(self) -> dict[int, Shadow | None]:
        owned = self._shards.owned.items()
        return {p: each.deciding.shard.shadow for p, each in owned if each.deciding and each.state is State.RUNNING}


def report_of(partition: int, shadow: Shadow, strategy_id: str = "") -> Report:
    """What one shard has counted."""
    if not strategy_id:
        held = shadow.strategies, shadow.left_out
        return Report(partition, *shadow.since, *held, shadow.totals, shadow.missed(MOST_NAMED))
    counts = shadow.counts_of(strategy_id) or ShadowCounts()
    missed = {strategy_id: counts.only_old} if counts.only_old else {}
    return Report(partition, *shadow.since, int(shadow.is_at_home(strategy_id)), shadow.left_out, counts, missed)
