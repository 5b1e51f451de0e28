"""Metrics keep the names of old, follow Prometheus' conventions, and count what they are told."""

import inspect
import re

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from streams.core.shadow import ShadowCounts
from streams.instruments import Counted, Done, Held, Instruments, ShardStatus, Unheard
from streams.metrics import Metrics
from streams.universe_sizes import SIZE_CLASSES

SEED_COUNTERS = (
    "strategy_runs",
    "skipped_no_update",
    "skipped_bucket_dup",
    "cleanup_operations",
    "lua_intersections",
    "universe_discoveries",
)
LABELS = ("topic", "partition", "state", "reason", "size", "status", "outcome", "throttle", "by", "le")
RUNNING = ShardStatus("ticks", 3, "running", moving=True, position=10, end=25)
DONE = Done(
    0.03,
    ticks=1_000,
    irrelevant=1,
    updates=2,
    late=3,
    bucket_dup=4,
    no_update=5,
    fired_pairs=6,
    executions=7,
    corruptions=8,
    no_bucket=9,
    looks=10,
    checks=11,
    processed=30,
    skipped=90,
)


def families(metrics: Metrics) -> dict[str, Metric]:
    return {each.name: each for each in text_string_to_metric_families(metrics.exposed()[0].decode())}


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """The samples of one name, by the values of their labels."""
    every = (sample for family in families(metrics).values() for sample in family.samples)
    return {
        tuple(each.labels[label] for label in LABELS if label in each.labels): each.value
        for each in every
        if each.name == name
    }


def value(metrics: Metrics, name: str) -> float:
    (found,) = samples(metrics, name).values()
    return found


def busy() -> Metrics:
    """Metrics that have been told of everything."""
    metrics = Metrics()
    metrics.done(DONE)
    metrics.dead_letters("ticks", "truncated", 2)
    metrics.deprecated_call("old")
    metrics.lost("ticks", 3, 4)
    metrics.recovered("ticks", 3, 1.5)
    metrics.shard(RUNNING)
    metrics.held(Held("ticks", 3, tickers=5, pairs=50, bytes=5_000))
    metrics.universes([1, 0])
    metrics.universe_updates(1)
    metrics.cleanup_operations(1)
    metrics.lua_intersections(1)
    metrics.universe_discoveries(1)
    metrics.results("ok", 1)
    metrics.discovery("held", 1)
    metrics.compared(ShadowCounts(both=1, seen=1))
    return metrics


def test_results_are_counted_by_status_and_reports_by_outcome() -> None:
    metrics = busy()
    metrics.results("failed", 2)
    metrics.results("ok", 2)
    metrics.discovery("damped", 1)
    assert samples(metrics, "tickgate_results_total") == {("ok",): 3, ("failed",): 2}
    assert samples(metrics, "tickgate_discovery_reports_total") == {("held",): 1, ("damped",): 1}


def test_the_lag_of_results_goes_with_the_partition() -> None:
    metrics = busy()
    metrics.results_lag("alert-results", 5, 2)
    assert samples(metrics, "tickgate_lag_records")["alert-results", "5"] == 2
    metrics.results_lag("alert-results", 5, None)
    metrics.results_lag("alert-results", 6, None)
    assert ("alert-results", "5") not in samples(metrics, "tickgate_lag_records")


def test_the_names_of_old_are_there_from_the_start() -> None:
    found = families(Metrics())
    for name in SEED_COUNTERS:
        assert found[name].type == "counter"
        assert value(Metrics(), f"{name}_total") == 0
    assert found["total_ticker_updates"].type == "gauge"
    assert {labels[0] for labels in samples(Metrics(), "universe_size_strategies")} == {*SIZE_CLASSES, "all"}


