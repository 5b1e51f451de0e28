"""The rows of one shard as they stood at a tick: its changelogs folded up to the last checkpoint that lies before.

A checkpoint's rows stand together in the log of `last_bucket`, the position last. So a fold takes them as a whole, with
the position that says how far in the ticks they go.

**Compaction.** It takes a row away once there is a later one of its key, as far as the cleaner has come. A checkpoint
writes a position: so where the position of a checkpoint is still there, the cleaner has seen no later one, and took
nothing from below that this one's rows would not replace; but for rows of the one checkpoint behind it, if that has
several batches and the cleaner stands between them. A log without holes has never been cleaned, and is whole.
"""

from typing import Final, NamedTuple

import numpy as np

from streams.core.columns import Int64s
from streams.core.latest import RowRun
from streams.core.limits import FOREVER
from streams.core.restore import Recovery
from streams.core.special_rows import POSITION_KEY, Position, read_position
from streams.kafka.fetch import RawRun
from streams.kafka.record_batch import RecordColumns

MOST_ROW_BYTES_BEHIND: Final = 512 << 10
"""Rows of so many bytes go out as one batch, which the cleaner takes whole or not at all."""


class Eaten(NamedTuple):
    """Why the rows at the tick cannot be had."""

    problem: str
    first_offset: int | None
    """In the ticks: from here on rows can be had, as far as is known."""


class RowsThen:
    """Of one shard: takes both changelogs from their starts, that of `last_bucket` first."""

    def __init__(self, tick: int, from_ms: int = FOREVER) -> None:
        """Go no further than before this tick, nor than to the time before this one, which a clock record may bring."""
        self.recovery, self.position = Recovery(), None
        self.is_over = not tick
        """Whether what comes has nothing more to say."""
        self.tick, self._from_ms = tick, from_ms
        self._waiting: list[RecordColumns] = []
        """Rows of a checkpoint whose position has not come."""
        self._is_found = False
        """Whether the position that comes to the tick has come."""
        self._next: Position | None = None
        """Of the first checkpoint that is too late."""
        self._behind_bytes = 0
        self._at = 0
        self._has_holes = self._behind_position = False

    position: Position | None
    """What the rows that were folded go up to; None: none."""

    def take(self, run: RawRun) -> None:
        """Take rows of `last_bucket`."""
        columns, done = run.columns, 0
        places = positions_in(columns)
        late = 0 if self._is_found else self._first_late(columns, places)
        if late:
            last = int(places[late - 1])
            self._look_for_holes(columns.part(done, last + 1))
            self._fold([*self._waiting, columns.part(done, last + 1)])
            self._waiting, self.position, done = [], position_at(columns, last), last + 1
            self._is_found = self.position.next_offset == self.tick
        self.is_over = late < len(places)
        rest = columns.part(done, int(places[late]) + 1 if self.is_over else len(columns))
        if len(rest):
            self._look_for_holes(rest)
            self._waiting.append(rest)
        if self.is_over:
            self._next = position_at(columns, int(places[late]))

    def take_updates(self, run: RawRun) -> None:
        """Take rows of `last_update`: those of the time that the position has. Later ones decide nothing either."""
        newest_ms = max(self.position.stream_ms, 0) if self.position is not None else -1
        count = int(np.searchsorted(run.columns.ts_ms, newest_ms, side="right"))
        self.is_over = count < len(run.columns)
        self.recovery.last_update.take(row_run(run.columns.part(0, count)))

    def ended(self) -> None:
        """The log of `last_bucket` is at its end, or nothing more of it matters."""
        spans = [(np.maximum(each.value_end, each.key_end), each.key_start) for each in self._waiting]
        self._behind_bytes = sum(int((end - start).sum()) for end, start in spans)
        self._waiting = []
        self.is_over = False

    def eaten(self) -> Eaten | None:
        """What compaction has taken that would be needed; asked for at the end of `last_bucket`."""
        first = self.position or self._next
        if not self._has_holes or first is None:
            return None
        if self.position is None:
            return Eaten("compaction has taken the rows that stood there", first.next_offset)
        if self._behind_bytes > MOST_ROW_BYTES_BEHIND:
            behind = self._next.next_offset if self._next is not None else None
            return Eaten("compaction may have taken some of the rows that stood there", behind)
        return None

    def _first_late(self, columns: RecordColumns, places: Int64s) -> int:
        """Which of the positions is the first whose checkpoint is not wanted any more. They only rise.

        The first that comes to the tick has all ticks before. Those behind it took changes and clock records alone,
        before that tick; they belong to what begins there.
        """
        low, high = 0, len(places)
        while low < high:
            middle = (low + high) // 2
            position = position_at(columns, int(places[middle]))
            if position.next_offset < self.tick and position.stream_ms < self._from_ms:
                low = middle + 1
            else:
                high = middle
        first = position_at(columns, int(places[low])) if low < len(places) else None
        comes_to_it = first is not None and first.next_offset == self.tick and first.stream_ms < self._from_ms
        return low + comes_to_it

    def _fold(self, parts: list[RecordColumns]) -> None:
        for part in parts:
            self.recovery.last_bucket.take(row_run(part))

    def _look_for_holes(self, columns: RecordColumns) -> None:
        """Within a checkpoint each row follows the one before; between two lies what ends a transaction."""
        offset, is_last = columns.offset, np.zeros(len(columns), bool)
        is_last[positions_in(columns)] = True
        follows = np.concatenate(([offset[0] == self._at], np.diff(offset) == 1))
        may_jump = np.concatenate(([self._behind_position], is_last[:-1]))
        self._has_holes = self._has_holes or not bool((follows | may_jump).all())
        self._at, self._behind_position = int(offset[-1]) + 1, bool(is_last[-1])


def positions_in(columns: RecordColumns) -> Int64s:
    """Which rows are positions."""
    size = len(POSITION_KEY)
    maybe = np.flatnonzero(columns.key_end - columns.key_start == size)
    keys = columns.buffer[columns.key_start[maybe, None] + np.arange(size)]
    found: Int64s = maybe[(keys == np.frombuffer(POSITION_KEY, np.uint8)).all(axis=1)]
    return found


def position_at(columns: RecordColumns, row: int) -> Position:
    """What such a row says."""
    return read_position(columns.value(row) or b"")


def row_run(columns: RecordColumns) -> RowRun:
    """The same as a log in memory takes it."""
    spans = (columns.key_start, columns.key_end, columns.value_start, columns.value_end)
    return RowRun(columns.buffer, columns.offset, *spans)
