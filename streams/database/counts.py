"""What the process that syncs strategies with a database tells Prometheus."""

from typing import Final

from streams.own_registry import OwnRegistry

DATABASE: Final = "database"
KAFKA: Final = "kafka"


class DatabaseCounts(OwnRegistry):
    """Hears what is done."""

    def __init__(self) -> None:
        super().__init__()
        self._sent = self._counter("tickgate_database_sent", "Versions that rows have brought to strategy-changes.")
        self._written = self._counter("tickgate_database_written", "Rows written, or added, for what the topic says.")
        self._met = self._counter("tickgate_database_edits_met", "Rows not written, as somebody edited them meanwhile.")
        self._contested = self._counter(
            "tickgate_database_contested_fields", "Fields that row and topic had both changed: the row's stays."
        )
        self._errors = self._counter("tickgate_database_errors", "Looks that came to nothing, by whose fault.", "kind")
        self._fenced = self._counter("tickgate_database_fenced", "Times that another process sent meanwhile.")
        self._bad_rows = self._gauge("tickgate_database_bad_rows", "Rows that cannot be used.")
        self._rows = self._gauge("tickgate_database_waiting", "Strategies still to be held against each other.")
        self._up = self._gauge("tickgate_database_up", "1 while the table is equal to the topic.")
        self.sent = self.written = 0
        for kind in (DATABASE, KAFKA):
            self._errors.labels(kind)

    def went_out(self, versions: int) -> None:
        """So many versions stand on the topic now, or were refused there."""
        self.sent += versions
        self._sent.inc(versions)

    def went_in(self, rows: int, met: int = 0) -> None:
        """So many rows are written; so many were edited meanwhile."""
        self.written += rows
        self._written.inc(rows)
        self._met.inc(met)

    def contested(self, fields: int) -> None:
        """A person and somebody on the topic have edited the same."""
        self._contested.inc(fields)

    def fenced(self) -> None:
        """Another process sends."""
        self._fenced.inc()

    def failed(self, kind: str) -> None:
        """A look came to nothing."""
        self._errors.labels(kind).inc()
        self._up.set(0)

    def looked(self, waiting: int, bad_rows: int) -> None:
        """A look is over."""
        self._rows.set(waiting)
        self._bad_rows.set(bad_rows)
        self._up.set(not waiting)
