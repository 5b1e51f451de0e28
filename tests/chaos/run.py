"""A seeded run: a market is fed in, workers decide it, and are killed, frozen, sent away and joined all the while.

The seed decides the market, and who dies at which step. When that is hangs on the machine; so a seed brings back the
plan, not the very interleaving. The audit holds for any.

Nothing waits for time to pass: the director looks at processes and positions, and goes on when they are as awaited.
"""

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from streams.settings import Settings
from tests.chaos.market import USUAL, Market, Pace
from tests.chaos.plan import MOST_AHEAD, STEPS, Plan
from tests.chaos.processes import Progress, Worker
from tests.chaos.rig import Sender, inputs, make_topics

SHARDS: Final = 4
WORKERS: Final = 3
BURST: Final = 100
MOST_NTH: Final = 4
"""A worker dies at its fourth checkpoint at the latest."""

LOOK_AGAIN_S: Final = 0.05
SILENCE_S: Final = 60.0
"""So long without a death or a position, and the run is stuck."""

MOST_FAILED: Final = 3
"""Workers that end and should not have, and there is no use in going on."""

STOP_S: Final = 10.0
"""A worker that is asked to stop does so within this time."""

DRAIN_S: Final = 60.0


class Length(NamedTuple):
    """How long a run is, and how much happens in it."""

    least_ticks: int
    """Decided before it may end: so that there is something to lose, however fast workers die."""
    pace: Pace


USUAL_LENGTH: Final = Length(4_000, USUAL)
DAY: Final = Length(12_000, Pace(2_000, 4))
"""Six hours of trading with three thousand changes of strategies."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What a run is to go through. Each number is of kills: when they are reached, it happens."""

    seed: int
    kills: int
    freeze_at: frozenset[int]
    leave_at: frozenset[int]
    bounce_at: int
    bounce: Callable[[], None]
    length: Length = USUAL_LENGTH


@dataclass(slots=True)
class Story:
    """What has happened."""

    kills: Counter[str] = field(default_factory=Counter)
    """By step."""
    zombies: list[str] = field(default_factory=list)
    """The step that each was frozen at, which has gone on since."""
    zombies_ended: list[int] = field(default_factory=list)
    """The codes of those that ended by themselves."""
    left: int = 0
    bounces: int = 0
    locked_out: int = 0
    """Workers that were started while there was no broker, and gave up."""
    failed: list[str] = field(default_factory=list)
    """The last words of workers that ended and should not have."""


