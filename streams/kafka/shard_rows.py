"""The rows of one shard as they come back from its changelogs, each run behind the one before.

A worker that keeps a copy of another's shard goes on taking them; when the shard becomes its own, it reads on from
where it stands.
"""

from dataclasses import dataclass

from streams.core.latest import Latest, RowRun
from streams.core.restore import Recovery
from streams.kafka.fetch import Bounds, RawRun


@dataclass
class Read:
    """What has been read of one changelog, without a gap."""

    start: int
    position: int


class ShardRows:
    """The last row of each key, and how far each changelog has been read."""

    def __init__(self) -> None:
        self.recovery = Recovery()
        self._read: dict[str, Read] = {}

    def position(self, table: str) -> int | None:
        """Behind the last row of a table that is here; None where nothing was read."""
        read = self._read.get(table)
        return None if read is None else read.position

    def is_whole(self, table: str, partition: int, bounds: Bounds) -> bool:
        """Whether every row of a log that there is has been read, from its beginning to its end."""
        del partition
        read = self._read.get(table)
        if read is None:
            return bounds.end == bounds.earliest
        return read.start <= bounds.earliest and read.position >= bounds.end

    def goes_on_at(self, table: str, partition: int, bounds: Bounds) -> int:
        """Where reading goes on; what does not begin where the log does is thrown away."""
        del partition
        read = self._read.get(table)
        if read is not None and read.start <= bounds.earliest <= read.position:
            return read.position
        self._read.pop(table, None)
        setattr(self.recovery, table, Latest(table))
        return bounds.earliest

    def take(self, table: str, run: RawRun) -> None:
        """Take a run of rows. One behind a gap is left out, and read again when the log is completed.

        One that begins earlier than expected is taken again, up to the same end and further.
        """
        read = self._read.setdefault(table, Read(run.start, run.start))
        if run.start > read.position or run.position <= read.position:
            return
        columns = run.columns
        spans = (columns.key_start, columns.key_end, columns.value_start, columns.value_end)
        latest: Latest = getattr(self.recovery, table)
        latest.take(RowRun(columns.buffer, columns.offset, *spans))
        read.position = run.position
