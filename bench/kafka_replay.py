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
from bench.timing import Candidate, seconds_of
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
                ours = {"files": files, "topics": candidate}
                lines = lines_of(work, place, ours, rounds, ground.kind)
            if reference.digest_of(out / "executions.parquet") != (work.pairs, work.digest):
                raise AssertionError("the topics do not have the workload's pairs")
            return lines
    except NoBrokerError as why:
        return [f"  from topics: not measured: {why}"]


def lines_of(
    work: reference.Workload, place: Place, ours: Mapping[str, Candidate], rounds: int, kind: str
) -> list[str]:
    """Ours and Kafka Streams, beside each other."""
    ticks = len(work.who)
    try:
        theirs, missing = streams_of(work, place), []
    except Unavailable as why:
        theirs, missing = [], [f"  Kafka Streams: not measured: {why}"]
    try:
        rates = in_rounds(ours, theirs, ticks, rounds)
    except RunError as why:
        rates, theirs, missing = in_rounds(ours, [], ticks, rounds), [], [f"  Kafka Streams: not measured: {why}"]
    lines = [
        f"  from topics ({kind}, {ticks:,} ticks) {median(rates['topics']):.2f} million ticks/s (bound 3)",
        *missing,
    ]
    lines += [f"  {each.name} {median(rates[each.name]):.2f} million ticks/s" for each in theirs]
    return [*lines, *against(rates, list(ours), [each.name for each in theirs])]


def streams_of(work: reference.Workload, place: Place) -> list[Peer]:
    """Kafka Streams at least once; raises `Unavailable`."""
    strategies = place.ground.scratch / "strategies.json"
    strategies.write_text(json.dumps(work.raw_strategies))
    market = Market(place.ground, place.topics.ticks, strategies, len(work.who), Answer(work.pairs, work.digest))
    return [each for each in in_java(market) if each.guarantee == GUARANTEES[0]]


def in_rounds(ours: Mapping[str, Candidate], theirs: Sequence[Peer], ticks: int, rounds: int) -> Rates:
    """All of them once a round; ours once before, which does not count."""
    rates: dict[str, list[float]] = defaultdict(list)
    for candidate in ours.values():
        seconds_of(candidate)
    for number in range(rounds):
        for name, candidate in ours.items():
            rates[name].append(ticks / seconds_of(candidate) / 1e6)
        for each in theirs:
            say(f"{each.name}, round {number + 1} of {rounds}")
            rates[each.name].append(each.run(number) / 1e6)
    return rates


def against(rates: Rates, ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """How many times Kafka Streams ours are, as the median of the rounds' own ratios."""
    if not theirs:
        return []
    best = [max(found) for found in zip(*(rates[name] for name in theirs), strict=True)]
    times = {name: median(mine / other for mine, other in zip(rates[name], best, strict=True)) for name in ours}
    said = ", ".join(f"from {name} {found:.1f} times" for name, found in times.items())
    rated = " and ".join(f"{median(rates[name]):.2f}" for name in ours)
    return [f"  ours against Kafka Streams, beside it {rated} million ticks/s: {said} (bound 20 from files)"]


def topics(environment: Mapping[str, str], out: Path, pairs: int) -> Candidate:
    """A replay of all that is there, decided by what stands."""
    settings = Settings.read(environment)

    def run(_: object) -> None:
        must_find(pairs, replay_day(open_topics(settings, Asked()), out, How(report=False)).fired_pairs)

    return Candidate(lambda: None, run)
