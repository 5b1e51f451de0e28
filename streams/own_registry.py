"""Metrics of Prometheus on a registry of their own: two of a kind in one process do not meet."""

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import choose_encoder


class OwnRegistry:
    """What holds them, makes them and shows them."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Take a registry where metrics of others are to be shown beside these."""
        self.registry = registry or CollectorRegistry()

    def _counter(self, name: str, means: str, *labels: str) -> Counter:
        return Counter(name, means, labels, registry=self.registry)

    def _gauge(self, name: str, means: str, *labels: str) -> Gauge:
        return Gauge(name, means, labels, registry=self.registry)

    def exposed(self, accept: str = "") -> tuple[bytes, str]:
        """Everything in the format that is asked for (the text format unless said), and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
