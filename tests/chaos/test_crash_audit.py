"""Workers are killed at every step, frozen, sent away and joined, the broker is bounced; nothing is lost or repeated.

    CHAOS_SEED=7 CHAOS_KILLS=200 pytest tests/chaos/test_crash_audit.py

brings back a run's plan, and makes it longer; CHAOS_DAY=1 makes a day of it, with thousands of changes of strategies.
Both guarantees run side by side on one broker.
"""

import os
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from random import SystemRandom
from typing import NamedTuple

import pytest

from streams.core.warm import warm_up as warm_up_core
from streams.kafka.kafka_process import KafkaProcess
from streams.kafka.tick_values import warm_up as warm_up_tick_values
from streams.kafka.warm import warm_up as warm_up_fetch
from streams.reference_data import load_conditions
from streams.settings import Settings
from tests.chaos.audit import Report, assert_exact, audit
from tests.chaos.plan import STEPS
from tests.chaos.run import DAY, USUAL_LENGTH, Director, Orders, Story

GUARANTEES = ("exactly_once", "at_least_once")
KILLS = int(os.environ.get("CHAOS_KILLS", "20"))
"""Of both runs together."""

LENGTH = DAY if os.environ.get("CHAOS_DAY") else USUAL_LENGTH
SEED = int(os.environ.get("CHAOS_SEED") or (1 if os.environ.get("CI") else SystemRandom().randrange(1 << 31)))


class Run(NamedTuple):
    """What happened, and what the audit says of it."""

    story: Story
    report: Report


class OneBounce:
    """Restarts the broker for the first that asks; all others go through it with it."""

    def __init__(self, broker: KafkaProcess) -> None:
        self.broker, self.lock, self.done = broker, threading.Lock(), False

    def __call__(self) -> None:
        with self.lock:
            if not self.done:
                self.broker.restart()
            self.done = True


def settings_of(broker: KafkaProcess, guarantee: str) -> Settings:
    return Settings(
        broker=broker.bootstrap,
        topic_prefix=f"{uuid.uuid4().hex[:6]}.",
        processing_guarantee=guarantee,
        coalesce_ms=500,
        web_port=0,
        session_timeout_ms=1_500,
        heartbeat_ms=300,
        fetch_max_wait_ms=20,
        checkpoint_timeout_ms=5_000,
    )


def compile_all() -> None:
    """Have all that workers run compiled and kept, once, so that not each of them does it at the same time."""
    conditions = load_conditions()
    warm_up_core(conditions)
    warm_up_tick_values(conditions)
    warm_up_fetch()


@pytest.fixture(scope="module")
def runs(own_kafka: KafkaProcess, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Run]:
    compile_all()
    folder = tmp_path_factory.mktemp("chaos")
    bounce = OneBounce(own_kafka)

    def run(number: int) -> Run:
        guarantee, kills = GUARANTEES[number], KILLS // 2
        settings = settings_of(own_kafka, guarantee)
        freezes, leaves = frozenset(range(2, kills, 20)), frozenset(range(4, kills, 20))
        orders = Orders(SEED + number, kills, freezes, leaves, kills // 2, bounce, LENGTH)
        story = Director(settings, folder, orders).run()
        return Run(story, audit(settings))

    with ThreadPoolExecutor() as both:
        return dict(zip(GUARANTEES, both.map(run, range(len(GUARANTEES))), strict=True))


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_nothing_is_lost_or_repeated_whoever_dies(runs: Mapping[str, Run], guarantee: str) -> None:
    story, report = runs[guarantee]
    told = report._replace(findings=report.findings[:20])
    print(f"CHAOS_SEED={SEED} CHAOS_KILLS={KILLS}\n{story}\n{told}")  # noqa: T201 - so that it can be brought back
    assert_exact(report)
    assert report.left == 0
    assert report.pairs > 1_000


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_the_run_went_through_all_that_it_was_to(runs: Mapping[str, Run], guarantee: str) -> None:
    story = runs[guarantee].story
    assert story.kills.total() >= KILLS // 2
    assert set(story.kills) == set(STEPS)
    assert story.zombies
    assert story.left >= 1
    assert story.bounces == 1
    assert story.failed == [], "\n".join(story.failed)
