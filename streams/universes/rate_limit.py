"""How many calls an endpoint may get, and how much of that is used. Pure: time comes in.

The window slides: at no moment have more calls been made within the last `window_ms` than there may be. Utilisation is
the share of them that have been, in per cent. A call that is not critical must leave a tenth of the room.
"""

from collections import deque
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

WARN_PCT: Final = 80.0
"""From here on there is a warning,"""
ALERT_PCT: Final = 90.0
"""and above this an alert. What is not critical is paused here."""


class Level(StrEnum):
    """How near the limit is."""

    FINE = "fine"
    WARNING = "warning"
    ALERT = "alert"


class Limit(NamedTuple):
    """So many calls within so long."""

    calls: int
    window_ms: int


class Answer(NamedTuple):
    """Whether a call may be made now. If so, it is counted."""

    wait_ms: int
    """0: it may. Else so long is to be waited, before it is asked again."""
    utilisation_pct: float
    level: Level


class RateLimiter:
    """The calls of all endpoints. Times may come late, and then count as the newest one."""

    def __init__(self, limits: Mapping[str, Limit], default: Limit) -> None:
        self._limits, self._default = dict(limits), default
        self._calls: dict[str, deque[int]] = {}
        self._shut_until: dict[str, int] = {}
        self._now_ms = 0

    @property
    def endpoints(self) -> list[str]:
        """Those that have been asked for."""
        return sorted(self._calls)

    def ask(self, endpoint: str, now_ms: int, *, critical: bool = True) -> Answer:
        """Ask for one call."""
        calls, limit = self._seen(endpoint, now_ms), self._limit(endpoint)
        room = limit.calls if critical else max(1, int(limit.calls * ALERT_PCT / 100))
        wait_ms = max(0, self._shut_until.get(endpoint, 0) - self._now_ms)
        if len(calls) >= room:
            wait_ms = max(wait_ms, calls[len(calls) - room] + limit.window_ms - self._now_ms)
        if not wait_ms:
            calls.append(self._now_ms)
        used = self.utilisation_pct(endpoint, now_ms)
        return Answer(wait_ms, used, level_of(used))

    def shut(self, endpoint: str, now_ms: int, for_ms: int) -> None:
        """The exchange itself has refused a call: none is made for so long, and all room counts as used."""
        self._seen(endpoint, now_ms)
        self._shut_until[endpoint] = max(self._shut_until.get(endpoint, 0), self._now_ms + for_ms)

    def utilisation_pct(self, endpoint: str, now_ms: int) -> float:
        """How much of the room is used, from 0 to 100."""
        calls = self._seen(endpoint, now_ms)
        if self._shut_until.get(endpoint, 0) > self._now_ms:
            return 100.0
        return 100.0 * len(calls) / self._limit(endpoint).calls

    def _limit(self, endpoint: str) -> Limit:
        return self._limits.get(endpoint, self._default)

    def _seen(self, endpoint: str, now_ms: int) -> deque[int]:
        """The calls that still count."""
        self._now_ms = max(self._now_ms, now_ms)
        calls, window_ms = self._calls.setdefault(endpoint, deque()), self._limit(endpoint).window_ms
        while calls and calls[0] + window_ms <= self._now_ms:
            calls.popleft()
        return calls


def level_of(utilisation_pct: float) -> Level:
    """What there is to say of a utilisation."""
    if utilisation_pct > ALERT_PCT:
        return Level.ALERT
    return Level.WARNING if utilisation_pct >= WARN_PCT else Level.FINE
