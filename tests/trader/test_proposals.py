"""Proposals on a real broker: killed at every step, frozen past its time, its policy edited; equal to the oracle."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.trader.exporter import PrometheusExporter
from streams.trader.following import Following
from streams.trader.running import run
from tests.chaos.plan import STEPS
from tests.kafka.shared_broker import SharedBroker
from tests.trader.proposals_ground import SCHEMAS, Ground, Process
from tests.trader.results_made import START_MS, Made, fill, result, trigger

ADJUSTED = "strategy: {min_conviction_to_propose: 0.28, adjust: {trades: 3}}\n"


@pytest.fixture
def ground(real_broker: SharedBroker, tmp_path: Path) -> Ground:
    return Ground(real_broker.bootstrap, tmp_path, ADJUSTED)


@pytest.fixture
def processes(ground: Ground) -> Iterator[list[Process]]:
    started: list[Process] = []
    yield started
    for each in started:
        each.process.kill()
        each.process.wait()


def sent(ground: Ground, made: Made, count: int) -> None:
    """Send so many results; fills are mostly of what was proposed by now."""
    proposed = {each["proposal_id"] for each in ground.proposals()}
    ground.send(*(made.next(proposed.__contains__) for _ in range(count)))


def drained(ground: Ground) -> dict[str, Any]:
    return asyncio.run(run(ground.settings, ground.policy, drain=True))


def test_killed_at_every_step_nothing_is_lost_and_nothing_comes_twice(ground: Ground, processes: list[Process]) -> None:
    made, policies = Made(7), iter(("0.31", "0.27"))
    for number, step in enumerate(STEPS):
        sent(ground, made, 40)
        processes.append(ground.start(f"{step}:{1 + number % 2}:KILL"))
        if number % 2:
            ground.until(lambda: ground.taken() == ground.sent or processes[-1].has_ended, "the first of two steps")
            ground.policy.write_text(ADJUSTED.replace("0.28", next(policies)))
        assert processes[-1].ended() == -signal.SIGKILL
    sent(ground, made, 40)
    done = drained(ground)
    assert ground.taken() == ground.sent == 40 * (len(STEPS) + 1)
    ground.audit()
    kinds = [each["kind"] for each in ground.changes()]
    assert kinds.count("policy") == 3
    assert kinds.count("adjusted") > 2
    assert done["min_conviction"] == ground.changes()[-1]["after"]


def test_one_that_was_frozen_past_its_time_writes_nothing_more_and_takes_over_again(
    ground: Ground, processes: list[Process]
) -> None:
    made = Made(8)
    sent(ground, made, 30)
    processes.append(ground.start("before_commit:1:STOP"))
    ground.until(lambda: processes[0].is_frozen, "it freezes itself")
    processes.append(ground.start())
    ground.until(lambda: ground.taken() == ground.sent, "the other takes over")
    processes[0].process.send_signal(signal.SIGCONT)
    ground.until(lambda: processes[0].said("do not go on at the moment"), "it learns that it was shut out")
    sent(ground, made, 30)
    ground.until(lambda: ground.taken() == ground.sent, "one of them goes on")
    assert [each.process.poll() for each in processes] == [None, None]
    assert processes[1].stop() == 0
    sent(ground, made, 30)
    ground.until(lambda: ground.taken() == ground.sent, "the one that was frozen takes over")
    assert processes[0].stop() == 0
    ground.audit()


def test_the_policy_is_read_again_while_it_runs_and_a_bad_one_changes_nothing(
    ground: Ground, processes: list[Process]
) -> None:
    ground.policy.write_text("strategy: {min_conviction_to_propose: 0.28}\n")
    processes.append(ground.start())
    ground.send(told("e1", trigger("A", 0.29)))
    ground.until(lambda: ground.taken() == 1, "the first result is taken")
    ground.policy.write_text("strategy: {min_conviction_to_propose: high}\n")
    ground.until(lambda: processes[0].said("the text 'high', where a number belongs"), "it tells of the bad file")
    ground.send(told("e2", trigger("A", 0.29)))
    ground.until(lambda: ground.taken() == 2, "it goes on")
    ground.policy.write_text("strategy: {min_conviction_to_propose: 0.30}\n")
    ground.until(lambda: len(ground.changes()) == 2, "the policy is another one")
    ground.send(told("e3", trigger("A", 0.29)), told("e4", trigger("A", 0.30)))
    ground.until(lambda: ground.taken() == 4, "all is taken")
    assert processes[0].stop() == 0
    assert [each["proposal_id"] for each in ground.proposals()] == ["e1/A", "e2/A", "e4/A"]
    assert ground.changes()[1]["reason"] == "the policy says 0.3, it said 0.28"
    assert sum(each["next_offset"] for each in ground.changes()[1]["positions"]) == 2
    ground.audit()


def test_what_cannot_be_used_becomes_a_letter_and_what_is_proposed_is_counted_by_its_metrics(ground: Ground) -> None:
    fills = (fill("f1", "e1", "A", 2.0), fill("f1", "e1", "A", 2.0), fill("f2", "gone", "A", 1.0))
    ground.send(
        told("e1", trigger("A", 0.5), trigger("B", 0.1), trigger("C", 7.0)),
        told("e1", trigger("A", 0.5), trigger("B", 0.9)),
        {**told("e1"), "fills": list(fills)},
    )
    ground.send_raw(b"s1", b"no result", START_MS)
    done = drained(ground)
    assert drained(ground)["results"] == 0
    names = ("results", "proposed", "below", "repeated", "closed", "refused", "unread")
    assert [done[name] for name in names] == [4, 1, 1, 2, 1, 2, 1]
    assert [(each["reason"], each["offset"], each["detail"]) for each in ground.letters()] == [
        ("bad_trigger", 0, "the conviction 7.0 for 'C' is not from 0 to 1"),
        (
            "unknown_proposal",
            2,
            "fill 'f2' is of 'gone/A', which was not proposed for this execution, or was forgotten",
        ),
    ]
    assert all(each["remedy"] and each["value"] for each in ground.letters())
    ground.audit()
    assert followed(ground) == {"trades_total": 2, "triggers_detected": 3, "proposals_generated": 1}


def followed(ground: Ground) -> dict[str, float | None]:
    """What those see who follow the topics."""
    exporter = PrometheusExporter()
    following = Following(ground.settings, SCHEMAS, exporter, lambda: 0)
    for partition in ground.results().values():
        for _, each in partition:
            if each is not None:
                following.take(ground.topics.alert_results, dict(each), is_history=False)
    for each in ground.proposals():
        following.take(ground.topics.proposals, each, is_history=False)
    following.end_cycle()
    names = ("trades_total", "triggers_detected", "proposals_generated")
    return {name: exporter.registry.get_sample_value(f"trader_{name}") for name in names}


def told(execution_id: str, *triggers: dict[str, Any]) -> dict[str, Any]:
    return {**result(execution_id, "s1", START_MS), "triggers": list(triggers)}
