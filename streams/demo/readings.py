"""What the worker shows of itself, read over HTTP: its counts from /metrics, its shards from /readyz."""

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

ANSWER_TIMEOUT_S: Final = 2.0

COUNTS: Final = {
    "ticks": "tickgate_ticks_total",
    "irrelevant": "tickgate_irrelevant_ticks_total",
    "fired": "tickgate_fired_pairs_total",
    "executions": "tickgate_executions_total",
    "bucket_dup": "skipped_bucket_dup_total",
    "late": "tickgate_late_pairs_total",
}
"""Of each count its name in `streams/metrics.py`."""


class Shard(NamedTuple):
    """One shard, as /readyz tells of it."""

    partition: int
    state: str
    moving: bool
    position: int
    lag: int
    reason: str


class Reading(NamedTuple):
    """The worker at one moment."""

    at_s: float
    ticks: int = 0
    irrelevant: int = 0
    fired: int = 0
    executions: int = 0
    bucket_dup: int = 0
    late: int = 0
    shards: Sequence[Shard] = ()
    ready: bool = False
    on_topic: int = 0
    """Ticks that the broker has. A worker itself knows of those only that it has fetched."""

    @property
    def lag(self) -> int:
        """Ticks that wait."""
        return max(0, self.on_topic - self.taken)

    @property
    def taken(self) -> int:
        """Ticks behind which all is true: decided, and sent out."""
        return sum(shard.position for shard in self.shards)

    @property
    def skip_ratio(self) -> float:
        """Of the pairs that ticks met: the share that had fired already, or whose bucket was over."""
        skipped = self.bucket_dup + self.late
        return skipped / max(1, skipped + self.fired)

    @property
    def irrelevant_ratio(self) -> float:
        """Of the ticks: the share that must not move the price."""
        return self.irrelevant / max(1, self.ticks)


def read_worker(address: str, at_s: float) -> Reading | None:
    """Look at the worker once; None where it does not answer."""
    try:
        report = json.loads(_get(f"{address}/readyz"))
        return reading(_get(f"{address}/metrics").decode(), report, at_s)
    except (OSError, ValueError):
        return None


def reading(metrics: str, report: dict[str, Any], at_s: float) -> Reading:
    """Both answers as one reading."""
    samples = {
        sample.name: sample.value for family in text_string_to_metric_families(metrics) for sample in family.samples
    }
    counts = {name: int(samples.get(metric, 0)) for name, metric in COUNTS.items()}
    shards = [Shard(**{field: told[field] for field in Shard._fields}) for told in report["shards"]]
    return Reading(at_s, **counts, shards=sorted(shards), ready=report["ready"])


def _get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_TIMEOUT_S) as answer:  # noqa: S310 - our own worker
            body: bytes = answer.read()
    except urllib.error.HTTPError as error:  # /readyz has its reasons to say 503
        body = error.read()
    return body