def test_a_checkpoint_is_counted_and_a_second_one_is_added() -> None:
    metrics = Metrics()
    metrics.done(DONE)
    metrics.done(DONE)
    counted = {
        "tickgate_ticks_total": 2_000,
        "tickgate_irrelevant_ticks_total": 2,
        "tickgate_ticker_updates_total": 4,
        "tickgate_late_pairs_total": 6,
        "skipped_bucket_dup_total": 8,
        "skipped_no_update_total": 10,
        "tickgate_fired_pairs_total": 12,
        "tickgate_executions_total": 14,
        "strategy_runs_total": 14,
        "tickgate_flag_corruptions_total": 16,
        "tickgate_no_bucket_pairs_total": 18,
        "tickgate_pair_looks_total": 20,
        "tickgate_update_checks_total": 22,
        "tickgate_tickers_processed_total": 60,
        "tickgate_tickers_skipped_total": 180,
        "tickgate_tickers_saved_ratio": 0.75,
        "tickgate_checkpoint_duration_seconds_count": 2,
        "tickgate_checkpoint_duration_seconds_sum": pytest.approx(0.06),
        "tickgate_checkpoint_ticks_sum": 2_000,
    }
    assert {name: value(metrics, name) for name in counted} == counted


def test_what_both_throttles_made_of_ticks_is_added_up() -> None:
    metrics = Metrics()
    counts = ShadowCounts(
        1, 2, 3, late=9, no_bucket=4, opened=5, only_new=6, both=7, old_runs=8, old_tickers=30, seen=90
    )
    for _ in range(2):
        metrics.compared(counts)
    assert samples(metrics, "tickgate_shadow_runs_total") == {("old",): 16, ("new",): 30}
    assert samples(metrics, "tickgate_shadow_tickers_total") == {("old",): 60, ("new",): 30}
    assert samples(metrics, "tickgate_shadow_alerts_total") == {
        ("both",): 14,
        ("only_new",): 12,
        ("only_old",): 2,
        ("unjudged",): 10,
    }
    assert samples(metrics, "tickgate_shadow_skips_total") == {
        ("bucket_dup", "old"): 162,
        ("no_bucket", "old"): 8,
        ("bucket_dup", "new"): 124,
        ("late", "new"): 18,
        ("no_bucket", "new"): 8,
    }


def test_histograms_count_up_to_each_bound() -> None:
    metrics = Metrics()
    metrics.done(DONE)
    durations = samples(metrics, "tickgate_checkpoint_duration_seconds_bucket")
    assert (durations["0.025",], durations["0.05",], durations["+Inf",]) == (0, 1, 1)
    ticks = samples(metrics, "tickgate_checkpoint_ticks_bucket")
    assert (ticks["100.0",], ticks["1000.0",]) == (0, 1)


def test_dead_letters_are_counted_by_topic_and_reason() -> None:
    metrics = Metrics()
    for topic, reason, count in (("ticks", "truncated", 2), ("ticks", "wrong_magic", 1), ("ticks", "truncated", 3)):
        metrics.dead_letters(topic, reason, count)
    assert samples(metrics, "tickgate_dead_letters_total") == {("ticks", "truncated"): 5, ("ticks", "wrong_magic"): 1}


def test_a_shard_is_in_one_state_at_a_time() -> None:
    metrics = Metrics()
    for state in ("recovering", "running", "stopped"):
        metrics.shard(RUNNING._replace(state=state, moving=state == "running"))
    states = samples(metrics, "tickgate_shard_state")
    assert states == {("ticks", "3", "recovering"): 0, ("ticks", "3", "running"): 0, ("ticks", "3", "stopped"): 1}
    assert samples(metrics, "tickgate_shard_moving") == {("ticks", "3"): 0}
    metrics.shard(RUNNING)
    assert samples(metrics, "tickgate_shard_state")["ticks", "3", "running"] == 1
    assert samples(metrics, "tickgate_shard_moving") == {("ticks", "3"): 1}


def test_lag_is_what_waits_and_never_below_none() -> None:
    metrics = Metrics()
    metrics.shard(RUNNING)
    metrics.shard(RUNNING._replace(partition=4, end=9))
    assert samples(metrics, "tickgate_lag_records") == {("ticks", "3"): 15, ("ticks", "4"): 0}


