"""The check at the door: a shard takes a run only if it starts where the shard stands.

Whatever Faust loses, repeats or hands over out of order (transport/consumer.py, streams.py, agents), it ends here.
"""

import asyncio
from typing import Any

import pytest

from streams.kafka import owned_shard, surroundings
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.outbox import Patience
from streams.kafka.owned_shard import OwnedShard
from streams.kafka.run_queue import Room
from streams.kafka.shard_states import State
from tests.holes.cures import with_and_without_the_cure, without
from tests.holes.stage import TICKS, run_of


class Door:
    """A shard that takes runs and does not work on them."""

    def __init__(self, stands: int) -> None:
        self.sought: list[tuple[int, int]] = []
        self.earliest = 0
        needed = {
            "topic": TICKS.topic,
            "room": Room(10, 1 << 20, 1000),
            "interval_s": 0.0,
            "clock": "clock",
            "seek": self.seek,
            "bounds": self.bounds,
            "patience": Patience(),
        }
        around: Any = type("Around", (), needed)
        nobody: Any = None
        self.shard = OwnedShard(0, nobody, nobody, around)
        self.shard.state, self.shard.next_offset = State.RUNNING, stands

    async def seek(self, _topic: str, partition: int, offset: int) -> None:
        self.sought.append((partition, offset))

    async def bounds(self, *_: object) -> Bounds:
        return Bounds(self.earliest, 1000)

    async def puts(self, *spans: tuple[int, int]) -> list[tuple[int, int]]:
        """Hand in runs; tells which of them were taken."""
        for start, position in spans:
            await self.shard.put(run_of(TICKS, start, position))
        runs: list[RawRun] = self.shard._runs.take()
        return [(run.start, run.position) for run in runs]


@with_and_without_the_cure
def test_a_run_that_was_taken_already_is_dropped(monkeypatch: pytest.MonkeyPatch, cured: bool) -> None:
    """Ticks that came before the seek, and come again after it, would fire twice."""
    if not cured:
        without(monkeypatch, OwnedShard, "put", "run.position <= self.next_offset", "False")
        without(monkeypatch, owned_shard, "may_go_on_at", "return False", "return True")

    async def main() -> None:
        taken = await Door(stands=10).puts((10, 12), (10, 12), (12, 15))
        assert taken == ([(10, 12), (12, 15)] if cured else [(10, 12), (10, 12), (12, 15)])

    asyncio.run(main())


@with_and_without_the_cure
@pytest.mark.parametrize("span", [(14, 16), (8, 12)], ids=["behind_a_gap", "over_the_place"])
def test_a_run_that_does_not_start_where_the_shard_stands_is_sought_again(
    monkeypatch: pytest.MonkeyPatch, cured: bool, span: tuple[int, int]
) -> None:
    """One behind a run that was lost, or one whose beginning was taken already."""
    if not cured:
        without(monkeypatch, OwnedShard, "put", "run.start != self.next_offset", "False")

    async def main() -> None:
        door = Door(stands=10)
        taken = await door.puts(span, (10, 18))
        assert door.sought == ([(0, 10)] if cured else [])
        assert taken[0] == ((10, 18) if cured else span)

    asyncio.run(main())


def test_what_the_broker_has_deleted_is_not_sought_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        door = Door(stands=10)
        door.earliest = 14
        told: list[tuple[int, int]] = []
        monkeypatch.setattr(surroundings, "say_lost", lambda _around, _topic, _partition, *lost: told.append(lost))
        assert await door.puts((14, 16)) == [(14, 16)]
        assert (door.sought, told) == ([], [(10, 14)])

    asyncio.run(main())
