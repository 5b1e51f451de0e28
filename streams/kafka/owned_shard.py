"""One shard that this worker owns: a partition of `ticks`, from being assigned to being let go.

A task of its own takes runs, decides, and sends. While one emission is on its way the next is decided, where many ticks
wait for it already, and no further. The queue of runs is short: when it is full, no more are fetched, and the rest is
left with the broker. What was on its way by then is taken, since whoever waited here would hold up the other shards. So
memory is bounded when the broker is slow or gone, and the more there is to do, the larger the checkpoints become.

The chain check: a run is taken only if it starts where the shard stands. An earlier one has been taken already. A later
one means that something went missing on its way here, and the shard seeks back; or that the broker has deleted what was
not read yet, which is said loudly. What can fail without anybody's fault is tried again while the shard is ours.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from streams.core.limits import FOREVER, NEVER
from streams.core.special_rows import Inputs, Position
from streams.instruments import ShardStatus
from streams.kafka.ahead import Ahead
from streams.kafka.checkpoint import DECIDED, Transaction
from streams.kafka.clock_intake import ClockIntake
from streams.kafka.deciding import Between, Decided, Deciding
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.news import News, Told
from streams.kafka.outbox import FIRST_WAIT_S, LONGEST_WAIT_S, Heard, Outbox
from streams.kafka.producing import NEVER_TAKEN, FencedError, RefusedError, told_why
from streams.kafka.registry import RegistryDownError
from streams.kafka.run_queue import RunQueue
from streams.kafka.sending import NO_ANSWER, given_up, woken_within
from streams.kafka.shard_states import MOVES, State
from streams.kafka.surroundings import Surroundings, going_on_at, may_go_on_at, report, say_held
from streams.topic_names import CLOCK

log = logging.getLogger(__name__)

LAST_CHECKPOINT_S: Final = 6.0
"""What a shard that is let go may take for it; a worker must be gone within ten seconds."""


class OwnedShard:
    """See the head of this file."""

    def __init__(self, partition: int, transaction: Transaction, ahead: Ahead | None, around: Surroundings) -> None:
        self.partition = partition
        self.state, self.reason, self.trouble = State.RECOVERING, "", ""
        """Why it does not move at the moment, while it tries again."""
        self.next_offset = NEVER
        """Where the next run must start."""
        self.committed = NEVER
        """How far the last checkpoint came."""
        self.end = 0
        """Of the partition, as far as is known."""
        self.hears = False
        """Whether it must be told of changes: from when the strategies that stood were handed to it."""
        self.deciding: Deciding | None = None
        self.clock = ClockIntake(partition, around)
        self.news = News(self.clock)
        self._around = around
        heard = Heard(self._is_true, self._troubled, self._stop)
        self._outbox = Outbox(transaction, ahead, heard, around.patience, around.interval_s)
        self._runs = RunQueue(around.room)
        self._decided = NEVER
        """How far the shard's memory has come."""
        self.drains_to = FOREVER
        """From here on nothing is waited for: what there was to do is done."""
        self._is_whole = True
        """Whether the last emission brought its rows."""
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def move(self, state: State, reason: str = "") -> None:
        """Go over to another state; only along the table."""
        assert state in MOVES[self.state], f"shard {self.partition}: no move from {self.state} to {state}"
        self.state, self.reason = state, reason or self.reason
        self._tell()

    def is_(self, state: State) -> bool:
        """Whether it is in this state now, whatever it was before the last wait."""
        return self.state is state

    async def open(self) -> None:
        """Fence whoever owned the shard before; again and again while the broker is not there."""
        wait_s = FIRST_WAIT_S
        while self.state is State.RECOVERING:
            try:
                await self._outbox.open()
            except NEVER_TAKEN as error:
                self._stop(RefusedError(told_why(error)))
            except NO_ANSWER as error:
                log.warning("shard %d cannot be opened yet: %s", self.partition, error)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            else:
                return

    def restored(self, deciding: Deciding, position: Position | None, changelog_end: int, inputs: Inputs) -> None:
        """Its state is there, and what these inputs have given is in it."""
        self.deciding = deciding
        self._outbox.stands(changelog_end)
        self.news.inputs = dict(inputs)
        self.clock.next_offset = inputs.get((CLOCK, self.partition), NEVER)
        say_held(self._around, self.partition, deciding.shard)
        if position is not None:
            self.next_offset = self.committed = position.next_offset

    def start(self, offset: int, bounds: Bounds, clock: tuple[int, Bounds] | None = None) -> None:
        """The inputs go on from here."""
        assert self.deciding is not None, "restored() comes first"
        self.end = bounds.end
        try:
            if clock is not None:
                self.clock.start(*clock)
            offset = going_on_at(self._around, self._around.topic, self.partition, offset, bounds)
        except RefusedError as error:
            self._stop(error)
            return
        self.next_offset = self.committed = offset
        self.move(State.RUNNING)
        self._task = asyncio.create_task(self._work(self.deciding), name=f"shard {self.partition}")

    @property
    def wants_more(self) -> bool:
        """Whether runs should be fetched for it."""
        return self.state is State.RUNNING and not self._runs.is_full

    @property
    def idle_at(self) -> int:
        """Where it waits for ticks; -1 while it has some, or takes none."""
        return self.next_offset if self.state is State.RUNNING and not self._runs else -1

    async def put(self, run: RawRun) -> None:
        """Take a run, if it is the next."""
        if self.state is not State.RUNNING or run.position <= self.next_offset:
            return
        if run.start != self.next_offset and not await may_go_on_at(self._around, run, self.next_offset):
            return
        self.next_offset = run.position
        self.end = max(self.end, run.position)
        self._runs.put(run)
        self.clock.heard()
        self._wake.set()

    async def put_clock(self, run: RawRun) -> None:
        """Take a run of clock records, if it is the next."""
        await self.clock.put(run)
        self._wake.set()

    def ends_at(self, end: int) -> None:
        """So far there are ticks now; those that were fetched are not all."""
        if self.state not in {State.RECOVERING, State.CLOSED}:
            self.end = max(self.end, end)
            self._tell()
            if self.deciding is not None:
                say_held(self._around, self.partition, self.deciding.shard)

    def tell(self, news: Told) -> None:
        """Something has changed, or was refused and gets its dead letter here: with the next emission."""
        self.news.waiting.append(news)

    def wake(self, *_: object) -> None:
        """Look whether there is something to do."""
        self._wake.set()

    @property
    def status(self) -> ShardStatus:
        """For those who look from outside."""
        why, at = self.trouble or self.news.waits_for, max(self.committed, 0)
        moving = self.state is State.RUNNING and not why
        told = "" if moving else self.reason or why
        return ShardStatus(self._around.topic, self.partition, self.state, moving, at, self.end, told)

    def _tell(self) -> None:
        self._around.instruments.shard(self.status)

    async def drain(self) -> None:
        """Finish the checkpoint under way, and let go. Runs that are not decided yet are the next owner's."""
        if self.state is State.CLOSED:
            return
        if self.state in {State.RUNNING, State.RECOVERING}:
            self.move(State.DRAINING)
            self.clock.close()
        self._outbox.leave()
        self._wake.set()
        if self._task is not None:
            done, _ = await asyncio.wait({self._task}, timeout=LAST_CHECKPOINT_S)
            if not done:
                log.error("shard %d is let go without its last checkpoint; the next owner does it anew", self.partition)
                await given_up([self._task])
        await self._outbox.close()
        if not self.is_(State.CLOSED):  # two may let go at once: a rebalance, and the end of the worker
            self.move(State.CLOSED)

    async def _work(self, deciding: Deciding) -> None:
        """Decide one emission while the one before is on its way."""
        under_way: asyncio.Task[None] | None = None
        try:
            while self.state is State.RUNNING:
                decided = await self._next(deciding)
                if under_way is not None:
                    await under_way
                    under_way = None
                if decided is not None:
                    self._around.observe(DECIDED, self.partition, decided.emission.position)
                    if self._runs and not self.news.waits_for:
                        under_way = asyncio.create_task(self._outbox.send(decided))
                        under_way.add_done_callback(self.wake)
                        await asyncio.sleep(0)  # let it begin
                    else:
                        await self._outbox.send(decided)
            if under_way is not None:
                await under_way
            await self._outbox.finish()
            await self._send_last_rows(deciding)
        except asyncio.CancelledError:
            await given_up([] if under_way is None else [under_way])
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, this shard stops and the others go on
            self._stop(error)
            if under_way is not None:  # it must not open anything once the next owner has
                await asyncio.gather(under_way, return_exceptions=True)

    def _stop(self, error: Exception) -> None:
        if self.state in {State.STOPPED, State.CLOSED}:
            return
        known = isinstance(error, FencedError | RefusedError)
        log.error("shard %d stops: %s", self.partition, error, exc_info=None if known else error)
        self.move(State.STOPPED, str(error) if known else f"{type(error).__name__}: {error}")
        self._runs.clear()
        self.clock.close()
        self._wake.set()

    async def _next(self, deciding: Deciding) -> Decided | None:
        """The next emission; None where there is nothing to make true."""
        outbox, runs, news = self._outbox, self._runs, self.news
        outbox.hurries = self._hurries
        while not (self._may_go_on(deciding) or outbox.due_in_s == 0) and self.state is State.RUNNING:
            await woken_within(self._wake, outbox.due_in_s)
            outbox.hurries = self._hurries
        gathers = runs or news.is_waiting
        while gathers and (wait_s := outbox.gather_s(runs)) and self.state is State.RUNNING:
            await woken_within(self._wake, wait_s)
        # Strategies change between two checkpoints only, see `deciding.py`; and time with them.
        clock = news.take(deciding) if self._is_whole else []
        taken = runs.take() if news.lets_ticks else []
        something = taken or clock or news.refusals or outbox.due_in_s == 0 or deciding.has_more
        if self.state is not State.RUNNING or not something:
            return None
        return await self._decide(deciding, taken, clock)

    def _may_go_on(self, deciding: Deciding) -> bool:
        """Whether there is something to decide, or to take in, or to tell."""
        news, ticks = self.news, self._runs and self.news.lets_ticks
        return bool(ticks or (self._is_whole and news.may_be_taken(deciding)) or deciding.has_closed)

    @property
    def _hurries(self) -> bool:
        """Whether rows should not wait until they are due."""
        tells = self.deciding and self.deciding.turning.has_to_tell
        return bool(self.news.is_waiting or self.news.outran or tells) or self._decided >= self.drains_to

    async def _send_last_rows(self, deciding: Deciding) -> None:
        """Those that the next owner needs, so that nothing is sent twice."""
        if self.is_(State.DRAINING) and not self._is_whole:
            await self._outbox.send(await deciding.decide([], self._decided, self.news.inputs))
            await self._outbox.finish()

    async def _decide(self, deciding: Deciding, runs: list[RawRun], clock: list[RawRun]) -> Decided | None:
        """Decide, and try again for as long as the registry is down and the shard is ours."""
        wait_s, between = FIRST_WAIT_S, Between(self.news.take_refusals(), clock, self.end)
        position, with_rows = runs[-1].position if runs else max(self.committed, self._decided), self._outbox.wants_rows
        while self.state is State.RUNNING:
            try:
                decided = await deciding.decide(runs, position, self.news.inputs, between, with_rows=with_rows)
            except RegistryDownError as error:
                self._troubled(f"the registry does not answer: {error}")
            else:
                self._is_whole, self._decided = with_rows, decided.emission.position
                self._runs.put_back(decided.free.left_ticks)
                self.news.put_back(self.partition, decided.free)
                return decided
            await woken_within(self._wake, wait_s if self.is_(State.RUNNING) else 0)  # `drain` wakes it
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        return None

    def _is_true(self, gathered: Sequence[Decided], seconds: float) -> None:
        """These have been made true."""
        self.trouble, self.news.outran = "", False
        gathered[-1].free.promise.keep()
        self._wake.set()
        self.committed = gathered[-1].emission.position
        self.clock.committed = gathered[-1].emission.inputs.get((CLOCK, self.partition), self.clock.committed)
        self._tell()
        report(self._around, self.partition, gathered, seconds)

    def _troubled(self, why: str) -> None:
        log.warning("shard %d: %s", self.partition, why)
        self.trouble = why
        self._tell()
