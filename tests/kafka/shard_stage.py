"""What stands around a shard, or a part of one, in tests: runs, emissions, and stand-ins that note what they hear."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, NamedTuple

from streams.core.events import Strategy
from streams.core.limits import FOREVER
from streams.core.promise import Promise
from streams.core.records import NO_RECORDS
from streams.core.special_rows import Inputs
from streams.instruments import Done, Held, ShardStatus, Unheard
from streams.kafka.checkpoint import Emission
from streams.kafka.deciding import NOTHING, Between, Decided
from streams.kafka.fetch import RawRun
from streams.kafka.free_runs import FreeRuns
from streams.kafka.producing import Keyed, Outgoing
from streams.kafka.record_batch import Response
from tests.kafka.batches import COMMIT, Row, batch, marker

MOST_TURNS = 5000


async def until(true: Callable[[], bool]) -> None:
    """Let everything else run until this is so."""
    for _ in range(MOST_TURNS):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it does not come about")


async def at_rest() -> None:
    """Let everything run that can: what has not happened then waits for something."""
    for _ in range(100):
        await asyncio.sleep(0)


def run_of(
    rows: Sequence[Row], start: int = 0, *, position: int | None = None, topic: str = "ticks", partition: int = 0
) -> RawRun:
    """Make a run of these records, one behind the other; without any, it is a transaction's marker."""
    placed = [row._replace(delta=i) for i, row in enumerate(rows)]
    read = Response(batch(placed, start) if rows else marker(COMMIT, 1, start), start).next_run()
    assert read is not None
    return RawRun(topic, partition, start, read.position if position is None else position, read.columns)


def run(start: int, position: int, partition: int = 0) -> RawRun:
    """Make a run with a record for each offset."""
    return run_of([Row(0)] * (position - start), start, partition=partition)


def decided_at(position: int, *, executions: bool = True, rows: bool = True, ticks: int = 1) -> Decided:
    """An emission whose parts are known by their names: x is for executions, r for rows."""
    sent = [Keyed(f"x{position}", 1, NO_RECORDS)] if executions else []
    told = [Outgoing(f"r{position}", 0, NO_RECORDS)] if rows else []
    emission = Emission(sent, [], told, position)
    return Decided(emission, ticks, Done(0.0, ticks=ticks), {("ticks", "truncated"): 1}, all_free())


def all_free() -> FreeRuns:
    """Says that nothing was left."""
    nobody: Any = SimpleNamespace(shard=None)
    return FreeRuns(nobody, Promise())


def names(outgoing: Sequence[Outgoing | Keyed]) -> list[str]:
    """The parts of an emission."""
    return [each.topic for each in outgoing]


class NotingTransaction:
    """Stands where `Transaction` or `Ahead` stands: notes what it is asked, waits while held, answers as it is told."""

    def __init__(self, partition: int = 0) -> None:
        self.partition = partition
        self.heard: list[Any] = []
        self.true: list[str] = []
        """What was sent and not refused."""
        self.answers: defaultdict[str, deque[Any]] = defaultdict(deque)
        self.free = asyncio.Event()
        self.free.set()
        self.end = -1

    async def _asked(self, call: str, what: Any = None) -> Any:
        self.heard.append((call, what) if what is not None else call)
        if call in {"commit", "send"}:
            await self.free.wait()
        answer = self.answers[call].popleft() if self.answers[call] else None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def calls(self) -> list[str]:
        """What it was asked, without the details."""
        return [each if isinstance(each, str) else each[0] for each in self.heard]

    def observe(self, step: str, partition: int, position: int) -> None:
        self.heard.append(("observe", (step, partition, position)))

    def stands(self, changelog_end: int) -> None:
        self.end = changelog_end

    async def open(self) -> None:
        await self._asked("open")

    async def close(self) -> None:
        await self._asked("close")

    async def commit(self, emission: Emission) -> None:
        parts = names(emission.executions) + names(emission.rows)
        await self._asked("commit", parts)
        self.true += parts

    async def happened(self, emission: Emission) -> bool:
        return bool(await self._asked("happened", emission.position))

    async def send(self, executions: Sequence[Keyed]) -> None:
        await self._asked("send", names(executions))
        self.true += names(executions)


