"""How far ahead of its stream time a shard binds itself to a turn, where it has far to go.

Until a turn is decided, a shard decides no bucket that starts behind its bound. While it catches up, stream time goes
through many buckets before a call, its notes and its decision have been committed and read, and ticks would wait each
time. So a bound lies ahead by what stream time went in the last `EMISSIONS` checkpoints, which is what an agreement
takes: the turn comes about when it is known. When exactly is as arbitrary as when the shard meets the change at all.

Where no more ticks are known to wait than those checkpoints took, the shard has caught up, and binds itself to now.
"""

from collections import deque
from typing import Final, NamedTuple

from streams.core.limits import NEVER

EMISSIONS: Final = 8
"""A call, its notes and its decision: each is committed, where one checkpoint is on its way already, and then read."""


class _Mark(NamedTuple):
    stream_ms: int
    position: int


class Lead:
    """Of one shard."""

    def __init__(self) -> None:
        self._marks: deque[_Mark] = deque(maxlen=EMISSIONS)

    def at(self, stream_ms: int, position: int, end: int) -> int:
        """How far ahead to bind, asked for with each checkpoint; `end`: of the ticks that are known."""
        first = self._marks[0] if self._marks else _Mark(NEVER, 0)
        self._marks.append(_Mark(stream_ms, position))
        if first.stream_ms == NEVER or end - position <= position - first.position:
            return 0
        return stream_ms - first.stream_ms