def test_tickers_of_all_shards_are_summed_and_the_rest_is_by_shard() -> None:
    metrics = Metrics()
    metrics.held(Held("ticks", 0, tickers=5, pairs=50, bytes=5_000))
    metrics.held(Held("ticks", 1, tickers=7, pairs=70, bytes=7_000))
    metrics.held(Held("ticks", 1, tickers=8, pairs=80, bytes=8_000))
    assert value(metrics, "total_ticker_updates") == 13
    assert samples(metrics, "tickgate_state_pairs") == {("ticks", "0"): 50, ("ticks", "1"): 80}
    assert samples(metrics, "tickgate_state_bytes") == {("ticks", "0"): 5_000, ("ticks", "1"): 8_000}


def test_a_shard_that_is_let_go_leaves_no_series_behind_and_the_others_stay() -> None:
    metrics = busy()
    metrics.shard(RUNNING._replace(state="draining"))
    metrics.shard(RUNNING._replace(partition=4))
    metrics.held(Held("ticks", 4, tickers=2, pairs=1, bytes=1))
    metrics.let_go("ticks", 3)
    metrics.let_go("ticks", 9)
    every = [sample for family in families(metrics).values() for sample in family.samples]
    assert {each.labels["partition"] for each in every if "partition" in each.labels} == {"4"}
    assert value(metrics, "total_ticker_updates") == 2
    metrics.shard(RUNNING)
    assert ("ticks", "3", "draining") not in samples(metrics, "tickgate_shard_state")


def test_counters_outlive_the_shard() -> None:
    metrics = busy()
    metrics.let_go("ticks", 3)
    assert value(metrics, "tickgate_ticks_total") == 1_000


def test_universes_are_counted_by_size_with_the_bounds_within_their_class() -> None:
    metrics = Metrics()
    metrics.universes([1, 10, 11, 100, 101, 1_000, 1_001, 0, 0])
    sizes = {labels[0]: count for labels, count in samples(metrics, "universe_size_strategies").items()}
    assert sizes == {"≤10": 2, "≤100": 2, "≤1000": 2, ">1000": 1, "all": 2}
    assert value(metrics, "universe_size_average_tickers") == pytest.approx(2_224 / 7)
    metrics.universes([])
    assert set(samples(metrics, "universe_size_strategies").values()) == {0}
    assert value(metrics, "universe_size_average_tickers") == 0


def test_names_follow_the_conventions() -> None:
    for name, family in families(busy()).items():
        if name.endswith("_created"):
            continue
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert family.documentation.endswith(".")
        assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|counter|gauge|count|sum|bucket)$", name)
        endings = {sample.name.removeprefix(name) for sample in family.samples}
        expected = {"counter": {"_total"}, "gauge": {""}, "histogram": {"_bucket", "_count", "_sum"}}
        assert endings == expected[family.type]


def test_both_formats_parse_and_say_the_same() -> None:
    metrics = busy()
    text, content_type = metrics.exposed("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    strict = {
        (each.name, *sorted(each.labels.items())): each.value
        for family in openmetrics_families(text.decode())  # type: ignore[no-untyped-call]
        for each in family.samples
        if not each.name.endswith("_created")
    }
    plain = {
        (each.name, *sorted(each.labels.items())): each.value
        for family in families(metrics).values()
        for each in family.samples
        if not each.name.endswith("_created")
    }
    assert strict == plain
    assert len(plain) > 50


def test_the_totals_that_a_report_is_made_of_are_kept_too() -> None:
    metrics = busy()
    metrics.done(DONE)
    metrics.universe_updates(2)
    assert metrics.total == Done(0.0, *(2 * count for count in DONE[1:]))
    assert metrics.counted == Counted(5, 3, 1)
    assert value(metrics, "tickgate_universe_updates_total") == 3


def test_workers_in_one_process_do_not_meet() -> None:
    first, second = Metrics(), Metrics()
    first.done(DONE)
    assert value(second, "tickgate_ticks_total") == 0


@pytest.mark.parametrize("kind", [Metrics, Unheard])
def test_whoever_is_told_takes_all_that_there_is_to_tell(kind: type[Instruments]) -> None:
    told: Instruments = kind()
    for name, method in inspect.getmembers(Instruments, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(method) == inspect.signature(getattr(kind, name))
    told.done(DONE)
    told.let_go("ticks", 0)
