"""What a worker holds in memory with a million pairs, and whether that grows while ticks go on and on."""

from statistics import median
from typing import Final, NamedTuple

import numpy as np
from confluent_kafka import Producer

from bench import kafka_wide, reference, workload
from bench.kafka_candidates import must_be_right
from bench.kafka_flow import producer, put
from bench.kafka_ground import PARTITIONS, Ground, Place, RunError, import_strategies, make_topics, real_broker, say
from bench.kafka_wide import NAMES, PAIRS, TICKERS
from bench.kafka_worker import Worker
from streams.kafka.brokers import NoBrokerError

PER_SECOND: Final = 3_333.0
TICKS: Final = 20_000_000
CHUNK_TICKS: Final = 50_000
MOST_AHEAD_TICKS: Final = 500_000
"""The sender waits for the worker: what is measured is the worker, not how much a broker holds."""

MINUTE_MS: Final = 60_000
BOUND_MB: Final = 350
GROWTH_BOUND: Final = 0.02
TENTHS: Final = 10


class Sample(NamedTuple):
    """One look at the worker."""

    ticks: int
    resident_bytes: int


def report(seed: int, ticks: int) -> list[str]:
    """Fill a worker, let ticks flow, look at its memory; say it in lines."""
    rng = np.random.default_rng(seed)
    raw, (first_who, first_when) = kafka_wide.strategies(rng), kafka_wide.filling(rng)
    who, when = workload.make_ticks(rng, ticks, TICKERS, PER_SECOND, kafka_wide.FIRST_MS + MINUTE_MS)
    work = kafka_wide.market(raw, np.concatenate([first_who, who]), np.concatenate([first_when, when]))
    try:
        with real_broker() as ground:
            head = f"memory: {TICKERS:,} tickers, {PAIRS:,} pairs, {ticks:,} ticks, seed {seed}; {ground.kind}"
            try:
                return [head, *described(*course(ground, work))]
            except RunError as why:
                return [head, f"  failed: {why}"]
    except NoBrokerError as why:
        return [f"memory: not measured: {why}"]


def course(ground: Ground, work: reference.Workload) -> tuple[int, list[Sample]]:
    """The worker's memory once it holds every pair, and then chunk by chunk."""
    place = Place(ground, "memory.", "memory")
    make_topics(place)
    import_strategies(place, work.strategies)
    to, ticks = producer(ground.bootstrap, 20), len(work.who)
    with Worker(place) as worker:
        worker.wait_until_ready(PARTITIONS)
        send(to, place.topics.ticks, work, 0, TICKERS)
        worker.wait_until(lambda each: taken(each) == TICKERS, "done with the filling")
        filled, samples = worker.resident_bytes(), list[Sample]()
        for at in range(TICKERS, ticks, CHUNK_TICKS):
            send(to, place.topics.ticks, work, at, at + CHUNK_TICKS)
            least = at - MOST_AHEAD_TICKS
            worker.wait_until(lambda each, least=least: taken(each) >= least, "keeping up")  # type: ignore[misc]
            samples.append(Sample(taken(worker) - TICKERS, worker.resident_bytes()))
            if at // CHUNK_TICKS % 20 == 0:
                say(f"{samples[-1].ticks:,} ticks: {samples[-1].resident_bytes / 1e6:.0f} MB")
        to.flush()
        worker.wait_until(lambda each: taken(each) == ticks, "done with all ticks")
        samples.append(Sample(ticks - TICKERS, worker.resident_bytes()))
        must_be_right(round(sum(worker.metric("tickgate_fired_pairs_total"))), work.pairs)
    return filled, samples


def taken(worker: Worker) -> int:
    """How many ticks the worker has taken, committed."""
    return round(sum(worker.metric("tickgate_ticks_total")))


def send(to: Producer, topic: str, work: reference.Workload, start: int, end: int) -> None:
    """Send some of the ticks."""
    for who, ts_ms in zip(work.who[start:end].tolist(), work.when[start:end].tolist(), strict=True):
        put(to, topic, NAMES[who].encode(), workload.encode(NAMES[who], ts_ms, 100.0), ts_ms)
    to.poll(0)
    if start == 0:
        to.flush()


class Growth(NamedTuple):
    """The middle of the first tenth of the ticks, and of the last."""

    first_bytes: float
    last_bytes: float

    @property
    def part(self) -> float:
        """By what part of the first the last is more."""
        return self.last_bytes / self.first_bytes - 1


def growth(samples: list[Sample]) -> Growth:
    """Look at the samples by the ticks that the worker had taken."""
    total = samples[-1].ticks
    first = [each.resident_bytes for each in samples if each.ticks * TENTHS <= total]
    last = [each.resident_bytes for each in samples if each.ticks * TENTHS >= total * (TENTHS - 1)]
    return Growth(median(first or [samples[0].resident_bytes]), median(last))


def described(filled_bytes: int, samples: list[Sample]) -> list[str]:
    """The lines of the report."""
    found, most = growth(samples), max(each.resident_bytes for each in samples)
    tenths = f"first tenth {found.first_bytes / 1e6:.1f} MB, last tenth {found.last_bytes / 1e6:.1f} MB"
    return [
        f"  with every pair held: {filled_bytes / 1e6:.0f} MB; at most later: {most / 1e6:.0f} MB (bound {BOUND_MB})",
        f"  {tenths}: {found.part:+.1%} (bound {GROWTH_BOUND:.0%})",
    ]
