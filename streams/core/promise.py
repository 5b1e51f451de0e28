"""How far in stream time a shard may go, at least once, before its rows say so.

At least once, executions go out before the rows that know of them. An owner that dies may have sent what its successor
does not find in the rows; and the successor takes the ticks anew with a stream time that the dead one was past. Were it
to note that time as its bound, a turn could fall on a bucket that has been sent in the way before. So the rows hold a
*promise*: until the next rows are true, stream time does not go beyond it. Whoever recovers the shard counts what was
promised as decided, see `turning.py`.

Ticks that are beyond it wait for the next rows. So it reaches well past what has come, and twice as far where time runs
fast, as when a day is worked up in a minute. From when new rows are made until they are true both promises bind.
"""

from typing import Final

from streams.core.limits import FOREVER, MAX_TS_MS, NEVER

LEAD_MS: Final = 60_000
"""By so much a promise is past what has come, at least."""


class Promise:
    """Of one shard."""

    def __init__(self, kept_ms: int = NEVER, *, needed: bool = False) -> None:
        """Go on from what the rows hold. Where it is not needed it binds nobody, and stays as it was."""
        self._needed = needed
        self.kept_ms = self._told_ms = kept_ms
        """What rows hold that are true."""
        self._reached_ms = self._waiting_ms = NEVER

    @property
    def until_ms(self) -> int:
        """How far stream time may go now."""
        return min(self.kept_ms, self._told_ms) if self._needed else FOREVER

    def must_reach(self, time_ms: int) -> None:
        """Something waits that brings this time."""
        self._waiting_ms = max(self._waiting_ms, time_ms)

    def tell(self, reached_ms: int) -> int:
        """What the next rows hold, given the stream time."""
        newest_ms = max(reached_ms, self._waiting_ms)
        if self._needed and newest_ms != NEVER:
            pace_ms = reached_ms - self._reached_ms if self._reached_ms != NEVER else 0
            self._told_ms = min(newest_ms + max(LEAD_MS, 2 * pace_ms), MAX_TS_MS - 1)
            self._reached_ms = reached_ms
        return self._told_ms

    def keep(self) -> None:
        """The rows that were told last are true."""
        self.kept_ms = self._told_ms
