"""Emissions end where strategies turn, and wait where a turn is not decided yet; ticks and clock records alike."""

import asyncio
from typing import Any

import pytest

from streams.core.agreement import Agreement, Call, Called, Note, Told
from streams.core.events import Mode, Strategy
from streams.core.shard import Shard
from streams.core.special_rows import POSITION_KEY, read_position
from streams.core.state_rows import StateRows
from streams.core.turning import Turning
from streams.core.turns import Way
from streams.kafka.clock_values import ClockValues
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.deciding import Between, Decided, Deciding, Layout, Tools
from streams.kafka.fetch import RawRun
from streams.kafka.registry import FileSchemas
from streams.kafka.tick_values import TickValues
from streams.kafka.turn_records import told_of
from streams.topic_names import CLOCK, TopicNames
from tests.core.avro_bytes import tick
from tests.core.histories import CONDITIONS
from tests.kafka.batches import Row
from tests.kafka.shard_stage import run_of

TOPICS = TopicNames("w7.", "tickgate")
HOUR_MS = 1_760_000_400_000
ENCODER = Encoder(FileSchemas())
MINE, OTHER = 0, 1


class Stage:
    """One shard of two, at home of all strategies; the tests speak for the other."""

    def __init__(self, *, sends_ahead: bool = False) -> None:
        shard = Shard(CONDITIONS, alone=False)
        letters = {TOPICS.dead_letters(topic): 1 for topic in (TOPICS.ticks, TOPICS.clock)}
        values = TickValues(FileSchemas()), ENCODER, ClockValues(FileSchemas())
        tools = Tools(Layout(TOPICS, 1, letters), *values, sends_ahead=sends_ahead)
        self.turning = Turning(shard, Agreement(MINE, 2, lambda _: True))
        self.deciding = Deciding(MINE, self.turning, StateRows(shard), tools)
        self.deciding.stand(Strategy("s", "1m", frozenset({"A", "B"})))

    def decide(self, *runs: RawRun, clock: tuple[RawRun, ...] = (), with_rows: bool = True) -> Decided:
        between = Between(clock=clock)
        position = runs[-1].position if runs else 0
        inputs = {(CLOCK, MINE): clock[-1].position} if clock else {}
        return asyncio.run(self.deciding.decide(runs, position, inputs, between, with_rows=with_rows))

    def wants_the_whole(self) -> None:
        self.deciding.stand(Strategy("s", "1m", frozenset({"A", "B"}), version=2, mode=Mode.LEGACY))

    def other_notes(self, bound_ms: int) -> None:
        self.turning.take(Note(MINE, 1, OTHER, bound_ms))


def ticks(start: int, *times_ms: int) -> RawRun:
    return run_of([Row(0, value=tick(b"A", ts_ms)) for ts_ms in times_ms], start, topic=TOPICS.ticks)


def clocks(start: int, *times_ms: int) -> RawRun:
    rows = [Row(0, value=ENCODER.encode("clock", {"ts": ts_ms}) if ts_ms else b"bad") for ts_ms in times_ms]
    return run_of(rows, start, topic=TOPICS.clock)


def told(decided: Decided) -> list[Told]:
    records = [each.records for each in decided.emission.rows if each.topic == TOPICS.turns]
    decoder = Decoder(FileSchemas(), "turn")
    return [told_of(decoder.decode(each.value(i) or b"", ())) for each in records for i in range(each.count)]


def modes(decided: Decided) -> list[tuple[str, int]]:
    decoder = Decoder(FileSchemas(), "execution")
    records = [each.records for each in decided.emission.executions]
    found = [decoder.decode(each.value(i) or b"", ()) for each in records for i in range(each.count)]
    return [(each["mode"], each["bucket_ms"] - HOUR_MS) for each in found]


def position(decided: Decided) -> Any:
    records = decided.emission.rows[-1].records
    assert records.key(records.count - 1) == POSITION_KEY
    return read_position(records.value(records.count - 1) or b"")


def left(decided: Decided) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    return tuple(
        [(each.start, each.position) for each in runs] for runs in (decided.free.left_clock, decided.free.left_ticks)
    )  # type: ignore[return-value]  # there are two


def called(stage: Stage) -> Decided:
    """A tick, and then the call."""
    assert modes(stage.decide(ticks(0, HOUR_MS))) == [("per_ticker", 0)]
    stage.wants_the_whole()
    return stage.decide(ticks(1, HOUR_MS + 1, HOUR_MS + 60_000, HOUR_MS + 1), ticks(4, HOUR_MS + 60_001))


