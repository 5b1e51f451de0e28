"""From the topics of a real broker to a file of executions, in one process; the broker beside it on the same cores.

And Kafka Streams, which decides the same ticks of the same topic, at least once, by the better of one thread and two:
round by round in turn with ours, from topics and from a file.
"""

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from bench import reference
from bench.apart import apart
from bench.core import must_find
from bench.kafka_answer import Answer
from bench.kafka_bulk import send_in_bulk
from bench.kafka_candidates import GUARANTEES, Market, in_java
from bench.kafka_candidates import Candidate as Peer
from bench.kafka_ground import Place, RunError, import_strategies, make_topics, real_broker, say
from bench.timing import Candidate, in_turn, seconds_of
from streams.kafka.brokers import NoBrokerError
from streams.kafka.kafka_jars import Unavailable
from streams.kafka.topic_spans import Asked
from streams.recorded.replay import How, replay_day
from streams.recorded.source import open_topics
from streams.settings import Settings

Rates = Mapping[str, list[float]]
"""Million ticks a second, by round."""


def report(work: reference.Workload, rounds: int, files: Candidate) -> list[str]:
    """Replay the topics, and say it in lines; `files` replays the same ticks out of a file."""
    try:
        with real_broker() as ground:
            place = Place(ground, "replay.", "replay")
            make_topics(place)
            import_strategies(place, work.strategies)
            send_in_bulk(place, work.who, work.when, work.names)
            out = ground.scratch / "replayed"
            with apart(topics, place.environment(os.environ), out, work.pairs) as candidate:
                (alone,) = in_turn({"topics": candidate}, rounds).values()
                rate = len(work.who) / alone.median / 1e6
                line = f"  from topics ({ground.kind}, {len(work.who):,} ticks) {rate:.2f} million ticks/s (bound 3)"
                lines = [line, *beside_streams(work, place, {"files": files, "topics": candidate}, rounds)]
            if reference.digest_of(out / "executions.parquet") != (work.pairs, work.digest):
                raise AssertionError("the topics do not have the workload's pairs")
            return lines
    except NoBrokerError as why:
        return [f"  from topics: not measured: {why}"]


def beside_streams(work: reference.Workload, place: Place, ours: Mapping[str, Candidate], rounds: int) -> list[str]:
    """Ours and Kafka Streams in turn."""
    try:
        theirs = streams_of(work, place)
        rates = in_rounds(ours, theirs, len(work.who), rounds)
    except (Unavailable, RunError) as why:
        return [f"  Kafka Streams: not measured: {why}"]
    names = [each.name for each in theirs]
    lines = [f"  {name} {median(rates[name]):.2f} million ticks/s" for name in names]
    return [*lines, against(rates, list(ours), names)]


def streams_of(work: reference.Workload, place: Place) -> list[Peer]:
    """Kafka Streams at least once; raises `Unavailable`."""
    strategies = place.ground.scratch / "strategies.json"
    strategies.write_text(json.dumps(work.raw_strategies))
    market = Market(place.ground, place.topics.ticks, strategies, len(work.who), Answer(work.pairs, work.digest))
    return [each for each in in_java(market) if each.guarantee == GUARANTEES[0]]


def in_rounds(ours: Mapping[str, Candidate], theirs: Sequence[Peer], ticks: int, rounds: int) -> Rates:
    """All of them once a round."""
    rates: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds):
        for name, candidate in ours.items():
            rates[name].append(ticks / seconds_of(candidate) / 1e6)
        for each in theirs:
            say(f"{each.name}, round {number + 1} of {rounds}")
            rates[each.name].append(each.run(number) / 1e6)
    return rates


def against(rates: Rates, ours: Sequence[str], theirs: Sequence[str]) -> str:
    """How many times Kafka Streams ours are, as the median of the rounds' own ratios."""
    best = [max(found) for found in zip(*(rates[name] for name in theirs), strict=True)]
    times = {name: median(mine / other for mine, other in zip(rates[name], best, strict=True)) for name in ours}
    said = ", ".join(f"from {name} {found:.1f} times" for name, found in times.items())
    rated = " and ".join(f"{median(rates[name]):.2f}" for name in ours)
    return f"  ours against Kafka Streams, in turn with it {rated} million ticks/s: {said} (bound 20 from files)"


def topics(environment: Mapping[str, str], out: Path, pairs: int) -> Candidate:
    """A replay of all that is there, decided by what stands."""
    settings = Settings.read(environment)

    def run(_: object) -> None:
        must_find(pairs, replay_day(open_topics(settings, Asked()), out, How(report=False)).fired_pairs)

    return Candidate(lambda: None, run)
