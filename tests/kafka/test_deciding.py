"""From runs of ticks to emissions: what fires is what the oracle says, and nothing of a run is left out."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.asked import NOBODY, Asked
from streams.core.events import Clock, Fire, Mode, Strategy, Tick
from streams.core.oracle import Oracle
from streams.core.shard import Shard
from streams.core.special_rows import POSITION_KEY, Inputs, read_position
from streams.core.state_rows import StateRows
from streams.core.turning import alone
from streams.kafka.bad_values import Reason
from streams.kafka.checkpoint import Emission
from streams.kafka.clock_values import ClockValues
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.deciding import Between, Decided, Deciding, Layout, Tools
from streams.kafka.fetch import RawRun
from streams.kafka.partitions import partition_of
from streams.kafka.producing import Outgoing, spread
from streams.kafka.registry import FileSchemas, RegistryDownError
from streams.kafka.strategy_book import Place, Refusal
from streams.kafka.tick_values import TickValues
from streams.kafka.whole_topic import Record
from streams.topic_names import STRATEGY_CHANGES, TopicNames
from tests.core.avro_bytes import TS_MS, codes, tick
from tests.core.changelogs import Changelogs
from tests.core.histories import (
    CONDITIONS,
    Change,
    Event,
    fires_of_oracle,
    history,
    seeded,
    state_of_oracle,
    state_of_shard,
    tell,
)
from tests.kafka.batches import Row
from tests.kafka.given_schemas import GivenSchemas
from tests.kafka.shard_stage import of_changes, run_of

TOPICS = TopicNames("w7.", "tickgate")
PARTITIONS = 3
LETTER_SIZES = {"w7.ticks.dlq": 2, "w7.strategy-changes.dlq": 1, "w7.clock.dlq": 1}
LAYOUT = Layout(TOPICS, PARTITIONS, LETTER_SIZES, 2)
ENCODER = Encoder(FileSchemas(), ("execution", "dead_letter", "clock", "journal", "decision"))
EXECUTIONS, LETTERS = Decoder(FileSchemas(), "execution"), Decoder(FileSchemas(), "dead_letter")
DECISIONS = Decoder(FileSchemas(), "decision")


class Stage:
    """One shard, and the changelogs that its emissions would make."""

    def __init__(self, mode: Mode = Mode.PER_TICKER, schemas: Any = None, asked: Asked = NOBODY) -> None:
        self.shard = Shard(CONDITIONS, mode)
        given = schemas or FileSchemas()
        tools = Tools(LAYOUT, TickValues(given), ENCODER, ClockValues(given), asked)
        self.deciding = Deciding(2, alone(self.shard), StateRows(self.shard), tools)
        self.logs, self.offset = Changelogs(), 10

    def run(self, values: Sequence[bytes | None]) -> RawRun:
        """The next run, keyed by its offsets."""
        rows = [Row(0, TS_MS, b"k%d" % (self.offset + i), value) for i, value in enumerate(values)]
        made = run_of(rows, self.offset, topic=TOPICS.ticks, partition=2)
        self.offset = made.position
        return made

    def decide(self, runs: Sequence[RawRun], inputs: Inputs | None = None, refusals: Sequence[Refusal] = ()) -> Decided:
        """Decide, and write the rows."""
        decided = asyncio.run(self.deciding.decide(runs, self.offset, inputs or {}, Between(refusals)))
        for each in decided.emission.rows:
            if each.topic == TOPICS.journal:
                continue
            (self.logs.last_update if each.topic == TOPICS.changelog("last_update") else self.logs.last_bucket).append(
                each.records
            )
        return decided


def executions(emission: Emission) -> list[dict[str, Any]]:
    """What goes out, decoded; each lies where its key hashes to."""
    found = []
    for topic, partition, records in spread(emission.executions):
        assert topic == TOPICS.alert_executions
        for i in range(records.count):
            assert partition_of(records.key(i), PARTITIONS) == partition
            found.append(EXECUTIONS.decode(records.value(i)))
            assert found[-1]["strategy_id"].encode() == records.key(i)
    return found


def decisions(emission: Emission) -> list[dict[str, Any]]:
    """Why strategies that were asked for fired or did not."""
    return [
        DECISIONS.decode(each.records.value(i))
        for each in emission.executions
        if each.topic == TOPICS.decisions
        for i in range(each.records.count)
    ]


def pairs(emission: Emission) -> list[tuple[str, str, int]]:
    """What fired, by strategy, ticker (none for a whole universe) and bucket."""
    return [
        (each["strategy_id"], ticker, each["bucket_ms"])
        for each in executions(emission)
        for ticker in (each["tickers"] or [""])
    ]


def letters(emission: Emission) -> list[dict[str, Any]]:
    """The dead letters, decoded, with the topic they go to."""
    return [
        {**LETTERS.decode(letter.value), "to": (group.topic, group.partition)}
        for group in emission.letters
        for letter, _ in group.letters
    ]


def position_row(emission: Emission) -> Any:
    """The last row of all."""
    last = emission.rows[-1]
    assert (last.topic, last.partition) == (TOPICS.changelog("last_bucket"), 2)
    at = last.records.count - 1
    assert last.records.key(at) == POSITION_KEY
    return read_position(last.records.value(at) or b"")


def parts_of(events: Sequence[Event], rng: Random) -> list[list[Event]]:
    """Cut a history into changes that stand alone, and ticks for one emission each."""
    parts: list[list[Event]] = [[]]
    for event in events:
        if isinstance(event, Change) or (parts[-1] and isinstance(parts[-1][0], Change)) or rng.random() < 0.2:
            parts.append([])
        parts[-1].append(event)
    return [part for part in parts if part]


def runs_of(stage: Stage, ticks: Sequence[Event], rng: Random) -> list[RawRun]:
    """Ticks in one run or several."""
    values = [tick(e.ticker.encode(), e.ts_ms, codes(*e.conditions)) for e in ticks if isinstance(e, Tick)]
    cut = rng.randint(0, len(values))
    return [stage.run(part) for part in (values[:cut], values[cut:]) if part]


@settings(max_examples=60)
@given(st.integers(0, 1 << 40), st.sampled_from([Mode.PER_TICKER, Mode.LEGACY]))
def test_what_fires_and_what_is_kept_is_what_the_oracle_says(seed: int, mode: Mode) -> None:
    rng, stage, oracle, told = Random(seed), Stage(mode), Oracle(CONDITIONS, mode), Oracle(CONDITIONS, mode)
    events = [event for event in history(seeded(seed), 60) if not isinstance(event, Clock)]
    found: list[tuple[str, str, int]] = []
    counted = 0
    for part in parts_of(events, rng):
        if isinstance(part[0], Change):
            if tell(told, part[0]):
                before = told.universes.get(part[0].strategy_id, frozenset())
                assert stage.deciding.stand(part[0], before) == ""
            continue
        left, ticks = runs_of(stage, part, rng), 0
        while left:  # where strategies turn, an emission ends
            decided = stage.decide(left)
            left, ticks = decided.free.left_ticks, ticks + decided.ticks
            found += pairs(decided.emission)
            counted += decided.done.fired_pairs
            assert decided.done.executions == len(executions(decided.emission))
            assert decided.done.ticks == decided.ticks
        assert ticks == len(part)
    fires: list[Fire] = fires_of_oracle(oracle, events)
    assert sorted(found) == sorted((fire.strategy_id, fire.ticker, fire.bucket_ms) for fire in fires)
    assert counted == len(fires)
    assert state_of_shard(stage.shard) == state_of_oracle(oracle)
    restored = Shard(CONDITIONS, mode)
    stage.logs.restore(restored, seeded(seed))
    for strategy in oracle.strategies.values():
        restored.change(strategy)
    assert state_of_shard(restored)[0] == state_of_oracle(oracle)[0]


def test_an_execution_tells_what_caused_it() -> None:
    stage = Stage()
    stage.deciding.stand(Strategy("s1", "1m", frozenset({"A", "B"}), version=7))
    decided = stage.decide([stage.run([tick(b"X"), tick(b"B")]), stage.run([tick(b"B"), tick(b"A"), tick(b"A")])])
    (execution,) = executions(decided.emission)
    assert (execution["tickers"], execution["strategy_version"]) == (["B", "A"], 7)
    assert execution["cause"] == {"topic": "w7.ticks", "partition": 2, "first_offset": 11, "last_offset": 13}


def test_the_last_row_says_where_the_shard_goes_on_and_on_which_inputs_it_stands() -> None:
    stage = Stage()
    decided = stage.decide([stage.run([tick(), tick()])], of_changes({0: 5, 3: 9}))
    position = position_row(decided.emission)
    assert (position.next_offset, dict(position.inputs)) == (12, of_changes({0: 5, 3: 9}))
    assert decided.emission.position == 12
    assert [each.topic for each in decided.emission.rows] == [TOPICS.journal, *TOPICS.changelogs]


def test_without_runs_there_are_letters_and_a_position() -> None:
    stage = Stage()
    record = Record(1, 77, b"s1", b"rubbish", (("trace", b"x"),))
    refusal = Refusal(Place(1, 77), record, Reason("wrong_magic", "the first byte", "frame it"))
    decided = stage.decide([], of_changes({1: 78}), [refusal])
    (letter,) = letters(decided.emission)
    told = ("w7.strategy-changes", 1, 77, "wrong_magic", "frame it", b"s1", b"rubbish")
    fields = ("topic", "partition", "offset", "reason", "remedy", "key", "value")
    assert tuple(letter[name] for name in fields) == told
    assert letter["to"] == ("w7.strategy-changes.dlq", 0)
    assert decided.emission.letters[0].letters[0][1] == 0  # a record has no time before 1970
    assert position_row(decided.emission).of(STRATEGY_CHANGES) == {1: 78}
    assert decided.refused == {}  # these are counted where they are found


def test_bad_ticks_become_letters_with_their_places_and_the_others_are_decided() -> None:
    stage = Stage()
    stage.deciding.stand(Strategy("s1", "1m", frozenset({"A", "B"})))
    values = [tick(b"A"), b"\1not framed", None, tick(b"B")[:-1], tick(b"B"), b"\0\0\0\0\x63zzz"]
    decided = stage.decide([stage.run(values[:2]), stage.run(values[2:])])
    found = sorted((each["offset"], each["reason"], each["key"]) for each in letters(decided.emission))
    words = {11: "wrong_magic", 12: "null_value", 13: "truncated", 15: "unknown_schema_id"}
    assert found == [(offset, word, b"k%d" % offset) for offset, word in words.items()]
    for letter in letters(decided.emission):
        assert (letter["topic"], letter["partition"], letter["ts"]) == ("w7.ticks", 2, TS_MS)
        assert letter["to"] == ("w7.ticks.dlq", partition_of(letter["key"], 2))
    assert decided.refused == {("w7.ticks", word): 1 for word in words.values()}
    assert sorted(ticker for _, ticker, _ in pairs(decided.emission)) == ["A", "B"]
    assert decided.done.ticks == 6
    assert decided.done.updates == 2


def test_counts_are_of_one_emission_alone() -> None:
    stage = Stage()
    stage.deciding.stand(Strategy("s1", "1m", frozenset({"A"})))
    first = stage.decide([stage.run([tick(b"A"), tick(b"A"), tick(b"A", TS_MS - 120_000)])]).done
    assert (first.fired_pairs, first.bucket_dup, first.late, first.executions) == (1, 1, 1, 1)
    second = stage.decide([stage.run([tick(b"A"), tick(b"A", TS_MS, codes(33))])]).done
    assert (second.fired_pairs, second.bucket_dup, second.late, second.irrelevant) == (0, 1, 0, 1)


def test_an_execution_says_what_the_steps_that_made_it_looked_at_and_skipped() -> None:
    stage = Stage()
    stage.deciding.stand(Strategy("s1", "1m", frozenset("ABCD")))
    first = stage.decide([stage.run([tick(b"A"), tick(b"B"), tick(b"B")])])
    (execution,) = executions(first.emission)
    assert execution["metadata"] == {"checked": 2, "skipped": 2, "fired": 2, "bucket_dup": 1}
    (execution,) = executions(stage.decide([stage.run([tick(b"C"), tick(b"A", TS_MS - 120_000)])]).emission)
    assert execution["metadata"] == {"checked": 2, "skipped": 2, "fired": 1, "late": 1}
    assert (first.done.checks, first.done.processed, first.done.skipped, first.done.looks) == (1, 2, 2, 2)


def test_what_a_round_counted_is_told_with_the_next_emission() -> None:
    stage = Stage()
    for strategy_id, ticker in (("s1", "A"), ("s2", "B")):
        stage.deciding.stand(Strategy(strategy_id, "1m", frozenset({ticker})))
    assert stage.decide([stage.run([tick(b"A")])]).done.no_update == 0
    stage.shard.end_round()
    assert stage.decide([stage.run([tick(b"A")])]).done.no_update == 1
    assert stage.decide([stage.run([tick(b"A")])]).done.no_update == 0
    assert stage.deciding.counts_of("s1") == {
        "fired": 1,
        "bucket_dup": 2,
        "late": 0,
        "no_bucket": 0,
        "no_update": 0,
        "executions": 1,
    }
    assert stage.deciding.counts_of("s2")["no_update"] == 1
    assert stage.deciding.counts_of("none") == {}


def test_decisions_are_told_of_those_alone_that_are_asked_for_beside_the_executions() -> None:
    stage = Stage(asked=Asked(frozenset({"s1"})))
    for strategy_id in ("s1", "s2"):
        stage.deciding.stand(Strategy(strategy_id, "1m", frozenset({"A", "B"}), version=3))
    decided = stage.decide([stage.run([tick(b"X"), tick(b"A")]), stage.run([tick(b"A")])])
    assert decided.done.executions == 2
    (decision,) = decisions(decided.emission)
    assert decision == {
        "strategy_id": "s1",
        "strategy_version": 3,
        "mode": "per_ticker",
        "timeframe": "1m",
        "outcome": "fired",
        "bucket_ms": TS_MS // 60_000 * 60_000,
        "ts": TS_MS,
        "looked_at": {"topic": "w7.ticks", "partition": 2, "first_offset": 10, "last_offset": 12},
        "universe": 2,
        "updated": 2,
        "changed": 1,
        "left_out": 0,
        "counts": {"fired": 1, "bucket_dup": 1},
        "tickers": [
            {"ticker": "A", "outcome": "fired", "bucket_ms": TS_MS // 60_000 * 60_000, "ticks": 1},
            {"ticker": "A", "outcome": "bucket_dup", "bucket_ms": TS_MS // 60_000 * 60_000, "ticks": 1},
        ],
    }
    (decision,) = decisions(stage.decide([stage.run([tick(b"X")])]).emission)
    assert (decision["outcome"], decision["tickers"]) == ("no_update", [])
    assert decisions(stage.decide([]).emission) == []


def test_where_nobody_asks_nothing_is_told() -> None:
    stage = Stage()
    stage.deciding.stand(Strategy("s1", "1m", frozenset({"A"})))
    emission = stage.decide([stage.run([tick(b"A")])]).emission
    assert [each.topic for each in emission.executions] == [TOPICS.alert_executions]


def test_asked_for_strategies_are_told_of_in_the_log_where_it_debugs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "streams.kafka.decision_records")
    stage = Stage(asked=Asked(frozenset({"s1", "all"})))
    stage.deciding.stand(Strategy("s1", "1m", frozenset("ABC")))
    for tickers in ((b"A", b"B"), (b"X",), (b"A", b"B")):
        stage.decide([stage.run([tick(ticker) for ticker in tickers])])
    stage.decide([stage.run([tick(b"A", TS_MS - 60_000)])])
    stage.deciding.stand(Strategy("all", "1h"))
    stage.decide([stage.run([tick(b"X", TS_MS + 3_600_000)])])
    assert [message for message in caplog.messages if message.startswith(("Processing", "Strategy"))] == [
        "Processing strategy s1 with 2 tickers: [A, B]",
        "Strategy s1 skipped - no universe tickers updated (3 in universe, 1 updated)",
        "Strategy s1 skipped - all changed tickers already triggered in bucket (2 changed, 0 final)",
        "Strategy s1 skipped - all changed tickers are late (1 changed, 0 final)",
        "Strategy s1 skipped - no universe tickers updated (3 in universe, 1 updated)",
        "Processing strategy all with its whole universe",
    ]


def test_a_registry_that_is_down_changes_nothing_and_the_same_runs_can_be_decided_later() -> None:
    schemas = GivenSchemas()
    stage = Stage(schemas=schemas)
    stage.deciding.stand(Strategy("s1", "1m", frozenset({"A"})))
    good, other = stage.run([tick(b"A")]), stage.run([b"\0\0\0\0\x63zzz"])
    schemas.down.add(99)
    before = state_of_shard(stage.shard)
    with pytest.raises(RegistryDownError):
        stage.decide([good, other])
    assert state_of_shard(stage.shard) == before
    schemas.down.clear()
    decided = stage.decide([good, other])
    assert [ticker for _, ticker, _ in pairs(decided.emission)] == ["A"]
    assert decided.refused == {("w7.ticks", "unknown_schema_id"): 1}


def test_a_strategy_past_a_bound_is_said_and_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.core.index.MAX_PAIRS", 2)
    stage = Stage()
    problem = stage.deciding.stand(Strategy("s1", "1m", frozenset({"A", "B", "C"})))
    assert problem
    assert stage.deciding.stand(Strategy("s2", "1m", frozenset({"A"}))) == ""


def test_rows_of_a_table_in_which_nothing_changed_are_left_out() -> None:
    stage = Stage()
    stage.decide([stage.run([tick(b"A")])])
    rows: Sequence[Outgoing] = stage.decide([stage.run([tick(b"A")])]).emission.rows
    assert [each.topic for each in rows] == [TOPICS.changelog("last_bucket")]
    assert rows[0].records.count == 1


def test_what_fires_is_gathered_over_emissions_and_goes_out_when_it_is_due() -> None:
    stage = Stage()
    stage.deciding.stand(Strategy("s1", "1h", frozenset({"A", "B", "C"}), coalesce_ms=1_000))
    first = stage.decide([stage.run([tick(b"A", TS_MS)]), stage.run([tick(b"B", TS_MS + 999)])])
    assert executions(first.emission) == []
    assert (first.done.fired_pairs, first.done.executions) == (2, 0)
    second = stage.decide([stage.run([tick(b"C", TS_MS + 1_000)])])
    (execution,) = executions(second.emission)
    assert execution["tickers"] == ["A", "B"]
    assert execution["cause"] == {"topic": "w7.ticks", "partition": 2, "first_offset": 10, "last_offset": 11}
    assert (second.done.fired_pairs, second.done.executions) == (1, 1)


def test_what_is_due_by_a_clock_goes_out_without_a_tick() -> None:
    stage = Stage()
    stage.deciding.stand(Strategy("s1", "1h", frozenset({"A"}), coalesce_ms=1_000))
    stage.decide([stage.run([tick(b"A", TS_MS)])])
    stage.shard.clock(stage.shard.next_due_ms)
    assert pairs(stage.decide([]).emission) == pairs_of_hour("A")


def test_clock_records_come_before_the_ticks_with_a_cause_of_their_own_and_the_journal_says_so() -> None:
    stage = Stage()
    stage.deciding.stand(Strategy("s1", "1h", frozenset({"A"}), coalesce_ms=1_000))
    stage.deciding.stand(Strategy("whole", "1m"))
    stage.decide([stage.run([tick(b"A", TS_MS)])])
    values = [ENCODER.encode("clock", {"ts": TS_MS + after_ms}) for after_ms in (999, 60_000)]
    clock = run_of([Row(0, value=value) for value in (values[0], b"", values[1])], 40, topic=TOPICS.clock, partition=2)
    inputs = {("clock", 2): 43}
    ticks = stage.run([tick(b"A", TS_MS + 60_000)])
    decided = asyncio.run(stage.deciding.decide([ticks], stage.offset, inputs, Between(clock=[clock])))
    told = [(each["strategy_id"], each["scope"], each["cause"]["topic"]) for each in executions(decided.emission)]
    assert told == [("s1", "tickers", TOPICS.ticks), ("whole", "universe", TOPICS.clock)]
    whole = executions(decided.emission)[1]
    assert whole["execution_id"] == f"whole|{whole['bucket_ms']}|w7.clock-2@42"
    assert (whole["cause"]["first_offset"], whole["cause"]["last_offset"]) == (42, 42)
    assert decided.refused == {(TOPICS.clock, "truncated"): 1}
    assert [(each["to"], each["offset"]) for each in letters(decided.emission)] == [(("w7.clock.dlq", 0), 41)]
    journal = decided.emission.rows[0]
    entry = Decoder(FileSchemas(), "journal").decode(journal.records.value(0))
    assert (journal.topic, journal.partition, journal.records.count) == (TOPICS.journal, 2, 1)
    assert (entry["shard"], entry["next_offset"], entry["app_id"]) == (2, 11, "tickgate")
    assert entry["inputs"] == [{"topic": "clock", "partition": 2, "next_offset": 43}]
    assert (dict(position_row(decided.emission).inputs), decided.emission.inputs) == (inputs, inputs)


def pairs_of_hour(*tickers: str) -> list[tuple[str, str, int]]:
    return [("s1", ticker, TS_MS - TS_MS % 3_600_000) for ticker in tickers]


def test_a_change_sends_what_is_gathered_before_all_that_fires_after_it() -> None:
    stage, old = Stage(), Strategy("s1", "1h", frozenset({"A", "B"}), coalesce_ms=60_000)
    stage.deciding.stand(old)
    stage.decide([stage.run([tick(b"A", TS_MS)])])
    waits = [stage.deciding.has_closed]
    stage.deciding.stand(replace(old, coalesce_ms=0, version=2))
    waits.append(stage.deciding.has_closed)
    emission = stage.decide([stage.run([tick(b"B", TS_MS)])]).emission
    assert pairs(emission) == pairs_of_hour("A", "B")
    assert [each["strategy_version"] for each in executions(emission)] == [1, 2]
    assert [*waits, stage.deciding.has_closed] == [False, True, False]


def test_a_new_owner_sends_what_its_strategies_have_not_fired_themselves() -> None:
    """The strategy was edited, or is gone, when nobody owned the shard."""
    stage, old = Stage(), Strategy("s1", "1h", frozenset({"A"}), coalesce_ms=60_000)
    for strategy_id in ("s1", "s2", "s3"):
        stage.deciding.stand(replace(old, strategy_id=strategy_id))
    stage.decide([stage.run([tick(b"A", TS_MS)])])
    shard = Shard(CONDITIONS)
    rows = stage.logs.restore(shard, seeded(1)).rows
    tools = Tools(LAYOUT, TickValues(FileSchemas()), ENCODER, ClockValues(FileSchemas()))
    stage.shard, stage.deciding = shard, Deciding(2, alone(shard), rows, tools)
    stage.deciding.stand(replace(old, timeframe="5m", version=4))
    stage.deciding.stand(replace(old, strategy_id="s3"))
    stage.deciding.all_stand()
    sent = executions(stage.decide([]).emission)
    told = [(each["strategy_id"], each["strategy_version"], each["timeframe"]) for each in sent]
    assert told == [("s1", 1, "1h"), ("s2", 1, "1h")]
    assert stage.shard.gathered.count == 1


def test_rows_of_what_is_gathered_follow_with_the_next_rows() -> None:
    """At least once, where emissions without rows lie between."""
    stage = Stage()
    stage.deciding.stand(Strategy("s1", "1h", frozenset({"A", "B"}), coalesce_ms=60_000))
    asyncio.run(stage.deciding.decide([stage.run([tick(b"A", TS_MS)])], stage.offset, {}, with_rows=False))
    stage.decide([stage.run([tick(b"B", TS_MS)])])
    shard = Shard(CONDITIONS)
    stage.logs.restore(shard, seeded(1))
    assert shard.gathered.count == 2
