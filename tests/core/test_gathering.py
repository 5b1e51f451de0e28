"""The coalescing window: what is gathered goes out as the plain rule says, whatever the batches and the restarts."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import gathering_kernel
from streams.core.events import Clock, Mode, Status, Strategy, Tick, Tombstone
from streams.core.executions import MAX_EXECUTION_BYTES
from streams.core.gathered_rows import GROUP_KEY
from streams.core.kernel import CLOCK, NO_TICK
from streams.core.limits import FOREVER
from streams.core.rules import Rules
from streams.core.shard import Ticks
from streams.core.timeframes import bucket_of, bucket_rule, parse_timeframe
from tests.core.decoded_executions import decoded
from tests.core.gathering_stages import FEW_TICKERS, Execution, Fast, Plain, busy, with_windows
from tests.core.histories import STARTS_MS, TIMEFRAMES, Change, Event, batches, history, seeded
from tests.core.turn_cuts import between_turns

MINUTE_MS = 60_000
SEEDS = st.integers(0, 1 << 40)
ROOMS = st.sampled_from([MAX_EXECUTION_BYTES, FEW_TICKERS])
DEFAULTS_MS = st.sampled_from([0, 0, 500, 60_000])
FOUR = frozenset("ABCD")


def market(seed: int) -> list[Event]:
    """Any history, or a dense one, with windows."""
    pick = seeded(seed)
    return busy(pick) if seed % 2 else with_windows(history(pick, 80), pick)


def emissions(events: Sequence[Event], rng: Random) -> list[list[Event]]:
    """Changes alone, and what lies between them cut into emissions."""
    return batches(events, [rng.choice((1, 2, 5, 30)) for _ in events])


def cut_at_turns(fast: Fast, parts: Sequence[Sequence[Event]]) -> Iterator[Sequence[Event]]:
    """The same, and where strategies turn an emission ends."""
    for part in parts:
        yield from between_turns(fast.shard, part)


def cuts_of(part: Sequence[Event], rng: Random) -> list[int]:
    """Where an emission's steps begin, but for the first."""
    return sorted({rng.randrange(len(part) + 1) for _ in range(rng.choice((0, 0, 1, 3)))})


def told(stage: Plain | Fast, part: Sequence[Event], cuts: Sequence[int] = ()) -> list[Execution]:
    """Take a change, or emit."""
    if isinstance(part[0], Change):
        stage.change(part[0])
        return []
    return stage.emit(part) if isinstance(stage, Plain) else stage.emit(part, cuts)


@given(SEEDS, DEFAULTS_MS, ROOMS, st.sampled_from([Mode.PER_TICKER, Mode.LEGACY]))
def test_what_goes_out_is_what_the_plain_rule_says(seed: int, default_ms: int, max_bytes: int, mode: Mode) -> None:
    plain, fast, rng = Plain(default_ms, max_bytes, mode), Fast(default_ms, max_bytes, mode), Random(seed)
    for part in cut_at_turns(fast, emissions(market(seed), rng)):
        assert told(fast, part, cuts_of(part, rng)) == told(plain, part)
        assert fast.shard.gathered.due_ms == min([FOREVER, *(each.due_ms for each in plain.gathering.open.values())])
        assert fast.shard.gathered.count == sum(
            len(each.tickers) for each in [*plain.gathering.open.values(), *plain.waiting]
        )


@given(SEEDS, ROOMS)
def test_the_bytes_hang_on_the_input_alone(seed: int, max_bytes: int) -> None:
    """Where every strategy has a window and no tick is late: in any batches, cut into checkpoints anywhere."""
    events = busy(seeded(seed), is_late=False, windows=(1, 300, 2_000))
    rng, sent = Random(seed), []
    for sizes in ([1] * len(events), [len(events)], [rng.choice((1, 2, 3, 20)) for _ in events]):
        fast = Fast(max_bytes=max_bytes)
        for part in batches(events, sizes):
            told(fast, part, cuts_of(part, rng))
        fast.emit([Clock(events_end(events))])
        sent.append(fast.values)
    assert sent[0] == sent[1] == sent[2]
    plain = Plain(max_bytes=max_bytes)
    expected = [each for part in batches(events, []) for each in told(plain, part)]
    assert len(sent[0]) == len([*expected, *plain.emit([Clock(events_end(events))])])


