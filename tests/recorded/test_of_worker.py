"""Running workers on a real broker tell what stands, and why something ran, as a replay of the topics has it."""

import json
import random
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from bench import reference
from bench.kafka_answer import ends_of
from bench.kafka_ground import PARTITIONS, Place, import_strategies, make_topics
from bench.kafka_worker import Worker
from streams.core.events import Mode, Strategy
from tests.house.readme import steps
from tests.house.tree import ROOT
from tests.recorded.lived import invoked
from tests.worker.inputs import Feed, positions

WORK = reference.make(13, 4_000, tickers=60, strategies=12)
WHOLE = Strategy("whole", "1m", WORK.strategies[0].universe, mode=Mode.LEGACY)
IN_README = "http://127.0.0.1:6066"


class Lived:
    """Two workers that have decided some ticks."""

    def __init__(self, place: Place, running: ExitStack) -> None:
        self.place, self.feed = place, Feed(place, WORK)
        make_topics(place)
        import_strategies(place, [*WORK.strategies, WHOLE, Strategy("breakout", "5m", frozenset({"AAPL"}))])
        self.workers = [running.enter_context(Worker(place, name)) for name in ("one", "two")]
        for each in self.workers:
            each.wait_until(lambda it: len(it.partitions()) == PARTITIONS // 2 and it.readiness()["ready"], "sharing")

    def send(self, share: float) -> None:
        """Send so much of the ticks, and wait until they are decided."""
        self.feed.send(share)
        one, two = self.workers
        ends = ends_of(self.place.ground.bootstrap, self.place.topics.ticks)
        one.wait_until(lambda _: {**positions(one), **positions(two)} == ends, f"at the ends, {ends}")

    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{each._port}" for each in self.workers]

    def told(self, *arguments: str) -> Any:
        """What a command says, as JSON."""
        done = invoked(self.place, *arguments)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


@pytest.fixture
def lived(once: Place) -> Iterator[Lived]:
    with ExitStack() as running:
        yield Lived(once, running)


def test_what_stands_and_why_is_told_by_each_worker_as_by_the_topics(lived: Lived) -> None:
    lived.send(0.5)
    now_ms = str(int(WORK.when[: len(WORK.when) // 2].max()))
    draw, topics = random.Random(5), ("--ticks", "kafka://", "--at", now_ms)
    for what, name in (("--ticker", draw.choice(WORK.names)), ("--strategy", "whole")):
        wanted = lived.told("state", what, name, *topics)
        for url in lived.urls():
            found = lived.told("state", what, name, "--worker", url)
            shards = found.pop("shards")
            assert found == wanted
            assert all(each["position"] == each["end"] for each in shards)
            assert len(shards) == (PARTITIONS if what == "--strategy" else 1)
    explained(lived, draw, now_ms)
    by_ticks_that_are_gone(lived)
    readme(lived)
    refusals(lived)


def explained(lived: Lived, draw: random.Random, now_ms: str) -> None:
    """The same answer, and how far the worker has come."""
    outcomes = set()
    pairs = [(each, draw.choice(sorted(each.universe))) for each in (WORK.strategies[0], WHOLE)]
    pairs += [(draw.choice(WORK.strategies), draw.choice(WORK.names)) for _ in range(2)]
    for number, (strategy, ticker) in enumerate(pairs):
        at = ("--at", now_ms) if number % 2 else ()
        found = lived.told("explain", strategy.strategy_id, ticker, "--worker", lived.urls()[number % 2], *at, "--json")
        steps_of_worker = [step for step in found["steps"] if "the worker has decided" in step or "table" in step]
        assert steps_of_worker == found["steps"][-len(steps_of_worker) :]
        assert len(steps_of_worker) >= 2
        assert not any("should" in step or "wait" in step for step in steps_of_worker)
        if at:
            wanted = lived.told("explain", strategy.strategy_id, ticker, "--ticks", "kafka://", *at, "--json")
            assert {**found, "steps": found["steps"][: -len(steps_of_worker)]} == wanted
        outcomes.add(found["outcome"])
    assert "fired" in outcomes
    assert len(outcomes) > 1


def by_ticks_that_are_gone(lived: Lived) -> None:
    """The worker's table knows of the run, the range does not."""
    strategy = WORK.strategies[0]
    ticker, url = min(strategy.universe), lived.urls()[0]
    last_ms = lived.told("state", "--ticker", ticker, "--worker", url)["last_bucket"][strategy.strategy_id]
    asked = ("--at", str(last_ms), "--from", "2026-11-09", "--worker", url, "--json")
    told = lived.told("explain", strategy.strategy_id, ticker, *asked)
    assert told["outcome"] == "fired"
    assert told["steps"][-1].endswith("it ran, by a tick that is not in the range that was read")


def readme(lived: Lived) -> None:
    """What the README shows, of a worker that listens elsewhere."""
    commands = [step.command for step in steps((ROOT / "README.md").read_text()) if IN_README in step.command]
    assert [command.split()[1] for command in commands] == ["state", "explain"]
    for command in commands:
        done = invoked(lived.place, *command.replace(IN_README, lived.urls()[0]).split()[1:])
        assert done.exit_code == 0, done.output


def refusals(lived: Lived) -> None:
    """What cannot be asked, and of whom."""
    url = lived.urls()[0]
    for arguments, words in {
        ("state", "--ticker", "A", "--worker", "http://127.0.0.1:1"): "does not answer",
        ("state", "--ticker", "A", "--worker", url, "--at", "2026-03-02"): "--at: stands beside --worker",
        ("state", "--ticker", "A" * 300, "--worker", url): "the limit is",
        ("explain", "s", "A", "--worker", url, "--ticks", "kafka://"): "--ticks: stands beside --worker",
        ("explain", "s", "A", "--ticks", "kafka://"): "--at: is missing",
        ("explain", "s", "A", "--at", "2026-03-02"): "--ticks: is missing",
    }.items():
        done = invoked(lived.place, *arguments)
        assert (done.exit_code, words in done.output) == (2, True), done.output
    elsewhere = lived.place._replace(app_id="other")
    said = invoked(elsewhere, "explain", "whole", WORK.names[0], "--worker", url).output
    assert "as exact, and here the settings say" in said
