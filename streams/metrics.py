"""What Prometheus sees: counters end in `_total`, units are seconds, bytes and records.

The first block has the names and meanings of the systems that this one grew from; the rest is `tickgate_...`.
"""

from collections.abc import Collection
from contextlib import suppress
from typing import Final

from prometheus_client import Gauge, Histogram

from streams.core.rollout import alerts, throttles
from streams.core.shadow import ShadowCounts
from streams.instruments import Counted, Done, Held, ShardStatus, saved_ratio, summed
from streams.own_registry import OwnRegistry
from streams.universe_sizes import SIZE_CLASSES, average, by_class

EVERY_TICKER: Final = "all"
"""The class of strategies that watch every ticker."""

DURATION_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
TICKS_BUCKETS: Final = (1, 10, 100, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000)
SHARD: Final = ("topic", "partition")


class Metrics(OwnRegistry):
    """Counts what it is told of, see `Instruments`."""

    def __init__(self) -> None:
        super().__init__()
        self._states: dict[tuple[str, int], set[str]] = {}
        """Of each shard: the states that it has been in."""
        self._held: dict[tuple[str, int], Held] = {}
        self.total = Done(0.0)
        """All that was made true so far."""
        self._universes_updated = self._universes_discovered = 0
        self._make_seeds()
        self._make_flow()
        self._make_tracking()
        self._make_shadow()
        self._make_shards()

    def _make_seeds(self) -> None:
        """The names of old."""
        self.strategy_runs = self._counter("strategy_runs", "Executions of a strategy that were sent out.")
        self.skipped_no_update = self._counter(
            "skipped_no_update",
            "Strategies skipped in a round of a second: no ticker of their universe updated, or no such timeframe.",
        )
        self.skipped_bucket_dup = self._counter(
            "skipped_bucket_dup", "Pairs of strategy and ticker skipped, as they had run in the same bucket."
        )
        self._cleanups = self._counter("cleanup_operations", "Clean-ups of the Redis mirror.")
        self._intersections = self._counter("lua_intersections", "Intersections of large universes made inside Redis.")
        self._universe_updates = self._counter(
            "tickgate_universe_updates", "Versions of strategies that came into force."
        )
        self._discoveries = self._counter("universe_discoveries", "Universes changed by what a worker reported.")
        self._tickers = self._gauge("total_ticker_updates", "Tickers whose last update is held.")
        self._sizes = self._gauge(
            "universe_size_strategies", "Active strategies by the size of their universe.", "size"
        )
        self._size_average = self._gauge(
            "universe_size_average_tickers", "Mean size of the universes that list tickers."
        )
        for size in (*SIZE_CLASSES, EVERY_TICKER):
            self._sizes.labels(size)

    def _make_flow(self) -> None:
        """What passes through."""
        self._ticks = self._counter("tickgate_ticks", "Ticks taken.")
        self._irrelevant = self._counter("tickgate_irrelevant_ticks", "Ticks whose conditions must not move the price.")
        self._updates = self._counter("tickgate_ticker_updates", "Ticks that were a ticker's update.")
        self._late = self._counter("tickgate_late_pairs", "Pairs looked at for a tick whose bucket was over.")
        self._no_bucket = self._counter(
            "tickgate_no_bucket_pairs", "Pairs looked at for a tick beyond the sessions that are known."
        )
        self._fired = self._counter("tickgate_fired_pairs", "Pairs of strategy and ticker that fired.")
        self._executions = self._counter("tickgate_executions", "Alert executions sent out.")
        self._dead = self._counter(
            "tickgate_dead_letters", "Records refused, by input topic and reason.", "topic", "reason"
        )
        self._results = self._counter("tickgate_results", "Results of executions, by status.", "status")
        self._outcomes = self._counter(
            "tickgate_discovery_reports",
            "What became of reported universes: changed, same, held, stale, empty, whole, refused; damped, beside it.",
            "outcome",
        )
        self._lost = self._counter(
            "tickgate_lost_records", "Records that the broker deleted before they were read.", "topic"
        )
        self._old_calls = self._counter("tickgate_deprecated_calls", "Calls of functions that will go.", "name")
        self._duration = Histogram(
            "tickgate_checkpoint_duration_seconds",
            "Time from the first send of a checkpoint until it is true.",
            registry=self.registry,
            buckets=DURATION_BUCKETS_S,
        )
        self._size = Histogram(
            "tickgate_checkpoint_ticks", "Ticks in one checkpoint.", registry=self.registry, buckets=TICKS_BUCKETS
        )

    def _make_tracking(self) -> None:
        """What update tracking saves."""
        self._looks = self._counter("tickgate_pair_looks", "Pairs of strategy and ticker that were looked at.")
        self._checks = self._counter("tickgate_update_checks", "Steps that looked at any ticker.")
        self._processed = self._counter("tickgate_tickers_processed", "Tickers looked at, over all steps.")
        self._skipped = self._counter("tickgate_tickers_skipped", "Tickers without an update, over all steps.")
        self._saved = self._gauge("tickgate_tickers_saved_ratio", "Share of the tickers that were skipped, so far.")
        self._corruptions = self._counter("tickgate_flag_corruptions", "Steps that found the update flags corrupt.")

    def _make_shadow(self) -> None:
        """What both throttles make of the same ticks."""
        self._shadow_runs = self._counter(
            "tickgate_shadow_runs", "Runs by throttle: old, of strategies; new, of their tickers.", "throttle"
        )
        self._shadow_tickers = self._counter("tickgate_shadow_tickers", "Tickers run, by throttle.", "throttle")
        self._shadow_skips = self._counter(
            "tickgate_shadow_skips", "Ticks of a strategy that made a throttle run nothing.", "throttle", "reason"
        )
        self._shadow_alerts = self._counter(
            "tickgate_shadow_alerts", "Alerts of updated tickers, by whose: both, only_new, only_old, unjudged.", "by"
        )

    def _make_shards(self) -> None:
        """Where the shards stand that this worker owns."""
        self._lag = self._gauge(
            "tickgate_lag_records", "Records of a shard, or of a partition of results, that wait.", *SHARD
        )
        self._state = self._gauge("tickgate_shard_state", "1 for the state that a shard is in.", *SHARD, "state")
        self._moving = self._gauge("tickgate_shard_moving", "1 where a shard takes what comes.", *SHARD)
        self._recovery = self._gauge("tickgate_recovery_seconds", "How long a shard's last recovery took.", *SHARD)
        self._pairs = self._gauge("tickgate_state_pairs", "Pairs of strategy and ticker that a shard holds.", *SHARD)
        self._bytes = self._gauge("tickgate_state_bytes", "Memory of a shard's state.", *SHARD)

    def done(self, done: Done) -> None:
        """Count what a checkpoint made true."""
        self.strategy_runs.inc(done.executions)
        self.skipped_no_update.inc(done.no_update)
        self.skipped_bucket_dup.inc(done.bucket_dup)
        self._ticks.inc(done.ticks)
        self._irrelevant.inc(done.irrelevant)
        self._updates.inc(done.updates)
        self._late.inc(done.late)
        self._no_bucket.inc(done.no_bucket)
        self._fired.inc(done.fired_pairs)
        self._executions.inc(done.executions)
        self._tracked(done)
        self._duration.observe(done.duration_s)
        self._size.observe(done.ticks)

    def _tracked(self, done: Done) -> None:
        """Count what update tracking saved."""
        self.total = summed([self.total, done], 0.0)
        self._looks.inc(done.looks)
        self._checks.inc(done.checks)
        self._processed.inc(done.processed)
        self._skipped.inc(done.skipped)
        self._saved.set(saved_ratio(self.total))
        self._corruptions.inc(done.corruptions)

    def compared(self, more: ShadowCounts) -> None:
        """Count what both throttles made of some ticks."""
        for each in throttles(more):
            self._shadow_runs.labels(each.name).inc(each.runs)
            self._shadow_tickers.labels(each.name).inc(each.tickers)
            for reason, count in each.skips.items():
                self._shadow_skips.labels(each.name, reason).inc(count)
        for by, count in alerts(more).items():
            self._shadow_alerts.labels(by).inc(count)

    def dead_letters(self, topic: str, reason: str, count: int) -> None:
        """Count records that were refused."""
        self._dead.labels(topic, reason).inc(count)

    def deprecated_call(self, name: str) -> None:
        """Count a call of a function that will go."""
        self._old_calls.labels(name).inc()

    def lost(self, topic: str, partition: int, count: int) -> None:
        """Count records that were gone before they were read."""
        del partition  # a counter must not go with its shard
        self._lost.labels(topic).inc(count)

    def recovered(self, topic: str, partition: int, seconds: float) -> None:
        """Note how long a recovery took."""
        self._recovery.labels(topic, partition).set(seconds)

    def shard(self, status: ShardStatus) -> None:
        """Note where a shard stands."""
        shard = (status.topic, status.partition)
        states = self._states.setdefault(shard, set())
        states.add(status.state)
        for state in states:
            self._state.labels(*shard, state).set(state == status.state)
        self._moving.labels(*shard).set(status.moving)
        self._lag.labels(*shard).set(status.lag)

    @property
    def tickers(self) -> int:
        """Tickers that all shards hold."""
        return sum(each.tickers for each in self._held.values())

    def held(self, held: Held) -> None:
        """Note what a shard holds."""
        shard = (held.topic, held.partition)
        self._held[shard] = held
        self._pairs.labels(*shard).set(held.pairs)
        self._bytes.labels(*shard).set(held.bytes)
        self._tickers.set(self.tickers)

    def let_go(self, topic: str, partition: int) -> None:
        """Drop the series of a shard: another worker shows them now."""
        for gauge in (self._lag, self._moving, self._recovery, self._pairs, self._bytes):
            _remove(gauge, topic, partition)
        for state in self._states.pop((topic, partition), ()):
            _remove(self._state, topic, partition, state)
        self._held.pop((topic, partition), None)
        self._tickers.set(self.tickers)

    def universes(self, sizes: Collection[int]) -> None:
        """Count the active strategies by the size of their universe."""
        classes = by_class(sizes)
        for size, count in zip(SIZE_CLASSES, classes, strict=True):
            self._sizes.labels(size).set(count)
        self._sizes.labels(EVERY_TICKER).set(len(sizes) - sum(classes))
        self._size_average.set(average(sizes))

    @property
    def counted(self) -> Counted:
        """For the lines that a worker logs."""
        return Counted(self.tickers, self._universes_updated, self._universes_discovered)

    def universe_updates(self, count: int) -> None:
        """Count versions of strategies."""
        self._universe_updates.inc(count)
        self._universes_updated += count

    def cleanup_operations(self, count: int) -> None:
        """Count clean-ups."""
        self._cleanups.inc(count)

    def lua_intersections(self, count: int) -> None:
        """Count intersections made inside Redis."""
        self._intersections.inc(count)

    def universe_discoveries(self, count: int) -> None:
        """Count discovered universes."""
        self._universes_discovered += count
        self._discoveries.inc(count)

    def results(self, status: str, count: int) -> None:
        """Count results."""
        self._results.labels(status).inc(count)

    def discovery(self, outcome: str, count: int) -> None:
        """Count what became of reports."""
        self._outcomes.labels(outcome).inc(count)

    def results_lag(self, topic: str, partition: int, lag: int | None) -> None:
        """Note what waits, or drop the series."""
        if lag is None:
            _remove(self._lag, topic, partition)
        else:
            self._lag.labels(topic, partition).set(lag)


def _remove(gauge: Gauge, *labels: object) -> None:
    """Drop one series, where it is there."""
    with suppress(KeyError):
        gauge.remove(*labels)
