"""What stands is written behind what hides it: once, by the owner of one shard, after a while, and seen in the book."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from streams.core.events import Status, Strategy
from streams.core.lifecycle import MAX_VERSION
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.mending import Mending, Tools
from streams.kafka.producing import Outgoing
from streams.kafka.registry import FileSchemas
from streams.kafka.shard_states import State
from streams.kafka.strategy_book import StrategyBook
from streams.kafka.strategy_records import record_of
from tests.kafka.batches import Row
from tests.kafka.shard_stage import run_of

TOPIC = "w7.strategy-changes"
ENCODER = Encoder(FileSchemas(), ("strategy_change",))
S = Strategy("s", "5m", frozenset({"A", "B"}), version=5)
RUBBISH = Row(0, key=b"s", value=b"\1rubbish")
AFTER_S = 10.0


def row(strategy: Strategy) -> Row:
    return Row(0, key=strategy.strategy_id.encode(), value=ENCODER.encode("strategy_change", record_of(strategy, 5)))


class Stage:
    """A log of one partition, a book that reads it, and one who mends."""

    def __init__(self) -> None:
        self.book = StrategyBook(TOPIC, 1, Decoder(FileSchemas(), "strategy_change"))
        self.working = asyncio.create_task(self.book.work())
        self.rows: list[Row] = []
        self.sent: list[Row] = []
        self.on_its_way: list[Row] = []
        """Written by others, and not read by the book before somebody catches up."""
        self.owned: dict[int, Any] = {0: SimpleNamespace(state=State.RUNNING, deciding=None)}
        shards = cast("Any", SimpleNamespace(owned=self.owned))
        self.mending = Mending(shards, Tools(self.book, self.catch_up, ENCODER, cast("Any", self)), AFTER_S)

    async def write(self, *rows: Row) -> None:
        """Write, and let the book read."""
        if rows:
            run = run_of(rows, len(self.rows), topic=TOPIC)
            self.rows += rows
            self.book.take("strategies", run)
            await self.book.caught_up()

    async def catch_up(self) -> None:
        rows, self.on_its_way = self.on_its_way, []
        await self.write(*rows)

    async def send(
        self, keyed: Sequence[Any], letters: Sequence[Any], placed: Sequence[Outgoing]
    ) -> dict[tuple[str, int], int]:
        """Stands where the announcer stands."""
        assert not keyed
        assert not letters
        for topic, partition, records in placed:
            assert (topic, partition) == (TOPIC, 0)
            self.sent += [Row(0, key=records.key(i), value=records.value(i)) for i in range(records.count)]
            await self.write(*(Row(0, key=records.key(i), value=records.value(i)) for i in range(records.count)))
        return {(TOPIC, 0): len(self.rows)} if placed else {}

    async def look(self) -> None:
        """Look once, and again when it has been hidden for long enough."""
        for now_s in (100.0, 100.0 + AFTER_S):
            await self.mending.look(now_s)

    async def late(self, *rows: Row) -> dict[str, Strategy]:
        """The strategies that stand for somebody who reads these alone."""
        stage = Stage()
        await stage.write(*rows)
        stage.working.cancel()
        return dict(stage.book.strategies)


def staged(story: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        stage = Stage()
        await story(stage)
        stage.working.cancel()

    asyncio.run(main())


@pytest.mark.parametrize(
    "bad",
    [
        RUBBISH,
        Row(0, key=b"s", value=row(replace(S, strategy_id="other", version=6)).value),
        row(replace(S, version=6, status=Status.DRAFT)),
        row(replace(S, timeframe="1h")),
        row(replace(S, version=3, timeframe="1h")),
        row(replace(S, version=6, universe=frozenset({"L" * 65}))),
        row(replace(S, version=0)),
    ],
    ids=["rubbish", "other key", "illegal", "conflict", "stale", "invalid", "no version"],
)
def test_behind_a_bad_record_stands_what_stood_for_whoever_comes_late(bad: Row) -> None:
    async def story(stage: Stage) -> None:
        await stage.write(row(S), bad)
        await stage.look()
        (mended,) = stage.sent
        stands = stage.book.strategies["s"]
        assert replace(stands, version=5) == S
        assert stands.version > 5
        assert await stage.late(mended) == await stage.late(bad, mended) == {"s": stands}
        await stage.look()
        assert len(stage.sent) == 1, "it is not hidden any more"

    staged(story)


def test_where_nothing_stands_a_tombstone_says_so() -> None:
    async def story(stage: Stage) -> None:
        await stage.write(RUBBISH)
        await stage.look()
        assert stage.sent == [Row(0, key=b"s", value=None)]
        await stage.look()
        assert len(stage.sent) == 1

    staged(story)


def test_nobody_else_writes_and_a_new_owner_writes_what_the_one_before_did_not() -> None:
    async def story(stage: Stage) -> None:
        owned = stage.owned.pop(0)
        await stage.write(row(S), RUBBISH)
        await stage.look()
        assert stage.sent == []
        stage.owned[0] = SimpleNamespace(state=State.RECOVERING, deciding=None)
        await stage.look()
        assert stage.sent == []
        stage.owned[0] = owned
        await stage.look()
        assert len(stage.sent) == 1

    staged(story)


def test_it_waits_until_nothing_else_has_come_for_a_while() -> None:
    async def story(stage: Stage) -> None:
        await stage.write(row(S), RUBBISH)
        await stage.mending.look(100.0)
        await stage.mending.look(100.0 + AFTER_S / 2)
        await stage.write(RUBBISH)
        await stage.mending.look(100.0 + AFTER_S)
        assert stage.sent == []
        await stage.mending.look(100.0 + 2 * AFTER_S)
        assert len(stage.sent) == 1

    staged(story)


def test_a_good_version_that_is_on_its_way_is_not_undone() -> None:
    async def story(stage: Stage) -> None:
        await stage.write(row(S), RUBBISH)
        stage.on_its_way = [row(replace(S, version=6, timeframe="1h"))]
        await stage.look()
        assert stage.sent == []
        assert stage.book.strategies["s"].timeframe == "1h"

    staged(story)


def test_where_no_version_is_left_it_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async def story(stage: Stage) -> None:
        await stage.write(row(replace(S, version=MAX_VERSION - 1)))
        await stage.write(row(replace(S, version=MAX_VERSION, status=Status.DRAFT)))
        await stage.look()
        assert stage.sent == []
        assert stage.book.hidden.get("s") is not None

    staged(story)
    assert "no version is left" in caplog.text
