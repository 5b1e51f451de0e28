"""What results and proposals say of trading: trades of the last hour, triggers and proposals of a cycle. Pure.

The hour is one of event time: it ends with the newest event, and goes on with the time that passes after that came. So
what is read again of an old day shows that day's trades, and a quiet hour comes to none. A fill, a result or a proposal
that comes again counts once.
"""

import heapq
from collections.abc import Iterable
from typing import Final, NamedTuple

from streams.trader.limits import MAX_FILLS_KEPT, MAX_RESULTS_KEPT

HOUR_MS: Final = 3_600_000


class Fill(NamedTuple):
    """One trade."""

    ts_ms: int
    fill_id: str


class CycleCounts(NamedTuple):
    """What came since the cycle before."""

    triggers: int
    proposals: int


class Once:
    """Remembers keys, so that repeats are known; the oldest are forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str, None] = {}

    def is_new(self, key: str) -> bool:
        """Whether it was not met before; it is from now on."""
        if key in self._known:
            return False
        self._known[key] = None
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        return True


class Activity:
    """What has been seen so far."""

    def __init__(self) -> None:
        self._results, self._proposed = Once(MAX_RESULTS_KEPT), Once(MAX_RESULTS_KEPT)
        self._filled, self._fills = Once(MAX_FILLS_KEPT), list[Fill]()
        self._newest_ms = self._came_ms = 0
        self._triggers = self._proposals = 0

    def result(self, execution_id: str, ts_ms: int, triggers: int, fills: Iterable[Fill], now_ms: int) -> int:
        """Take a result; returns how many trades of it are new. `now_ms` is of any clock that does not go back."""
        self._event(ts_ms, now_ms)
        if triggers and self._results.is_new(execution_id):
            self._triggers += triggers
        return sum(self._fill(each, now_ms) for each in fills)

    def proposal(self, proposal_id: str, ts_ms: int, now_ms: int) -> None:
        """Take a proposal."""
        self._event(ts_ms, now_ms)
        self._proposals += self._proposed.is_new(proposal_id)

    def trades_per_hour(self, now_ms: int) -> int:
        """How many trades the hour has had that ends now."""
        until_ms = self._newest_ms + max(0, now_ms - self._came_ms)
        while self._fills and self._fills[0].ts_ms <= until_ms - HOUR_MS:
            heapq.heappop(self._fills)
        return len(self._fills)

    def end_cycle(self) -> CycleCounts:
        """What came since the last call."""
        counts = CycleCounts(self._triggers, self._proposals)
        self._triggers = self._proposals = 0
        return counts

    def _event(self, ts_ms: int, now_ms: int) -> None:
        """Time goes on with each event, also while none of them is newer than the newest."""
        passed_ms = self._newest_ms + max(0, now_ms - self._came_ms) if self._newest_ms else 0
        if ts_ms > passed_ms or not self._newest_ms:
            self._newest_ms, self._came_ms = ts_ms, now_ms

    def _fill(self, fill: Fill, now_ms: int) -> bool:
        if not self._filled.is_new(fill.fill_id):
            return False
        self._event(fill.ts_ms, now_ms)
        heapq.heappush(self._fills, fill)
        if len(self._fills) > MAX_FILLS_KEPT:
            heapq.heappop(self._fills)
        return True
