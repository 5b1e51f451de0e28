"""Calls a strategy function for each execution, and reports what came of it: `run`.

For each execution: the function is called, its result is sent and acknowledged, and only then may the execution be
committed. So a crash between the two repeats an execution and its result, with the same execution id; it loses none.

Executions of one strategy run one after the other, in their order; those of different strategies beside each other. A
plain function runs in a thread, so that it does not hold up the event loop. An exception of the function becomes a
result with status failed, and the rest goes on. A result that cannot be sent ends the run with that error.
"""

import asyncio
import contextlib
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from streams.consumer.execution import Execution
from streams.consumer.executions import Executions, OnBad, log_bad
from streams.consumer.limits import Limits
from streams.consumer.report import Report, failed
from streams.consumer.results import Results
from streams.consumer.under_way import Delivery
from streams.process import SIGNALS
from streams.settings import Settings

log = logging.getLogger(__name__)

StrategyFunction = Callable[[Execution], Report | None] | Callable[[Execution], Awaitable[Report | None]]


class Source(Protocol):
    """Where executions come from."""

    async def take(self) -> Delivery | None:
        """The next one; None when it is over."""

    def finish(self) -> None:
        """Hand out nothing more."""


class Sink(Protocol):
    """Where results go."""

    async def send(self, execution: Execution, told: object) -> None:
        """Send a result; returns when it is acknowledged."""


async def run(  # noqa: PLR0913 - each by name
    function: StrategyFunction,
    settings: Settings,
    group: str,
    *,
    concurrency: int = 8,
    limits: Limits | None = None,
    on_bad: OnBad = log_bad,
    worker_id: str = "",
) -> None:
    """Call the function for each execution until SIGTERM or SIGINT; at most `concurrency` calls at a time."""
    bounds = limits or Limits()
    executions = Executions(settings, group, limits=bounds, on_bad=on_bad)
    async with Results(settings, bounds, worker_id) as results, executions:
        runner = Runner(function, executions, results, concurrency, bounds)
        with ended_by_signals(runner.end):
            await runner.run()


@contextlib.contextmanager
def ended_by_signals(end: Callable[[], None]) -> Iterator[None]:
    """Call `end` on SIGTERM and SIGINT; where the loop cannot watch for them, they do what they always do."""
    loop = asyncio.get_running_loop()
    taken = []
    for each in SIGNALS:
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):  # not in the main thread
            loop.add_signal_handler(each, end)
            taken.append(each)
    try:
        yield
    finally:
        for each in taken:
            loop.remove_signal_handler(each)


class Runner:
    """The calls of one run."""

    def __init__(
        self, function: StrategyFunction, source: Source, sink: Sink, concurrency: int, limits: Limits
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"a concurrency of {concurrency} would run nothing; give 1 or more")
        self._function, self._source, self._sink, self._limits = function, source, sink, limits
        self._calls = asyncio.Semaphore(concurrency)
        self._room = asyncio.Semaphore(limits.under_way)
        self._threads = ThreadPoolExecutor(concurrency, "strategy")
        self._waiting: dict[str, deque[Delivery]] = {}
        """Of each strategy that is being worked off, the executions that follow."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """Work off what comes until it is over; then end what has begun."""
        try:
            while (delivery := await self._next()) is not None:
                self._line_up(delivery)
        finally:
            self.end()
            await self._wind_up()
        if self._failure is not None:
            raise self._failure

    def end(self) -> None:
        """Begin nothing more. To be called in the event loop."""
        self._ending = True
        self._source.finish()
        self._room.release()  # whoever waits for room is to find that it is over

    async def _next(self) -> Delivery | None:
        await self._room.acquire()
        return await self._source.take()

    def _line_up(self, delivery: Delivery) -> None:
        """Begin an execution, or let it wait for those of its strategy that came before."""
        strategy_id = delivery.execution.strategy_id
        line = self._waiting.get(strategy_id)
        if line is not None:
            line.append(delivery)
            return
        self._waiting[strategy_id] = deque([delivery])
        task = asyncio.create_task(self._work_off(strategy_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work_off(self, strategy_id: str) -> None:
        line = self._waiting[strategy_id]
        try:
            while line:
                async with self._calls:
                    await self._handle(line[0])
                line.popleft()
                self._room.release()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            log.exception("no result of %s at %s", strategy_id, line[0].execution.position)
            self._failure = self._failure or error
            self.end()
        finally:
            for each in line:  # only what has not come to its end
                each.give_up()
            del self._waiting[strategy_id]

    async def _handle(self, delivery: Delivery) -> None:
        if delivery.let_go or self._ending:
            delivery.give_up()  # it has not begun: whoever gets the partition next may have it
            return
        await self._sink.send(delivery.execution, await self._called(delivery.execution))
        delivery.done()

    async def _called(self, execution: Execution) -> object:
        """What the function returns, or a report of what it raised."""
        try:
            if is_async(self._function):
                told: object = self._function(execution)
            else:
                told = await asyncio.get_running_loop().run_in_executor(self._threads, self._in_thread, execution)
            return await told if inspect.isawaitable(told) else told
        except asyncio.CancelledError as error:
            if _is_being_cancelled():
                raise
            return failed(error)
        except Exception as error:
            log.exception("the strategy function failed for %s at %s", execution.strategy_id, execution.position)
            return failed(error)

    def _in_thread(self, execution: Execution) -> object:
        try:
            return self._function(execution)
        except StopIteration as error:  # a future cannot carry it
            return failed(error)

    async def _wind_up(self) -> None:
        """Wait for what has begun; what takes too long is cancelled, and comes again."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._limits.hand_over_s)
            for task in late:
                task.cancel()
            if late:
                log.warning("%d calls have not ended after %s s: they come again", len(late), self._limits.hand_over_s)
                await asyncio.gather(*late, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)


def is_async(function: StrategyFunction) -> bool:
    """Whether a call returns at once with something to wait for."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
