"""Takes out of Redis what has not been updated for months: an hour after the start, then every day, one at a time.

"For months" is by event time: the newest update of any ticker says what time it is. So a day that is replayed is not
cleaned away, and nothing is while the market stands still. When to look is by the time that passes here.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, NamedTuple, Protocol

from streams.errors import in_words
from streams.views.redis.alerts import DAY_MS, Conn, RedisAlerts
from streams.views.redis.keys import Keys
from streams.views.redis.lock import Lock
from streams.views.redis.wire import TROUBLES

log = logging.getLogger(__name__)

HELD_AT_MOST_MS: Final = 60_000
"""Whoever dies while it cleans up holds up the others for no longer. Cleaning up takes well under a second."""


class Plan(NamedTuple):
    """When, and what is old."""

    first_ms: int
    every_ms: int
    retention_days: int


class Told(Protocol):
    """Hears what came of it."""

    def cleaned(self, removed: int, left: int) -> None:
        """It was done."""

    def not_cleaned(self, reason: str) -> None:
        """It could not be done. Somebody should be told."""


class Cleanup:
    """The clean-up of one view."""

    def __init__(  # noqa: PLR0913 - by name
        self,
        connect: Callable[[], AbstractAsyncContextManager[Conn]],
        keys: Keys,
        plan: Plan,
        *,
        alerts: Callable[[Conn], RedisAlerts],
        token: str,
        now_ms: Callable[[], int | None],
        told: Told,
        cleaned_before: Callable[[int], None] = lambda _: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`now_ms` is the event clock; `cleaned_before` is told the time before which nothing is kept any more."""
        self._connect, self._keys, self._plan, self._alerts = connect, keys, plan, alerts
        self._token, self._now_ms, self._told, self._sleep = token, now_ms, told, sleep
        self._cleaned_before = cleaned_before

    async def work(self) -> None:
        """Clean up again and again, for good. After a failure the next look is as soon as the first was."""
        wait_ms = self._plan.first_ms
        while True:
            await self._sleep(wait_ms / 1_000)
            done = await self.once()
            wait_ms = self._plan.every_ms if done else min(self._plan.first_ms, self._plan.every_ms)

    async def once(self) -> bool:
        """Clean up now; False where that failed. Where somebody else is at it, it is done as well."""
        now_ms = self._now_ms()
        if now_ms is None:
            return True  # there is no update, and so nothing old
        try:
            async with self._connect() as conn:
                await self._clean(conn, now_ms)
        except TROUBLES as error:
            log.error("Redis could not be cleaned up: %s", in_words(error))  # noqa: TRY400 - the reason says it
            self._told.not_cleaned(in_words(error))
            return False
        return True

    async def _clean(self, conn: Conn, now_ms: int) -> None:
        lock = Lock(conn, self._keys.cleanup, self._token, HELD_AT_MOST_MS)
        if not await lock.take():
            log.info("somebody else is cleaning up Redis")
            return
        try:
            alerts = self._alerts(conn)
            removed = await alerts.cleanup_ticker_updates(self._plan.retention_days, now_ms)
            left = await alerts.get_ticker_update_count()
        finally:
            await lock.release()
        self._cleaned_before(now_ms - self._plan.retention_days * DAY_MS + 1)
        self._told.cleaned(removed, left)
        log.info("%d updates of more than %d days ago were cleaned up, %d are left", removed, self._plan[2], left)
