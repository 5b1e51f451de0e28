"""The demonstration from beginning to end: set up, show, wind down, audit."""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Any, Final, NamedTuple, Protocol

from streams.core.events import Strategy
from streams.demo.audit import Audit, Given, audited
from streams.demo.execution_reader import ExecutionReader
from streams.demo.readings import Reading, read_worker
from streams.demo.screen import Moment
from streams.demo.stage import HOST, Child, set_up, settings_of_demo
from streams.errors import InputError
from streams.feeds.synthetic import Plan, ticker_names
from streams.feeds.synthetic_strategies import made_up_strategies
from streams.kafka.brokers import EmbeddedBroker
from streams.kafka.codec import Decoder
from streams.kafka.registry import FileSchemas
from streams.kafka.whole_topic import read_whole
from streams.settings import Settings

READY_TIMEOUT_S: Final = 120.0
"""The first start compiles the kernel."""

SETTLE_TIMEOUT_S: Final = 30.0
LOOK_EVERY_S: Final = 0.25
RATE_OVER_S: Final = 2.0


class Show(Protocol):
    """Where what happens is shown."""

    def say(self, text: str) -> None:
        """A line between two stages."""

    def moment(self, moment: Moment) -> None:
        """How things stand, several times a second."""


class Summary(NamedTuple):
    """What came of it."""

    ticks: int
    not_delivered: int
    seconds: float
    reading: Reading
    executions: int
    fired_pairs: int
    audit: Audit
    worker_exit: int

    @property
    def passed(self) -> bool:
        """Whether all went as it should."""
        return self.audit.passed and not self.not_delivered and not self.worker_exit


class Demo(NamedTuple):
    """A demonstration under way."""

    settings: Settings
    plan: Plan
    strategies: list[Strategy]
    partitions: int
    worker: Child
    reader: ExecutionReader
    show: Show

    def look(self) -> Reading | None:
        """Read the worker; raises `InputError` where it has ended."""
        if self.worker.ended:
            raise InputError("the worker", "ended by itself", f"see what it said last:\n{self.worker.last_words}")
        reading = read_worker(f"http://{HOST}:{self.settings.web_port}", time.monotonic())
        on_topic = self.reader.records_on(self.settings.topics.ticks, self.partitions)
        return reading and reading._replace(on_topic=on_topic)


def demonstrate(plan: Plan, strategies: int, show: Show, stopped: Callable[[], bool]) -> Summary | None:
    """Run the market until its end, or until stopped; None where it was stopped before it began."""
    with staged(plan, strategies, show) as demo:
        if not ready(demo, stopped):
            return None
        with Child(demo.settings, "feed", "synthetic", *arguments_of(plan)) as feed:
            reading = watch(demo, feed, stopped)
            if not feed.ended:
                feed.end()
            sent = sent_by(feed)
        show.say(f"{sent['ticks']:,} ticks were sent. Waiting for the worker to have taken them …")
        reading = settled(demo, sent["ticks"] - sent["not_delivered"], reading)
        worker_exit = demo.worker.end()
        demo.reader.read_to_end()
        show.say("Making the same ticks again, and holding what fired against what must fire …")
        given = Given(plan, sent["ticks"], demo.strategies, demo.partitions, clock_of(demo.settings))
        audit = audited(given, sent["crc32"], demo.reader.fired)
        told = (demo.reader.executions, len(demo.reader.fired), audit, worker_exit)
        return Summary(sent["ticks"], sent["not_delivered"], sent["seconds"], reading, *told)


def clock_of(settings: Settings) -> list[tuple[int, int]]:
    """Partition and time of each clock record: workers write them when the feed has ended."""
    decoder = Decoder(FileSchemas(), "clock")
    records = read_whole(settings.broker, settings.topics.clock)
    return [(record.partition, decoder.decode(record.value, record.headers)["ts"]) for record in records]