class Director:
    """Runs one."""

    def __init__(self, settings: Settings, folder: Path, orders: Orders) -> None:
        self.settings, self.folder, self.orders = settings, folder, orders
        self.pick, self.story = Random(orders.seed), Story()
        self.market = Market(orders.seed, pace=orders.length.pace)
        make_topics(settings.broker, settings.topics, SHARDS)
        self.sender = Sender(settings.broker)
        self.sender.send(inputs(settings.topics, self.market.opening()))
        self.sender.flush()
        self.progress = Progress(settings, SHARDS)
        self.workers: list[Worker] = []
        self.frozen: list[Worker] = []
        self.leaving: dict[Worker, float] = {}
        """By when each must have ended."""
        self.started = 0
        self.happened = frozenset[tuple[str, int]]()
        self.heard: tuple[object, float] = (None, time.monotonic())

    def run(self) -> Story:
        """Run it to its end: all input decided, no worker left."""
        try:
            while not self.is_over:
                self._step()
            self._finish()
        finally:
            self.progress.stop()
            for worker in (*self.workers, *self.frozen, *self.leaving):
                worker.end()
        return self.story

    @property
    def kills(self) -> int:
        """So far."""
        return self.story.kills.total()

    @property
    def is_over(self) -> bool:
        """Whether enough have died, at every step, over enough ticks, and all that were to freeze have gone on."""
        if sum(self.progress.positions.values()) < self.orders.length.least_ticks:
            return False
        has_all = self.story.kills.keys() >= set(STEPS) and len(self.story.zombies) >= len(self.orders.freeze_at)
        return self.kills >= self.orders.kills and has_all and not self.frozen

    def _step(self) -> None:
        """Look, and do what is due."""
        self._feed()
        self._see_the_dead()
        self._see_the_frozen()
        self._make_things_happen()
        while len(self.workers) < WORKERS:
            self.workers.append(self._start(self._next_plan()))
        self._check_that_it_goes_on()
        with self.progress.changed:
            self.progress.changed.wait(LOOK_AGAIN_S)

    def _feed(self) -> None:
        lag = self.progress.lag(self.sender.ends, self.settings.topics.ticks)
        if lag + self.sender.on_their_way + 2 * BURST <= MOST_AHEAD:  # a burst has bad records besides
            self.sender.send(inputs(self.settings.topics, self.market.ticks(BURST)))

    def _start(self, plan: Plan | None, *, drain: bool = False) -> Worker:
        self.started += 1
        return Worker(f"{self.settings.processing_guarantee}-{self.started}", self.settings, self.folder, plan, drain)

    def _next_plan(self) -> Plan:
        """A step at which fewest have died or are to die; which of them, and when, the seed says."""
        armed = Counter(each.plan.step for each in self.workers if each.plan is not None)
        times = {step: self.story.kills[step] + armed[step] for step in STEPS}
        step = self.pick.choice([step for step in STEPS if times[step] == min(times.values())])
        how = signal.SIGSTOP if self._is_due("freeze", self.orders.freeze_at) else signal.SIGKILL
        return Plan(step, self.pick.randint(1, MOST_NTH), how)

    def _is_due(self, what: str, at: frozenset[int]) -> bool:
        """Whether something is to happen now that so many are dead; true once for each number."""
        due = {(what, kills) for kills in at if kills <= self.kills} - self.happened
        if due:
            self.happened |= {min(due)}
        return bool(due)

    def _make_things_happen(self) -> None:
        if self._is_due("bounce", frozenset({self.orders.bounce_at})):
            self.orders.bounce()
            self.story.bounces += 1
        may_leave = [each for each in self.workers if each.plan and each.plan.signal != signal.SIGSTOP]
        if may_leave and self._is_due("leave", self.orders.leave_at):
            self._send_away(self.pick.choice(may_leave))

    def _send_away(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.process.terminate()
        self.leaving[worker] = time.monotonic() + STOP_S

    def _see_the_dead(self) -> None:
        for worker in [each for each in (*self.workers, *self.leaving) if each.process.poll() is not None]:
            code, done, has_left = worker.process.returncode, worker.done, self.leaving.pop(worker, None) is not None
            if worker in self.workers:
                self.workers.remove(worker)
            if worker.was_late:
                self.story.failed.append(f"did not stop within {STOP_S} s: {worker.last_words()}")
            elif code == -signal.SIGKILL and done is not None:
                self.story.kills[done.step] += 1
            elif worker.was_frozen:
                self.story.zombies_ended.append(code)
            elif has_left and code in {0, -signal.SIGTERM}:  # the latter, where it had only just been started
                self.story.left += 1
            elif code == 1 and worker.found_no_broker:
                self.story.locked_out += 1
            else:
                self.story.failed.append(worker.last_words())
        for worker, by_s in self.leaving.items():
            if time.monotonic() > by_s and not worker.is_stopped:
                worker.end()
                worker.was_late = True

    def _see_the_frozen(self) -> None:
        """One that is frozen goes on when another has moved its shard past where it stood.

        It dies of nothing any more. So one that lives still when the next goes on is sent away: else there would be
        none but such in the end, and no deaths.
        """
        for worker in [each for each in self.workers if each.is_stopped]:
            self.workers.remove(worker)
            self.frozen.append(worker)
        for worker in list(self.frozen):
            done = worker.done
            assert done is not None, "a frozen worker has said so"
            if self.progress.positions[done.partition] > done.next_offset:
                self.frozen.remove(worker)
                self.story.zombies.append(done.step)
                for earlier in [each for each in self.workers if each.was_frozen]:
                    self._send_away(earlier)
                worker.resume()
                self.workers.append(worker)

    def _check_that_it_goes_on(self) -> None:
        assert len(self.story.failed) < MOST_FAILED, "\n".join([f"seed {self.orders.seed}", *self.story.failed])
        now = (dict(self.progress.positions), self.kills)
        if now != self.heard[0]:
            self.heard = (now, time.monotonic())
        elif time.monotonic() - self.heard[1] > SILENCE_S:
            alive = (*self.workers, *self.frozen)
            words = "\n".join([each.last_words() for each in alive] + [each.stacks() for each in alive])
            there = f"at {self.progress.positions} of {self.sender.ends}, {self.sender.on_their_way} more on their way"
            raise AssertionError(f"seed {self.orders.seed}: nothing has moved for {SILENCE_S} s, {there}\n{words}")

    def _finish(self) -> None:
        """Send all away, feed in a little more, and have it drained."""
        for worker in [*self.workers]:
            self._send_away(worker)
        while self.leaving:
            self._see_the_dead()
            self._wait_for_one(self.leaving)
        self.sender.send(inputs(self.settings.topics, self.market.ticks(BURST)))
        self.sender.flush()
        last = self._start(None, drain=True)
        self.workers.append(last)
        try:
            code = last.process.wait(DRAIN_S)
        except subprocess.TimeoutExpired:
            code = None
        if code != 0:
            self.story.failed.append(f"did not drain: {last.last_words()}")

    def _wait_for_one(self, workers: dict[Worker, float]) -> None:
        """Until one of them ends, or should have; a frozen one is let go on, so that it can."""
        for worker, by_s in workers.items():
            if worker.is_stopped:
                worker.resume()
            try:
                worker.process.wait(max(0.0, min(LOOK_AGAIN_S, by_s - time.monotonic())))
            except subprocess.TimeoutExpired:
                continue
