"""One look at the rules, with a list and a topic in memory: what is written, what is told, what is counted."""

import asyncio
from collections.abc import Collection
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from streams.core.events import Strategy
from streams.errors import InputError
from streams.kafka.strategy_topic import Standing
from streams.universes.changes import Doubts
from streams.universes.cycle import Cycle, Report
from streams.universes.metrics import UniverseMetrics
from streams.universes.products import SourceError
from streams.universes.rules import Rule
from streams.universes.running import reread
from streams.universes.universe_file import read_universe_file
from tests.universes.stage import MINUTE_MS, Clock, FakeProducts, manager, some

RULES = (Rule("two", ("s1", "s2"), top=2), Rule("three", ("s3",), top=3))


class FakeTopic:
    """Strategies that stand, and what refuses to be written."""

    def __init__(self) -> None:
        self.strategies = {name: Strategy(name, "5m", frozenset("A")) for name in ("s1", "s2", "s3")}
        self.too_large: set[str] = set()
        self.down = False
        self.writes: list[tuple[str, list[str]]] = []

    def standing(self) -> Standing:
        if self.down:
            raise InputError("the broker", "does not answer", "start it")
        return Standing(dict(self.strategies), ["a bad record"])

    def write(self, changes: Collection[Strategy], reason: str) -> None:
        if any(each.strategy_id in self.too_large for each in changes):
            raise InputError("strategy", "takes too many bytes", "split it")
        self.writes.append((reason, [each.strategy_id for each in changes]))
        self.strategies |= {each.strategy_id: each for each in changes}


class Stage:
    """A cycle on stand-ins."""

    def __init__(self, *, dry_run: bool = False) -> None:
        self.source, self.topic, self.clock = FakeProducts(some("A", "B", "C")), FakeTopic(), Clock()
        self.manager = manager(self.source, self.clock)
        self.cycle = Cycle(self.manager, self.topic, RULES, Doubts(), dry_run=dry_run)

    async def looks(self, times: int) -> list[Report]:
        found = []
        for _ in range(times):
            found.append(await self.cycle.look())
            self.clock.ms += 10 * MINUTE_MS
        return found


def universes(stage: Stage) -> dict[str, str]:
    return {name: "".join(sorted(each.universe)) for name, each in stage.topic.strategies.items()}


def test_what_differs_is_written_by_its_reason_and_nothing_after_that() -> None:
    stage = Stage()
    first, second = asyncio.run(stage.looks(2))
    assert stage.topic.writes == [
        ("rule two: 2 of 3 products, 1 new, 0 gone", ["s1", "s2"]),
        ("rule three: 3 of 3 products, 2 new, 0 gone", ["s3"]),
    ]
    assert [len(each.changes) for each in (first, second)] == [3, 0]
    assert (first.products, first.trouble, first.warnings) == (3, "", ["a bad record"])
    assert universes(stage) == {"s1": "AB", "s2": "AB", "s3": "ABC"}


def test_a_dry_run_says_what_it_would_write() -> None:
    stage = Stage(dry_run=True)
    first, second = asyncio.run(stage.looks(2))
    assert (stage.topic.writes, len(first.changes), len(second.changes)) == ([], 3, 3)


def test_one_that_cannot_be_written_does_not_hold_up_the_others() -> None:
    stage = Stage()
    stage.topic.too_large = {"s2"}
    (report,) = asyncio.run(stage.looks(1))
    assert [each.kind for each in report.problems] == ["not_written"]
    assert "takes too many bytes; split it" in report.problems[0].words
    assert universes(stage) == {"s1": "A", "s2": "A", "s3": "ABC"}


@pytest.mark.parametrize("trouble", [SourceError("down", "wait"), None])
def test_a_list_that_fails_or_is_empty_leaves_all_as_it_was(trouble: SourceError | None) -> None:
    stage = Stage()
    asyncio.run(stage.looks(1))
    before = dict(stage.topic.strategies)
    stage.source.products, stage.source.trouble = [], trouble
    reports = asyncio.run(stage.looks(3))
    assert all(each.trouble and each.products == 3 and not each.changes for each in reports)
    stage.clock.ms += 60 * MINUTE_MS
    with pytest.raises(SourceError):
        asyncio.run(stage.looks(1))
    assert stage.topic.strategies == before


def test_a_broker_that_is_down_is_told_and_the_next_look_goes_on() -> None:
    stage = Stage()
    stage.topic.down = True
    with pytest.raises(InputError, match="the broker: does not answer; start it"):
        asyncio.run(stage.looks(1))
    stage.topic.down = False
    asyncio.run(stage.looks(1))
    assert universes(stage)["s3"] == "ABC"


def test_half_a_list_that_keeps_coming_shrinks_a_universe_in_the_end() -> None:
    stage = Stage()
    asyncio.run(stage.looks(1))
    stage.source.products = some("C")
    before, sizes = universes(stage)["s3"], []
    for _ in range(6):
        asyncio.run(stage.looks(1))
        sizes.append(universes(stage)["s3"])
    assert sizes == [before] * 4 + ["C"] * 2, "twice the list was not believed, then twice the universe was held"


def test_what_was_seen_is_shown() -> None:
    registry = CollectorRegistry()
    stage, metrics = Stage(), UniverseMetrics(registry)

    def shown(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"tickgate_universe_{name}", labels)

    stage.topic.too_large = {"s3"}
    for report in asyncio.run(stage.looks(2)):
        metrics.looked(report)
    told = stage.manager
    for _ in range(2):
        metrics.refresh(told.looks, told.calls, told.failures, told.ttl_ms, stage.clock.ms)
    assert shown("looks_total", outcome="miss") == shown("looks_total", outcome="expired") == 1
    assert shown("looks_total", outcome="hit") == 0
    assert (shown("calls_total"), shown("failures_total")) == (2, 0)
    assert (shown("changes_total"), shown("problems_total", kind="not_written")) == (2, 2)
    assert (shown("products"), shown("list_age_seconds"), shown("list_ttl_seconds")) == (3, 600, 600)
    stage.source.trouble = SourceError("down", "wait")
    asyncio.run(stage.looks(1))
    metrics.refresh(told.looks, told.calls, told.failures, told.ttl_ms, stage.clock.ms)
    assert (shown("looks_total", outcome="stale"), shown("failures_total")) == (1, 1)


def test_rules_are_read_again_and_what_is_wrong_or_needs_a_new_start_is_told(tmp_path: Path) -> None:
    stage, path = Stage(), tmp_path / "universe.yaml"
    text = "universe: {url: http://a}\nrules:\n  - {name: one, strategies: [s1], top: 1}\n"
    path.write_text(text)
    file = read_universe_file(path)
    assert reread(stage.cycle, path, file) == ""
    assert [each.name for each in stage.cycle.rules] == ["one"]
    path.write_text(text.replace("top", "tip"))
    assert reread(stage.cycle, path, file).endswith("did you mean top? (the rules stay as they were)")
    assert [each.top for each in stage.cycle.rules] == [1]
    path.write_text(text.replace("top: 1", "top: 2").replace("//a", "//b"))
    assert reread(stage.cycle, path, file).endswith("it is taken when this is started again")
    assert [each.top for each in stage.cycle.rules] == [2], "rules are taken all the same"