def events_end(events: Sequence[Event]) -> int:
    """A time by which all that is gathered is due."""
    return max(each.ts_ms for each in events if isinstance(each, Tick | Clock)) + 2_000


@given(SEEDS, DEFAULTS_MS, ROOMS)
def test_a_worker_that_is_replaced_goes_on_the_same(seed: int, default_ms: int, max_bytes: int) -> None:
    """Also where strategies change meanwhile: then what was gathered goes out first, as it was fired."""
    steady, other = Fast(default_ms, max_bytes), Fast(default_ms, max_bytes)
    rng, pick, is_clean, ended = Random(seed), seeded(seed), True, False
    for part in cut_at_turns(steady, emissions(market(seed), rng)):
        assert told(other, part) == told(steady, part)
        is_change, ended = isinstance(part[0], Change), ended or isinstance(part[0], Tombstone)
        if not is_change:
            is_clean, ended = rng.random() < 0.6, False
            if is_clean:
                other.checkpoint()
                assert_rows_say_what_is_gathered(other)
        if is_clean and not ended and rng.random() < 0.4:  # one born again under its old number is taken for itself
            other.replaced(pick)
            assert other.shard.gathered.count == steady.shard.gathered.count
    assert all_out(other) == all_out(steady)
    assert other.shard.gathered.count == 0
    other.checkpoint()
    assert_rows_say_what_is_gathered(other)


def all_out(fast: Fast) -> list[Execution]:
    """What is gathered goes out, as if the end of time were there."""
    fast.shard.gathered.close_due(FOREVER - 1)
    return fast.emit([])


def assert_rows_say_what_is_gathered(fast: Fast) -> None:
    """There is a row with a value for each group that is open, and for no other."""
    rows = {key for key, value in fast.logs.last_bucket.latest().items() if value is not None}
    due_ms = fast.shard.gathered._open.due_ms
    is_open = {
        sid for number, sid in enumerate(fast.shard.strategy_ids) if number < len(due_ms) and due_ms[number] != FOREVER
    }
    assert {key for key in rows if key and key.startswith(GROUP_KEY)} == {GROUP_KEY + sid.encode() for sid in is_open}


@given(SEEDS, DEFAULTS_MS)
def test_no_pair_is_lost_or_repeated_and_none_is_late(seed: int, default_ms: int) -> None:
    """By the fires of a shard without windows; and nothing is held past its window, or the end of its bucket."""
    events, rng = market(seed), Random(seed)
    fast, without = Fast(default_ms), Fast()
    ran, must = [], []
    for part in cut_at_turns(fast, emissions(events, rng)):
        executions = told(fast, part)
        bare = [replace(each, coalesce_ms=0) if isinstance(each, Strategy) else each for each in part]
        ran += [pair for each in executions for pair in pairs_of(each)]
        must += [pair for each in told(without, bare) for pair in pairs_of(each)]
        assert fast.shard.gathered.due_ms > fast.shard.stream_ms
    ran += [pair for each in all_out(fast) for pair in pairs_of(each)]
    assert sorted(ran) == sorted(must)
    assert len({each["execution_id"] for records in fast.records for each in decoded(records)}) == sum(
        records.count for records in fast.records
    )


def pairs_of(each: Execution) -> list[tuple[str, str, int]]:
    return [(each["strategy_id"], ticker, each["bucket_ms"]) for ticker in each["tickers"] or [""]]


def tickers_of(executions: Sequence[Execution]) -> list[list[str]]:
    return [each["tickers"] for each in executions]


