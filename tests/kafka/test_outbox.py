"""The way out of a shard: in order, bounded, and again only what did not happen."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from streams.kafka import outbox
from streams.kafka.deciding import Decided
from streams.kafka.outbox import HURRIED_S, MOST_BEHIND, Heard, Outbox
from streams.kafka.producing import FencedError, RefusedError, UnsureError
from streams.kafka.run_queue import Room, RunQueue
from tests.kafka.shard_stage import NotingTransaction, at_rest, decided_at, until

INTERVAL_S = 8.0

pytestmark = pytest.mark.usefixtures("no_waiting")


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "FIRST_WAIT_S", 0.0)


class Stage:
    """An outbox, those it sends by, and what it tells."""

    def __init__(self, *, ahead: bool, interval_s: float = 0.0) -> None:
        self.transaction = NotingTransaction()
        self.ahead = NotingTransaction() if ahead else None
        self.true: list[list[int]] = []
        self.troubles: list[str] = []
        self.failed: list[Exception] = []
        heard = Heard(self._is_true, self.troubles.append, self.failed.append)
        transaction: Any = self.transaction
        first: Any = self.ahead
        self.outbox = Outbox(transaction, first, heard, interval_s=interval_s)

    @property
    def first(self) -> NotingTransaction:
        """What sends executions ahead."""
        assert self.ahead is not None
        return self.ahead

    def _is_true(self, gathered: Sequence[Decided], seconds: float) -> None:
        assert seconds >= 0
        self.true.append([each.emission.position for each in gathered])


def staged(story: Callable[[Stage], Awaitable[None]], *, ahead: bool, interval_s: float = 0.0) -> None:
    """Let a story run."""

    async def main() -> None:
        stage = Stage(ahead=ahead, interval_s=interval_s)
        await story(stage)
        stage.transaction.free.set()
        await stage.outbox.close()

    asyncio.run(main())


def test_exactly_once_it_returns_when_all_of_it_is_committed() -> None:
    async def story(stage: Stage) -> None:
        stage.transaction.free.clear()
        sending = asyncio.create_task(stage.outbox.send(decided_at(3)))
        await at_rest()
        assert not sending.done()
        assert stage.true == []
        stage.transaction.free.set()
        await sending
        await stage.outbox.send(decided_at(5))
        assert stage.transaction.true == ["x3", "r3", "x5", "r5"]
        assert stage.true == [[3], [5]]

    staged(story, ahead=False)


def test_at_least_once_executions_of_the_next_go_out_while_rows_of_the_one_before_are_on_their_way() -> None:
    async def story(stage: Stage) -> None:
        stage.transaction.free.clear()
        await stage.outbox.send(decided_at(3))
        for position in (5, 7):
            await stage.outbox.send(decided_at(position, rows=False))
        await until(lambda: "commit" in stage.transaction.calls())
        assert stage.first.true == ["x3", "x5", "x7"]
        assert stage.true == []
        stage.transaction.free.set()
        await stage.outbox.send(decided_at(9))
        await stage.outbox.finish()
        assert stage.transaction.true == ["r3", "r9"]  # rows alone: the executions are out
        assert stage.true == [[3], [5, 7, 9]]

    staged(story, ahead=True)


def test_at_least_once_no_row_is_sent_before_the_executions_that_it_knows_of_are_acknowledged() -> None:
    async def story(stage: Stage) -> None:
        stage.first.free.clear()
        sending = asyncio.create_task(stage.outbox.send(decided_at(3)))
        await at_rest()
        assert stage.transaction.heard == []
        stage.first.free.set()
        await sending
        assert stage.transaction.heard[0] == ("observe", ("executions_sent", 0, 3))
        await stage.outbox.finish()
        assert stage.transaction.true == ["r3"]

    staged(story, ahead=True)


def test_at_least_once_what_has_no_executions_is_not_sent_ahead_and_its_step_is_named_all_the_same() -> None:
    async def story(stage: Stage) -> None:
        await stage.outbox.send(decided_at(3, executions=False))
        await stage.outbox.finish()
        assert stage.first.heard == []
        assert ("observe", ("executions_sent", 0, 3)) in stage.transaction.heard

    staged(story, ahead=True)


def test_at_least_once_no_more_than_the_bound_is_behind() -> None:
    async def story(stage: Stage) -> None:
        stage.transaction.free.clear()
        await stage.outbox.send(decided_at(1))
        await until(lambda: "commit" in stage.transaction.calls())
        for position in range(2, MOST_BEHIND + 1):
            await stage.outbox.send(decided_at(position, rows=False))
        sending = asyncio.create_task(stage.outbox.send(decided_at(MOST_BEHIND + 1, rows=False)))
        await at_rest()
        assert not sending.done()
        stage.transaction.free.set()
        await sending
        assert stage.true == [[1]]
        assert stage.outbox.wants_rows

    staged(story, ahead=True)


def test_a_cancelled_sender_leaves_the_rows_on_their_way() -> None:
    async def story(stage: Stage) -> None:
        stage.transaction.free.clear()
        await stage.outbox.send(decided_at(1))
        for position in range(2, MOST_BEHIND + 1):
            await stage.outbox.send(decided_at(position, rows=False))
        waiting = asyncio.create_task(stage.outbox.send(decided_at(MOST_BEHIND + 1, rows=False)))
        await at_rest()
        waiting.cancel()
        await at_rest()
        stage.transaction.free.set()
        await stage.outbox.finish()
        assert stage.transaction.true == ["r1"]

    staged(story, ahead=True)


@pytest.mark.parametrize("happened", [True, False])
def test_what_may_have_happened_is_asked_in_a_new_epoch_and_sent_again_only_if_it_did_not(happened: bool) -> None:
    async def story(stage: Stage) -> None:
        stage.transaction.answers["commit"].append(UnsureError("no answer"))
        stage.transaction.answers["happened"].append(happened)
        await stage.outbox.send(decided_at(3))
        assert stage.transaction.calls() == ["commit", "open", "happened", *([] if happened else ["commit"])]
        assert stage.true == [[3]]
        assert stage.troubles == ["checkpoint up to 3: no answer"]

    staged(story, ahead=False)


def test_each_attempt_that_may_have_happened_is_asked_about() -> None:
    async def story(stage: Stage) -> None:
        stage.transaction.answers["commit"].extend([UnsureError("one"), UnsureError("two")])
        stage.transaction.answers["happened"].extend([False, True])
        await stage.outbox.send(decided_at(3))
        assert stage.transaction.calls() == ["commit", "open", "happened", "commit", "open", "happened"]
        assert stage.true == [[3]]

    staged(story, ahead=False)


@pytest.mark.parametrize("trouble", [KafkaConnectionError(), TimeoutError("late"), OSError("gone")])
@pytest.mark.parametrize("call", ["open", "happened"])
def test_it_asks_until_there_is_an_answer_and_sends_nothing_before(call: str, trouble: Exception) -> None:
    async def story(stage: Stage) -> None:
        stage.transaction.answers["commit"].append(UnsureError("no answer"))
        stage.transaction.answers[call].extend([trouble, trouble])
        stage.transaction.answers["happened"].append(True)
        await stage.outbox.send(decided_at(3))
        assert stage.transaction.calls().count("commit") == 1
        assert stage.transaction.calls().count("open") == 3
        assert sum("cannot be settled yet" in each for each in stage.troubles) == 2
        assert stage.true == [[3]]

    staged(story, ahead=False)


def test_executions_that_may_be_out_are_sent_again() -> None:
    async def story(stage: Stage) -> None:
        stage.first.answers["send"].append(UnsureError("no answer"))
        await stage.outbox.send(decided_at(3))
        assert stage.first.calls() == ["send", "send"]
        await stage.outbox.finish()
        assert stage.true == [[3]]

    staged(story, ahead=True)


@pytest.mark.parametrize("error", [FencedError("taken over"), RefusedError("too large"), ValueError("a fault")])
def test_exactly_once_what_cannot_be_true_is_raised(error: Exception) -> None:
    async def story(stage: Stage) -> None:
        stage.transaction.answers["commit"].append(error)
        with pytest.raises(type(error)):
            await stage.outbox.send(decided_at(3))
        assert stage.transaction.calls() == ["commit"]
        assert stage.true == []

    staged(story, ahead=False)


@pytest.mark.parametrize("error", [FencedError("taken over"), RefusedError("too large"), ValueError("a fault")])
def test_at_least_once_rows_that_cannot_be_true_are_told_of(error: Exception) -> None:
    async def story(stage: Stage) -> None:
        stage.transaction.answers["commit"].append(error)
        await stage.outbox.send(decided_at(3))
        await stage.outbox.finish()
        assert stage.failed == [error]
        assert stage.true == []

    staged(story, ahead=True)


def test_fenced_while_it_asks_it_does_not_send_again() -> None:
    async def story(stage: Stage) -> None:
        stage.transaction.answers["commit"].append(UnsureError("no answer"))
        stage.transaction.answers["happened"].append(FencedError("taken over"))
        with pytest.raises(FencedError):
            await stage.outbox.send(decided_at(3))
        assert stage.transaction.calls().count("commit") == 1

    staged(story, ahead=False)


def test_at_least_once_nothing_is_made_true_behind_rows_that_never_will_be() -> None:
    """Else the position would step over them, and with it over the buckets of what fired."""

    async def story(stage: Stage) -> None:
        stage.transaction.answers["commit"].append(RefusedError("too large"))
        stage.first.free.clear()
        one = asyncio.create_task(stage.outbox.send(decided_at(3)))
        await until(lambda: "send" in stage.first.calls())
        stage.first.free.set()
        await one
        stage.first.free.clear()
        two = asyncio.create_task(stage.outbox.send(decided_at(5)))  # as a shard does: it is on its way already
        await until(lambda: bool(stage.failed))
        stage.first.free.set()
        await asyncio.gather(two, return_exceptions=True)
        await asyncio.gather(stage.outbox.finish(), return_exceptions=True)
        assert stage.transaction.true == []

    staged(story, ahead=True)


def test_opening_and_closing_are_for_both_ways_out() -> None:
    async def story(stage: Stage) -> None:
        await stage.outbox.open()
        stage.outbox.stands(17)
        stage.transaction.free.clear()
        await stage.outbox.send(decided_at(3))
        await until(lambda: "commit" in stage.transaction.calls())
        await stage.outbox.close()
        stage.transaction.free.set()
        await at_rest()
        assert stage.transaction.end == 17
        assert (stage.transaction.true, stage.true, stage.failed) == ([], [], [])  # ended, and no failure
        assert (stage.transaction.calls()[0], stage.transaction.calls()[-1]) == ("open", "close")
        assert stage.first.calls() == ["open", "send"]  # it is closed for all shards of a worker together

    staged(story, ahead=True)


class Clock:
    """Stands where `time` stands."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        monkeypatch.setattr(outbox, "time", self)

    def monotonic(self) -> float:
        return self.now_s


