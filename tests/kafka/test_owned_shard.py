"""A shard that a worker owns: its states, the chain check, and back-pressure.

The news it is told of stands in `test_owned_shard_news.py`, how it fails and is let go in `test_owned_shard_ends.py`.
"""

from itertools import product

import pytest

from streams.core.special_rows import Position
from streams.kafka.fetch import Bounds
from streams.kafka.run_queue import FEW
from streams.kafka.shard_states import MOVES, State
from tests.kafka.owned_stage import Stage, staged
from tests.kafka.shard_stage import at_rest, of_changes, run, until

LEGAL = {
    *(("recovering", new) for new in ("running", "stopped", "draining")),
    *(("running", new) for new in ("draining", "stopped")),
    *(("draining", new) for new in ("closed", "stopped")),
    ("stopped", "closed"),
}


def test_the_table_of_moves() -> None:
    assert {(old, new) for old, news in MOVES.items() for new in news} == LEGAL


@pytest.mark.parametrize(("old", "new"), list(product(State, State)))
def test_a_shard_moves_along_the_table_and_no_other_way(old: State, new: State) -> None:
    async def story(stage: Stage) -> None:
        stage.shard.state = old
        if (old, new) in LEGAL:
            stage.shard.move(new, "because")
            assert (stage.shard.state, stage.shard.reason) == (new, "because")
            assert stage.instruments.states[-1] == new
        else:
            with pytest.raises(AssertionError, match=f"no move from {old} to {new}"):
                stage.shard.move(new)
            assert stage.state() is old
        stage.shard.state = State.CLOSED

    staged(story)


# The chain check.


def test_runs_that_follow_each_other_are_taken_and_committed() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(4)
        for start, position in ((4, 6), (6, 9)):
            await stage.shard.put(run(start, position))
        await until(lambda: stage.shard.committed == 9)
        assert stage.deciding.runs == [(4, 6), (6, 9)]
        assert stage.positions in ([9], [6, 9])
        assert sum(stage.instruments.ticks) == 5
        assert stage.instruments.letters[0] == ("ticks", "truncated", 1)

    staged(story)


def test_a_run_that_was_taken_is_not_taken_again() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(4)
        for start, position in ((4, 6), (4, 6), (0, 3), (6, 7)):
            await stage.shard.put(run(start, position))
        await until(lambda: stage.shard.committed == 7)
        assert stage.deciding.runs == [(4, 6), (6, 7)]
        assert stage.sought == []

    staged(story)


@pytest.mark.parametrize(("start", "position"), [(7, 9), (3, 9)])
def test_a_run_that_does_not_start_where_the_shard_stands_makes_it_seek(start: int, position: int) -> None:
    async def story(stage: Stage) -> None:
        stage.starts(4)
        await stage.shard.put(run(start, position))
        assert stage.sought == [(0, 4)]
        assert stage.shard.next_offset == 4
        await stage.shard.put(run(4, 9))
        await until(lambda: stage.shard.committed == 9)
        assert stage.deciding.runs == [(4, 9)]
        assert stage.instruments.gone == []

    staged(story)


def test_what_the_broker_has_deleted_is_said_loudly_and_counted_and_the_shard_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(stage: Stage) -> None:
        stage.starts(4)
        stage.bounds = Bounds(7, 9)
        await stage.shard.put(run(7, 9))
        await until(lambda: stage.shard.committed == 9)
        assert stage.deciding.runs == [(7, 9)]
        assert stage.instruments.gone == [("ticks", 0, 3)]
        assert stage.sought == []

    staged(story)
    (told,) = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert "ticks 4 to 6" in told
    assert "Lengthen retention.ms of ticks" in told


def test_what_the_broker_still_has_behind_a_deletion_is_not_given_up() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(4)
        stage.bounds = Bounds(5, 9)  # 4 is gone, 5 and 6 are there
        await stage.shard.put(run(7, 9))
        assert stage.deciding.runs == []
        assert len(stage.sought) == 1

    staged(story)


def test_a_shard_starts_behind_what_was_deleted_before_it_came() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(4, Bounds(6, 9))
        assert stage.instruments.gone == [("ticks", 0, 2)]
        assert (stage.shard.next_offset, stage.shard.committed) == (6, 6)
        await stage.shard.put(run(6, 9))
        await until(lambda: stage.shard.committed == 9)

    staged(story)


def test_a_position_behind_the_end_stops_the_shard_with_a_remedy() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(10, Bounds(0, 9))
        assert stage.state() is State.STOPPED
        assert "10, behind the end of its partition, 9" in stage.shard.reason
        assert "TICKGATE_APP_ID" in stage.shard.reason
        assert not stage.wants_more()
        await stage.shard.put(run(10, 12))
        await at_rest()
        assert stage.deciding.asked == []

    staged(story)