@contextmanager
def staged(plan: Plan, strategies: int, show: Show) -> Iterator[Demo]:
    """Everything but the feed, started; and ended after."""
    with ExitStack() as stack:
        broker = EmbeddedBroker()
        stack.callback(broker.stop)
        settings = settings_of_demo(broker.bootstrap)
        sessions = find_spec("exchange_calendars") is not None
        made = made_up_strategies(strategies, ticker_names(plan.tickers), plan.seed, sessions=sessions)
        partitions = set_up(settings, made, plan.start_ms)
        told = f"{plan.tickers:,} tickers, {strategies:,} strategies, {partitions} partitions, seed {plan.seed}"
        show.say(f"{broker.kind} at {broker.bootstrap}: {told}")
        worker = stack.enter_context(Child(settings, "worker"))
        show.say(f"Starting a worker; its metrics will be at http://{HOST}:{settings.web_port}/metrics …")
        reader = ExecutionReader(broker.bootstrap, settings.topics.alert_executions, partitions)
        stack.callback(reader.close)
        yield Demo(settings, plan, made, partitions, worker, reader, show)


def arguments_of(plan: Plan) -> list[str]:
    """The plan as `tickgate feed synthetic` takes it."""
    named = {
        "--start-ms": plan.start_ms,
        "--rate": plan.rate,
        "--seconds": plan.seconds,
        "--tickers": plan.tickers,
        "--seed": plan.seed,
        "--speed": plan.speed,
        "--opening-seconds": plan.opening_s,
        "--opening-times": plan.opening_times,
    }
    return [text for name, value in named.items() for text in (name, str(value))]


def ready(demo: Demo, stopped: Callable[[], bool]) -> bool:
    """Wait until the worker has every shard and moves them; false where stopped before."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not stopped():
        reading = demo.look()
        if reading is not None and reading.ready and len(reading.shards) == demo.partitions:
            return True
        if time.monotonic() > deadline:
            problem = f"is not ready after {READY_TIMEOUT_S:.0f} s"
            raise InputError("the worker", problem, f"see what it said last:\n{demo.worker.last_words}")
        demo.reader.read(LOOK_EVERY_S)
    return False


def watch(demo: Demo, feed: Child, stopped: Callable[[], bool]) -> Reading:
    """Show what happens for as long as the feed runs; returns the last reading."""
    began: float | None = None
    due = time.monotonic()
    readings = deque([Reading(due)])
    while not (feed.ended or stopped()):
        demo.reader.read(LOOK_EVERY_S)
        if time.monotonic() < due:
            continue
        due = time.monotonic() + LOOK_EVERY_S
        reading = demo.look()
        if reading is not None:
            readings.append(reading)
            while len(readings) > 1 and readings[1].at_s < reading.at_s - RATE_OVER_S:
                readings.popleft()
            if began is None and reading.on_topic:
                began = reading.at_s  # the feed needs some time to start
            elapsed_s = 0.0 if began is None else reading.at_s - began
            market_ms = demo.plan.start_ms + int(elapsed_s * demo.plan.speed * 1_000)
            opening = elapsed_s < demo.plan.opening_s
            last = list(demo.reader.last)
            demo.show.moment(Moment(elapsed_s, market_ms, opening, reading, readings[0], last))
    return readings[-1]


def sent_by(feed: Child) -> dict[str, Any]:
    """What the feed says at its end."""
    try:
        told: dict[str, Any] = json.loads(feed.printed)
    except ValueError as error:
        problem = "ended without a word of what it sent"
        raise InputError("the feed", problem, f"see what it said last:\n{feed.last_words}") from error
    return told


def settled(demo: Demo, ticks: int, reading: Reading) -> Reading:
    """Wait until the worker has taken so many ticks, or no longer; returns the last reading."""
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while reading.taken < ticks and time.monotonic() < deadline:
        demo.reader.read(LOOK_EVERY_S)
        reading = demo.look() or reading
    return reading
