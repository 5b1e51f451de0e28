"""The calls of `run`, without a broker: order, limits, failures and the end."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.consumer import Execution, Limits, Report
from streams.consumer.execution import Position
from streams.consumer.running import Runner, StrategyFunction
from streams.consumer.seen import Seen
from streams.consumer.under_way import Delivery, UnderWay
from tests.consumer.ground import execution, in_loop


class Line:
    """Hands out what is in it, and takes results."""

    def __init__(self, strategies: Iterable[str], *, stays_open: bool = False) -> None:
        self.under_way = UnderWay(0, 0, Seen(1))
        self.strategies = list(strategies)
        self.taken = 0
        self.stays_open = stays_open
        self.finished = asyncio.Event()
        self.sent: list[tuple[str, int, object]] = []
        self.committable_when_sent: list[int] = []
        self.refuses: Callable[[Execution], bool] = lambda _: False

    async def take(self) -> Delivery | None:
        await asyncio.sleep(0)
        if self.finished.is_set():
            return None
        if self.taken == len(self.strategies):
            if self.stays_open:
                await self.finished.wait()
            return None
        offset, self.taken = self.taken, self.taken + 1
        self.under_way.hand_out(offset)
        told = execution(self.strategies[offset], offset, position=Position("t", 0, offset))
        return Delivery(told, self.under_way)

    def finish(self) -> None:
        self.finished.set()

    async def send(self, execution: Execution, told: object) -> None:
        if self.refuses(execution):
            raise ConnectionError("the broker refuses")
        self.committable_when_sent.append(self.under_way.committable)
        self.sent.append((execution.strategy_id, execution.position.offset, told))

    def runner(self, function: StrategyFunction, concurrency: int = 4, **limits: Any) -> Runner:
        return Runner(function, self, self, concurrency, Limits(**limits))


def told_of(line: Line, offset: int) -> Report:
    (told,) = [told for _, at, told in line.sent if at == offset]
    assert isinstance(told, Report)
    return told


@given(
    st.lists(st.sampled_from("abcd"), max_size=40), st.integers(1, 5), st.integers(1, 10), st.lists(st.integers(0, 5))
)
def test_order_is_kept_within_a_strategy_and_limits_hold(
    strategies: list[str], concurrency: int, under_way: int, turns: list[int]
) -> None:
    async def story() -> None:
        line = Line(strategies)
        now: Counter[str] = Counter()
        most = most_of_one = most_held = 0

        async def function(told: Execution) -> None:
            nonlocal most, most_of_one, most_held
            now[told.strategy_id] += 1
            most, most_of_one = max(most, now.total()), max(most_of_one, now[told.strategy_id])
            most_held = max(most_held, line.taken - len(line.sent))
            for _ in range(turns[told.position.offset] if told.position.offset < len(turns) else 0):
                await asyncio.sleep(0)
            now[told.strategy_id] -= 1

        await line.runner(function, concurrency, under_way=under_way).run()
        assert most <= concurrency
        assert most_of_one <= 1
        assert most_held <= under_way
        assert line.under_way.idle.is_set()
        began = [at for _, at, _ in line.sent]
        assert line.under_way.committable == min(set(range(line.taken)) - set(began), default=line.taken)
        for each in set(strategies):
            of_one = [at for strategy_id, at, _ in line.sent if strategy_id == each]
            assert of_one == sorted(of_one)

    in_loop(story)


def test_different_strategies_run_beside_each_other() -> None:
    async def story() -> None:
        line = Line("abc", stays_open=True)
        all_here = asyncio.Barrier(3)

        async def function(told: Execution) -> None:
            await all_here.wait()
            line.finish()

        await line.runner(function, concurrency=3).run()
        assert len(line.sent) == 3

    in_loop(story)


def test_nothing_is_committable_before_its_result_is_acknowledged() -> None:
    async def story() -> None:
        line = Line("aaaa", stays_open=True)

        async def function(told: Execution) -> None:
            if told.position.offset == 3:
                line.finish()

        await line.runner(function).run()
        assert line.committable_when_sent == [0, 1, 2, 3]
        assert line.under_way.committable == 4

    in_loop(story)


def stop_iteration(told: Execution) -> None:
    raise StopIteration


async def cancels(told: Execution) -> None:
    raise asyncio.CancelledError


async def divides(told: Execution) -> None:
    _ = 1 / 0


def reads(told: Execution) -> None:
    _ = dict[str, str]()["AAPL"]


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (divides, "ZeroDivisionError: division by zero"),
        (reads, "KeyError: 'AAPL'"),
        (stop_iteration, "StopIteration"),
        (cancels, "CancelledError"),
    ],
)
def test_an_exception_is_a_failed_result_and_the_rest_goes_on(bad: StrategyFunction, error: str) -> None:
    async def story() -> None:
        line = Line("ab", stays_open=True)

        def function(told: Execution) -> Any:
            if told.position.offset == 0:
                return bad(told)
            return Report(["A"])

        def sent(told: Execution) -> bool:
            if len(line.sent) == 1:
                line.finish()
            return False

        line.refuses = sent
        await line.runner(function).run()
        assert (told_of(line, 0).status, told_of(line, 0).error) == ("failed", error)
        assert told_of(line, 1) == Report(["A"])
        assert line.under_way.committable == 2

    in_loop(story)


def test_a_plain_function_does_not_hold_up_the_loop() -> None:
    async def story() -> None:
        line = Line("a", stays_open=True)
        loop, begun, may_end = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

        def function(told: Execution) -> None:
            loop.call_soon_threadsafe(begun.set)
            assert may_end.wait(60)

        running = asyncio.create_task(line.runner(function).run())
        await begun.wait()
        may_end.set()
        line.finish()
        await running
        assert len(line.sent) == 1

    in_loop(story)


def test_functions_in_any_dress_are_called() -> None:
    class Strategy:
        async def __call__(self, told: Execution) -> Report:  # noqa: ARG002 - as functions are
            return Report(["object"])

        async def method(self, told: Execution) -> Report:  # noqa: ARG002 - as functions are
            return Report(["method"])

    async def with_more(name: str, told: Execution) -> Report:
        return Report([name])

    async def story() -> None:
        wanted: dict[str, StrategyFunction] = {
            "object": Strategy(),
            "method": Strategy().method,
            "partial": partial(with_more, "partial"),
            "lambda": lambda told: with_more("lambda", told),
        }
        for name, function in wanted.items():
            line = Line("a")
            line.stays_open = True
            line.refuses = lambda _, line=line: line.finish() is not None  # type: ignore[misc]
            await line.runner(function).run()
            assert told_of(line, 0) == Report([name])

    in_loop(story)


def test_a_result_that_is_not_acknowledged_ends_the_run_and_nothing_from_there_on_is_committed() -> None:
    async def story() -> None:
        line = Line("abcaaa", stays_open=True)
        line.refuses = lambda told: told.position.offset == 1
        with pytest.raises(ConnectionError):
            await line.runner(lambda _: None).run()
        assert line.under_way.committable <= 1
        assert line.under_way.idle.is_set()

    in_loop(story)


def test_a_function_that_ends_the_process_ends_the_run_first() -> None:
    async def story() -> None:
        line = Line("ab" * 20, stays_open=True)

        def function(told: Execution) -> None:
            raise SystemExit(3)

        with pytest.raises(SystemExit):
            await line.runner(function, under_way=3).run()
        assert line.under_way.committable == 0
        assert line.under_way.idle.is_set()

    in_loop(story)


def test_what_has_not_begun_is_given_up_when_its_partition_goes() -> None:
    async def story() -> None:
        line = Line("aab", stays_open=True)
        begun, may_end = asyncio.Event(), asyncio.Event()

        async def function(told: Execution) -> None:
            if told.strategy_id == "a":
                begun.set()
                await may_end.wait()

        running = asyncio.create_task(line.runner(function).run())
        await begun.wait()
        line.under_way.let_go = True
        may_end.set()
        await line.under_way.idle.wait()
        assert line.under_way.committable == 1
        line.finish()
        await running
        assert {at for _, at, _ in line.sent} <= {0, 2}

    in_loop(story)


def test_the_end_waits_for_what_has_begun_and_begins_nothing_more() -> None:
    async def story() -> None:
        line = Line("aaaa", stays_open=True)
        begun, may_end = asyncio.Event(), asyncio.Event()

        async def function(told: Execution) -> None:
            begun.set()
            await may_end.wait()

        runner = line.runner(function, under_way=2)
        running = asyncio.create_task(runner.run())
        await begun.wait()
        runner.end()
        await asyncio.sleep(0)
        assert not running.done()
        may_end.set()
        await running
        assert [at for _, at, _ in line.sent] == [0]
        assert line.under_way.committable == 1
        assert line.under_way.idle.is_set()

    in_loop(story)


def test_the_end_waits_only_so_long() -> None:
    async def story() -> None:
        line = Line("ab", stays_open=True)
        begun = asyncio.Event()

        async def function(told: Execution) -> None:
            if told.strategy_id == "b":
                begun.set()
                await asyncio.Event().wait()

        runner = line.runner(function, hand_over_s=0.01)
        running = asyncio.create_task(runner.run())
        await begun.wait()
        runner.end()
        await running
        assert [at for _, at, _ in line.sent] == [0]
        assert line.under_way.committable == 1
        assert line.under_way.idle.is_set()

    in_loop(story)


def test_a_concurrency_that_runs_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="give 1 or more"):
        Line("").runner(lambda _: None, concurrency=0)