NONE = RunQueue(Room(2, 1 << 20, 2))


def asks(stage: Stage) -> tuple[float, bool, float | None]:
    """How long to gather ticks, whether for rows, and when rows are due."""
    return stage.outbox.gather_s(NONE), stage.outbox.wants_rows, stage.outbox.due_in_s


def test_exactly_once_ticks_are_gathered_until_the_interval_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)

    async def story(stage: Stage) -> None:
        assert asks(stage) == (0.0, True, None)
        await stage.outbox.send(decided_at(3))
        assert stage.outbox.gather_s(NONE) == INTERVAL_S
        clock.now_s += 0.75 * INTERVAL_S
        assert stage.outbox.gather_s(NONE) == 0.25 * INTERVAL_S
        clock.now_s += 0.5 * INTERVAL_S
        assert asks(stage) == (0.0, True, None)

    staged(story, ahead=False, interval_s=INTERVAL_S)


def test_at_least_once_rows_are_due_an_interval_after_those_before(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)

    async def story(stage: Stage) -> None:
        assert asks(stage) == (0.0, True, None)
        await stage.outbox.send(decided_at(3))
        assert asks(stage) == (0.0, False, None)
        await stage.outbox.finish()
        assert asks(stage) == (0.0, False, None)
        await stage.outbox.send(decided_at(5, rows=False))
        assert stage.outbox.due_in_s == INTERVAL_S
        clock.now_s += 0.75 * INTERVAL_S
        assert asks(stage) == (0.0, False, 0.25 * INTERVAL_S)
        clock.now_s += 0.25 * INTERVAL_S
        assert asks(stage) == (0.0, True, 0.0)
        stage.transaction.free.clear()
        await stage.outbox.send(decided_at(7))
        clock.now_s += 2 * INTERVAL_S
        await stage.outbox.send(decided_at(9, rows=False))
        assert asks(stage) == (0.0, False, None)  # some are on their way
        stage.transaction.free.set()
        await stage.outbox.finish()
        assert asks(stage) == (0.0, True, 0.0)

    staged(story, ahead=True, interval_s=INTERVAL_S)


