"""The rows of one shard as they come back from its changelogs, each run behind the one before.

A worker that keeps a copy of another's shard goes on taking them; when the shard becomes its own, it reads on from
where it stands.
"""

from streams.core.latest import RowRun
from streams.core.restore import Recovery
from streams.kafka.fetch import RawRun
from streams.topic_names import TABLES


class MissingRowsError(Exception):
    """Runs of rows that do not follow one another: state would be missing."""


class ShardRows:
    """The last row of each key, and how far each changelog has been read."""

    def __init__(self) -> None:
        self.recovery = Recovery()
        self._positions: dict[str, int] = {}

    def position(self, table: str) -> int | None:
        """Where the next run of a table's rows begins; None where nothing was read."""
        return self._positions.get(table)

    def take(self, table: str, run: RawRun) -> None:
        """Take a run of rows; one that starts earlier than expected is read again, to the same end."""
        expected = self._positions.get(table, run.start)
        if run.start > expected:
            raise MissingRowsError(
                f"rows {expected} to {run.start - 1} of {run.topic}, partition {run.partition}, did not come"
            )
        columns = run.columns
        latest = {"last_update": self.recovery.last_update, "last_bucket": self.recovery.last_bucket}[table]
        latest.take(
            RowRun(
                *(columns.buffer, columns.offset, columns.key_start, columns.key_end),
                *(columns.value_start, columns.value_end),
            )
        )
        self._positions[table] = max(expected, run.position)


assert set(TABLES) == {"last_update", "last_bucket"}
