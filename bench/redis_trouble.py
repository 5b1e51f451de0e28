"""What Redis in trouble costs the worker: nothing may wait for the view, and this shows whether anything does.

A real broker, `tickgate worker` and `tickgate redis follow` as processes of their own, a real Redis. The worker decides
a backlog. Slices with the trouble and slices without follow each other, in turn the one and the other first; a ratio is
one of two neighbours. A slice with a trouble holds it and what comes behind it: all that Redis missed is written while
the worker goes on. A view is equal when its marker in Redis has come to where the topics ended as Redis returned; at
the end `tickgate redis reconcile` compares key by key.

A minute without Redis is longer than a backlog: it is measured at a steady rate.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import numpy as np

from bench import reference, workload
from bench.kafka_answer import Mark, records_behind
from bench.kafka_bulk import send_in_bulk
from bench.kafka_flow import Helper
from bench.kafka_ground import (
    PARTITIONS,
    Ground,
    Place,
    RunError,
    finished,
    import_strategies,
    make_topics,
    real_broker,
    say,
)
from bench.kafka_schedule import Flow, send_on_schedule
from bench.kafka_summary import is_other
from bench.kafka_worker import Worker
from bench.pair_sums import Fired, of_executions, of_workload
from bench.redis_ends import Ends, seconds_until_equal
from bench.redis_hurt import NEEDS_REPLICA, TROUBLES, Servers
from bench.redis_slices import EQUAL_BOUND_S, Slice, described
from streams.kafka.brokers import NoBrokerError
from streams.kafka.kafka_jars import Unavailable

TICKS: Final = 40_000_000
"""Of the backlog of each trouble: two or three pairs of slices, on the machines that this was measured on."""

TICKERS, STRATEGIES = 8_000, 2_000
WARM_UP_TICKS: Final = 4_000_000
LAST_PART: Final = 0.95
"""Of the backlog is measured: behind it a shard may have come to its end."""

SLICE_S: Final = 3.0
HURT_S: Final = 1.5
MOST_PAIRS: Final = 6
"""Of slices, for one trouble."""

STEADY_RATE: Final = 50_000.0
STEADY_BEFORE_S: Final = 20.0
STEADY_WARM_UP_S: Final = 5.0
MINUTE_S: Final = 60.0

FOLLOW: Final = ("-m", "streams.cli", "redis", "follow")


class Stage(NamedTuple):
    """What one trouble is tried on."""

    place: Place
    servers: Servers
    worker: Worker
    follower: Worker
    ends: Ends


def report(seed: int, ticks: int, minute_s: float, named: list[str] | None) -> list[str]:
    """Each trouble that is named, or all; then a minute without Redis."""
    try:
        with real_broker() as ground:
            say(f"making and loading {ticks:,} ticks")
            work = market(seed, ticks)
            right = of_workload(work)
            load(ground, "trouble.", work)
            lines = [f"redis-trouble: {ticks:,} ticks, {right.pairs:,} pairs, seed {seed}; {ground.kind}; exactly once"]
            for name in named or TROUBLES:
                try:
                    lines += described(name, course(ground, name, work, right))
                except RunError as why:
                    lines.append(f"  {name}: failed: {why}")
            return lines + (steady(ground, seed, minute_s) if minute_s else [])
    except (NoBrokerError, Unavailable) as why:
        return [f"redis-trouble: not measured: {why}"]


def market(seed: int, ticks: int, per_second: float = reference.PER_SECOND) -> reference.Workload:
    """The reference workload, without its answer, which takes long to hash for so many."""
    rng = np.random.default_rng(seed)
    raw = workload.make_strategies(rng, STRATEGIES, TICKERS)
    who, when = workload.make_ticks(rng, ticks, TICKERS, per_second, workload.START_MS)
    return reference.Workload([workload.ticker_name(i) for i in range(TICKERS)], who, when, raw, 0, "")


def load(ground: Ground, prefix: str, work: reference.Workload) -> None:
    """Bring strategies and ticks onto topics."""
    place = Place(ground, prefix, "first")
    make_topics(place)
    import_strategies(place, work.strategies)
    send_in_bulk(place, work.who, work.when, work.names)


def course(ground: Ground, name: str, work: reference.Workload, right: Fired) -> list[Slice]:
    """All slices of one trouble; and that what came out is right, and the view equal key by key."""
    place = Place(ground, "trouble.", name.replace(" ", "-"))
    mark = Mark.set(ground.bootstrap, place.topics.alert_executions)
    with playing(place, with_replica=name == NEEDS_REPLICA) as stage:
        stage.worker.wait_until(lambda each: taken(each) >= WARM_UP_TICKS, "at work")
        slices: list[Slice] = []
        while taken(stage.worker) < LAST_PART * len(work.who) and len(slices) < 2 * MOST_PAIRS:
            slices.append(measured(stage, name if is_other(len(slices)) else None))
            say(f"{name}: {slices[-1]}")
        stage.worker.wait_until(lambda each: taken(each) == len(work.who), "done with the backlog")
        must_be_equal(stage)
    must_be_right(mark, work, right)
    return slices


@contextmanager
def playing(place: Place, *, with_replica: bool = False) -> Iterator[Stage]:
    """A worker and a follower at work, once Redis is equal to the empty tables."""
    make_topics(place)
    servers = Servers(place.ground.scratch / f"redis-{place.prefix}{place.app_id}", with_replica=with_replica)
    try:
        with Worker(place, "follower", FOLLOW, TICKGATE_REDIS_URL=servers.urls) as follower:
            follower.wait_until(lambda each: each.readiness().get("ready", False), "ready")
            with Worker(place) as worker, Ends(place) as ends:
                worker.wait_until_ready(PARTITIONS)
                yield Stage(place, servers, worker, follower, ends)
    finally:
        servers.kill()


def measured(stage: Stage, trouble: str | None) -> Slice:
    """One slice, with a trouble or without."""
    if trouble == NEEDS_REPLICA:
        stage.servers.stand_ready()
    at, processor_s, began_s = taken(stage.worker), stage.worker.processor_s(), time.monotonic()
    if trouble is not None:
        TROUBLES[trouble](stage.servers, HURT_S)
    equal_s = seconds_until_equal(stage.servers.main, stage.ends)
    time.sleep(max(0.0, began_s + SLICE_S - time.monotonic()))
    ticks, took_s = taken(stage.worker) - at, time.monotonic() - began_s
    used_s = stage.worker.processor_s() - processor_s
    return Slice(trouble is not None, ticks / took_s, 1e6 * used_s / max(1, ticks), equal_s)


def taken(worker: Worker) -> int:
    """How many ticks it has taken."""
    return round(sum(worker.metric("tickgate_ticks_total")))


def must_be_equal(stage: Stage) -> None:
    """Compare Redis with the tables key by key; raises where they differ."""
    seconds_until_equal(stage.servers.main, stage.ends)
    command = [sys.executable, "-m", "streams.cli", "redis", "reconcile", "--dry-run", "--settle-s", "0"]
    finished(command, stage.place.environment(os.environ, TICKGATE_REDIS_URL=stage.servers.urls))


def must_be_right(mark: Mark, work: reference.Workload, right: Fired) -> None:
    """Raises where the executions are not those of the workload."""
    found = of_executions(records_behind(mark.bootstrap, mark.topic, mark.ends), work)
    if found != right:
        raise RunError(f"wrong executions: {found}; {right} is right")


def steady(ground: Ground, seed: int, minute_s: float) -> list[str]:
    """A feed at a steady rate, and a Redis that stands still for a minute of it."""
    seconds = STEADY_WARM_UP_S + STEADY_BEFORE_S + minute_s + EQUAL_BOUND_S
    work = market(seed, int(STEADY_RATE * seconds), STEADY_RATE)
    place = Place(ground, "minute.", "minute")
    make_topics(place)
    import_strategies(place, work.strategies)
    file = ground.scratch / "minute.npz"
    np.savez(file, who=work.who, when=work.when)
    flow = Flow(ground.bootstrap, place.topics.ticks, STEADY_RATE)
    mark = Mark.set(ground.bootstrap, place.topics.alert_executions)
    with playing(place) as stage, Helper(send_on_schedule, flow, file) as sender:
        sender.hear()
        sender.tell("go")
        time.sleep(STEADY_WARM_UP_S)
        before = stretch(stage, STEADY_BEFORE_S)
        hurting = stretch(stage, minute_s, "frozen")
        sender.hear()
        stage.worker.wait_until(lambda each: taken(each) == len(work.who), "done with all ticks")
        must_be_equal(stage)
    must_be_right(mark, work, of_workload(work))
    head = (
        f"  frozen for {minute_s:g} s, at {STEADY_RATE:,.0f} ticks/s: {hurting.rate / before.rate:.1%} of the ticks/s "
    )
    equal = f"equal {hurting.equal_s:.1f} s after its return (bound {EQUAL_BOUND_S:.0f} s)"
    return [
        f"{head}of before, {before.processor_us:.1f} and {hurting.processor_us:.1f} µs of processor a tick; {equal}"
    ]


def stretch(stage: Stage, for_s: float, trouble: str | None = None) -> Slice:
    """Some seconds of the steady rate; with a trouble that holds all of them, and when the view was equal behind it."""
    at, processor_s, began_s = taken(stage.worker), stage.worker.processor_s(), time.monotonic()
    if trouble is None:
        time.sleep(for_s)
    else:
        TROUBLES[trouble](stage.servers, for_s)
    ticks, took_s = taken(stage.worker) - at, time.monotonic() - began_s
    used_s = stage.worker.processor_s() - processor_s
    equal_s = seconds_until_equal(stage.servers.main, stage.ends)
    return Slice(trouble is not None, ticks / took_s, 1e6 * used_s / max(1, ticks), equal_s)
