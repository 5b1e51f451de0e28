"""From the moment a tick is due to the moment its execution is read, at a steady rate that waits for nobody.

Event time goes with the clock, as in a live market: the time of a tick is when it is due. Minutes are measured, as
each begins with the burst of its executions; what is told is the median of them, and how far they lie apart: a machine
whose host takes it away for ten milliseconds, once in such a burst, has another p99 in that minute.
"""

from statistics import median
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from bench import reference
from bench.kafka_answer import Answer, ends_of
from bench.kafka_candidates import must_be_right
from bench.kafka_flow import Helper
from bench.kafka_ground import PARTITIONS, Ground, Place, RunError, import_strategies, make_topics, real_broker, say
from bench.kafka_reader import Received, read_as_they_come
from bench.kafka_schedule import Flow, Sent, send_on_schedule
from bench.kafka_worker import Worker
from streams.core.records import partitions_of, records_of
from streams.kafka.brokers import NoBrokerError

RATE: Final = 50_000.0
MINUTE_S: Final = 60.0
MINUTES: Final = 3
WARM_UP_S: Final = 120.0
"""A broker that has just been started compiles its code for two minutes, and takes up to half a core for it."""

P99_BOUNDS_MS: Final = {"at_least_once": 20, "exactly_once": 150}
QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
EDGES_MS: Final = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
BAR: Final = 50

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Run(NamedTuple):
    """What was measured in one guarantee."""

    latency_ms: Floats
    minute: Ints
    """In which minute each execution's tick was due."""
    most_behind_ms: float
    """How late the sender itself was at worst; it is part of the latencies."""


def report(seed: int, minutes: int) -> list[str]:
    """Measure both guarantees, and say it in lines."""
    ticks = int((WARM_UP_S + minutes * MINUTE_S) * RATE)
    load = f"{RATE:,.0f} ticks/s for {minutes} minutes after {WARM_UP_S:g} s"
    lines = [f"latency: from due to read (read_committed), {load}, seed {seed}"]
    try:
        with real_broker() as ground:
            lines[0] += f"; {ground.kind}"
            say(f"making {ticks:,} ticks")
            work = reference.make(seed, ticks, per_second=RATE)
            for guarantee in P99_BOUNDS_MS:
                try:
                    lines += described(guarantee, measured(ground, work, guarantee))
                except RunError as why:
                    lines.append(f"  {guarantee}: failed: {why}")
    except NoBrokerError as why:
        return [f"latency: not measured: {why}"]
    return lines


def measured(ground: Ground, work: reference.Workload, guarantee: str) -> Run:
    """One worker, one sender, one reader."""
    place = Place(ground, f"latency-{guarantee}.", "latency", guarantee)
    make_topics(place)
    import_strategies(place, work.strategies)
    file = ground.scratch / "flow.npz"
    np.savez(file, who=work.who, when=work.when)
    flow = Flow(ground.bootstrap, place.topics.ticks, RATE, WARM_UP_S)
    with (
        Worker(place) as worker,
        Helper(read_as_they_come, ground.bootstrap, place.topics.alert_executions) as reader,
        Helper(send_on_schedule, flow, file) as sender,
    ):
        worker.wait_until_ready(PARTITIONS)
        for helper in (reader, sender):
            helper.hear()
        say(f"{guarantee}: sending")
        sender.tell("go")
        sent: Sent = sender.hear()
        reader.tell("that was all")
        found: Received = reader.hear()
    must_be_right(found.answer, Answer(work.pairs, work.digest))
    where = partition_of_ticks(work)
    counts = np.bincount(where, minlength=PARTITIONS).tolist()
    must_be_right_offsets(ends_of(ground.bootstrap, place.topics.ticks), counts)
    return run_of(found, due_s(where, sent.start_s), sent.start_s + WARM_UP_S, sent.most_behind_s * 1e3)


def partition_of_ticks(work: reference.Workload) -> reference.Int32s:
    """The partition of each tick, by its key."""
    names = records_of([(name.encode(), b"") for name in work.names], 0)
    found: reference.Int32s = partitions_of(names, PARTITIONS)[work.who]
    return found


def must_be_right_offsets(ends: dict[int, int], counts: list[int]) -> None:
    """The n-th tick of a partition has offset n: else no execution could be led back to its tick."""
    if ends != dict(enumerate(counts)):
        raise RunError(f"the ticks end at {ends}, and {counts} were sent: the topic was not ours alone")


def due_s(where: reference.Int32s, start_s: float) -> list[Floats]:
    """For each partition, when the tick of each offset was due."""
    return [start_s + np.flatnonzero(where == partition) / RATE for partition in range(PARTITIONS)]


def run_of(found: Received, due: list[Floats], from_s: float, most_behind_ms: float) -> Run:
    """Of each execution whose first tick was due at `from_s` or later."""
    began_s = np.empty(len(found.read_s))
    for partition, times_s in enumerate(due):
        here = found.partition == partition
        began_s[here] = times_s[found.first_offset[here]]
    measured = began_s >= from_s
    minute = ((began_s[measured] - from_s) // MINUTE_S).astype(np.int64)
    return Run((found.read_s - began_s)[measured] * 1e3, minute, most_behind_ms)


def described(guarantee: str, run: Run) -> list[str]:
    """Quantiles and histogram."""
    if not len(run.latency_ms):
        return [f"  {guarantee}: no executions after the warm-up"]
    said = ", ".join(f"{name} {shown(quantiles(run, q))}" for name, q in QUANTILES.items())
    bound = f"p99 bound {P99_BOUNDS_MS[guarantee]} ms"
    behind = f"the sender was {run.most_behind_ms:.1f} ms behind its schedule at worst"
    head = [f"  {guarantee}: {said} ({bound})", f"    {len(run.latency_ms):,} executions; {behind}"]
    return [*head, *histogram(run.latency_ms)]


def quantiles(run: Run, q: float) -> list[float]:
    """Of each minute."""
    return [float(np.quantile(run.latency_ms[run.minute == minute], q)) for minute in np.unique(run.minute)]


def shown(each_ms: list[float]) -> str:
    """The median of the minutes, and the least and most of them."""
    return f"{median(each_ms):.1f} ms ({min(each_ms):.1f} to {max(each_ms):.1f})"


def histogram(latency_ms: Floats) -> list[str]:
    """How many lie between which bounds, from the first bounds to the last that hold any."""
    counts = np.histogram(latency_ms, [*EDGES_MS, np.inf])[0]
    held = np.flatnonzero(counts)
    lines = []
    for at in range(held[0], held[-1] + 1):
        below = f"< {EDGES_MS[at + 1]:,} ms" if at + 1 < len(EDGES_MS) else f"≥ {EDGES_MS[at]:,} ms"
        share = counts[at] / len(latency_ms)
        lines.append(f"    {below:>11} {share:7.2%} {'#' * round(share * BAR)}".rstrip())
    return lines
