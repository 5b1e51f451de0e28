"""From the topics of a real broker to a file of executions, in one process; the broker beside it on the same cores.

And Kafka Streams, which decides the same ticks of the same topic, at least once, by the better of one thread and two:
round by round in turn with ours, from topics and from a file.
"""

import json
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from bench import reference
from bench.apart import apart
from bench.core import must_find
from bench.kafka_answer import Answer
from bench.kafka_bulk import send_in_bulk
from bench.kafka_candidates import GUARANTEES, Candidate, Market, in_java
from bench.kafka_ground import Place, import_strategies, make_topics, real_broker
from bench.kafka_summary import rates_of, times_as_fast
from bench.kafka_throughput import run_rounds
from bench.timing import Candidate as Timed
from bench.timing import in_turn, seconds_of
from streams.kafka.brokers import NoBrokerError
from streams.kafka.kafka_jars import Unavailable
from streams.kafka.topic_spans import Asked
from streams.recorded.replay import How, replay_day
from streams.recorded.source import open_topics
from streams.settings import Settings


def report(work: reference.Workload, rounds: int, files: Timed) -> list[str]:
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


def beside_streams(work: reference.Workload, place: Place, ours: Mapping[str, Timed], rounds: int) -> list[str]:
    """Ours and Kafka Streams in turn."""
    ticks = len(work.who)
    mine = [Candidate("ours", f"from {name}", "", ticks, partial(rate, each, ticks)) for name, each in ours.items()]
    try:
        theirs = streams_of(work, place)
    except Unavailable as why:
        return [f"  Kafka Streams: not measured: {why}"]
    done, failures = run_rounds([*mine, *theirs], rounds)
    lines = []
    for each in [*mine, *theirs]:
        found = rates_of(done, each.name)
        lines.append(f"  {each.name} {found.median / 1e6:.2f} million ticks/s" if found else f"  {each.name} no rate")
        lines += [f"    failed: {why}" for why in failures.get(each.name, [])]
    for each in mine:
        times = times_as_fast(done, each.name, [peer.name for peer in theirs])
        bound = " (bound 20)" if each is mine[0] else ""
        lines.append(f"  {each.name} against Kafka Streams: {times.median:.1f} times{bound}" if times else "  no ratio")
    return lines


def streams_of(work: reference.Workload, place: Place) -> list[Candidate]:
    """Kafka Streams at least once; raises `Unavailable`."""
    strategies = place.ground.scratch / "strategies.json"
    strategies.write_text(json.dumps(work.raw_strategies))
    market = Market(place.ground, place.topics.ticks, strategies, len(work.who), Answer(work.pairs, work.digest))
    return [each for each in in_java(market) if each.guarantee == GUARANTEES[0]]


def rate(candidate: Timed, ticks: int, _round_number: int) -> float:
    """Ticks a second of one run."""
    return ticks / seconds_of(candidate)


def topics(environment: Mapping[str, str], out: Path, pairs: int) -> Timed:
    """A replay of all that is there, decided by what stands."""
    settings = Settings.read(environment)

    def run(_: object) -> None:
        must_find(pairs, replay_day(open_topics(settings, Asked()), out, How(report=False)).fired_pairs)

    return Timed(lambda: None, run)
