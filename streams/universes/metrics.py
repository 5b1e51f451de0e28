"""What the process that makes universes shows of itself, beside the metrics of those who trade."""

from collections import Counter as Counts

from prometheus_client import CollectorRegistry, Counter, Gauge

from streams.universes.cycle import Report
from streams.universes.manager import OUTCOMES
from streams.universes.rate_limit import Level


class UniverseMetrics:
    """On a registry that others have made."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._looks = Counter(
            "tickgate_universe_looks",
            "Looks for the product list: hit, miss, expired, shared; stale and failed, beside it.",
            ("outcome",),
            registry=registry,
        )
        self._calls = Counter("tickgate_universe_calls", "Requests that product lists took.", registry=registry)
        self._failures = Counter("tickgate_universe_failures", "Product lists that failed.", registry=registry)
        self._changes = Counter("tickgate_universe_changes", "Universes that were sent out.", registry=registry)
        self._problems = Counter(
            "tickgate_universe_problems",
            "Universes that stayed as they were, by the reason.",
            ("kind",),
            registry=registry,
        )
        self._near = Counter(
            "tickgate_rate_limit_warnings",
            "Times that a limit came near: warning, from 80 %; alert, above 90 %.",
            ("endpoint", "level"),
            registry=registry,
        )
        self._products = Gauge("tickgate_universe_products", "Products of the last list.", registry=registry)
        self._age = Gauge("tickgate_universe_list_age_seconds", "How old the product list is.", registry=registry)
        self._ttl = Gauge(
            "tickgate_universe_list_ttl_seconds", "How long it stays fresh at the moment.", registry=registry
        )
        self._seen: Counts[str] = Counts()
        self._fetched_ms: int | None = None
        for outcome in OUTCOMES:
            self._looks.labels(outcome)

    def looked(self, report: Report) -> None:
        """Count what came of a look at the rules."""
        self._products.set(report.products)
        self._changes.inc(len(report.changes))
        for problem in report.problems:
            self._problems.labels(problem.kind).inc()
        self._fetched_ms = report.fetched_ms

    def limit_near(self, endpoint: str, level: Level) -> None:
        """Count that a limit has come nearer."""
        self._near.labels(endpoint, level).inc()

    def refresh(self, looks: Counts[str], calls: int, failures: int, ttl_ms: int, now_ms: int) -> None:
        """Show what the manager has counted since it began, and how old its list is."""
        totals = Counts({**looks, "calls": calls, "failures": failures})
        more = totals - self._seen
        self._seen = totals
        self._calls.inc(more.pop("calls", 0))
        self._failures.inc(more.pop("failures", 0))
        for outcome, count in more.items():
            self._looks.labels(outcome).inc(count)
        self._ttl.set(ttl_ms / 1_000)
        if self._fetched_ms is not None:
            self._age.set((now_ms - self._fetched_ms) / 1_000)
