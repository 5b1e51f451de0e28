"""A hundred hostile changes and results among good ones: a dead letter each, and everything else is exact.

Every bad change is the last of its key when it comes. So what is left when the topic has been compacted must lead
whoever starts then to the same strategies.
"""

import time
from dataclasses import replace
from typing import NamedTuple

from bench import reference
from bench.kafka_answer import Answer, Mark, answer_of, ends_of, pairs_of_executions
from bench.kafka_ground import PARTITIONS, Place, import_strategies, make_topics
from bench.kafka_worker import Worker
from streams.core.events import Strategy
from streams.core.limits import MAX_UNIVERSE
from streams.kafka.codec import Decoder
from streams.kafka.registry import FileSchemas
from streams.kafka.strategy_topic import fold, read_standing
from streams.kafka.whole_topic import Record
from tests.core.avro_bytes import tick
from tests.worker.hostile import WIDE, change_of, hostile_changes, hostile_results
from tests.worker.inputs import At, Feed, Given, Hand, letters, wait_until_done
from tests.worker.reports import START_MS, Reporter, wait_for

MINUTE_MS = 60_000
NONSENSE = ("0m", "5 fortnights", "x" * 10_000)
"""Timeframes that nobody understands: such a strategy is kept and skipped, and no mistake of the topic's."""

EDITED = Strategy("edited", "1m", frozenset({"E0"}))
FOUND = Strategy("found", "1m", frozenset({"F0"}))
LARGE = Strategy("large", "1m", frozenset(WIDE[:MAX_UNIVERSE]))


IN_FORCE_S = 1.0
"""The tables show what a worker knows; its shards take it with their next checkpoint, which none of them shows."""


class Sender(NamedTuple):
    """Whoever sends to the three inputs."""

    ticks: Hand
    changes: Hand
    reporter: Reporter

    def tick(self, ticker: str, ts_ms: int) -> None:
        """One trade."""
        self.ticks.send(Given(ticker.encode(), tick(ticker.encode(), ts_ms)))

    def change(self, strategy: Strategy) -> None:
        """A good version."""
        self.changes.send(Given(strategy.strategy_id.encode(), change_of(strategy)))


def round_of_good(worker: Worker, to: Sender, number: int) -> list[tuple[str, str, int]]:
    """An edit and a report, in force while the others rain down, and the ticks that show it; returns what must fire."""
    version, ts_ms = number + 1, START_MS + number * MINUTE_MS
    edited, found = ([name, f"{name}{number}"] for name in ("E", "F"))
    to.change(replace(EDITED, version=version, universe=frozenset(edited)))
    to.reporter.report("found", found, version=version - 1, ts_ms=ts_ms)
    wait_for(worker, "edited", version, sorted(edited))
    wait_for(worker, "found", version, sorted(found))
    time.sleep(IN_FORCE_S)
    for ticker in (*edited, *found, "E0", "F0"):
        to.tick(ticker, ts_ms)
    return [("edited", each, ts_ms) for each in edited] + [("found", each, ts_ms) for each in found]


def compacted(records: list[Record]) -> dict[str, Strategy]:
    """What stands for whoever meets only the last record of each key."""
    last = {(record.partition, record.key): record for record in records}
    found, decoder = dict[str, Strategy](), Decoder(FileSchemas(), "strategy_change")
    for record in sorted(last.values(), key=lambda each: each.offset):
        fold(found, record, decoder)
    return found


def expected(work: reference.Workload, more: list[tuple[str, str, int]]) -> Answer:
    extra = answer_of(more)
    return Answer(work.pairs + extra.pairs, f"{(int(work.digest, 16) + int(extra.digest, 16)) % 2**64:016x}")


def told(place: Place, topic: str) -> dict[At, str]:
    """Where the records stood that got a letter, and why; each says what is wrong and what to do."""
    found = letters(place, topic)
    for each in found:
        assert each.fields["topic"] == topic
        assert each.fields["detail"], each
        assert each.fields["remedy"], each
    assert len({each.at for each in found}) == len(found), "one letter each"
    return {each.at: each.fields["reason"] for each in found}