def of_changes(offsets: Mapping[int, int]) -> dict[tuple[str, int], int]:
    """Up to where `strategy-changes` was taken, as positions have it."""
    return {("strategy-changes", partition): offset for partition, offset in offsets.items()}


class Asked(NamedTuple):
    """What a shard wanted to be decided."""

    runs: list[tuple[int, int]]
    position: int
    inputs: dict[tuple[str, int], int]
    refusals: list[Any]
    in_force: list[str]
    clock: int = 0
    """Runs of clock records."""


class NotingDeciding:
    """Stands where `Deciding` stands, in the same manner."""

    partition = 0

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.in_force: list[str] = []
        self.problem = ""
        self.answers: deque[Exception | None] = deque()
        """What the next ones fail with; None: they do not."""
        self.outran_from = FOREVER
        """Runs from this offset on must wait for rows that promise more time."""
        self.free = asyncio.Event()
        self.free.set()
        index = SimpleNamespace(tickers=SimpleNamespace(count=1), pairs=2, nbytes=3)
        self.shard = SimpleNamespace(index=index, shadow=None, together=nullcontext)
        self.turning = SimpleNamespace(has_to_tell=False)
        self.has_closed = False
        """Whether a change has closed what was gathered, until it is decided."""

    @property
    def has_more(self) -> bool:
        return self.has_closed or bool(self.turning.has_to_tell)

    def change(self, strategy: Strategy) -> str:
        self.in_force.append(strategy.strategy_id)
        return self.problem

    def stand(self, strategy: Strategy, before: frozenset[str] = frozenset()) -> str:
        assert not before
        return self.change(strategy)

    def all_stand(self) -> None:
        """Nothing is gathered here."""

    async def decide(
        self,
        runs: Sequence[RawRun],
        position: int,
        inputs: Inputs,
        between: Between = NOTHING,
        *,
        with_rows: bool = True,
    ) -> Decided:
        spans = [(each.start, each.position) for each in runs]
        self.asked.append(
            Asked(spans, position, dict(inputs), list(between.refusals), list(self.in_force), len(between.clock))
        )
        await self.free.wait()
        error = self.answers.popleft() if self.answers else None
        if error is not None:
            raise error
        self.has_closed = False
        left = [each for each in runs if each.start >= self.outran_from]
        position = left[0].start if left else position
        decided = decided_at(position, rows=with_rows, ticks=sum(len(each.columns) for each in runs))
        decided.free.left_ticks, decided.free.outran = left, bool(left)
        return decided._replace(emission=decided.emission._replace(inputs=dict(inputs)))

    @property
    def runs(self) -> list[tuple[int, int]]:
        """All that was to be decided, one behind the other."""
        return [span for asked in self.asked for span in asked.runs]


class NotingInstruments(Unheard):
    """Notes what a few tests ask for."""

    def __init__(self) -> None:
        self.gone: list[tuple[str, int, int]] = []
        self.ticks: list[int] = []
        self.letters: list[tuple[str, str, int]] = []
        self.states: list[str] = []
        self.let_go_of: list[int] = []
        self.made: list[int] = []
        self.holdings: list[Held] = []

    def held(self, held: Held) -> None:
        self.holdings.append(held)

    def lost(self, topic: str, partition: int, count: int) -> None:
        self.gone.append((topic, partition, count))

    def done(self, done: Done) -> None:
        self.ticks.append(done.ticks)

    def dead_letters(self, topic: str, reason: str, count: int) -> None:
        self.letters.append((topic, reason, count))

    def shard(self, status: ShardStatus) -> None:
        self.states.append(status.state)

    def let_go(self, topic: str, partition: int) -> None:  # noqa: ARG002 - as it is told
        self.let_go_of.append(partition)

    def recovered(self, topic: str, partition: int, seconds: float) -> None:  # noqa: ARG002 - as it is told
        self.made.append(partition)
