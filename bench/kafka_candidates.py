"""Who takes part in the throughput measurement: each candidate does the workload once, and its answer is checked."""

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from bench import reference
from bench.kafka_answer import Answer, Mark, pairs_of_executions, pairs_of_peer_alerts
from bench.kafka_ground import Ground, Place, RunError, import_strategies, load_ticks, make_topics, tickgate
from bench.kafka_peers import Job, PeerSaid, kafka_streams, python_peer
from streams.kafka.kafka_jars import Unavailable

PREFIX: Final = "w7."
TICKGATE: Final = "tickgate"
GUARANTEES: Final = ("at_least_once", "exactly_once")
JAVA_ALERTS: Final = "kafka-streams-peer-alerts"


class WrongAnswerError(RunError):
    """A run that did not find exactly the workload's pairs has no rate."""

    def __init__(self, found: Answer | int, wanted: Answer | int) -> None:
        super().__init__(f"wrong answer: it found {found}; {wanted} is right")


class Market(NamedTuple):
    """Ticks on a topic, strategies in a file as peers read them, and what is right."""

    ground: Ground
    topic: str
    strategies: Path
    ticks: int
    answer: Answer

    @property
    def job(self) -> Job:
        """The same for a peer."""
        ground = self.ground
        return Job(ground.bootstrap, self.topic, self.strategies, self.ticks, ground.scratch)


class Candidate(NamedTuple):
    """One program with one set of settings."""

    family: str
    guarantee: str
    variant: str
    ticks: int
    run: Callable[[int], float]
    """Does the work in the round of that number; returns the rate, or raises `RunError`."""

    @property
    def name(self) -> str:
        """As it stands in the table."""
        return f"{self.family} {self.guarantee}{self.variant}"


class Field(NamedTuple):
    """Those who take part, and why others do not, by their names."""

    candidates: list[Candidate]
    missing: dict[str, str]


def market(ground: Ground, work: reference.Workload, topic: str) -> Market:
    """Bring the workload onto the broker."""
    strategies = ground.scratch / f"{topic}.json"
    strategies.write_text(json.dumps(work.raw_strategies))
    load_ticks(ground, topic, work.who, work.when)
    return Market(ground, topic, strategies, len(work.who), Answer(work.pairs, work.digest))


def field(ground: Ground, seed: int, ticks: int, few_ticks: int) -> Field:
    """Bring everything into place that is not on anybody's clock."""
    work = reference.make(seed, ticks)
    whole = market(ground, work, f"{PREFIX}ticks")
    few = market(ground, reference.make(seed, few_ticks), "few-ticks")
    first = Place(ground, PREFIX, "first")
    make_topics(first)
    import_strategies(first, work.strategies)
    candidates = ours(whole)
    missing: dict[str, str] = {}
    for name, find, entered in (
        ("Kafka Streams", in_java, whole),
        ("Quix Streams", in_quix, few),
        ("Faust", in_faust, few),
    ):
        try:
            candidates += find(entered)
        except Unavailable as why:
            missing[name] = str(why)
    return Field(candidates, missing)


def ours(whole: Market) -> list[Candidate]:
    """Tickgate in both guarantees, each run with state of its own, empty at the start."""

    def run(guarantee: str, round_number: int) -> float:
        app_id = f"round-{round_number}-{guarantee}"
        place = Place(whole.ground, PREFIX, app_id, guarantee)
        make_topics(place)
        mark = Mark.set(whole.ground.bootstrap, place.topics.alert_executions)
        said = json.loads(tickgate(place, "worker", "--drain").splitlines()[-1])
        if said["ticks"] != whole.ticks:
            raise RunError(f"it took {said['ticks']} ticks of {whole.ticks}")
        must_be_right(mark.answer(pairs_of_executions), whole.answer)
        return float(said["rate"])

    return [Candidate(TICKGATE, each, "", whole.ticks, partial(run, each)) for each in GUARANTEES]


def in_java(whole: Market) -> list[Candidate]:
    """Kafka Streams in both guarantees, with one thread and with two."""
    peer = kafka_streams(os.environ)

    def run(guarantee: str, threads: int, _: int) -> float:
        mark = Mark.set(whole.ground.bootstrap, JAVA_ALERTS)
        said = peer.run(whole.job, guarantee, threads)
        must_be_right(said.pairs, whole.answer.pairs)
        must_be_right(mark.answer(pairs_of_peer_alerts), whole.answer)
        return said.rate

    return [
        Candidate(
            "Kafka Streams",
            ours,
            f", {threads} thread{'s' * (threads > 1)}",
            whole.ticks,
            partial(run, theirs, threads),
        )
        for ours, theirs in zip(GUARANTEES, ("at_least_once", "exactly_once_v2"), strict=True)
        for threads in (1, 2)
    ]


def in_quix(few: Market) -> list[Candidate]:
    """Quix Streams in both guarantees."""
    peer = python_peer("quix", os.environ)
    return [
        by_its_word("Quix Streams", each, few, partial(peer.quix, few.job, each.replace("_", "-")))
        for each in GUARANTEES
    ]


def in_faust(few: Market) -> list[Candidate]:
    """Faust as its documentation has it."""
    peer = python_peer("faust", os.environ)
    return [by_its_word("Faust", "at_least_once", few, partial(peer.faust, few.job))]


def by_its_word(family: str, guarantee: str, few: Market, work: Callable[[], PeerSaid]) -> Candidate:
    """A peer that ends with its last tick, before all that it has sent has arrived: what it counted is checked."""

    def run(_: int) -> float:
        said = work()
        must_be_right(said.pairs, few.answer.pairs)
        return said.rate

    return Candidate(family, guarantee, "", few.ticks, run)


def must_be_right(found: Answer | int, wanted: Answer | int) -> None:
    """Raise for a wrong answer."""
    if found != wanted:
        raise WrongAnswerError(found, wanted)