def test_a_shard_stands_where_its_rows_say() -> None:
    async def story(stage: Stage) -> None:
        stage.shard.restored(stage.as_deciding, Position(17, 0, 0, {}), 40, of_changes({0: 3}))
        assert (stage.shard.next_offset, stage.shard.committed, stage.shard.news.inputs) == (17, 17, of_changes({0: 3}))
        assert stage.transaction.end == 40

    staged(story)


# Back-pressure.


def test_runs_wait_up_to_a_bound_and_then_no_more_are_wanted_but_what_was_on_its_way_is_taken() -> None:
    """Whoever hands a run over waits for nothing: one event is for all shards, and one must not hold up the others."""

    async def story(stage: Stage) -> None:
        stage.starts(0)
        stage.deciding.free.clear()
        assert stage.wants_more()
        await stage.shard.put(run(0, 1))
        await until(lambda: len(stage.deciding.asked) == 1)
        await stage.shard.put(run(1, 2))
        assert stage.wants_more()
        await stage.shard.put(run(2, 3))
        assert not stage.wants_more()
        putting = stage.task(stage.shard.put(run(3, 4)))
        await until(putting.done)
        assert stage.shard.next_offset == 4
        stage.deciding.free.set()
        await until(lambda: stage.shard.committed == 4)
        assert stage.wants_more()

    staged(story, max_runs=2)


def test_one_emission_is_on_its_way_and_one_is_decided_and_no_more() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(0)
        stage.transaction.free.clear()
        for offset in range(4):
            await stage.shard.put(run(offset, offset + 1))
        await at_rest()
        assert stage.deciding.runs == [(0, 1), (1, 2)]
        assert stage.transaction.heard == [("commit", ["x1", "r1"])]
        assert stage.shard.committed == 0
        stage.transaction.free.set()
        await until(lambda: stage.shard.committed == 4)
        assert stage.transaction.true == ["x1", "r1", "x2", "r2", "x3", "r3", "x4", "r4"]

    staged(story, max_ticks=1)


def test_what_has_come_while_an_emission_was_on_its_way_is_one_emission() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(0)
        stage.transaction.free.clear()
        await stage.shard.put(run(0, 1))
        await until(lambda: "commit" in stage.transaction.calls())
        for offset in range(1, 5):
            await stage.shard.put(run(offset, offset + 1))
        stage.transaction.free.set()
        await until(lambda: stage.shard.committed == 5)
        assert stage.positions == [1, 5]

    staged(story)


@pytest.mark.parametrize("ahead", [False, True])
def test_few_ticks_gather_while_an_emission_is_on_its_way_and_many_are_decided(*, ahead: bool) -> None:
    async def story(stage: Stage) -> None:
        stage.starts(0)
        way_out = stage.first if ahead else stage.transaction
        stage.deciding.free.clear()
        way_out.free.clear()
        await stage.shard.put(run(0, 1))
        await until(lambda: len(stage.deciding.asked) == 1)
        await stage.shard.put(run(1, 2))
        stage.deciding.free.set()
        await until(lambda: bool({"commit", "send"} & {*way_out.calls()}))
        await at_rest()
        await stage.shard.put(run(2, 3))
        await at_rest()
        assert stage.deciding.runs == [(0, 1)]
        await stage.shard.put(run(3, 3 + FEW))
        await until(lambda: stage.deciding.runs == [(0, 1), (1, 2), (2, 3), (3, 3 + FEW)])
        way_out.free.set()
        await until(lambda: stage.shard.committed == 3 + FEW)

    staged(story, ahead=ahead, max_ticks=10 * FEW)


def test_an_emission_takes_runs_up_to_a_bound_of_ticks_and_one_at_least() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(0)
        stage.deciding.free.clear()
        await stage.shard.put(run(0, 1))
        await until(lambda: len(stage.deciding.asked) == 1)
        for start, position in ((1, 3), (3, 5), (5, 6), (6, 26)):
            await stage.shard.put(run(start, position))
        stage.deciding.free.set()
        await until(lambda: stage.shard.committed == 26)
        assert [asked.runs for asked in stage.deciding.asked] == [[(0, 1)], [(1, 3), (3, 5)], [(5, 6)], [(6, 26)]]

    staged(story, max_ticks=4)


# What is seen from outside.


def test_a_shard_tells_how_far_it_is() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(4, Bounds(0, 9))
        assert (stage.shard.status.position, stage.shard.status.lag, stage.shard.status.moving) == (4, 5, True)
        stage.shard.ends_at(20)
        assert stage.shard.status.lag == 16
        stage.shard.ends_at(3)  # an answer that came late
        assert stage.shard.status.end == 20

    staged(story)
