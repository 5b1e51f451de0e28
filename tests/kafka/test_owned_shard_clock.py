"""Clock records of a shard: taken between two emissions, in order and each once; and for how long it was quiet."""

import pytest

from streams.core.events import Strategy
from streams.core.shard import Shard
from streams.core.special_rows import Position
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.quiet_shards import QuietShards, due_record_ms
from streams.kafka.registry import RegistryDownError
from streams.kafka.shard_states import State
from tests.core.histories import CONDITIONS
from tests.kafka.batches import Row
from tests.kafka.owned_stage import Stage, staged
from tests.kafka.shard_stage import at_rest, run, run_of, until

pytestmark = pytest.mark.usefixtures("nothing_between_hurried_transactions")


CLOCK = ("clock", 0)
NOON_MS = 1_760_000_040_000
MINUTE_S = 60.0


def clock(start: int, position: int) -> RawRun:
    return run_of([Row(0, value=b"x")] * (position - start), start, position=position, topic="clock")


def starts(stage: Stage, offset: int = 0) -> None:
    stage.shard.restored(stage.as_deciding, None, 0, {})
    stage.shard.start(offset, Bounds(0, offset), (0, Bounds(0, 0)))


def test_clock_records_make_an_emission_of_their_own_where_there_are_no_ticks() -> None:
    async def story(stage: Stage) -> None:
        starts(stage, 4)
        await stage.shard.put_clock(clock(0, 2))
        await until(lambda: stage.positions == [4])
        (asked,) = stage.deciding.asked
        assert (asked.runs, asked.clock, asked.inputs) == ([], 1, {CLOCK: 2})

    staged(story)


def test_they_are_taken_behind_an_emission_and_each_once() -> None:
    async def story(stage: Stage) -> None:
        starts(stage)
        stage.deciding.free.clear()
        await stage.shard.put(run(0, 1))
        await until(lambda: len(stage.deciding.asked) == 1)
        for each in (clock(0, 2), clock(0, 2), clock(1, 2), clock(2, 5)):
            await stage.shard.put_clock(each)
        await stage.shard.put(run(1, 2))
        stage.deciding.free.set()
        await until(lambda: stage.shard.committed == 2)
        assert [(asked.clock, asked.inputs) for asked in stage.deciding.asked] == [(0, {}), (2, {CLOCK: 5})]
        assert stage.sought == []

    staged(story)


def test_a_run_that_does_not_follow_is_sought() -> None:
    async def story(stage: Stage) -> None:
        starts(stage)
        await stage.shard.put_clock(clock(3, 5))
        await at_rest()
        assert stage.sought == [("clock", 0, 0)]
        assert stage.deciding.asked == []

    staged(story)


def test_at_least_once_they_wait_for_rows_and_hurry_them() -> None:
    async def story(stage: Stage) -> None:
        starts(stage)
        await stage.shard.put(run(0, 1))
        await until(lambda: stage.positions == [1])
        await stage.shard.put(run(1, 2))
        await until(lambda: len(stage.deciding.asked) == 2)
        await stage.shard.put_clock(clock(0, 1))
        await until(lambda: stage.deciding.asked[-1].clock == 1)
        assert [(asked.runs, asked.clock) for asked in stage.deciding.asked[2:]] == [([], 0), ([], 1)]

    staged(story, ahead=True, interval_s=3_600.0)


def test_a_shard_goes_on_behind_the_clock_records_that_its_position_names() -> None:
    async def story(stage: Stage) -> None:
        stage.shard.restored(stage.as_deciding, Position(7, 0, 0, {}), 40, {CLOCK: 3})
        assert stage.shard.clock.next_offset == 3
        stage.shard.start(7, Bounds(0, 7), (3, Bounds(0, 5)))
        await stage.shard.put_clock(clock(0, 3))
        await stage.shard.put_clock(clock(3, 5))
        await until(lambda: stage.positions == [7])
        assert stage.deciding.asked[-1].inputs == {CLOCK: 5}

    staged(story)


