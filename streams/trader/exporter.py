"""The metrics of those who trade, by the names of old.

Each is told from outside what it is to show; nothing is counted here but the trades in total.
"""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry

from streams.own_registry import OwnRegistry


class PrometheusExporter(OwnRegistry):
    """What is shown on `/metrics`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.before_exposed: Callable[[], None] = lambda: None
        """Is called before each answer, to bring what changes with time up to date."""
        self._trades = self._counter("trader_trades", "Trades made, since this process began.")
        self._per_hour = self._gauge("trader_trades_per_hour", "Trades of the last hour.")
        self._triggers = self._gauge("trader_triggers_detected", "Triggers detected in the last cycle.")
        self._proposals = self._gauge("trader_proposals_generated", "Proposals made of triggers in the last cycle.")
        self._ratio = self._gauge(
            "trader_triggers_to_proposals_ratio",
            "Proposals for each trigger of the last cycle; 0 where there were none.",
        )
        self._utilisation = self._gauge(
            "trader_rate_limiter_utilization_pct", "How much of an endpoint's limit is used, in per cent.", "endpoint"
        )

    def update_trades_per_hour(self, count: int) -> None:
        """Show how many trades the last hour had."""
        self._per_hour.set(count)

    def update_trigger_stats(self, triggers_count: int, proposals_count: int) -> None:
        """Show what the last cycle had."""
        self._triggers.set(triggers_count)
        self._proposals.set(proposals_count)
        self._ratio.set(conversion(triggers_count, proposals_count))

    def update_rate_limiter_utilization(self, endpoint: str, utilization_pct: float) -> None:
        """Show how much of a limit is used."""
        self._utilisation.labels(endpoint).set(min(100.0, max(0.0, utilization_pct)))

    def update_rate_limiters(self, utilisations: Mapping[str, float]) -> None:
        """The same for many endpoints."""
        for endpoint, pct in utilisations.items():
            self.update_rate_limiter_utilization(endpoint, pct)

    def traded(self, count: int) -> None:
        """Count trades."""
        self._trades.inc(count)

    def exposed(self, accept: str = "") -> tuple[bytes, str]:
        """Everything, as it is by now."""
        self.before_exposed()
        return super().exposed(accept)


def conversion(triggers_count: int, proposals_count: int) -> float:
    """Proposals for each trigger; 0 where nothing triggered."""
    return proposals_count / triggers_count if triggers_count > 0 else 0.0
