"""What a shard is told of strategies: in force with its next emission, and not before; refusals become letters."""

import pytest

from streams.core.events import Strategy
from streams.kafka.bad_values import Reason
from streams.kafka.strategy_book import Change, Place, Refusal
from streams.kafka.whole_topic import Record
from tests.kafka.owned_stage import SECOND, Stage, staged
from tests.kafka.shard_stage import at_rest, of_changes, run, until


def change(offset: int, strategy_id: str = "s1", partition: int = 0) -> Change:
    return Change(Place(partition, offset), Strategy(strategy_id, "5m"))


def refusal(offset: int, partition: int = 0) -> Refusal:
    return Refusal(Place(partition, offset), Record(partition, offset, b"k", b"v"), Reason("bad_key", "a", "b"))


def test_a_change_is_in_force_with_the_next_emission_and_not_before() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(0)
        stage.deciding.free.clear()
        await stage.shard.put(run(0, 1))
        await until(lambda: len(stage.deciding.asked) == 1)
        stage.shard.tell(change(8, partition=SECOND))
        await at_rest()
        assert stage.deciding.in_force == []
        await stage.shard.put(run(1, 2))
        stage.deciding.free.set()
        await until(lambda: stage.shard.committed == 2)
        assert [(asked.in_force, asked.inputs) for asked in stage.deciding.asked] == [
            ([], {}),
            (["s1"], of_changes({SECOND: 9})),
        ]

    staged(story)


def test_a_quiet_shard_takes_changes_when_it_is_woken_and_makes_nothing_true_for_them() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(0)
        await at_rest()
        stage.shard.tell(change(0))
        stage.shard.tell(change(5))
        stage.shard.tell(change(3, partition=SECOND))
        stage.shard.wake()
        await until(lambda: stage.shard.news.inputs == of_changes({0: 6, SECOND: 4}))
        await at_rest()
        assert stage.deciding.asked == []
        assert stage.transaction.calls() == []

    staged(story)


def test_a_change_past_a_bound_is_left_out_with_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def story(stage: Stage) -> None:
        stage.starts(0)
        stage.deciding.problem = "too many pairs"
        stage.shard.tell(change(0))
        await stage.shard.put(run(0, 1))
        await until(lambda: stage.shard.committed == 1)

    staged(story)
    assert "leaves 's1' out: too many pairs" in caplog.text


def test_refused_changes_become_letters_also_where_there_are_no_ticks() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(4)
        stage.shard.tell(refusal(7))
        stage.shard.wake()
        await until(lambda: bool(stage.positions))
        assert stage.deciding.asked[0].refusals == [refusal(7)]
        assert (stage.deciding.asked[0].position, stage.deciding.asked[0].inputs) == (4, of_changes({0: 8}))
        await stage.shard.put(run(4, 6))
        await until(lambda: stage.shard.committed == 6)
        assert stage.deciding.asked[1].refusals == []  # once

    staged(story)


def test_letters_alone_do_not_move_a_shard_back_behind_what_is_on_its_way() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(0)
        stage.transaction.free.clear()
        await stage.shard.put(run(0, 5))
        await until(lambda: "commit" in stage.transaction.calls())
        stage.shard.tell(refusal(7))
        stage.shard.wake()
        await until(lambda: len(stage.deciding.asked) > 1)
        assert stage.shard.committed == 0
        stage.transaction.free.set()
        await until(lambda: len(stage.positions) > 1)
        assert set(stage.positions) == {5}

    staged(story, ahead=True)
