"""All shards of a worker: they come, are recovered, hear of changes, and go."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import pytest

from streams.core.agreement import Agreement
from streams.core.events import Strategy
from streams.core.shard import Shard
from streams.core.state_rows import StateRows
from streams.core.turning import alone
from streams.kafka import shards as shards_module
from streams.kafka.bad_values import Reason
from streams.kafka.clock_values import ClockValues
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.deciding import Deciding, Layout, Tools
from streams.kafka.fetch import Bounds
from streams.kafka.other_books import Books, ControlBook, TurnBook
from streams.kafka.registry import FileSchemas
from streams.kafka.rows_reader import Log
from streams.kafka.run_queue import Room
from streams.kafka.shard_states import State
from streams.kafka.shards import Makers, Shards
from streams.kafka.strategy_book import Change, Place, Refusal, StrategyBook
from streams.kafka.surroundings import Surroundings
from streams.kafka.tick_values import TickValues
from streams.kafka.whole_topic import Record
from streams.topic_names import CONTROLS, STRATEGY_CHANGES, TURNS, TopicNames
from tests.core.avro_bytes import tick
from tests.core.histories import CONDITIONS
from tests.kafka.batches import Row
from tests.kafka.shard_stage import NotingInstruments, NotingTransaction, of_changes, run, run_of, until

TOPICS = TopicNames("w7.", "tickgate")
LAYOUT = Layout(TOPICS, 3, {"w7.ticks.dlq": 2, "w7.strategy-changes.dlq": 1, "w7.clock.dlq": 1})
ROOM = Room(10, 1 << 20, 1000)
TOOLS = Tools(LAYOUT, TickValues(FileSchemas()), Encoder(FileSchemas()), ClockValues(FileSchemas()))
BOOKS = {STRATEGY_CHANGES, CONTROLS, TURNS}
HANGS_S = 60


def refusal(offset: int) -> Refusal:
    return Refusal(Place(0, offset), Record(0, offset, b"k", b"v"), Reason("bad_key", "a", "b"))


class Stage:
    """Shards with stand-ins around them."""

    def __init__(self) -> None:
        self.book = StrategyBook(TOPICS.strategy_changes, 1, Decoder(FileSchemas(), "strategy_change"))
        controls = ControlBook(TOPICS.controls, 1, Decoder(FileSchemas(), "control"))
        turns = TurnBook(TOPICS.turns, 1, Decoder(FileSchemas(), "turn"))
        self.instruments = NotingInstruments()
        self.transactions: list[NotingTransaction] = []
        self.sought: list[tuple[str, int, int]] = []

        async def seek(*place: Any) -> None:
            self.sought.append(place)

        async def bounds(topic: str, partition: int) -> Bounds:
            return Bounds(0, 0)

        def transaction(partition: int) -> Any:
            self.transactions.append(NotingTransaction(partition))
            return self.transactions[-1]

        around = Surroundings(
            TOPICS.ticks, TOPICS.clock, seek, bounds, self.instruments, lambda *_: None, lambda *_: None, ROOM
        )
        reader: Any = None
        make = Makers(lambda _: Shard(CONDITIONS), transaction, lambda p: Agreement(p, 4, lambda _: True), reader)
        self.shards = Shards(Books(self.book, controls, turns), make, None, TOOLS, around)

    async def recovered(self, *partitions: int) -> None:
        """These are assigned, and recovered."""
        await self.shards.fence(partitions)
        await self.shards.recovered()

    def seeked(self, positions: Mapping[int, tuple[int, Bounds]]) -> None:
        """The ticks go on from here, and the clock records from their start."""
        ticks = {(TOPICS.ticks, partition): place for partition, place in positions.items()}
        self.shards.seeked({**ticks, **{(TOPICS.clock, partition): (0, Bounds(0, 0)) for partition in positions}})

    async def started(self, *partitions: int) -> None:
        """And their input goes on from its start."""
        await self.recovered(*partitions)
        self.seeked({partition: (0, Bounds(0, 0)) for partition in partitions})


@pytest.fixture
def completed(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[str, int]]]:
    """What was to be completed, each time; nothing is ever missing."""
    asked: list[list[tuple[str, int]]] = []

    async def complete(make_consumer: Any, logs: Collection[Log]) -> int:
        asked.append([(log.table, log.partition) for log in logs])
        return 0

    monkeypatch.setattr(shards_module, "complete", complete)
    return asked


pytestmark = pytest.mark.usefixtures("completed")


def staged(story: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(HANGS_S):
            stage = Stage()
            await story(stage)
            await stage.shards.drain()

    asyncio.run(main())


def rows_of_a_shard(partition: int, position: int, changes: dict[int, int]) -> list[tuple[str, Any]]:
    """What a shard that had one tick, and fired, has written."""
    shard = Shard(CONDITIONS)
    deciding = Deciding(partition, alone(shard), StateRows(shard), TOOLS)
    deciding.stand(Strategy("s1", "1m", frozenset({"AAPL"})))
    ticks = run_of([Row(0, value=tick(b"AAPL"))], topic=TOPICS.ticks, partition=partition)
    emission = asyncio.run(deciding.decide([ticks], position, of_changes(changes))).emission
    found = []
    for outgoing, table in zip(emission.rows[-2:], ("last_update", "last_bucket"), strict=True):
        records = outgoing.records
        rows = [Row(0, key=records.key(i), value=records.value(i)) for i in range(records.count)]
        found.append((table, run_of(rows, topic=outgoing.topic, partition=partition)))
    return found


def test_a_worker_is_ready_when_what_it_owns_has_been_sought(completed: list[Any]) -> None:
    async def story(stage: Stage) -> None:
        shards = stage.shards
        await shards.fence([1, 0])
        assert [each.calls() for each in stage.transactions] == [["open"], ["open"]]
        assert [each.state for each in shards.shards] == ["recovering", "recovering"]
        await shards.recovered()
        assert (shards.ready, stage.instruments.made) == (False, [0, 1])
        assert [shards.position(TOPICS.ticks, partition) for partition in (0, 1, 2)] == [None, None, None]
        stage.seeked({0: (4, Bounds(0, 9)), 1: (0, Bounds(0, 0))})
        assert (shards.ready, shards.committed()) == (True, {0: 4, 1: 0})
        assert [(each.state, each.lag) for each in shards.shards] == [("running", 5), ("running", 0)]

    staged(story)
    (asked,) = completed
    assert {each for each in asked if each[0] not in BOOKS} == {
        (table, partition) for table in ("last_update", "last_bucket") for partition in (0, 1)
    }


def test_a_worker_that_owns_nothing_is_ready_when_it_has_recovered() -> None:
    async def story(stage: Stage) -> None:
        await stage.shards.fence([])
        assert not stage.shards.ready
        await stage.shards.recovered()
        assert stage.shards.ready

    staged(story)


def test_a_shard_goes_on_where_its_rows_say_with_what_they_hold() -> None:
    handed_over = rows_of_a_shard(1, 17, {0: 2})

    async def story(stage: Stage) -> None:
        await stage.shards.fence([0, 1])
        for table, rows in handed_over:
            stage.shards.take_rows(table, rows)
        stage.book.strategies["s1"] = Strategy("s1", "1m", frozenset({"AAPL"}))
        stage.book.positions[0] = 3
        await stage.shards.recovered()
        assert (stage.shards.position(TOPICS.ticks, 0), stage.shards.position(TOPICS.ticks, 1)) == (None, 17)
        assert stage.transactions[1].end == len(handed_over[1][1].columns)
        assert stage.shards.owned[1].news.inputs == of_changes({0: 3})
        stage.seeked({1: (17, Bounds(0, 18)), 0: (0, Bounds(0, 0))})
        ticks = run_of([Row(0, value=tick(b"AAPL"))], 17, topic=TOPICS.ticks, partition=1)
        await stage.shards.take([ticks])
        await until(lambda: stage.shards.committed()[1] == 18)
        deciding = stage.shards.owned[1].deciding
        assert deciding is not None
        assert deciding.shard.counts["bucket_dup"] == 1  # it has fired in this bucket before

    staged(story)


def test_a_shard_is_made_once_however_often_tables_say_that_they_have_recovered() -> None:
    async def story(stage: Stage) -> None:
        await stage.shards.fence([0])
        await asyncio.gather(stage.shards.recovered(), stage.shards.recovered())
        await stage.shards.recovered()
        assert stage.instruments.made == [0]

    staged(story)


def test_rows_of_a_shard_that_runs_are_not_taken_and_those_of_a_copy_are() -> None:
    copied = rows_of_a_shard(2, 17, {})

    async def story(stage: Stage) -> None:
        await stage.started(0)
        for table, rows in copied:
            stage.shards.take_rows(table, rows)
            stage.shards.take_rows(table, rows._replace(partition=0))
        assert stage.shards.rows_read("last_update", 2) == 1
        assert stage.shards.rows_read("last_update", 0) is None
        await stage.started(0, 2)
        assert stage.shards.owned[2].committed == 0  # as it was told to seek, here
        deciding = stage.shards.owned[2].deciding
        assert deciding is not None
        assert deciding.shard.index.tickers.count == 1

    staged(story)


def test_strategies_are_put_in_force_in_the_order_of_their_ids() -> None:
    async def story(stage: Stage) -> None:
        for strategy_id in ("s2", "s1", "s10"):
            stage.book.strategies[strategy_id] = Strategy(strategy_id, "1m")
        await stage.recovered(0)
        deciding = stage.shards.owned[0].deciding
        assert deciding is not None
        assert deciding.shard.strategy_ids == ["s1", "s10", "s2"]

    staged(story)


def test_what_changes_while_a_shard_is_made_is_not_missed() -> None:
    async def story(stage: Stage) -> None:
        await stage.shards.fence([0])
        recovering = asyncio.create_task(stage.shards.recovered())
        await until(lambda: stage.shards.owned[0].hears)
        stage.shards.told(Change(Place(0, 8), Strategy("late", "1m")))
        await recovering
        stage.seeked({0: (0, Bounds(0, 0))})
        await until(lambda: stage.shards.owned[0].news.inputs == of_changes({0: 9}))
        deciding = stage.shards.owned[0].deciding
        assert deciding is not None
        assert deciding.shard.strategy_ids == ["late"]

    staged(story)


def test_every_shard_hears_of_changes_and_one_alone_of_refusals() -> None:
    async def story(stage: Stage) -> None:
        await stage.started(0, 1)
        stage.book.told(refusal(3))
        stage.book.told(Change(Place(0, 4), Strategy("s1", "1m")))
        stage.shards.refresh()
        await until(lambda: all(owned.news.inputs == of_changes({0: 5}) for owned in stage.shards.owned.values()))
        await until(lambda: stage.transactions[0].calls().count("commit") == 1)
        assert stage.transactions[1].calls().count("commit") == 0

    staged(story)


def test_letters_for_refusals_are_written_once_for_the_group_also_behind_a_new_start() -> None:
    handed_over = rows_of_a_shard(0, 17, {0: 5})

    async def story(stage: Stage) -> None:
        stage.book.refusals += [refusal(4), refusal(5), refusal(9)]  # found again, from the start of the topic
        stage.book.positions[0] = 12
        await stage.shards.fence([0])
        for table, rows in handed_over:
            stage.shards.take_rows(table, rows)
        told: list[Any] = []
        stage.shards.owned[0].tell = told.append  # type: ignore[assignment, method-assign]
        await stage.shards.recovered()
        assert [each.place.offset for each in told] == [5, 9]

    staged(story)


def test_what_is_refused_while_shards_are_made_gets_one_letter() -> None:
    async def story(stage: Stage) -> None:
        stage.book.refuse(Place(0, 4), refusal(4).record, refusal(4).reason)
        await stage.shards.fence([0])
        owned, told = stage.shards.owned[0], list[Any]()
        owned.tell = told.append  # type: ignore[assignment, method-assign]
        recovering = asyncio.create_task(stage.shards.recovered())
        await until(lambda: owned.hears)
        stage.book.refuse(Place(0, 7), refusal(7).record, refusal(7).reason)
        await recovering
        assert sorted(each.place.offset for each in told) == [4, 7]

    staged(story)


def test_shards_that_are_let_go_are_checkpointed_and_their_successors_opened_after_that() -> None:
    async def story(stage: Stage) -> None:
        await stage.started(0)
        first = stage.transactions[0]
        first.free.clear()
        await stage.shards.take([run_of([Row(0, value=tick())], topic=TOPICS.ticks)])
        await until(lambda: "commit" in first.calls())
        fencing = asyncio.create_task(stage.shards.fence([0, 1]))
        await until(lambda: stage.shards.owned[0].state is State.DRAINING)
        assert not stage.shards.ready
        assert len(stage.transactions) == 1
        first.free.set()
        await fencing
        assert first.calls() == ["open", "commit", "close"]
        assert [each.calls() for each in stage.transactions[1:]] == [["open"], ["open"]]
        assert stage.instruments.let_go_of == [0]

    staged(story)


def test_of_shards_that_are_let_go_nothing_is_kept() -> None:
    """A worker lives through many rebalances; each shard holds all that it knows of its tickers."""

    async def story(stage: Stage) -> None:
        gc.disable()  # a worker searches for circles so seldom that it would not find them either
        try:
            await stage.started(0, 1)
            held = [weakref.ref(each.deciding) for each in stage.shards.owned.values() if each.deciding is not None]
            await stage.recovered(1)
            assert [each() for each in held] == [None, None]
        finally:
            gc.enable()

    staged(story)


def test_ticks_of_a_partition_that_is_not_ours_are_left_alone() -> None:
    async def story(stage: Stage) -> None:
        await stage.started(0)
        await stage.shards.take([run(0, 2, partition=5)])
        assert [stage.shards.wants_more(TOPICS.ticks, partition) for partition in (0, 5)] == [True, False]
        assert stage.sought == []

    staged(story)


def test_ends_are_told_to_the_shards_that_are_there() -> None:
    async def story(stage: Stage) -> None:
        await stage.started(0)
        stage.shards.ends({0: 7, 5: 9})
        assert [each.lag for each in stage.shards.shards] == [7]

    staged(story)


def test_what_a_shard_holds_is_told_when_it_is_restored_and_when_ends_are() -> None:
    async def story(stage: Stage) -> None:
        await stage.started(0)
        assert [each.partition for each in stage.instruments.holdings] == [0]
        stage.shards.ends({0: 7})
        assert [(each.partition, each.pairs) for each in stage.instruments.holdings] == [(0, 0), (0, 0)]

    staged(story)


def test_a_shard_that_has_stopped_says_why_also_when_it_is_gone() -> None:
    async def story(stage: Stage) -> None:
        await stage.recovered(0, 1)
        stage.seeked({0: (9, Bounds(0, 3)), 1: (0, Bounds(0, 0))})
        assert [bool(reason) for reason in stage.shards.stopped_for] == [True, False]
        await stage.shards.drain()
        assert "behind the end" in stage.shards.stopped_for[0]

    staged(story)
