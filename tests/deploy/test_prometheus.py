"""What Prometheus scrapes is what compose runs; what it alerts on is served; each alert fires when it should."""

import re
import subprocess
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from streams.database.counts import DatabaseCounts
from streams.feeds.feed_counts import FeedCounts, FeedMetrics
from streams.kafka.kafka_jars import Unavailable
from streams.metrics import Metrics
from streams.trader.exporter import PrometheusExporter
from streams.trader.proposal_counts import ProposalCounts
from streams.universes.metrics import UniverseMetrics
from streams.views.redis.counts import RedisCounts
from tests.deploy.promtool import promtool
from tests.deploy.test_image import SERVICES
from tests.house.tree import ROOT

FOLDER = ROOT / "deploy/prometheus"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"] for rule in group["rules"]
]
SCRAPED: list[dict[str, Any]] = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]


def served_names() -> set[str]:
    """Every name that any of the processes serves."""
    exporter = PrometheusExporter(CollectorRegistry())
    UniverseMetrics(exporter.registry)
    of_feed = FeedMetrics(FeedCounts(), lambda: 0, lambda: 0.0, lambda: True)
    registries = [exporter.registry, of_feed]
    registries += [each().registry for each in (Metrics, RedisCounts, DatabaseCounts, ProposalCounts)]
    found = {(family.name, family.type) for registry in registries for family in registry.collect()}
    return {f"{name}_total" if kind == "counter" else name for name, kind in found}


def test_every_service_of_ours_that_serves_metrics_is_scraped_where_it_serves_them() -> None:
    wanted = {}
    for name, service in SERVICES.items():
        if "/readyz" in str(service.get("healthcheck")):
            wanted[name] = service["ports"][0].rpartition(":")[2]
    assert len(wanted) == 7
    looked_up = {each["job_name"]: each["dns_sd_configs"][0] for each in SCRAPED}
    assert {name: str(each["port"]) for name, each in looked_up.items()} == wanted
    assert all(each["names"] == [name] and each["type"] == "A" for name, each in looked_up.items())


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_stands_on_what_is_served_and_says_what_to_do(rule: dict[str, Any]) -> None:
    names = set(re.findall(r"\b(?:tickgate|trader)_\w+", rule["expr"]))
    assert names <= served_names()
    assert names or rule["expr"] == "up == 0"
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "remedy"}


def test_every_alert_that_seed_four_asks_for_is_there() -> None:
    text = " ".join(rule["expr"] for rule in RULES)
    for asked in (
        r"max\(trader_trades_per_hour\) > 10",
        r"trader_triggers_detected\[12m\]",
        "ratio.* < 0.1",
        "ratio.* > 0.8",
        "pct.* > 80",
        "pct.* > 90",
    ):
        assert re.search(asked, text), asked


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    tested = {each["alertname"] for test in _tests() for each in test["alert_rule_test"] if each.get("exp_alerts")}
    assert tested == {rule["alert"] for rule in RULES}
    try:
        tool = promtool()
    except Unavailable as why:
        pytest.skip(f"needs promtool: {why}")
    for arguments in (("check", "config", "prometheus.yml"), ("test", "rules", "rules_test.yml")):
        done = subprocess.run([tool, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def _tests() -> list[dict[str, Any]]:
    tests: list[dict[str, Any]] = yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
    return tests