def with_window(window_ms: int = 1_000, timeframe: str = "1m") -> Fast:
    fast = Fast()
    fast.change(Strategy("s", timeframe, FOUR, coalesce_ms=window_ms))
    return fast


def test_fires_join_until_the_window_is_over_and_one_at_its_end_opens_the_next_group() -> None:
    fast = with_window()
    assert fast.emit([Tick("A", 100), Tick("B", 1_099)]) == []
    assert fast.shard.next_due_ms == 1_100
    (sent,) = fast.emit([Tick("C", 1_100)])
    assert sent["tickers"] == ["A", "B"]
    assert (sent["ts"], sent["cause"]["first_offset"], sent["cause"]["last_offset"]) == (100, 0, 1)
    assert fast.shard.next_due_ms == 2_100


def test_a_clock_closes_what_is_due() -> None:
    fast = with_window()
    fast.emit([Tick("A", 100)])
    assert fast.emit([Clock(1_099)]) == []
    assert tickers_of(fast.emit([Clock(1_100)])) == [["A"]]
    assert fast.shard.next_due_ms == FOREVER


def test_nothing_is_held_past_the_end_of_its_bucket() -> None:
    fast = with_window(60_000)
    fast.emit([Tick("A", 59_000), Tick("B", 59_999)])
    assert fast.shard.next_due_ms == MINUTE_MS
    assert tickers_of(fast.emit([Tick("A", 60_000)])) == [["A", "B"]]


def test_a_fire_of_a_bucket_that_is_over_goes_out_at_once_and_alone() -> None:
    """Also where a group of the same bucket closes in the same checkpoint."""
    fast = with_window(60_000)
    assert tickers_of(fast.emit([Tick("A", 50_000), Tick("B", 60_000), Tick("C", 59_000)])) == [["A"], ["C"]]
    assert fast.shard.next_due_ms == 2 * MINUTE_MS


def test_what_closes_in_one_checkpoint_stays_apart_and_in_order() -> None:
    fast = with_window(1_000)
    fast.change(Strategy("a", "1m", FOUR, coalesce_ms=1_500))
    sent = fast.emit([Tick("A", 0), Tick("B", 1_000), Tick("C", 1_500), Clock(3_000)])
    assert [(each["strategy_id"], each["tickers"]) for each in sent] == [
        ("s", ["A"]),
        ("a", ["A", "B"]),
        ("s", ["B", "C"]),
        ("a", ["C"]),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"universe": frozenset({"A"})},
        {"status": Status.PAUSED},
        {"status": Status.DELETED},
        {"timeframe": "5m"},
        {"universe": frozenset()},
        {"mode": Mode.LEGACY},
        {"coalesce_ms": 0},
    ],
)
def test_a_change_sends_what_is_gathered_under_the_version_that_fired_it(change: dict[str, Any]) -> None:
    fast = with_window()
    fast.emit([Tick("A", 100), Tick("B", 100)])
    fast.change(replace(fast.standing["s"], version=2, **change))
    assert fast.shard.gathered.has_closed
    (sent,) = fast.emit([])
    assert (sent["strategy_version"], sent["timeframe"], sent["mode"]) == (1, "1m", "per_ticker")
    assert sent["tickers"] == ["A", "B"]


def test_a_tombstone_sends_what_is_gathered_and_whoever_is_born_again_under_the_number_is_another() -> None:
    fast = with_window()
    fast.emit([Tick("A", 100)])
    fast.change(Tombstone("s"))
    fast.change(Strategy("s", "5m", FOUR, coalesce_ms=1_000))
    (sent,) = fast.emit([Tick("B", 100)])
    assert (sent["strategy_version"], sent["timeframe"], sent["tickers"]) == (1, "1m", ["A"])
    (sent,) = fast.emit([Clock(1_100)])
    assert (sent["strategy_version"], sent["timeframe"], sent["tickers"]) == (1, "5m", ["B"])


def test_a_change_that_does_not_count_sends_nothing() -> None:
    fast = with_window()
    fast.emit([Tick("A", 100)])
    fast.change(fast.standing["s"])
    fast.change(replace(fast.standing["s"], timeframe="5m"))
    assert fast.emit([]) == []


