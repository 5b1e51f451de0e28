"""What a feed counts, for Prometheus and for the line at its end."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streams.own_registry import OwnRegistry

SEQUENCE: Final = "sequence"
DISCONNECT: Final = "disconnect"


@dataclass(slots=True)
class FeedCounts:
    """All since the feed began."""

    messages: int = 0
    bytes: int = 0
    trades: int = 0
    """Received, but for those that had come before."""
    left_out: int = 0
    """Of those, what must not move the price, where only the others were asked for."""
    sent: int = 0
    """Acknowledged by Kafka."""
    repeated: int = 0
    resized: int = 0
    behind: int = 0
    missing: int = 0
    others: int = 0
    reconnects: int = 0
    gaps: Counter[str] = field(default_factory=Counter)
    """By how they were noticed."""
    malformed: Counter[str] = field(default_factory=Counter)
    """By reason."""


_COUNTERS: Final = {
    "messages": "Messages received.",
    "bytes": "Bytes of messages received.",
    "trades": "Trades received, but for those that had come before.",
    "left_out": "Trades left out, as they must not move the price.",
    "sent": "Trades that Kafka has acknowledged.",
    "repeated": "Trades left out, as they had come before.",
    "resized": "Trades whose size was rounded down to a whole number, or cut off at the most there is.",
    "behind": "Trades whose number was not above the one before.",
    "missing": "Numbers of trades or messages that were left out.",
    "others": "Events that are no trades, and do no harm.",
    "reconnects": "Connections that ended, and attempts that failed.",
}


class FeedMetrics(OwnRegistry, Collector):
    """The same for Prometheus, and what changes by itself."""

    def __init__(
        self, counts: FeedCounts, waiting: Callable[[], int], full_s: Callable[[], float], connected: Callable[[], bool]
    ) -> None:
        super().__init__()
        self._counts, self._waiting, self._full_s, self._connected = counts, waiting, full_s, connected
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Everything, as it is now."""
        for name, means in _COUNTERS.items():
            yield CounterMetricFamily(f"tickgate_feed_{name}", means, value=getattr(self._counts, name))
        gaps = CounterMetricFamily("tickgate_feed_gaps", "Gaps, by how they were noticed.", labels=["by"])
        for by in (SEQUENCE, DISCONNECT):
            gaps.add_metric([by], self._counts.gaps[by])
        yield gaps
        bad = CounterMetricFamily("tickgate_feed_malformed", "What is no trade, by reason.", labels=["reason"])
        for reason, count in self._counts.malformed.items():
            bad.add_metric([reason], count)
        yield bad
        full = "How long the feed was not read, as Kafka was slower."
        yield CounterMetricFamily("tickgate_feed_full_seconds", full, value=self._full_s())
        waiting = "Bytes of messages that wait for Kafka."
        yield GaugeMetricFamily("tickgate_feed_waiting_bytes", waiting, value=self._waiting())
        yield GaugeMetricFamily("tickgate_feed_connected", "1 while subscribed.", value=float(self._connected()))
