"""What the process that keeps the Redis view tells Prometheus, the names of old first."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from streams.own_registry import OwnRegistry
from streams.views.redis.alerts import AlertCounts

OF_OLD: Final = {
    "cleanup_operations": "Clean-ups of the Redis view.",
    "lua_intersections": "Intersections of large universes made inside Redis.",
    "lua_failures": "Intersections that Lua failed at, so that the client made them.",
    "client_intersections": "Intersections made by the client.",
}


class AlertCountsCollector(Collector):
    """Shows what the helper functions have counted."""

    def __init__(self, counts: AlertCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """As they stand."""
        for name, means in OF_OLD.items():
            yield CounterMetricFamily(name, means, value=getattr(self._counts, name))


class RedisCounts(OwnRegistry):
    """Hears what view and clean-up do."""

    def __init__(self) -> None:
        super().__init__()
        self.alerts = AlertCounts()
        self.registry.register(AlertCountsCollector(self.alerts))
        self.total_ticker_updates = self._gauge("total_ticker_updates", "Tickers whose last update is held.")
        self._written = self._counter("tickgate_redis_writes", "Members, fields and universes written to Redis.")
        self._refills = self._counter("tickgate_redis_refills", "Times that all was written anew, by reason.", "reason")
        self._errors = self._counter("tickgate_redis_errors", "Turns that Redis made fail, by kind.", "kind")
        self._bad_rows = self._gauge("tickgate_redis_bad_rows", "Rows that could not be read.")
        self._up = self._gauge("tickgate_redis_up", "1 while Redis is equal to what was read.")
        self._cleanup_failures = self._counter("tickgate_redis_cleanup_failures", "Clean-ups that failed.")
        self._cleaned = self._counter("tickgate_redis_cleaned_updates", "Updates that were cleaned up.")
        self.writes = 0
        self.refills = 0
        self.errors = 0

    def written(self, count: int) -> None:
        """So many things stand in Redis now."""
        self.writes += count
        self._written.inc(count)

    def refilled(self, reason: str) -> None:
        """All is written anew."""
        self.refills += 1
        self._refills.labels(reason).inc()

    def failed(self, kind: str) -> None:
        """A turn could not be made."""
        self.errors += 1
        self._errors.labels(kind).inc()
        self._up.set(0)

    def equal(self, tickers: int, bad_rows: int) -> None:
        """Redis has all that was read."""
        self.total_ticker_updates.set(tickers)
        self._bad_rows.set(bad_rows)
        self._up.set(1)

    def cleaned(self, removed: int, left: int) -> None:
        """Redis was cleaned up."""
        self._cleaned.inc(removed)
        self.total_ticker_updates.set(left)

    def not_cleaned(self, reason: str) -> None:
        """It could not be."""
        del reason  # it is in the log
        self._cleanup_failures.inc()

    def report_line(self) -> str:
        """For the log."""
        operations = (
            f"Cleanup ops: {self.alerts.cleanup_operations}, Lua intersections: {self.alerts.lua_intersections}"
        )
        return f"Advanced operations - {operations}, Redis writes: {self.writes}, Refills: {self.refills}"
