"""What a shard tells of its work, and what a large checkpoint leaves behind in memory."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from streams.instruments import Done
from streams.kafka import surroundings
from streams.kafka.surroundings import LARGE_PAIRS, report


@pytest.mark.parametrize(("pairs", "times"), [(LARGE_PAIRS - 1, 0), (LARGE_PAIRS, 1)])
def test_what_a_large_checkpoint_took_is_given_back_behind_it(
    monkeypatch: pytest.MonkeyPatch, pairs: int, times: int
) -> None:
    given = list[str]()
    monkeypatch.setattr(surroundings, "LATER_S", 0.01)
    monkeypatch.setattr(surroundings, "give_back", lambda: given.append("back"))
    told = list[tuple[int, int, int]]()
    around: Any = SimpleNamespace(
        instruments=SimpleNamespace(done=lambda _: None),
        committed=lambda partition, position, done: told.append((partition, position, done.fired_pairs)),
    )
    parts: list[Any] = [
        SimpleNamespace(done=Done(0.0, fired_pairs=each), refused={}, emission=SimpleNamespace(position=position))
        for position, each in ((7, pairs // 2), (9, pairs - pairs // 2))
    ]

    async def work() -> None:
        report(around, 3, parts, 0.5)
        assert given == [], "another may follow at once"
        await asyncio.sleep(0.05)

    asyncio.run(work())
    assert (given, told) == (["back"] * times, [(3, 9, pairs)])
