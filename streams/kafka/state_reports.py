"""What stands in a worker's shards now of a ticker or a strategy, told to those who ask over HTTP."""

from streams.core.shard import Shard
from streams.kafka import told_state
from streams.kafka.owned_shard import OwnedShard
from streams.kafka.shard_states import HELD, State
from streams.kafka.shards import Shards
from streams.kafka.told_state import Told


class StateReports:
    """Of every shard that this worker owns."""

    def __init__(self, shards: Shards, app_id: str) -> None:
        self._shards, self.app_id = shards, app_id

    def of_ticker(self, partition: int, ticker: str) -> Told | None:
        """What the ticker's shard knows of it; None where the shard is not here, or not whole."""
        held = self._held().get(partition)
        return None if held is None else {**_standing(*held), **told_state.of_ticker(held[1], ticker)}

    def of_strategy(self, strategy_id: str) -> dict[int, Told]:
        """What each shard here knows of the strategy."""
        return {
            partition: {**_standing(*held), **told_state.of_strategy(held[1], strategy_id)}
            for partition, held in self._held().items()
        }

    def silent(self) -> dict[int, str]:
        """Shards here that cannot be asked, and why."""
        owned = {p: each for p, each in self._shards.owned.items() if each.state is not State.CLOSED}
        return {p: f"it is {owned[p].state}; ask again" for p in sorted(owned.keys() - self._held().keys())}

    def _held(self) -> dict[int, tuple[OwnedShard, Shard]]:
        owned = self._shards.owned.items()
        return {p: (each, each.deciding.shard) for p, each in owned if each.deciding and each.state in HELD}


def _standing(owned: OwnedShard, shard: Shard) -> Told:
    """How far it has come: the position is that of its last checkpoint."""
    status = owned.status
    return {
        "topic": status.topic,
        "shard": status.partition,
        "position": status.position,
        "end": status.end,
        "stream_time": told_state.stream_time(shard),
    }
