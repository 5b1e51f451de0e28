"""A worker that does not get ready does not hang for ever. What the watch does about lost runs: tests/holes."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streams.kafka import watch
from streams.kafka.watch import StuckError, Watch


def test_a_worker_that_owns_shards_and_never_recovers_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(watch, "NOT_READY_S", 0.005)
    shards: Any = SimpleNamespace(ready=False, owned={0: "a shard"}, shards=["recovering"])
    nobody: Any = None
    with pytest.raises(StuckError, match="recovering"):
        asyncio.run(Watch(nobody, nobody, shards, nobody, nobody).work())


def test_one_that_owns_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(watch, "NOT_READY_S", 0.005)
    shards: Any = SimpleNamespace(ready=False, owned={}, shards=[])
    nobody: Any = None

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(Watch(nobody, nobody, shards, nobody, nobody).work(), 0.05)

    asyncio.run(main())


class Read:
    """A consumer that has read one record of each partition, a reader's book, and what came of both."""

    ticks_topic, clock_topic = "ticks", "clock"

    def __init__(self) -> None:
        self.sought: list[tuple[str, int, int]] = []
        self.caught_up: list[str] = []
        self.ready = True
        self.owned = {3: SimpleNamespace(idle_at=0, clock=SimpleNamespace(idle_at=0))}

    async def position(self, _: TP) -> int:
        return 1

    async def seek(self, tp: TP, offset: int) -> None:
        self.sought.append((tp.topic, tp.partition, offset))

    def refresh(self) -> None:
        """Shards may look at what the book has caught up on."""

    def book(self, topic: str) -> Any:
        async def caught_up() -> None:
            self.caught_up.append(topic)

        return SimpleNamespace(topic=topic, taken={0: 0}, logs=list, caught_up=caught_up)


def test_what_was_read_and_did_not_arrive_is_read_again_whatever_topic_it_is_of() -> None:
    read: Any = Read()
    books: Any = [read.book("strategy-changes"), read.book("turns")]
    discoveries: Any = SimpleNamespace(topic="alert-results", idle_at=lambda: {2: 0})
    looks = Watch(lambda: read, lambda: read, read, books, discoveries)

    async def main() -> None:
        await looks.look()
        assert (read.sought, read.caught_up) == ([], [])  # it may be on its way
        await looks.look()

    asyncio.run(main())
    assert sorted(read.sought) == [("alert-results", 2, 0), ("clock", 3, 0), ("ticks", 3, 0)]
    assert read.caught_up == ["strategy-changes", "turns"]