def test_ticks_wait_at_the_next_bucket_until_all_have_noted() -> None:
    stage = Stage()
    waits = called(stage)
    assert told(waits) == [Call(MINE, 1, (Called("s", Way.WHOLE),)), Note(MINE, 1, MINE, HOUR_MS)]
    assert (left(waits), waits.ticks, waits.emission.position) == (([], [(2, 4), (4, 5)]), 1, 2)
    assert position(waits).next_offset == 2
    assert waits.free.waits_for == "1 strategies are to decide in another way, 's' among them; it waits for shards 1"
    again = stage.decide(*waits.free.left_ticks)
    assert (again.ticks, again.emission.position, told(again)) == (0, 2, [])
    stage.other_notes(HOUR_MS + 60_000)  # it had come so far
    old = stage.decide(*waits.free.left_ticks, ticks(5, HOUR_MS + 120_000))
    assert (modes(old), old.free.waits_for, left(old)) == ([("per_ticker", 60_000)], "", ([], [(5, 6)]))
    assert [type(each).__name__ for each in told(old)] == ["Decision", "Call"]
    new = stage.decide(*old.free.left_ticks)
    assert (modes(new), left(new)) == ([("legacy", 120_000)], ([], []))


def test_clock_records_wait_as_ticks_do_and_no_tick_passes_them() -> None:
    stage = Stage()
    called(stage)
    run = clocks(0, HOUR_MS + 2, 0, HOUR_MS + 60_000, 0)
    waits = stage.decide(ticks(2, HOUR_MS + 3), clock=(run, clocks(4, HOUR_MS + 60_002)))
    assert left(waits) == ([(2, 4), (4, 5)], [(2, 3)])
    assert (position(waits).inputs, waits.emission.position) == ({(CLOCK, MINE): 2}, 2)
    assert dict(waits.emission.inputs) == {(CLOCK, MINE): 2}
    assert "it waits for shards 1" in waits.free.waits_for
    assert dict(waits.refused) == {(TOPICS.clock, "truncated"): 1}  # the other comes with its run
    stage.other_notes(HOUR_MS)
    turned = stage.decide(*waits.free.left_ticks, clock=tuple(waits.free.left_clock))
    assert (modes(turned), left(turned)) == ([("legacy", 60_000)], ([], []))
    assert dict(turned.refused) == {(TOPICS.clock, "truncated"): 1}


def test_where_clock_records_bring_a_turn_the_rest_is_another_emissions() -> None:
    stage = Stage()
    called(stage)
    stage.other_notes(HOUR_MS)
    first = stage.decide(ticks(2, HOUR_MS + 60_001), clock=(clocks(0, HOUR_MS + 2, HOUR_MS + 60_000),))
    assert (left(first), first.free.waits_for) == (([(1, 2)], [(2, 3)]), "")
    second = stage.decide(*first.free.left_ticks, clock=tuple(first.free.left_clock))
    assert (modes(second), left(second)) == ([("legacy", 60_000)], ([], []))


def test_without_rows_nothing_is_told() -> None:
    stage = Stage()
    stage.decide(ticks(0, HOUR_MS))
    stage.wants_the_whole()
    assert not told(stage.decide(ticks(1, HOUR_MS + 1), with_rows=False))
    assert stage.turning.has_to_tell
    assert told(stage.decide(ticks(2, HOUR_MS + 1)))
    assert not stage.turning.has_to_tell


@pytest.mark.parametrize("with_tick", [False, True])
def test_a_shard_without_a_tick_waits_before_its_first_one(with_tick: bool) -> None:
    stage = Stage()
    if with_tick:
        stage.decide(ticks(0, HOUR_MS))
    stage.wants_the_whole()
    decided = stage.decide(ticks(1, HOUR_MS + 1))
    assert decided.ticks == int(with_tick)


def test_at_least_once_no_tick_is_decided_before_rows_have_promised_its_time() -> None:
    stage = Stage(sends_ahead=True)
    runs = ticks(0, HOUR_MS), ticks(1, HOUR_MS + 30_000)
    first = stage.decide(*runs)
    assert (modes(first), left(first), first.free.outran) == ([], ([], [(0, 1), (1, 2)]), True)
    assert (position(first).next_offset, position(first).promised_ms) == (0, HOUR_MS + 90_000)
    assert first.free.waits_for == ""  # nothing that others would have to do
    assert modes(stage.decide(*runs, with_rows=False)) == []  # the rows are not true yet
    first.free.promise.keep()
    second = stage.decide(*runs, ticks(2, HOUR_MS + 90_000, HOUR_MS + 90_001), with_rows=False)
    assert (modes(second), left(second)) == ([("per_ticker", 0), ("per_ticker", 60_000)], ([], [(3, 4)]))
    assert second.free.outran


def test_at_least_once_clock_records_are_bound_by_what_is_promised_too() -> None:
    stage = Stage(sends_ahead=True)
    stage.decide(ticks(0, HOUR_MS)).free.promise.keep()
    run = clocks(0, HOUR_MS + 1, HOUR_MS + 70_000)
    waits = stage.decide(ticks(0, HOUR_MS), clock=(run,))
    assert (left(waits), waits.free.outran) == (([(1, 2)], [(0, 1)]), True)
    assert position(waits).promised_ms == HOUR_MS + 130_000
    alone = stage.decide(clock=tuple(waits.free.left_clock))
    assert (left(alone), position(alone).promised_ms) == (([(1, 2)], []), HOUR_MS + 130_000)
    waits.free.promise.keep()
    assert left(stage.decide(*waits.free.left_ticks, clock=tuple(waits.free.left_clock))) == ([], [])
