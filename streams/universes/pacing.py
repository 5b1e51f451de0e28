"""Lets calls through as the rate limiter says, waits where it says so, and tells how near the limits are."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from streams.universes.products import SourceError
from streams.universes.rate_limit import ALERT_PCT, WARN_PCT, Level, RateLimiter

log = logging.getLogger(__name__)

_WORDS: Final = {
    Level.WARNING: f"from {WARN_PCT:.0f} %: the limit is near",
    Level.ALERT: f"above {ALERT_PCT:.0f} %: what is not critical waits",
}


class Pacer:
    """The calls of one process."""

    def __init__(
        self,
        limiter: RateLimiter,
        now_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        most_wait_ms: int,
    ) -> None:
        self._limiter, self._now_ms, self._sleep, self._most_wait_ms = limiter, now_ms, sleep, most_wait_ms
        self._levels: dict[str, Level] = {}
        self.told: Callable[[str, Level], None] = lambda _endpoint, _level: None
        """Is called where a limit has come nearer."""

    async def let_through(self, endpoint: str, *, critical: bool) -> None:
        """Wait until a call may be made, and count it; raises `SourceError` where that would take too long."""
        until_ms = self._now_ms() + self._most_wait_ms
        while True:
            answer = self._limiter.ask(endpoint, self._now_ms(), critical=critical)
            self._tell(endpoint, answer.level, answer.utilisation_pct)
            if not answer.wait_ms:
                return
            if self._now_ms() + answer.wait_ms > until_ms:
                what = "no call" if critical else "no call that can wait"
                problem = f"the limit of {endpoint} lets {what} through"
                remedy = f"it does in {answer.wait_ms / 1_000:.1f} s; raise the limit if it is too low"
                raise SourceError(problem, remedy, answer.wait_ms)
            await self._sleep(answer.wait_ms / 1_000)

    def refused(self, endpoint: str, retry_after_ms: int) -> None:
        """The exchange has answered that it was asked too often."""
        log.warning("%s: asked too often, the exchange says; no call for %.1f s", endpoint, retry_after_ms / 1_000)
        self._limiter.shut(endpoint, self._now_ms(), retry_after_ms)
        self._tell(endpoint, Level.ALERT, 100.0)

    def utilisations(self) -> dict[str, float]:
        """How much of each endpoint's room is used now, in per cent."""
        now_ms = self._now_ms()
        return {each: self._limiter.utilisation_pct(each, now_ms) for each in self._limiter.endpoints}

    def _tell(self, endpoint: str, level: Level, used_pct: float) -> None:
        """Log when a limit comes nearer, once; when it is far again, that is known too."""
        before, self._levels[endpoint] = self._levels.get(endpoint, Level.FINE), level
        if level is before:
            return
        if level is Level.FINE:
            log.info("%s: %.0f %% of its limit used, fine again", endpoint, used_pct)
            return
        if before is not Level.ALERT:
            how_grave = logging.ERROR if level is Level.ALERT else logging.WARNING
            log.log(how_grave, "%s: %.0f %% of its limit used, %s", endpoint, used_pct, _WORDS[level])
            self.told(endpoint, level)
