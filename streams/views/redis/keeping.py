"""The loop that keeps Redis equal to what is held: turn after turn, and patience while Redis does not take it.

Each kind of trouble is logged once, and every failed turn counted. The loop waits for nothing but Redis and for what
comes in; who fills what is held never waits for it.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from streams.views.redis.held import Held
from streams.views.redis.telling import problem_of, remedy_for
from streams.views.redis.view import View
from streams.views.redis.wire import TROUBLES, MovedOnError, Wire

log = logging.getLogger(__name__)

FIRST_WAIT_S: Final = 0.05
LONGEST_WAIT_S: Final = 1.0
"""Between two tries while Redis does not answer."""

BEAT_S: Final = 1.0
"""Without anything to write, Redis is looked at so often, and the marker moved."""


class Told(Protocol):
    """Hears how it goes."""

    def failed(self, kind: str) -> None:
        """A turn could not be made."""

    def equal(self, tickers: int, bad_rows: int) -> None:
        """Redis has all that was read."""


class Keeper:
    """Keeps one view."""

    def __init__(  # noqa: PLR0913 - by name
        self, view: View, wire: Wire, held: Held, *, told: Told, interval_s: float, now_s: Callable[[], float]
    ) -> None:
        self._view, self._wire, self._held = view, wire, held
        self._told, self._interval_s, self._now_s = told, interval_s, now_s
        self._troubled_since_s: float | None = None
        self._kinds: set[str] = set()
        self.is_equal = False
        """Whether Redis had, at the last look, all that had been read."""
        self.stands_by = False
        """Whether somebody else keeps it."""

    async def work(self, arrived: asyncio.Event, *, drain: bool = False) -> None:
        """Keep it, for good; with `drain`, until Redis has what is held now. `arrived` is set when more has come."""
        wait_s = FIRST_WAIT_S
        while True:
            arrived.clear()
            try:
                ours = await self._view.turn()
            except MovedOnError:
                await self._wire.close()  # and with it the watch; the next turn says what that means
                continue
            except TROUBLES as error:
                await self._trouble(error)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                continue
            wait_s = FIRST_WAIT_S
            self._well(ours=ours)
            if ours and drain:
                return
            await self._something_new(arrived if ours else asyncio.Event())

    async def end(self) -> None:
        """Leave Redis to whoever comes next."""
        with suppress(*TROUBLES):
            await self._view.let_go()
        await self._wire.close()

    async def _something_new(self, arrived: asyncio.Event) -> None:
        """Wait for it, but not for longer than a beat; and leave time for more to come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(BEAT_S):
                await arrived.wait()
        await asyncio.sleep(self._interval_s)

    async def _trouble(self, error: BaseException) -> None:
        kind = type(error).__name__
        self._told.failed(kind)
        self.is_equal = False
        if self._troubled_since_s is None:
            self._troubled_since_s = self._now_s()
        if kind not in self._kinds:
            self._kinds.add(kind)
            form = "Redis does not take what it should, and is waited for: %s: at %s: %s; %s"
            log.warning(form, kind, self._wire.place, problem_of(error), remedy_for(error, self._wire.place))
        await self._wire.failed(error)

    def _well(self, *, ours: bool) -> None:
        self.is_equal, self.stands_by = ours, not ours
        if ours:
            self._told.equal(len(self._held.names), self._held.bad_rows)
        if self._troubled_since_s is not None:
            away_s = self._now_s() - self._troubled_since_s
            log.warning("Redis takes what it should again, after %.1f s; what it missed is written", away_s)
            self._troubled_since_s = None
            self._kinds.clear()
