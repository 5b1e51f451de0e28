"""At least once: executions go out ahead, and the rows that know of them follow, when they are due."""

import pytest

from streams.core.limits import FOREVER
from streams.kafka.bad_values import Reason
from streams.kafka.strategy_book import Place, Refusal
from streams.kafka.whole_topic import Record
from tests.kafka.owned_stage import SECOND, Stage, staged
from tests.kafka.shard_stage import at_rest, run, until
from tests.kafka.test_owned_shard_news import change

pytestmark = pytest.mark.usefixtures("nothing_between_hurried_transactions")


async def with_one_behind(stage: Stage) -> None:
    """The rows of the first emission are on their way, and the executions of the second are out without theirs."""
    stage.starts(0)
    stage.transaction.free.clear()
    await stage.shard.put(run(0, 1))
    await until(lambda: "commit" in stage.transaction.calls())
    await stage.shard.put(run(1, 2))
    await until(lambda: stage.first.true == ["x1", "x2"])


def test_rows_follow_when_they_are_due_though_no_ticks_come() -> None:
    async def story(stage: Stage) -> None:
        await with_one_behind(stage)
        await at_rest()
        assert stage.shard.committed == 0
        stage.transaction.free.set()
        await until(lambda: stage.shard.committed == 2)
        assert stage.transaction.true == ["r1", "r2"]
        assert stage.first.true[:2] == ["x1", "x2"]
        assert stage.deciding.runs == [(0, 1), (1, 2)]  # nothing is decided twice
        await at_rest()
        assert len(stage.deciding.asked) == 3

    staged(story, ahead=True)


def test_strategies_change_only_between_two_checkpoints() -> None:
    """Else nobody could tell from the position row which of them an execution stood on."""

    async def story(stage: Stage) -> None:
        await with_one_behind(stage)
        stage.shard.tell(change(8, partition=SECOND))
        stage.shard.wake()
        await stage.shard.put(run(2, 3))
        await at_rest()
        assert stage.deciding.in_force == []
        stage.transaction.free.set()
        await until(lambda: stage.deciding.in_force == ["s1"])
        await until(lambda: stage.shard.committed == 3)
        before = [asked for asked in stage.deciding.asked if asked.runs]
        assert [(asked.in_force, asked.inputs) for asked in before] == [([], {})] * 3

    staged(story, ahead=True)


def test_a_change_waits_for_no_interval() -> None:
    async def story(stage: Stage) -> None:
        await with_one_behind(stage)
        stage.transaction.free.set()
        await until(lambda: stage.shard.committed == 1)
        await at_rest()
        assert stage.shard.committed == 1  # the interval is long
        stage.shard.tell(change(8))
        stage.shard.wake()
        await until(lambda: stage.deciding.in_force == ["s1"])
        await until(lambda: stage.shard.committed == 2)

    staged(story, ahead=True, interval_s=1000.0)


def test_a_shard_that_has_come_to_where_it_drains_to_waits_for_no_interval() -> None:
    async def story(stage: Stage) -> None:
        stage.shard.drains_to = 2
        await with_one_behind(stage)
        stage.transaction.free.set()
        await until(lambda: stage.shard.committed == 2)

    staged(story, ahead=True, interval_s=1000.0)


def test_a_shard_that_is_let_go_sends_its_last_rows_so_that_nothing_is_repeated() -> None:
    async def story(stage: Stage) -> None:
        await with_one_behind(stage)
        await stage.shard.put(run(2, 3))
        draining = stage.task(stage.shard.drain())
        await at_rest()
        stage.transaction.free.set()
        await draining
        assert stage.transaction.true[0] == "r1"
        assert stage.shard.committed == stage.deciding.asked[-1].position
        assert stage.transaction.true[-1] == f"r{stage.shard.committed}"

    staged(story, ahead=True, interval_s=1000.0)


def test_letters_wait_for_the_rows_and_are_not_lost() -> None:
    async def story(stage: Stage) -> None:
        await with_one_behind(stage)
        stage.shard.tell(Refusal(Place(0, 7), Record(0, 7, b"k", b"v"), Reason("bad_key", "a", "b")))
        stage.shard.wake()
        stage.transaction.free.set()
        await until(lambda: any(asked.refusals for asked in stage.deciding.asked))

    staged(story, ahead=True, interval_s=1000.0)


def test_ticks_that_outran_what_is_promised_wait_for_the_rows_that_are_on_their_way() -> None:
    async def story(stage: Stage) -> None:
        stage.deciding.outran_from = 1
        stage.starts(0)
        stage.transaction.free.clear()
        await stage.shard.put(run(0, 1))
        await until(lambda: "commit" in stage.transaction.calls())
        await stage.shard.put(run(1, 2))
        await until(lambda: len(stage.deciding.asked) == 2)
        await at_rest()
        assert len(stage.deciding.asked) == 2  # it is not asked again and again
        assert stage.moves()
        stage.deciding.outran_from = FOREVER
        stage.transaction.free.set()
        await until(lambda: stage.shard.committed == 2)

    staged(story, ahead=True)


def test_rows_that_promise_more_time_wait_for_no_interval() -> None:
    async def story(stage: Stage) -> None:
        stage.deciding.outran_from = 1
        stage.starts(0)
        await stage.shard.put(run(0, 1))
        await until(lambda: stage.shard.committed == 1)
        before = len(stage.transaction.true)
        await stage.shard.put(run(1, 2))
        await until(lambda: len(stage.transaction.true) > before)
        stage.deciding.outran_from = FOREVER
        await until(lambda: stage.first.true[-1] == "x2")
        assert stage.deciding.runs[-1] == (1, 2)
        assert stage.shard.committed == 1  # its own rows are not due

    staged(story, ahead=True, interval_s=1000.0)
