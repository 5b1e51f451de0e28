"""From the topics of a real broker to a file of executions, in one process; the broker beside it on the same cores."""

import os
from pathlib import Path

from bench import reference
from bench.core import must_find
from bench.kafka_bulk import send_in_bulk
from bench.kafka_ground import Place, import_strategies, make_topics, real_broker
from bench.timing import Candidate, Timing, in_turn
from streams.kafka.brokers import NoBrokerError
from streams.kafka.topic_spans import Asked
from streams.recorded.replay import How, replay_day
from streams.recorded.source import open_topics
from streams.settings import Settings


def report(work: reference.Workload, rounds: int) -> list[str]:
    """Replay the topics, and say it in a line."""
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
    except NoBrokerError as why:
        return [f"  from topics: not measured: {why}"]
    return [f"  from topics ({kind}, {ticks:,} ticks) {rate(timing, ticks):.2f} million ticks/s"]


def topics(work: reference.Workload, place: Place, out: Path) -> Candidate:
    """A replay of all that is there, decided by what stands."""
    settings = Settings.read(place.environment(os.environ))

    def run(_: object) -> None:
        must_find(work, replay_day(open_topics(settings, Asked()), out, How(report=False)).fired_pairs)

    return Candidate(lambda: None, run)


def rate(timing: Timing, ticks: int) -> float:
    """Millions a second, at the median."""
    return ticks / timing.median / 1e6