def must_be_told(place: Place, topic: str, refused: dict[At, str]) -> None:
    """A letter for each, with the right word."""
    reasons = told(place, topic)
    assert reasons.keys() == refused.keys()
    wrong = {at: (word, refused[at]) for at, word in reasons.items() if word not in refused[at].split()}
    assert not wrong


def test_a_hundred_hostile_records_cost_nobody_anything(place: Place) -> None:
    work, topics = reference.make(37, 6_000, tickers=300, strategies=60), place.topics
    changes, results = hostile_changes(), hostile_results()
    assert len(changes) + len(results) >= 100
    victims = [now for now, _, _ in (*changes, *results)]
    make_topics(place)
    import_strategies(place, [*work.strategies, *victims, EDITED, FOUND])
    mark = Mark.set(place.ground.bootstrap, topics.alert_executions)
    feed = Feed(place, work)
    to = Sender(Hand(place, topics.ticks), Hand(place, topics.strategy_changes), Reporter(place))
    bad_changes, bad_results, pairs = dict[At, str](), dict[At, str](), list[tuple[str, str, int]]()
    with Worker(place, "attacked") as worker:
        worker.wait_until_ready(PARTITIONS)
        for number in range(1, 6):
            for _, words, given in changes[number - 1 :: 5]:
                bad_changes[to.changes.send(given)] = words
            for _, words, given in results[number - 1 :: 5]:
                bad_results[to.reporter.hand.send(given)] = words
            to.change(Strategy(f"nonsense-{number}", NONSENSE[number % 3], frozenset({"E"})))
            feed.send(number / 6)
            pairs += round_of_good(worker, to, number)
        to.change(LARGE)
        worker.wait_until(lambda each: len(universe_of(each, "large")) == MAX_UNIVERSE, "told of a large universe")
        time.sleep(IN_FORCE_S)
        for ticker in (WIDE[0], WIDE[MAX_UNIVERSE - 1], *(min(now.universe) for now in victims)):
            to.tick(ticker, START_MS)
        feed.send(1.0)
        pairs += [("large", ticker, START_MS) for ticker in (WIDE[0], WIDE[MAX_UNIVERSE - 1])]
        pairs += [(now.strategy_id, min(now.universe), START_MS) for now in victims]
        wait_until_done(worker, place)
        worker.wait_until(lambda _: len(told(place, topics.strategy_changes)) >= len(bad_changes), "done with changes")
        worker.wait_until(lambda _: len(told(place, topics.alert_results)) >= len(bad_results), "done with results")
        worker.wait_until(lambda each: all(is_mended(each, now) for now, _, _ in changes), "done with mending")
        assert worker.readiness()["ready"]
    with Worker(place, "next") as worker:  # who says nothing twice
        worker.wait_until_ready(PARTITIONS)
        to.tick("E", START_MS + 9 * MINUTE_MS)
        pairs.append(("edited", "E", START_MS + 9 * MINUTE_MS))
        wait_until_done(worker, place)
    must_be_told(place, topics.strategy_changes, bad_changes)
    must_be_told(place, topics.alert_results, bad_results)
    assert mark.answer(pairs_of_executions) == expected(work, pairs)
    records: list[Record] = []
    standing = read_standing(place.ground.bootstrap, topics.strategy_changes, FileSchemas(), noted=records.append)
    assert len(records) == sum(ends_of(place.ground.bootstrap, topics.strategy_changes).values())
    assert compacted(records) == standing.strategies
    assert {now.strategy_id: now.universe for now in victims}.items() <= {
        each.strategy_id: each.universe for each in standing.strategies.values()
    }.items()


def universe_of(worker: Worker, strategy_id: str) -> list[str]:
    row = worker.table_row("strategies", strategy_id)
    return list(row["universe"]) if row else []


def is_mended(worker: Worker, now: Strategy) -> bool:
    """Whether it stands as it did, behind what was to spoil it."""
    row = worker.table_row("strategies", now.strategy_id)
    return bool(row) and row["version"] > now.version and row["timeframe"] == now.timeframe