def test_at_least_once_rows_are_due_soon_where_something_waits_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)

    async def story(stage: Stage) -> None:
        await stage.outbox.send(decided_at(3))
        await stage.outbox.finish()
        await stage.outbox.send(decided_at(5, rows=False))
        assert asks(stage) == (0.0, False, INTERVAL_S)
        stage.outbox.hurries = True
        assert asks(stage)[:2] == (0.0, False)
        assert stage.outbox.due_in_s == pytest.approx(HURRIED_S)
        clock.now_s += 1.01 * HURRIED_S
        assert asks(stage) == (0.0, True, 0.0)

    staged(story, ahead=True, interval_s=INTERVAL_S)


def test_at_least_once_rows_are_due_when_as_much_is_behind_as_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)

    async def story(stage: Stage) -> None:
        await stage.outbox.send(decided_at(1))
        await stage.outbox.finish()
        for position in range(2, MOST_BEHIND + 2):
            assert not stage.outbox.wants_rows
            await stage.outbox.send(decided_at(position, rows=False))
        assert stage.outbox.wants_rows

    staged(story, ahead=True, interval_s=INTERVAL_S)


def test_what_is_closed_is_not_opened_again() -> None:
    async def story(stage: Stage) -> None:
        stage.transaction.free.clear()
        stage.transaction.answers["commit"].append(UnsureError("the connection was closed"))
        sending = asyncio.create_task(stage.outbox.send(decided_at(3)))
        await until(lambda: "commit" in stage.transaction.calls())
        await stage.outbox.close()
        stage.transaction.free.set()
        await asyncio.gather(sending, return_exceptions=True)
        assert stage.transaction.calls() == ["commit", "close"]
        assert stage.true == []

    staged(story, ahead=False)
