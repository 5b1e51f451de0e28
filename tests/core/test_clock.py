"""When a quiet shard is written for, to which time, and which records may move one; no clock runs here."""

import pytest

from streams.core.clock import is_too_far_ahead, record_ms
from streams.core.events import Mode, Strategy
from streams.core.limits import FOREVER, MAX_CLOCK_AHEAD_MS, MAX_TS_MS, NEVER
from streams.core.shard import Shard
from tests.core.histories import CONDITIONS

NOON_MS = 1_760_000_040_000
"""The start of a minute."""
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


@pytest.mark.parametrize(
    ("due_ms", "quiet_ms", "written_ms"),
    [
        (NOON_MS + 5, 4, NEVER),  # not yet
        (NOON_MS + 5, 5, NOON_MS + 5),
        (NOON_MS + 5, 700, NOON_MS + 700),  # late: time has gone on all the same
        (NOON_MS, 0, NOON_MS),  # a new strategy waits for nothing
        (FOREVER, 10**9, NEVER),
        (NEVER, 10**9, NEVER),
        (NOON_MS + 2 * MAX_CLOCK_AHEAD_MS, MAX_CLOCK_AHEAD_MS - 1, NEVER),
        (NOON_MS + 2 * MAX_CLOCK_AHEAD_MS, MAX_CLOCK_AHEAD_MS + 9, NOON_MS + MAX_CLOCK_AHEAD_MS),  # in steps
    ],
)
def test_a_record_is_written_when_stream_time_and_what_has_passed_reach_what_is_due(
    due_ms: int, quiet_ms: int, written_ms: int
) -> None:
    assert record_ms(NOON_MS, due_ms, quiet_ms) == written_ms
    assert record_ms(NEVER, due_ms, quiet_ms) == NEVER  # without stream time nothing is known


def test_nothing_is_written_past_the_end_of_time() -> None:
    assert record_ms(MAX_TS_MS - 10, MAX_TS_MS - 1, 9) == MAX_TS_MS - 1
    assert record_ms(MAX_TS_MS - 10, MAX_TS_MS - 1, 10) == NEVER


def test_a_record_may_move_a_shard_so_far_and_no_further_and_one_without_time_anywhere() -> None:
    assert not is_too_far_ahead(NOON_MS, NOON_MS + MAX_CLOCK_AHEAD_MS)
    assert is_too_far_ahead(NOON_MS, NOON_MS + MAX_CLOCK_AHEAD_MS + 1)
    assert not is_too_far_ahead(NOON_MS, 0)
    assert not is_too_far_ahead(NEVER, MAX_TS_MS - 1)


def test_a_shard_knows_when_something_is_due_that_waits_for_no_tick() -> None:
    shard = Shard(CONDITIONS)
    assert shard.next_due_ms == FOREVER
    shard.change(Strategy("pairs", "1m", frozenset({"A"})))
    shard.clock(NOON_MS)
    assert shard.next_due_ms == FOREVER  # pairs go by their ticks
    shard.change(Strategy("hourly", "1h", mode=Mode.LEGACY, universe=frozenset({"A"})))
    hour_ms = NOON_MS - NOON_MS % HOUR_MS + HOUR_MS
    assert shard.next_due_ms == hour_ms  # it turns to the whole with its next bucket
    assert len(shard.clock(NOON_MS + 1).tick) == 0
    assert shard.next_due_ms == hour_ms
    assert [fire.strategy_id for fire in shard.named(shard.clock(hour_ms + 1))] == ["hourly"]
    assert shard.next_due_ms == hour_ms + HOUR_MS
    shard.change(Strategy("minutely", "1m"))
    shard.clock(hour_ms + 2)
    assert shard.next_due_ms == hour_ms + MINUTE_MS
    assert [fire.strategy_id for fire in shard.named(shard.clock(hour_ms + MINUTE_MS))] == ["minutely"]
    assert shard.next_due_ms == hour_ms + 2 * MINUTE_MS
    shard.change(Strategy("minutely", "5m", version=2))
    assert len(shard.clock(hour_ms + MINUTE_MS + 1).tick) == 0
    assert shard.next_due_ms == hour_ms + 5 * MINUTE_MS


def test_without_stream_time_nothing_is_known_to_be_due() -> None:
    shard = Shard(CONDITIONS)
    shard.change(Strategy("minutely", "1m"))
    assert shard.next_due_ms == FOREVER


def test_to_ask_what_is_due_changes_nothing_that_fires() -> None:
    times = [NOON_MS + at for at in (0, 1, 59_999, 60_000, 61_000, 300_000, 3_600_000)]
    asked, plain = Shard(CONDITIONS), Shard(CONDITIONS)
    for shard in (asked, plain):
        for number, timeframe in enumerate(("1m", "5m", "1h", "1d")):
            shard.change(Strategy(f"s{number}", timeframe))
    for ts_ms in times:
        due_ms = asked.next_due_ms
        fires, wanted = asked.named(asked.clock(ts_ms)), plain.named(plain.clock(ts_ms))
        assert fires == wanted
        assert bool(wanted) == (due_ms <= ts_ms or ts_ms == times[0])
