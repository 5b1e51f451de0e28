"""What Faust drops without a word, or hands to the wrong table; both are found out here.

Each test runs with our cure and without it. Places are those of faust-streaming 0.15.3.
"""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import IllegalStateError
from faust.tables.recovery import Recovery
from faust.types import TP

from streams.kafka import faust_records, tables
from streams.kafka.bad_values import BadValueError, Reason
from streams.kafka.book import Book
from streams.kafka.fetch import RawRun
from streams.kafka.strategy_book import StrategyBook
from streams.kafka.table_rows import StrategyRows
from streams.kafka.watch import Watch
from tests.holes.cures import with_and_without_the_cure, without
from tests.holes.stage import CHANGELOG, STRATEGIES, TICKS, NotingResults, event_of, run_of
from tests.holes.test_recovery import Stage, task_of
from tests.kafka.shard_stage import at_rest


def events_of(*runs: RawRun) -> list[Any]:
    """Runs as recovery hands them on."""
    return [event_of(record) for record in faust_records.run_records(runs)]


@with_and_without_the_cure
def test_changes_that_were_lost_on_their_way_are_not_passed_over(monkeypatch: pytest.MonkeyPatch, cured: bool) -> None:
    """`Recovery.on_recovery_completed` (tables/recovery.py) resumes the flow, and so empties the queue of changelogs.

    A run of changes that waits in it then is lost (`FlowControlEvent.resume`, mode/utils/queues.py). What comes later
    must wait until it was read again.
    """
    if not cured:
        without(monkeypatch, Book, "take", "run.start <= taken < run.position", "taken < run.position")

    async def main() -> int:
        stage, decoder = Stage(), cast("Any", Decoder())
        book = StrategyBook(STRATEGIES.topic, 1, decoder)
        stage.strategies.rows = StrategyRows(book)
        working = asyncio.create_task(book.work())
        first, lost, later = events_of(*(run_of(STRATEGIES, start, start + 2) for start in (0, 2, 4)))
        stage.strategies.apply_changelog_batch([first])

        async def recovered() -> None:
            await stage.app.tables.changelog_queue.put(lost)

        stage.rows.recovered = recovered  # type: ignore[method-assign]
        await stage.ends_recovery()
        assert stage.app.tables.changelog_queue.empty()
        stage.strategies.apply_changelog_batch([later])
        await book.caught_up()
        working.cancel()
        return book.positions[STRATEGIES.partition]

    assert asyncio.run(main()) == (2 if cured else 6)


class Decoder:
    """Stands where the decoder stands, and decodes nothing."""

    def decode(self, value: bytes, headers: Any) -> Any:  # noqa: ARG002 - as the real one
        raise BadValueError(Reason("made_up", "it is made up", "none"))


@with_and_without_the_cure
def test_rows_of_another_topic_do_not_get_into_a_table(monkeypatch: pytest.MonkeyPatch, cured: bool) -> None:
    """`Recovery._slurp_changelogs` (tables/recovery.py) hands a record that it does not know to the table before."""
    if not cured:
        cure = "event.message.topic != self._changelog_topic_name()"
        without(monkeypatch, tables._RowsTable, "apply_changelog_batch", cure, "False")

    async def main() -> set[str]:
        stage, unknown = Stage(), TP("h.other", 0)
        stage.recovers(end=9)
        slurping = asyncio.create_task(task_of(Recovery._slurp_changelogs)(stage.recovery))
        for event in events_of(run_of(CHANGELOG, 0, 3), run_of(unknown, 4, 7), run_of(CHANGELOG, 3, 9)):
            await stage.app.tables.changelog_queue.put(event)
        await stage.rows.asked.wait()
        slurping.cancel()
        await asyncio.gather(slurping, return_exceptions=True)
        return {run.topic for run in stage.rows.runs}

    assert asyncio.run(main()) == ({CHANGELOG.topic} if cured else {CHANGELOG.topic, "h.other"})


class Reading:
    """Stands where the consumer stands, and has read further than what arrived."""

    ticks_topic, clock_topic = TICKS.topic, "clock"

    def __init__(self, position: int) -> None:
        self.at, self.sought = position, list[tuple[TP, int]]()

    async def position(self, tp: TP) -> int:  # noqa: ARG002 - as the real one
        return self.at

    async def seek(self, tp: TP, offset: int) -> None:
        self.sought.append((tp, offset))


@with_and_without_the_cure
def test_a_run_that_is_lost_with_nothing_behind_it_is_read_again(monkeypatch: pytest.MonkeyPatch, cured: bool) -> None:
    """The same resuming empties the queues of agents; no later run tells that one is missing."""
    if not cured:
        without(monkeypatch, Watch, "look", "self._seen.get(tp) == gap", "False")

    async def main() -> None:
        consumer, nobody = Reading(position=90), cast("Any", None)
        shards = cast("Any", SimpleNamespace(owned={0: SimpleNamespace(idle_at=70, clock=SimpleNamespace(idle_at=-1))}))
        book = cast("Any", SimpleNamespace(topic=STRATEGIES.topic, taken={}))
        watch = Watch(lambda: consumer, nobody, shards, cast("Any", (book,)), cast("Any", NotingResults()))
        await watch.look()
        assert consumer.sought == []  # it may be on its way
        await watch.look()
        assert consumer.sought == ([(TICKS, 70)] if cured else [])

    asyncio.run(main())


class TakenAway(Reading):
    """A rebalance has come in between."""

    async def position(self, tp: TP) -> int:
        raise IllegalStateError(f"Partition {tp} is not assigned")


@with_and_without_the_cure
def test_the_watch_outlives_a_partition_that_is_taken_away(monkeypatch: pytest.MonkeyPatch, cured: bool) -> None:
    """A rebalance may come between what a shard says and what the consumer is asked; the worker must not end by it."""
    monkeypatch.setattr("streams.kafka.watch.LOOK_EVERY_S", 0)
    if not cured:
        without(monkeypatch, Watch, "work", "self._seen = {}", "raise")

    async def main() -> None:
        nobody = cast("Any", None)
        shards = cast(
            "Any",
            SimpleNamespace(owned={0: SimpleNamespace(idle_at=70, clock=SimpleNamespace(idle_at=-1))}, ready=True),
        )
        book = cast("Any", SimpleNamespace(topic=STRATEGIES.topic, taken={}))
        watching = asyncio.create_task(
            Watch(lambda: TakenAway(90), nobody, shards, cast("Any", (book,)), cast("Any", NotingResults())).work()
        )
        await at_rest()
        assert watching.done() is not cured
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(main())
