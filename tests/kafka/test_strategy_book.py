"""The book of strategies: what stands, what is refused, and that reading on, or again, changes nothing of it."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaConnectionError

from streams.core.discovery import Origin
from streams.core.events import Mode, Status, Strategy, Tombstone
from streams.core.special_rows import Position
from streams.kafka import book, registry_wait
from streams.kafka.book import DECODED_AT_ONCE, Place, Refusal
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.registry import FileSchemas
from streams.kafka.strategy_book import Change, StrategyBook
from streams.kafka.strategy_records import DISCOVERY, record_of
from streams.topic_names import STRATEGY_CHANGES
from tests.kafka.batches import Row
from tests.kafka.given_schemas import GivenSchemas
from tests.kafka.shard_stage import run_of

TOPIC = "w7.strategy-changes"
ENCODER = Encoder(FileSchemas(), ("strategy_change",))
S1 = Strategy("s1", "5m", frozenset({"AAPL", "BRK.B"}))
HANGS_S = 60


def row(strategy: Strategy, key: bytes | None = None) -> Row:
    value = ENCODER.encode("strategy_change", record_of(strategy, 5))
    return Row(0, key=strategy.strategy_id.encode() if key is None else key, value=value)


def tombstone(key: bytes | None = b"s1") -> Row:
    return Row(0, key=key, value=None)


class Stage:
    """A book at work, and what it has told."""

    def __init__(self, schemas: Any = None) -> None:
        self.book = StrategyBook(TOPIC, 3, Decoder(schemas or FileSchemas(), "strategy_change"))
        self.told: list[Change | Refusal] = []
        self.book.told = self.told.append
        self.working = asyncio.create_task(self.book.work())

    def take(self, rows: Sequence[Row], start: int = 0, partition: int = 0) -> RawRun:
        """Hand in a run."""
        run = run_of(rows, start, topic=TOPIC, partition=partition)
        self.book.take("strategies", run)
        return run

    async def read(self, rows: Sequence[Row], start: int = 0, partition: int = 0) -> None:
        """The same, and wait until it is in the book."""
        self.take(rows, start, partition)
        await self.book.caught_up()

    @property
    def words(self) -> list[str]:
        """What was told, in order: the version that counts, or why one does not."""
        return [
            each.reason.word
            if isinstance(each, Refusal)
            else f"{each.stands.strategy_id} gone"
            if isinstance(each.stands, Tombstone)
            else f"{each.stands.strategy_id} v{each.stands.version}"
            for each in self.told
        ]


def staged(story: Callable[[Stage], Awaitable[None]], schemas: Any = None) -> None:
    """Let a story run."""

    async def main() -> None:
        stage = Stage(schemas)
        async with asyncio.timeout(HANGS_S):
            await story(stage)
        stage.working.cancel()
        await asyncio.gather(stage.working, return_exceptions=True)

    asyncio.run(main())


def test_a_strategy_comes_out_as_it_went_in() -> None:
    whole = Strategy("ß", "1d", frozenset({"ÄÖÜ", "A"}), Status.PAUSED, 3, "America/New_York", "XNYS", Mode.LEGACY, 500)

    async def story(stage: Stage) -> None:
        await stage.read([row(S1), row(whole)], partition=2)
        assert dict(stage.book.strategies) == {"s1": S1, "ß": whole}
        assert stage.told == [Change(Place(2, 0), S1), Change(Place(2, 1), whole)]
        assert stage.book.positions == {2: 2}

    staged(story)


def test_changes_are_settled_by_version() -> None:
    newer, older = replace(S1, version=5, timeframe="1h"), replace(S1, version=2)

    async def story(stage: Stage) -> None:
        await stage.read([row(S1), row(newer), row(newer), row(older), row(S1)])
        assert dict(stage.book.strategies) == {"s1": newer}
        assert stage.words == ["s1 v1", "s1 v5"]  # what is repeated or stale is not told of
        assert stage.book.positions == {0: 5}

    staged(story)


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (row(replace(S1, timeframe="1h")), "change_conflict"),
        (row(replace(S1, version=2, status=Status.DRAFT)), "change_illegal"),
        (row(replace(S1, version=2, universe=frozenset({"T" * 65}))), "change_invalid"),
        (row(replace(S1, version=2), key=b"s2"), "other_key"),
        (row(replace(S1, version=2), key=b"\xff"), "bad_key"),
        (Row(0, key=None, value=b"x"), "bad_key"),
        (tombstone(None), "bad_key"),
        (Row(0, key=b"s1", value=b"\1rubbish"), "wrong_magic"),
        (Row(0, key=b"s1", value=b"\0\0\0\0\x63rubbish"), "unknown_schema_id"),
    ],
)
def test_what_is_refused_is_told_with_a_reason_and_a_remedy_and_the_others_count(bad: Row, word: str) -> None:
    other = Strategy("s9", "1m")

    async def story(stage: Stage) -> None:
        await stage.read([row(S1), bad, row(other)])
        assert stage.words == ["s1 v1", word, "s9 v1"]
        (refusal,) = stage.book.refusals
        assert stage.told[1] is refusal
        assert refusal.place == (0, 1)
        assert (refusal.record.key, refusal.record.value) == (bad.key, bad.value)
        assert refusal.reason.detail
        assert refusal.reason.remedy
        assert dict(stage.book.strategies) == {"s1": S1, "s9": other}

    staged(story)


def test_behind_a_tombstone_any_version_is_a_birth() -> None:
    newer, again = replace(S1, version=7), replace(S1, timeframe="1h")

    async def story(stage: Stage) -> None:
        await stage.read([row(newer), tombstone(), tombstone(), tombstone(b"never met")])
        assert dict(stage.book.strategies) == {}
        assert stage.words == ["s1 v7", "s1 gone"]
        await stage.read([row(again), row(newer)], 4)
        assert stage.words[2:] == ["s1 v1", "s1 v7"]

    staged(story)


def test_a_deleted_version_goes_on_counting_until_its_tombstone() -> None:
    deleted = replace(S1, version=2, status=Status.DELETED)

    async def story(stage: Stage) -> None:
        await stage.read([row(S1), row(deleted), row(S1)])
        assert dict(stage.book.strategies) == {"s1": deleted}
        await stage.read([tombstone(), row(S1)], 3)
        assert dict(stage.book.strategies) == {"s1": S1}

    staged(story)


def test_reading_the_topic_again_from_its_start_changes_and_tells_nothing() -> None:
    paused = replace(S1, version=2, status=Status.PAUSED)
    rows = [row(S1), Row(0, key=b"s1", value=b"rubbish"), row(paused), tombstone(), row(replace(S1, version=4))]

    async def story(stage: Stage) -> None:
        await stage.read(rows)
        told, stands = list(stage.told), dict(stage.book.strategies)
        await stage.read(rows)
        await stage.read(rows[:2])
        assert stage.told == told
        assert dict(stage.book.strategies) == stands
        assert stage.book.positions == {0: 5}
        await stage.read([*rows, row(replace(S1, version=9))])  # and a longer one goes on where it stood
        assert stage.words[len(told) :] == ["s1 v9"]
        assert stage.book.positions == {0: 6}

    staged(story)


def test_partitions_are_read_each_for_itself() -> None:
    async def story(stage: Stage) -> None:
        await stage.read([row(S1)], partition=0)
        await stage.read([row(Strategy("s2", "1m")), row(Strategy("s3", "1m"))], partition=1)
        await stage.read([row(Strategy("s4", "1m"))], partition=2)
        assert sorted(stage.book.strategies) == ["s1", "s2", "s3", "s4"]
        assert stage.book.positions == {0: 1, 1: 2, 2: 1}

    staged(story)


def test_a_run_behind_a_gap_is_left_out_until_the_gap_is_read() -> None:
    async def story(stage: Stage) -> None:
        await stage.read([row(S1)])
        await stage.read([row(replace(S1, version=3))], 2)
        assert stage.words == ["s1 v1"]
        assert not stage.book.is_whole("strategies", 0, Bounds(0, 3))
        assert stage.book.goes_on_at("strategies", 0, Bounds(0, 3)) == 1
        await stage.read([row(replace(S1, version=2)), row(replace(S1, version=3))], 1)
        assert stage.words == ["s1 v1", "s1 v2", "s1 v3"]
        assert stage.book.is_whole("strategies", 0, Bounds(0, 3))

    staged(story)


def test_what_compaction_has_left_at_the_start_is_the_start() -> None:
    async def story(stage: Stage) -> None:
        assert stage.book.is_whole("strategies", 0, Bounds(0, 0))
        assert stage.book.is_whole("strategies", 0, Bounds(4, 4))
        assert not stage.book.is_whole("strategies", 0, Bounds(4, 5))
        assert stage.book.goes_on_at("strategies", 0, Bounds(4, 5)) == 4
        await stage.read([row(S1)], 4)
        assert stage.book.strategies["s1"] == S1
        assert stage.book.positions == {0: 5}
        assert [(log.topic, log.partition) for log in stage.book.logs()] == [(TOPIC, p) for p in range(3)]

    staged(story)


def test_markers_move_the_position() -> None:
    async def story(stage: Stage) -> None:
        await stage.read([row(S1)])
        await stage.read([], 1)
        assert stage.book.positions == {0: 2}
        assert stage.book.is_whole("strategies", 0, Bounds(0, 2))

    staged(story)


def test_a_long_run_is_taken_whole_and_in_order() -> None:
    count = 2 * DECODED_AT_ONCE + 1
    strategies = [Strategy(f"s{number:04}", "1m") for number in range(count)]

    async def story(stage: Stage) -> None:
        await stage.read([row(strategy) for strategy in strategies])
        assert [each.place.offset for each in stage.told] == list(range(count))
        assert list(stage.book.strategies.values()) == strategies

    staged(story)


def test_the_oldest_refusals_give_way_and_it_is_said_where_their_dead_letters_are_missing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(book, "REFUSALS_KEPT", 3)

    async def story(stage: Stage) -> None:
        await stage.read([tombstone(None)] * 3)
        await stage.read([tombstone(None)] * 2, 3)
        assert [each.place.offset for each in stage.book.refusals] == [2, 3, 4]
        assert len(stage.told) == 5  # whoever listens has heard all of them
        for answered in (2, 3, 5):
            position = Position(0, 0, 0, {}, {(STRATEGY_CHANGES, 0): answered})
            assert [each.place.offset for each in book.unanswered([stage.book.refused], position)] == [
                *range(answered, 5)
            ]
        assert "get no dead letters" not in caplog.text
        assert len(list(book.unanswered([stage.book.refused], Position(0, 0, 0, {}, {(STRATEGY_CHANGES, 0): 1})))) == 3
        assert len(list(book.unanswered([stage.book.refused], None))) == 3

    staged(story)
    told = [each.getMessage() for each in caplog.records if "get no dead letters" in each.getMessage()]
    assert [each.partition(": ")[2] for each in told] == [
        f"refused records from offset {since} to 1 get no dead letters, beyond the last 3" for since in (1, 0)
    ]


class Down(GivenSchemas):
    """A registry that is down until it is put up; says when it was asked a few times."""

    def __init__(self) -> None:
        super().__init__()
        self.down.add(ENCODER.schema_id("strategy_change"))
        self.asked_often = threading.Event()

    def schema(self, ref: Any) -> Any:
        if self.asked.count(ref) >= 3:
            self.asked_often.set()
        return super().schema(ref)


def test_while_the_registry_is_down_it_waits_and_then_takes_everything_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry_wait, "FIRST_WAIT_S", 0.001)
    schemas = Down()
    older, newer = S1, replace(S1, version=2, timeframe="1h")

    async def story(stage: Stage) -> None:
        stage.take([tombstone(None), row(older)])
        stage.take([row(newer)], 2)
        waiting = asyncio.create_task(stage.book.caught_up())
        assert await asyncio.to_thread(schemas.asked_often.wait, HANGS_S)
        assert not waiting.done()
        assert stage.told == []
        assert stage.book.positions == {}
        schemas.down.clear()
        await waiting
        assert stage.words == ["bad_key", "s1 v1", "s1 v2"]
        assert stage.book.strategies["s1"] == newer

    staged(story, schemas)


def test_it_catches_up_with_its_topic_once_the_broker_answers_and_waits_for_what_it_decodes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(stage: Stage) -> None:
        answers = iter([KafkaConnectionError(), TimeoutError(), None])

        async def complete(make_reader: object, logs: object) -> int:
            assert (make_reader, len(cast("list[object]", logs))) == (nobody, 3)
            error = next(answers)
            if error is not None:
                raise error
            stage.take([row(S1)])
            return 1

        monkeypatch.setattr(book, "complete", complete)
        monkeypatch.setattr(book, "FIRST_WAIT_S", 0.0)
        await stage.book.catch_up(cast("Any", nobody))
        assert dict(stage.book.strategies) == {"s1": S1}
        assert list(answers) == []

    staged(story)


def nobody() -> None:
    """Makes no reader."""


def test_where_a_universe_comes_from_is_kept_through_edits_and_discoveries() -> None:
    discovered = record_of(replace(S1, version=3, universe=frozenset({"X"})), 77, source=DISCOVERY)
    found = Row(0, key=b"s1", value=ENCODER.encode("strategy_change", discovered))
    written = replace(S1, version=5, universe=frozenset({"Y"}))

    async def story(stage: Stage) -> None:
        async def origin_behind(change: Row) -> Origin:
            await stage.read([change], stage.book.positions.get(0, 0))
            standing = stage.book.standing("s1")
            assert standing is not None
            return standing.origin

        assert stage.book.standing("s1") is None
        assert await origin_behind(row(S1)) == Origin(1)
        assert await origin_behind(row(replace(S1, version=2, timeframe="1h"))) == Origin(1)
        assert await origin_behind(found) == Origin(1, 77)
        last = replace(S1, version=4, universe=frozenset({"X"}), timeframe="1m")
        assert await origin_behind(row(last)) == Origin(1, 77)
        assert await origin_behind(row(written)) == Origin(5)
        assert await origin_behind(found) == Origin(5)

    staged(story)
