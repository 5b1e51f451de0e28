"""Takes what a shard has decided and makes it true, in order, through whatever befalls the broker.

Exactly once: `send` returns when the transaction is committed. At least once: it returns when the executions are
acknowledged; rows and position follow behind, in a transaction for all that have gone out since the one before. So
executions wait for no commit, and what is not yet in a transaction is bounded.

A transaction costs the same for one tick as for thousands, so between two of them a shard lets `interval_s` pass. The
outbox keeps that time: exactly once it says how long to gather ticks before the next emission (`gather_s`), at least
once which emission brings rows (`wants_rows`), and when rows are due though there are no ticks (`due_in_s`). In both,
few ticks gather while an emission is on its way: decided at once they would go out no sooner, and those that come
behind them an emission later.

An attempt that fails is tried again for as long as the shard is ours, in a new epoch, and only if it did not happen.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from streams.kafka.ahead import Ahead
from streams.kafka.checkpoint import EXECUTIONS_SENT, Emission, Transaction, merged
from streams.kafka.deciding import Decided
from streams.kafka.producing import FencedError, UnsureError
from streams.kafka.run_queue import RunQueue
from streams.kafka.sending import NO_ANSWER, given_up

log = logging.getLogger(__name__)

FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 5.0
"""Between two attempts."""

HURRIED_S: Final = 0.05
"""Between two transactions at least, also where something waits for the next one: a hundred changes a second would
else make a hundred of them in each shard."""

MOST_BEHIND: Final = 256
"""Emissions whose executions are out while their rows are not. More wait."""


class Patience(NamedTuple):
    """How long to wait before a producer is opened anew.

    A worker that was frozen may not know yet that its shard is another's. To open would shut that one out. So it waits
    until the group has had time to tell: a sign of life after an unknown outcome, a session after being shut out. Who
    is still the owner then goes on; the changelog says whether anybody else has.
    """

    unsure_s: float = 0.0
    fenced_s: float | None = None
    """None: being shut out is the end."""


class Heard(NamedTuple):
    """Who is told what becomes of emissions."""

    true: Callable[[Sequence[Decided], float], None]
    """These are true now, and it took so many seconds."""
    troubled: Callable[[str], None]
    """It does not go on at the moment, and why."""
    failed: Callable[[Exception], None]
    """It will not go on."""


class Outbox:
    """The way out of one shard."""

    def __init__(
        self,
        transaction: Transaction,
        ahead: Ahead | None,
        heard: Heard,
        patience: Patience | None = None,
        interval_s: float = 0.0,
    ) -> None:
        self._transaction, self._ahead, self._heard = transaction, ahead, heard
        self._patience, self._interval_s = patience or Patience(), interval_s
        self._due_s = self._hurried_s = 0.0
        """When, by the clock that only goes forward, the next transaction may begin; and when, if something hurries."""
        self._is_sending = False
        self._rows_sent = False
        """Whether rows are on their way."""
        self.hurries = False
        """Whether something waits for the next rows."""
        self._leaving = asyncio.Event()
        self._behind: list[Decided] = []
        self._following: asyncio.Task[None] | None = None
        self._is_closed = False
        self._is_over = False
        """Rows have failed for good. None may follow: the position would step over what they held."""

    async def open(self) -> None:
        """Fence whoever sent for this shard before."""
        await self._transaction.open()
        if self._ahead is not None:
            await self._ahead.open()

    def stands(self, changelog_end: int) -> None:
        """Told where the changelog ended when the shard was recovered."""
        self._transaction.stands(changelog_end)

    async def close(self) -> None:
        """Let go of the connections, for good: to open them again would fence the next owner."""
        self._is_closed = True
        if self._following is not None:
            await given_up([self._following])
        await self._transaction.close()

    def gather_s(self, runs: RunQueue) -> float:
        """How long to gather ticks before the next emission, if they are few."""
        if self._is_sending and runs.are_few:
            return LONGEST_WAIT_S
        return 0.0 if runs.is_enough or self._ahead is not None else max(0.0, self._due_s - time.monotonic())

    @property
    def due_in_s(self) -> float | None:
        """When rows must follow for what has gone out without; None: not before something else happens."""
        if self._rows_sent or not self._behind:
            return None
        return max(0.0, self._next_due_s - time.monotonic())

    @property
    def _next_due_s(self) -> float:
        return min(self._hurried_s, self._due_s) if self.hurries else self._due_s

    @property
    def wants_rows(self) -> bool:
        """Whether the next emission is to bring its rows."""
        if self._ahead is None:
            return True
        due = len(self._behind) >= MOST_BEHIND or time.monotonic() >= self._next_due_s
        return due and not self._rows_sent

    async def send(self, decided: Decided) -> None:
        """Make it true, or as true as the next one needs it."""
        self._is_sending = True
        try:
            await self._send(decided)
        finally:
            self._is_sending = False

    async def _send(self, decided: Decided) -> None:
        if self._ahead is None:
            self._due_s = time.monotonic() + self._interval_s
            await self._make_true([decided])
            return
        self._rows_sent = self._rows_sent or bool(decided.emission.rows)
        await self._send_ahead(self._ahead, decided.emission)
        if self._is_over:
            return
        self._behind.append(decided._replace(emission=decided.emission._replace(executions=())))
        if decided.emission.rows:
            self._due_s, self._hurried_s = (time.monotonic() + each for each in (self._interval_s, HURRIED_S))
            gathered, self._behind = self._behind, []
            self._following = asyncio.create_task(self._follow(gathered))
        elif len(self._behind) >= MOST_BEHIND and self._following is not None:
            await asyncio.shield(self._following)

    def leave(self) -> None:
        """The shard is to be let go: nothing is waited for."""
        self._leaving.set()

    async def finish(self) -> None:
        """Wait until all that has brought its rows is true."""
        if self._following is not None:
            await asyncio.shield(self._following)

    async def _send_ahead(self, ahead: Ahead, emission: Emission) -> None:
        async def again() -> bool:
            return False

        async def attempt() -> None:
            await ahead.send(emission.executions)

        if emission.executions:
            await self._until_sure(attempt, again, f"executions up to {emission.position}")
        self._transaction.observe(EXECUTIONS_SENT, self._transaction.partition, emission.position)

    async def _follow(self, gathered: Sequence[Decided]) -> None:
        """Make true what has gone out, up to the rows that know of it."""
        try:
            await self._make_true(gathered)
        except Exception as error:  # noqa: BLE001 - the shard says what it is, and stops
            self._is_over = True
            self._behind.clear()
            self._heard.failed(error)

    async def _make_true(self, gathered: Sequence[Decided]) -> None:
        began, emission = time.monotonic(), merged([each.emission for each in gathered])

        async def again() -> bool:
            await self._transaction.open()
            return await self._transaction.happened(emission)

        async def attempt() -> None:
            await self._transaction.commit(emission)

        await self._until_sure(attempt, again, f"checkpoint up to {emission.position}")
        self._rows_sent = False
        self._heard.true(gathered, time.monotonic() - began)

    async def _until_sure(
        self, attempt: Callable[[], Awaitable[None]], again: Callable[[], Awaitable[bool]], what: str
    ) -> None:
        """Attempt; where the outcome is unknown, open anew and ask whether it happened; if not, attempt again."""
        wait_s, sure = max(self._patience.unsure_s, FIRST_WAIT_S), False
        while not sure:
            try:
                await attempt()
            except UnsureError as error:
                self._heard.troubled(f"{what}: {error}")
                sure = await self._settled(again, what, wait_s)
                wait_s = min(2 * wait_s, max(LONGEST_WAIT_S, wait_s))
            except FencedError as error:
                await self._wait_shut_out(error)
                sure = await self._settled(again, what, 0)
            else:
                sure = True

    async def _wait_shut_out(self, error: FencedError) -> None:
        """Give the group time to take the shard away; raises where it does, or where there is no patience."""
        if self._patience.fenced_s is None or self._leaving.is_set():
            raise error
        self._heard.troubled(f"{error}; it waits whether the shard is still its own")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience.fenced_s):
                await self._leaving.wait()
        if self._leaving.is_set():
            raise error

    async def _settled(self, again: Callable[[], Awaitable[bool]], what: str, wait_s: float) -> bool:
        """Ask until there is an answer."""
        while True:
            await asyncio.sleep(wait_s)
            if self._is_closed:
                raise asyncio.CancelledError
            try:
                return await again()
            except NO_ANSWER as error:
                self._heard.troubled(f"{what} cannot be settled yet: {type(error).__name__}: {error}")
                wait_s = min(2 * max(wait_s, FIRST_WAIT_S), LONGEST_WAIT_S)
