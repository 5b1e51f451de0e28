"""From the topics of a real broker to a file of executions, in one process; the broker beside it on the same cores.

And Kafka Streams, which decides the same ticks of the same topic, at least once, by the better of one thread and two.
"""

import json
import os
from pathlib import Path
from statistics import median

from bench import reference
from bench.core import must_find
from bench.kafka_answer import Answer
from bench.kafka_bulk import send_in_bulk
from bench.kafka_candidates import GUARANTEES, Market, in_java
from bench.kafka_ground import Place, RunError, import_strategies, make_topics, real_broker, say
from bench.timing import Candidate, Timing, in_turn
from streams.kafka.brokers import NoBrokerError
from streams.kafka.kafka_jars import Unavailable
from streams.kafka.topic_spans import Asked
from streams.recorded.replay import How, replay_day
from streams.recorded.source import open_topics
from streams.settings import Settings


def report(work: reference.Workload, rounds: int, from_files: float) -> list[str]:
    """Replay the topics, and say it in lines; files gave so many million ticks a second."""
    ticks = len(work.who)
    try:
        with real_broker() as ground:
            place = Place(ground, "replay.", "replay")
            make_topics(place)
            import_strategies(place, work.strategies)
            send_in_bulk(place, work.who, work.when, work.names)
            out, kind = ground.scratch / "replayed", ground.kind
            (timing,) = in_turn({"topics": topics(work, place, out)}, rounds).values()
            if reference.digest_of(out / "executions.parquet") != (work.pairs, work.digest):
                raise AssertionError("the topics do not have the workload's pairs")
            ours = rate(timing, ticks)
            line = f"  from topics ({kind}, {ticks:,} ticks) {ours:.2f} million ticks/s (bound 3)"
            return [line, *against_streams(work, place, rounds, {"files": from_files, "topics": ours})]
    except NoBrokerError as why:
        return [f"  from topics: not measured: {why}"]


def against_streams(work: reference.Workload, place: Place, rounds: int, ours: dict[str, float]) -> list[str]:
    """What Kafka Streams takes for these ticks, and how many times that ours are."""
    strategies = place.ground.scratch / "strategies.json"
    strategies.write_text(json.dumps(work.raw_strategies))
    answer = Answer(work.pairs, work.digest)
    market = Market(place.ground, place.topics.ticks, strategies, len(work.who), answer)
    rates: dict[str, float] = {}
    try:
        for each in in_java(market):
            if each.guarantee == GUARANTEES[0]:
                say(f"{each.name}, {rounds} times")
                rates[each.name] = median(each.run(number) for number in range(rounds)) / 1e6
    except (Unavailable, RunError) as why:
        return [f"  Kafka Streams: not measured: {why}"]
    theirs = max(rates.values())
    lines = [f"  {name} {found:.2f} million ticks/s" for name, found in rates.items()]
    said = ", ".join(f"from {name} {found / theirs:.0f} times" for name, found in ours.items())
    return [*lines, f"  ours against Kafka Streams: {said} (bound 20 from files)"]


def topics(work: reference.Workload, place: Place, out: Path) -> Candidate:
    """A replay of all that is there, decided by what stands."""
    settings = Settings.read(place.environment(os.environ))

    def run(_: object) -> None:
        must_find(work, replay_day(open_topics(settings, Asked()), out, How(report=False)).fired_pairs)

    return Candidate(lambda: None, run)


def rate(timing: Timing, ticks: int) -> float:
    """Millions a second, at the median."""
    return ticks / timing.median / 1e6
