"""What it costs to change a hundred strategies a second among a million pairs, and how soon a change is in force.

Cost: ticks lie on their topic, more than the worker takes while it is looked at. Slices with changes and slices
without follow each other, in turn the one and the other first; a ratio is one of two neighbours. In force: ticks come
at a steady rate, with changes all the time, and the journal says which change each shard has taken.
"""

import time
from statistics import median
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from bench import kafka_wide, reference, workload
from bench.kafka_answer import ends_of
from bench.kafka_bulk import send_in_bulk
from bench.kafka_churn import RATE, Plan, SentChange, change_on_schedule
from bench.kafka_flow import Helper
from bench.kafka_ground import PARTITIONS, Place, RunError, import_strategies, make_topics, real_broker, say
from bench.kafka_in_force import in_force_ms, read_journal
from bench.kafka_schedule import Flow, Sent, send_on_schedule
from bench.kafka_summary import Spread, cost_of_other, is_other
from bench.kafka_wide import PAIRS, TICKERS
from bench.kafka_worker import Worker
from streams.kafka.brokers import NoBrokerError

GUARANTEES: Final = ("exactly_once", "at_least_once")
PER_SECOND: Final = 3_333.0
TICKS: Final = 54_000_000
"""Of the backlog, in each guarantee."""

SLICE_TICKS: Final = int(900 * PER_SECOND)
"""A quarter of an hour of stream time, so that as many buckets begin in each slice, but for those of an hour."""

LOOK_AGAIN_S: Final = 0.05
WARM_UP_TICKS: Final = 1_500_000
LAST_PART: Final = 0.95
"""Of the backlog is measured: behind it a shard may have come to its end."""

STEADY_RATE: Final = 20_000.0
STEADY_S: Final = 45.0
STEADY_WARM_UP_S: Final = 3.0
CHANGING_S: Final = 150.0
"""For so long there are changes, however slow the machine is."""

COST_BOUND: Final = 0.1
IN_FORCE_BOUND_MS: Final = 250
QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}

Floats = npt.NDArray[np.float64]


class Slice(NamedTuple):
    """So many ticks a second, with changes or without."""

    changing: bool
    rate: float
    per_busy_s: float
    """Ticks in a second of the worker's processor time."""


class Market(NamedTuple):
    """Strategies and the ticks of both parts."""

    work: reference.Workload
    steady_who: reference.Int32s
    steady_when: reference.Int64s


def report(seed: int, ticks: int) -> list[str]:
    """Measure both guarantees, and say it in lines."""
    try:
        with real_broker() as ground:
            lines = [f"changes: {RATE:.0f} a second, {TICKERS:,} tickers, {PAIRS:,} pairs, seed {seed}; {ground.kind}"]
            market = made(seed, ticks)
            for guarantee in GUARANTEES:
                place = Place(ground, f"changes-{guarantee}.", "changes", guarantee)
                try:
                    lines += described(guarantee, *course(place, market, seed))
                except RunError as why:
                    lines.append(f"  {guarantee}: failed: {why}")
            return lines
    except NoBrokerError as why:
        return [f"changes: not measured: {why}"]


def made(seed: int, ticks: int) -> Market:
    """A tick of each ticker, the backlog, and behind it the ticks of the steady rate."""
    rng = np.random.default_rng(seed)
    raw, (first_who, first_when) = kafka_wide.strategies(rng), kafka_wide.filling(rng)
    begins_ms = kafka_wide.FIRST_MS + 60_000
    who, when = workload.make_ticks(rng, ticks, TICKERS, PER_SECOND, begins_ms)
    steady = int(STEADY_RATE * (STEADY_WARM_UP_S + STEADY_S + 2))
    then = workload.make_ticks(rng, steady, TICKERS, STEADY_RATE, int(when[-1]) + 60_000)
    both = np.concatenate([first_who, who]), np.concatenate([first_when, when])
    return Market(reference.Workload(kafka_wide.NAMES, *both, raw, 0, ""), *then)