def test_a_clock_that_ends_before_the_position_stops_the_shard() -> None:
    async def story(stage: Stage) -> None:
        stage.shard.restored(stage.as_deciding, None, 0, {CLOCK: 9})
        stage.shard.start(0, Bounds(0, 0), (9, Bounds(0, 4)))
        assert stage.state() is State.STOPPED
        assert "of clock; was the topic made anew?" in stage.shard.reason

    staged(story)


def test_what_could_not_be_decided_before_it_is_let_go_is_not_stepped_over() -> None:
    """A registry is down while the shard is let go: its last rows say where it stood before."""

    async def story(stage: Stage) -> None:
        starts(stage)
        await stage.shard.put(run(0, 1))
        await until(lambda: stage.positions == [1])
        await stage.shard.put(run(1, 2))
        await until(lambda: len(stage.deciding.asked) == 2)
        await at_rest()
        stage.deciding.answers.extend([RegistryDownError("a", "b")] * 10_000)
        await stage.shard.put(run(2, 9))
        await until(lambda: len(stage.deciding.asked) > 3)
        stage.deciding.answers.clear()
        stage.deciding.answers.append(RegistryDownError("a", "b"))
        await stage.shard.drain()
        assert stage.deciding.asked[-1].runs == []
        assert stage.deciding.asked[-1].position == 2

    staged(story, ahead=True, interval_s=3_600.0)


class Sent:
    """Stands where a producer stands."""

    def __init__(self) -> None:
        self.times_ms: list[int] = []

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def send_and_wait(self, topic: str, value: bytes, *, partition: int, timestamp_ms: int) -> None:
        assert (topic, value, partition) == ("clock", b"%d" % timestamp_ms, 0)
        self.times_ms.append(timestamp_ms)


def test_a_quiet_shard_is_written_for_once_when_something_is_due() -> None:
    async def story(stage: Stage) -> None:
        starts(stage)
        state = Shard(CONDITIONS)
        state.change(Strategy("minutely", "1m"))
        state.clock(NOON_MS)
        stage.deciding.shard = state  # type: ignore[assignment]
        sent, shards = Sent(), type("Shards", (), {"owned": {0: stage.shard}})
        quiet = QuietShards(shards, "clock", lambda ts_ms: b"%d" % ts_ms, lambda: sent)  # type: ignore[arg-type]
        heard_s = stage.shard.clock.heard_s
        await quiet.look(heard_s + MINUTE_S - 0.001)
        assert sent.times_ms == []
        await quiet.look(heard_s + MINUTE_S)
        await quiet.look(heard_s + MINUTE_S + 1)  # it is on its way
        assert sent.times_ms == [NOON_MS + 60_000]
        await stage.shard.put_clock(clock(0, 1))
        await until(lambda: stage.positions == [0])
        state.clock(NOON_MS + 60_000)
        heard_s = stage.shard.clock.heard_s
        await quiet.look(heard_s + MINUTE_S - 0.001)
        await quiet.look(heard_s + MINUTE_S + 0.5)
        assert sent.times_ms[1:] == [NOON_MS + 120_500]

    staged(story)


@pytest.mark.parametrize("busy", ["ticks that wait", "ticks that were not fetched", "no ticks"])
def test_a_shard_that_has_work_is_not_quiet(busy: str) -> None:
    async def story(stage: Stage) -> None:
        starts(stage)
        state = Shard(CONDITIONS)
        state.change(Strategy("minutely", "1m"))
        state.clock(NOON_MS)
        stage.deciding.shard = state  # type: ignore[assignment]
        if busy == "ticks that wait":
            stage.deciding.free.clear()
            await stage.shard.put(run(0, 1))
            await stage.shard.put(run(1, 2))
        if busy == "ticks that were not fetched":
            stage.shard.end = 5
        is_due = due_record_ms(stage.shard, stage.shard.clock.heard_s + MINUTE_S) == NOON_MS + 60_000
        assert is_due is (busy == "no ticks")
        stage.deciding.free.set()

    staged(story)
