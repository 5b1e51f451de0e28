"""What holds of every shard, whatever its history: sound rows, and the same answer from several as from one."""

from dataclasses import replace
from itertools import groupby

import pytest
from hypothesis import given

from streams.core.events import Clock, Fire, Mode, Strategy, Tick
from streams.core.shard import Shard
from tests.core.histories import CONDITIONS, IDS, Change, Event, fires_of_shard, histories, history, seeded

FIXED = [history(seeded(seed), max_events=120) for seed in range(100)]


def assert_rows_are_sound(shard: Shard) -> None:
    """Rows lie within the columns and apart; the awake stand first; a strategy stands at most once in each."""
    tickers, pairs = shard.index.columns.tickers, shard.index.columns.pairs
    end = 0
    for t in sorted(range(shard.index.tickers.count), key=lambda t: (tickers.row_start[t], tickers.row_room[t])):
        start, awake, used, room = (int(c[t]) for c in tickers[3:7])
        assert 0 <= awake <= used <= room
        assert end <= start or room == 0
        end = max(end, start + room)
        watching = pairs.strategy[start : start + used].tolist()
        assert len(set(watching)) == len(watching)
        for k, s in enumerate(watching):
            entry = shard.index.entries[shard.strategy_ids[s]]
            assert (k < awake) == (entry.by_pairs and t in entry.universe)
    assert end <= shard.index.used_pairs <= len(pairs.strategy)


def assert_rows_stay_sound(events: list[Event]) -> None:
    shard = Shard(CONDITIONS)
    for event in events:
        fires_of_shard(shard, [event], [])
        assert_rows_are_sound(shard)


def test_rows_stay_sound_in_fixed_histories() -> None:
    for events in FIXED:
        assert_rows_stay_sound(events)


@given(histories())
def test_rows_stay_sound(events: list[Event]) -> None:
    assert_rows_stay_sound(events)


def assert_together_is_one_by_one(events: list[Event]) -> None:
    """Strategies that come together, some of them twice, fire what they fire when they come one by one."""
    shard, fires = Shard(CONDITIONS), list[Fire]()
    for is_change, part in groupby(events, lambda event: isinstance(event, Change)):
        if is_change:
            with shard.together():
                fires_of_shard(shard, [*part], [])
            assert_rows_are_sound(shard)
        else:
            fires += fires_of_shard(shard, [*part], [])
    alone = Shard(CONDITIONS)
    assert fires == fires_of_shard(alone, events, [])
    assert [*map(shard.counts_of, IDS)] == [*map(alone.counts_of, IDS)]


def test_strategies_that_come_together_fire_as_one_by_one_in_fixed_histories() -> None:
    for events in FIXED:
        assert_together_is_one_by_one(events)


@given(histories())
def test_strategies_that_come_together_fire_as_one_by_one(events: list[Event]) -> None:
    assert_together_is_one_by_one(events)


def shard_of(ticker: str, shards: int) -> int:
    """Stands for the partition that a ticker is in."""
    return sum(ticker.encode()) % shards


def as_seen_by(shard: int, shards: int, event: Event) -> Event:
    """A shard gets its own ticks; how the others move time, a clock tells it."""
    if isinstance(event, Tick) and shard_of(event.ticker, shards) != shard and CONDITIONS.moves_price(event.conditions):
        return Clock(event.ts_ms)
    return event


def with_one_mode_for_good(event: Event) -> Event:
    """A strategy that goes from pairs to the whole is known in full only to its home: here none does."""
    if not isinstance(event, Strategy):
        return event
    if len(event.strategy_id) > 1:
        return replace(event, mode=Mode.PER_TICKER, universe=event.universe or frozenset({"B"}))
    return replace(event, mode=Mode.LEGACY)


def assert_several_fire_as_one(events: list[Event], shards: int) -> None:
    events = [with_one_mode_for_good(event) for event in events]
    fires: list[Fire] = []
    for number in range(shards):

        def is_mine(name: str, number: int = number) -> bool:
            return shard_of(name, shards) == number

        shard = Shard(CONDITIONS, owns=is_mine, is_home=is_mine)
        fires += fires_of_shard(shard, [as_seen_by(number, shards, event) for event in events], [5] * len(events))
        watched = shard.index.columns.tickers.row_used[: shard.index.tickers.count]
        names = shard.index.tickers.all_names()
        assert all(is_mine(name) for name, pairs in zip(names, watched, strict=True) if pairs)
    assert sorted(fires) == sorted(fires_of_shard(Shard(CONDITIONS), events, []))


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_several_shards_fire_together_what_one_fires_in_fixed_histories(shards: int) -> None:
    for events in FIXED:
        assert_several_fire_as_one(events, shards)


@given(histories())
def test_several_shards_fire_together_what_one_fires(events: list[Event]) -> None:
    assert_several_fire_as_one(events, 3)