def test_what_a_strategy_fired_that_is_not_there_any_more_goes_out_when_its_shard_is_taken_over() -> None:
    fast = with_window()
    fast.emit([Tick("A", 100)])
    fast.checkpoint()
    fast.replaced(seeded(1), absent=frozenset({"s"}))
    (sent,) = fast.emit([])
    assert (sent["strategy_version"], sent["timeframe"], sent["tickers"]) == (1, "1m", ["A"])


def test_a_group_without_room_for_a_ticker_goes_out_at_once() -> None:
    fast = Fast(max_bytes=FEW_TICKERS)
    names = [f"{number:0>20}" for number in range(7)]
    fast.change(Strategy("s", "1m", frozenset(names), coalesce_ms=1_000))
    assert [len(each) for each in tickers_of(fast.emit([Tick(name, 5) for name in names]))] == [3, 3]
    assert tickers_of(fast.emit([Clock(1_005)])) == [names[6:]]


def test_a_strategy_without_a_window_is_not_gathered_where_the_default_has_one() -> None:
    fast = Fast(default_ms=1_000)
    fast.change(Strategy("s", "1m", FOUR, coalesce_ms=0))
    fast.change(Strategy("t", "1m", FOUR))
    assert [each["strategy_id"] for each in fast.emit([Tick("A", 100)])] == ["s"]


def test_whole_strategies_are_not_gathered() -> None:
    fast = with_window()
    fast.change(Strategy("legacy", "1m", FOUR, mode=Mode.LEGACY, coalesce_ms=1_000))
    fast.change(Strategy("global", "1m", coalesce_ms=1_000))
    assert [each["strategy_id"] for each in fast.emit([Tick("A", 100)])] == ["global", "legacy"]


def test_memory_is_used_again() -> None:
    fast = with_window()
    for minute in range(50):
        fast.emit([Tick(ticker, minute * MINUTE_MS) for ticker in "ABCD"])
        fast.emit([Clock(minute * MINUTE_MS + 1_000)])
    assert len(fast.shard.gathered._links.ticker) <= 8


def test_rows_are_written_only_where_something_has_changed() -> None:
    fast = with_window(60_000, "5m")
    fast.emit([Tick("A", 100)])
    fast.checkpoint()
    fast.emit([Tick("A", 200)])
    before = len(fast.logs.last_bucket.records)
    fast.checkpoint()
    assert [record.key for record in fast.logs.last_bucket.records[before:]] == [b"\0position"]


@given(
    st.sampled_from(TIMEFRAMES), st.sampled_from(["UTC", "America/New_York"]), st.sampled_from(["", "XNYS"]), st.data()
)
def test_a_bucket_ends_where_the_plain_table_says(timeframe: str, zone: str, session: str, data: st.DataObject) -> None:
    rules, plain = Rules(), bucket_rule(parse_timeframe(timeframe), zone, session)
    number = rules.number(timeframe, zone, session)
    ts_ms = data.draw(st.sampled_from(STARTS_MS)) + data.draw(st.integers(0, 3 * 86_400_000))
    bucket_ms, until_ms = bucket_of(plain, ts_ms)
    if bucket_ms is not None:
        assert gathering_kernel.bucket_end(rules.columns, number, bucket_ms) == until_ms


def test_stream_times_rise_with_ticks_that_move_the_price_and_with_clocks_only() -> None:
    out = np.empty(6, np.int64)
    ticker = np.array([0, 1, NO_TICK, CLOCK, 1, 0], np.int32)
    ticks = Ticks(ticker, np.array([5, 9, 99, 7, 6, 8]), np.array([1, 0, 1, 0, 1, 1], np.uint8))
    gathering_kernel.stream_times(ticks, 3, out)
    assert out.tolist() == [5, 5, 5, 7, 7, 8]
    assert all(one <= other for one, other in pairwise(out))
