"""What a day was decided by is read while its ticks are; not at all, where something else decides."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event, active_count
from typing import Any

import pytest

from streams.core.events import Mode
from streams.errors import InputError
from streams.recorded.beside import Beside, of_strategies
from streams.recorded.placed import Refused, Ticks
from streams.recorded.replay import How, replay_day
from tests.recorded.made import MadeDay

PATIENCE_S = 30


class Slow:
    """A day whose changes have been read when its first ticks have."""

    def __init__(self, day: MadeDay) -> None:
        self.day, self.conditions = day, day.conditions
        self.warnings: list[str] = []
        self.has_ticks, self.asked = Event(), 0

    @property
    def beside(self) -> Beside:
        self.asked += 1
        if not self.has_ticks.wait(PATIENCE_S):
            raise InputError("the changes", "are read before any tick is", "read them meanwhile")
        return self.day.beside

    def runs(self) -> Iterator[tuple[Ticks | None, list[Refused]]]:
        for run in self.day.runs():
            self.has_ticks.set()
            yield run

    def progress(self) -> tuple[int, int | None]:
        return self.day.progress()

    def told(self) -> dict[str, Any]:
        return self.day.told()

    def place(self, partition: int, offset: int) -> str:
        return self.day.place(partition, offset)


class Broken(Slow):
    """A day whose changes cannot be read."""

    @property
    def beside(self) -> Beside:
        assert self.has_ticks.wait(PATIENCE_S)
        raise InputError("topic strategy-changes", "cannot be read", "start the broker")


def test_ticks_are_read_meanwhile_and_the_executions_are_the_same(tmp_path: Path) -> None:
    replay_day(MadeDay(3), tmp_path / "one", How(report=False))
    replay_day(Slow(MadeDay(3)), tmp_path / "two", How(report=False))
    one, two = ((tmp_path / name / "executions.parquet").read_bytes() for name in ("one", "two"))
    assert one == two


def test_they_are_not_read_where_something_else_decides(tmp_path: Path) -> None:
    day = Slow(MadeDay(3))
    beside = of_strategies(day.day.strategies, Mode.PER_TICKER)
    assert replay_day(day, tmp_path, How(beside, report=False)).fired_pairs
    assert day.asked == 0


def test_where_they_cannot_be_read_that_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    threads = active_count()
    with pytest.raises(InputError, match="strategy-changes"):
        replay_day(Broken(MadeDay(3)), tmp_path / "out", How())
    assert not (tmp_path / "out").exists()
    assert active_count() == threads