def course(place: Place, market: Market, seed: int) -> tuple[list[Slice], Floats]:
    """Cost, then time; and that nothing was lost on the way."""
    bootstrap, topics, work = place.ground.bootstrap, place.topics, market.work
    make_topics(place)
    import_strategies(place, work.strategies)
    say(f"{place.guarantee}: loading {len(work.who):,} ticks")
    send_in_bulk(place, work.who, work.when)
    file = place.ground.scratch / f"{place.guarantee}.npz"
    np.savez(file, who=market.steady_who, when=market.steady_when)
    flow = Flow(bootstrap, topics.ticks, STEADY_RATE)
    plan = Plan(bootstrap, topics.strategy_changes, seed, work.strategies, CHANGING_S)
    with (
        Helper(change_on_schedule, plan) as changer,
        Helper(send_on_schedule, flow, file) as sender,
        Helper(read_journal, bootstrap, topics.journal) as reader,
        Worker(place) as worker,
    ):
        for helper in (changer, sender, reader):
            helper.hear()
        slices = slices_of(worker, changer, len(work.who))
        worker.wait_until(lambda each: taken(each) == len(work.who), "done with the backlog")
        found = steady(changer, sender, reader)
        worker.wait_until(lambda each: taken(each) == len(work.who) + len(market.steady_who), "done with all ticks")
    refused = sum(ends_of(bootstrap, topics.dead_letters(topics.strategy_changes)).values())
    if refused:
        raise RunError(f"{refused} changes were refused; the first dead letter says why")
    return slices, found


def slices_of(worker: Worker, changer: Helper, ticks: int) -> list[Slice]:
    """Slices until most of the backlog is taken: without, with, with, without, and so on."""
    worker.wait_until_ready(PARTITIONS)
    worker.wait_until(lambda each: taken(each) >= WARM_UP_TICKS, "at work")
    slices: list[Slice] = []
    at, now_s, busy_s = taken(worker), time.monotonic(), worker.processor_s()
    while at + SLICE_TICKS < LAST_PART * ticks:
        changing = is_other(len(slices))
        if changing:
            changer.tell("begin")
        while (after := taken(worker)) < at + SLICE_TICKS:
            time.sleep(LOOK_AGAIN_S)
        then_s, after_busy_s = time.monotonic(), worker.processor_s()
        if changing:
            changer.tell("stop")
            changer.hear()
        done = after - at
        slices.append(Slice(changing, done / (then_s - now_s), done / (after_busy_s - busy_s)))
        say(f"{'with' if changing else 'without'} changes: {slices[-1].rate:,.0f} ticks/s")
        at, now_s, busy_s = taken(worker), time.monotonic(), worker.processor_s()
    if len(slices) < 2:  # noqa: PLR2004 - a pair
        raise RunError(f"{ticks:,} ticks are too few: the backlog must hold two slices of {SLICE_TICKS:,}")
    return slices


def taken(worker: Worker) -> int:
    """How many ticks it has taken."""
    return round(sum(worker.metric("tickgate_ticks_total")))


def steady(changer: Helper, sender: Helper, reader: Helper) -> Floats:
    """The times of the changes that were sent while ticks came at a steady rate."""
    sender.tell("go")
    time.sleep(STEADY_WARM_UP_S)
    changer.tell("begin")
    time.sleep(STEADY_S)
    changer.tell("stop")
    changes: list[SentChange] = changer.hear()
    reader.tell("that was all")
    sent: Sent = sender.hear()
    say(f"{len(changes):,} records of changes; the sender was {sent.most_behind_s * 1e3:.0f} ms behind at worst")
    return in_force_ms(changes, reader.hear(), PARTITIONS)


def costs(slices: list[Slice]) -> tuple[Spread, Spread]:
    """What part of the rate the changes cost, by pairs of neighbours: by the clock, and by processor time."""
    return by_pairs(slices, "rate"), by_pairs(slices, "per_busy_s")


def by_pairs(slices: list[Slice], what: str) -> Spread:
    """What part of one figure the changes cost."""
    found = cost_of_other([(each.changing, getattr(each, what)) for each in slices])
    assert found is not None, "there is a pair at least"
    return found


def described(guarantee: str, slices: list[Slice], found: Floats) -> list[str]:
    """The lines of one guarantee."""
    quiet, changing = (median(each.rate for each in slices if each.changing is kind) for kind in (False, True))
    lost, busy = (f"{each.median:.1%} ({each.least:.1%} to {each.most:.1%})" for each in costs(slices))
    bounds = f"(bound {COST_BOUND:.0%})", f"(p99 bound {IN_FORCE_BOUND_MS} ms)"
    said = ", ".join(f"{name} {np.quantile(found, q):.0f} ms" for name, q in QUANTILES.items())
    rates = f"{quiet / 1e3:,.0f} thousand ticks/s without changes, {changing / 1e3:,.0f} with"
    return [
        f"  {guarantee}: {rates}: {lost} in {len(slices) // 2} pairs {bounds[0]}",
        f"    by the processor time of the worker: {busy}",
        f"    {len(found):,} changes in force in all shards, at {STEADY_RATE:,.0f} ticks/s: {said} {bounds[1]}",
    ]
