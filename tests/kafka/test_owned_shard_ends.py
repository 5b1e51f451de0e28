"""How a shard fails, and how it is let go: what was begun is finished, what was not is the next owner's."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError

from streams.kafka import owned_shard
from streams.kafka.bad_values import Reason
from streams.kafka.producing import FencedError, RefusedError, UnsureError
from streams.kafka.registry import RegistryDownError
from streams.kafka.shard_states import State
from streams.kafka.strategy_book import Place, Refusal
from streams.kafka.whole_topic import Record
from tests.kafka.owned_stage import Stage, staged
from tests.kafka.shard_stage import at_rest, run, until

DOWN = RegistryDownError("no answer", "wait")


# What is tried again.


def test_a_shard_is_opened_again_and_again_while_the_broker_is_not_there() -> None:
    async def story(stage: Stage) -> None:
        stage.transaction.answers["open"].extend([KafkaConnectionError(), OSError("gone")])
        await stage.shard.open()
        assert stage.transaction.calls() == ["open"] * 3

    staged(story)


def test_a_shard_that_was_let_go_meanwhile_is_not_opened_any_more() -> None:
    async def story(stage: Stage) -> None:
        stage.transaction.answers["open"].extend([KafkaConnectionError()] * 1000)
        opening = stage.task(stage.shard.open())
        await until(lambda: len(stage.transaction.heard) > 2)
        await stage.shard.drain()
        await opening
        assert stage.state() is State.CLOSED
        assert stage.transaction.calls().count("open") < 1000

    staged(story)


def test_while_the_registry_is_down_a_shard_waits_and_then_takes_the_same_runs() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(0)
        stage.deciding.answers.extend([DOWN, DOWN])
        refusal = Refusal(Place(0, 1), Record(0, 1, b"k", b"v"), Reason("bad_key", "a", "b"))
        stage.shard.tell(refusal)
        await stage.shard.put(run(0, 2))
        await until(lambda: bool(stage.shard.trouble))
        assert not stage.moves()
        assert "the registry does not answer: no answer" in stage.shard.status.reason
        await until(lambda: stage.shard.committed == 2)
        assert len(stage.deciding.asked) == 3
        assert all((asked.runs, asked.refusals) == ([(0, 2)], [refusal]) for asked in stage.deciding.asked)
        assert stage.moves()
        assert stage.shard.status.reason == ""

    staged(story)


def test_while_the_broker_gives_no_answer_a_shard_says_so_and_then_it_is_over() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(0)
        stage.transaction.answers["commit"].append(UnsureError("no answer"))
        stage.transaction.answers["happened"].extend([KafkaConnectionError(), False])
        await stage.shard.put(run(0, 2))
        await until(lambda: "cannot be settled yet" in stage.shard.trouble)
        assert not stage.moves()
        await until(lambda: stage.shard.committed == 2)
        assert stage.moves()
        assert stage.transaction.true == ["x2", "r2"]

    staged(story)


# What stops a shard.


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FencedError("another worker has it"), "another worker has it"),
        (RefusedError("too large"), "too large"),
        (KeyError("s1"), "KeyError: 's1'"),
    ],
)
@pytest.mark.parametrize("ahead", [False, True])
def test_an_error_stops_this_shard_and_says_why_and_the_others_go_on(
    error: Exception, reason: str, ahead: bool
) -> None:
    async def story(stage: Stage) -> None:
        other = Stage(ahead=ahead)
        stage.starts(0)
        other.starts(0)
        stage.transaction.answers["commit"].append(error)
        await stage.shard.put(run(0, 2))
        await until(lambda: stage.shard.state is State.STOPPED)
        assert stage.shard.reason == stage.shard.status.reason == reason
        assert not stage.wants_more()
        await stage.shard.put(run(2, 4))
        await other.shard.put(run(0, 2))
        await until(lambda: other.shard.committed == 2)
        assert stage.shard.committed == 0
        assert stage.deciding.runs == [(0, 2)]
        await other.ended()

    staged(story, ahead=ahead)


def test_an_error_in_deciding_stops_the_shard_and_what_is_under_way_is_made_true_or_given_up() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(0)
        stage.deciding.answers.append(ZeroDivisionError("a fault"))
        await stage.shard.put(run(0, 2))
        await until(lambda: stage.shard.state is State.STOPPED)
        assert stage.shard.reason == "ZeroDivisionError: a fault"
        assert stage.transaction.true == []

    staged(story)


def test_nothing_is_made_true_behind_what_was_refused() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(0)
        stage.transaction.free.clear()
        stage.transaction.answers["commit"].append(RefusedError("too large"))
        assert stage.ahead is not None
        await stage.shard.put(run(0, 1))
        await until(lambda: "commit" in stage.transaction.calls())
        stage.ahead.free.clear()
        await stage.shard.put(run(1, 2))
        await until(lambda: stage.ahead is not None and stage.ahead.calls().count("send") == 2)
        stage.transaction.free.set()
        await until(lambda: stage.shard.state is State.STOPPED)
        stage.ahead.free.set()
        await stage.shard.drain()
        assert stage.transaction.true == []
        assert stage.shard.committed == 0

    staged(story, ahead=True)


# What lets a shard go.


@pytest.mark.parametrize("ahead", [False, True])
def test_a_shard_that_is_let_go_finishes_what_it_has_decided_and_drops_the_rest(ahead: bool) -> None:
    async def story(stage: Stage) -> None:
        stage.starts(0)
        stage.transaction.free.clear()
        stage.deciding.free.clear()
        await stage.shard.put(run(0, 1))
        await until(lambda: len(stage.deciding.asked) == 1)
        await stage.shard.put(run(1, 2))
        draining = stage.task(stage.shard.drain())
        await at_rest()
        assert stage.state() is State.DRAINING
        assert not stage.wants_more()
        await stage.shard.put(run(2, 3))
        stage.deciding.free.set()
        await at_rest()
        assert not draining.done()
        stage.transaction.free.set()
        await draining
        assert stage.state() is State.CLOSED
        assert (stage.shard.committed, stage.positions) == (1, [1])
        assert stage.deciding.runs == [(0, 1)]
        assert stage.transaction.true == (["r1"] if ahead else ["x1", "r1"])
        assert stage.transaction.calls()[-1] == "close"

    staged(story, ahead=ahead)


def test_a_quiet_shard_is_let_go_at_once_and_twice_is_no_harm() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(0)
        await at_rest()
        await stage.shard.drain()
        await stage.shard.drain()
        assert stage.transaction.calls() == ["close"]
        assert stage.instruments.states == ["running", "draining", "closed"]

    staged(story)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_shard_that_never_ran_is_let_go_too(stopped: bool) -> None:
    async def story(stage: Stage) -> None:
        if stopped:
            stage.shard.move(State.STOPPED, "because")
        await stage.shard.drain()
        assert stage.state() is State.CLOSED
        assert stage.shard.reason == ("because" if stopped else "")

    staged(story)


def test_a_checkpoint_that_does_not_end_in_time_is_left_to_the_next_owner(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(owned_shard, "LAST_CHECKPOINT_S", 0.0)

    async def story(stage: Stage) -> None:
        stage.starts(0)
        stage.transaction.free.clear()
        await stage.shard.put(run(0, 1))
        await until(lambda: "commit" in stage.transaction.calls())
        await stage.shard.drain()
        stage.transaction.free.set()
        await at_rest()
        assert stage.state() is State.CLOSED
        assert (stage.transaction.true, stage.positions) == ([], [])

    staged(story)
    assert "let go without its last checkpoint" in caplog.text


def test_a_shard_that_waits_for_the_registry_is_let_go_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async def story(stage: Stage) -> None:
        stage.starts(0)
        stage.deciding.answers.extend([DOWN] * 10_000)
        await stage.shard.put(run(0, 1))
        await until(lambda: bool(stage.shard.trouble))
        draining = stage.task(stage.shard.drain())
        await until(draining.done)
        assert stage.state() is State.CLOSED
        assert stage.transaction.true == []

    staged(story)
    assert "let go without its last checkpoint" not in caplog.text


def test_two_who_let_a_shard_go_at_once_do_not_disturb_each_other() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(0)
        await at_rest()
        await asyncio.gather(stage.shard.drain(), stage.shard.drain())
        assert stage.state() is State.CLOSED

    staged(story)


def test_an_error_in_deciding_leaves_nobody_behind_who_would_fence_the_next_owner() -> None:
    async def story(stage: Stage) -> None:
        stage.starts(0)
        stage.transaction.free.clear()
        stage.transaction.answers["commit"].append(UnsureError("the connection was closed"))
        stage.deciding.answers.extend([None, ZeroDivisionError("a fault")])
        await stage.shard.put(run(0, 1))
        await stage.shard.put(run(1, 2))
        await until(lambda: stage.shard.state is State.STOPPED)
        draining = stage.task(stage.shard.drain())
        await at_rest()
        stage.transaction.free.set()
        await until(draining.done)
        await at_rest()
        calls = stage.transaction.calls()
        assert "open" not in calls[calls.index("close") :]

    staged(story, max_ticks=1)
