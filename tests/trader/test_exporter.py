"""The metrics of those who trade: the names of old, and what each shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from streams.trader.exporter import PrometheusExporter, conversion


def shown(exporter: PrometheusExporter) -> dict[str, float]:
    text = exporter.exposed()[0].decode()
    samples = (each for family in text_string_to_metric_families(text) for each in family.samples)
    return {"".join((each.name, *each.labels.values())): each.value for each in samples}


def test_the_checks_of_old() -> None:
    exporter = PrometheusExporter()
    families = {each.name: each.type for each in text_string_to_metric_families(exporter.exposed()[0].decode())}
    gauges = {name for name, kind in families.items() if kind == "gauge" and not name.endswith("_created")}
    assert gauges == {
        "trader_trades_per_hour",
        "trader_triggers_detected",
        "trader_proposals_generated",
        "trader_triggers_to_proposals_ratio",
        "trader_rate_limiter_utilization_pct",
    }, "All 5 new metrics initialized"
    exporter.update_trades_per_hour(7)
    assert shown(exporter)["trader_trades_per_hour"] == 7, "update_trades_per_hour() works"
    exporter.update_trigger_stats(10, 3)
    assert shown(exporter)["trader_triggers_detected"] == 10, "update_trigger_stats() works"
    assert shown(exporter)["trader_proposals_generated"] == 3
    assert shown(exporter)["trader_triggers_to_proposals_ratio"] == 0.3, "Ratio calculation: 3/10 = 0.3"
    exporter.update_trigger_stats(0, 0)
    assert shown(exporter)["trader_triggers_to_proposals_ratio"] == 0, "Zero triggers handled correctly"
    exporter.update_rate_limiter_utilization("list_products", 18.5)
    assert shown(exporter)["trader_rate_limiter_utilization_pctlist_products"] == 18.5, "..._utilization() works"


def test_trades_are_counted_in_total() -> None:
    exporter = PrometheusExporter()
    assert shown(exporter)["trader_trades_total"] == 0
    exporter.traded(2)
    exporter.traded(3)
    assert shown(exporter)["trader_trades_total"] == 5


@pytest.mark.parametrize(("told", "seen"), [(-1.0, 0.0), (100.0, 100.0), (250.0, 100.0)])
def test_a_utilisation_lies_between_0_and_100(told: float, seen: float) -> None:
    exporter = PrometheusExporter()
    exporter.update_rate_limiters({"a": told})
    assert shown(exporter)["trader_rate_limiter_utilization_pcta"] == seen


@given(st.integers(-5, 10**9), st.integers(0, 10**9))
def test_a_ratio_is_a_number_whatever_came(triggers: int, proposals: int) -> None:
    assert conversion(triggers, proposals) >= 0


def test_what_changes_with_time_is_brought_up_to_date_before_it_is_shown() -> None:
    exporter = PrometheusExporter()
    exporter.before_exposed = lambda: exporter.update_trades_per_hour(4)
    assert shown(exporter)["trader_trades_per_hour"] == 4
    assert exporter.exposed("application/openmetrics-text")[1].startswith("application/openmetrics-text")


def test_two_of_a_process_do_not_meet() -> None:
    one, other = PrometheusExporter(), PrometheusExporter()
    one.traded(1)
    assert shown(other)["trader_trades_total"] == 0
