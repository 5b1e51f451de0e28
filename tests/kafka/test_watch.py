"""A worker that does not get ready does not hang for ever. What the watch does about lost runs: tests/holes."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

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
