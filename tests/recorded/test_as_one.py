"""What one shard decides for many is what many decide; and it is asked only where that is so."""

import random
from typing import Any

import numpy as np
import pytest

from streams.core.conditions import ConditionTable
from streams.core.events import Clock, Mode, Status, Strategy
from streams.core.flags import PER_TICKER_THROTTLE, Control
from streams.core.journal import Entry
from streams.core.limits import NEVER
from streams.core.restore import Recovery
from streams.core.turns import UNTURNED
from streams.kafka.partitions import partition_of
from streams.recorded.as_one import as_one, gathered, goes_as_one
from streams.recorded.beside import Beside, Event, Stands, Start
from streams.recorded.deciding import ByShard
from streams.recorded.parted import Part, Parted, parted
from streams.reference_data import load_conditions
from streams.replay.results import Batch

PARTITIONS = 4
TICKERS = [f"T{k}" for k in range(24)]
START_MS = 1_760_000_040_000
CHANGES = ("strategy-changes", 0)
CLOCK = ("clock", 0)


def strategy(draw: random.Random, strategy_id: str) -> Strategy:
    universe = frozenset(draw.sample(TICKERS, draw.randint(1, 12)))
    status = draw.choice([Status.ACTIVE] * 4 + [Status.PAUSED])
    return Strategy(strategy_id, draw.choice(["1m", "5m", "10s", "1d", "7x"]), universe, status)


def beside(strategies: list[Strategy], **changed: Any) -> Beside:
    start = [Stands(each) for each in strategies]
    return Beside(PARTITIONS, Mode.PER_TICKER, start, [], {}, {}, {}, {})._replace(**changed)


def runs(draw: random.Random, known: list[str]) -> list[Parted]:
    """Some runs of ticks, late ones among them, each partition in parts that end where it likes."""
    found, offset, newest = list[Parted](), [0] * PARTITIONS, [0] * PARTITIONS
    home = {name: partition_of(name.encode(), PARTITIONS) for name in known}
    for run in range(6):
        parts = []
        for partition in range(PARTITIONS):
            count = draw.choice([0, 1, 40, 90])
            mine = [at for at, name in enumerate(known) if home[name] == partition]
            times = sorted(START_MS + run * 120_000 + draw.randrange(120_000) for _ in range(count))
            ts_ms = np.array([ts - draw.choice([0] * 8 + [700, 90_000]) for ts in times], np.int64)
            order_ms = np.maximum.accumulate(np.maximum(ts_ms, newest[partition]))
            moves = np.array([draw.random() < 0.9 for _ in times], np.uint8)
            name_of = np.array([draw.choice(mine) for _ in times], np.int32)
            offsets = np.arange(offset[partition], offset[partition] + count)
            offset[partition] += count
            if count:
                newest[partition] = int(order_ms[-1])
                parts.append(Part(partition, offsets, known, name_of, ts_ms, moves, order_ms))
        if parts:
            found.append(parted(parts))
    return found


def rows(fired: Batch) -> list[tuple[str, str, int, int, str]]:
    columns = (fired.strategy, fired.ticker, fired.bucket_ms, fired.ts_ms, fired.mode)
    return [
        (fired.strategy_names[s], fired.ticker_names[t], bucket_ms, ts_ms, fired.mode_names[m])
        for s, t, bucket_ms, ts_ms, m in zip(*(column.tolist() for column in columns), strict=True)
    ]


@pytest.mark.parametrize("seed", range(12))
def test_one_shard_decides_a_day_as_many_do(seed: int) -> None:
    draw, conditions = random.Random(seed), load_conditions()
    day = beside([strategy(draw, f"s{draw.randrange(10**6)}") for _ in range(30)])
    assert goes_as_one(day)
    many, one, ran = ByShard(day, conditions), ByShard(as_one(day), conditions, as_many=PARTITIONS), 0
    for run in runs(draw, [*TICKERS, "NOBODYS"]):
        wanted, found = rows(many.step_parts(run)[0]), rows(one.step_parts(gathered(run))[0])
        assert found == wanted
        ran += len(found)
    assert ran > 200
    assert one.counts == many.counts
    assert one.counts["late"] > 0
    assert one.counts["irrelevant"] > 0
    assert one.strategy_counts() == many.strategy_counts()
    assert one.stood() == many.stood()
    assert one.skipped() == many.skipped() != []


def test_what_came_in_behind_the_start_takes_many_shards() -> None:
    draw = random.Random(1)
    strategies = [strategy(draw, "a"), strategy(draw, "b")]
    late: list[tuple[int, Event]] = [(7, Stands(strategies[0]))]
    others = {CHANGES: late, CLOCK: [(3, Clock(START_MS))]}
    known = {CHANGES: 7}
    before = {0: [Entry(0, {CHANGES: 7})], 1: [Entry(5, {CHANGES: 7, CLOCK: 3})]}
    assert goes_as_one(beside(strategies, others=others, known=known, entries=before))
    assert not goes_as_one(beside(strategies, others=others, known=known, entries={2: [Entry(90, {CHANGES: 8})]}))
    assert not goes_as_one(beside(strategies, others=others, known=known, entries={2: [Entry(90, {CLOCK: 4})]}))


def test_strategies_that_decide_as_a_whole_or_have_turned_take_many_shards() -> None:
    pairs, every = Strategy("a", "1m", frozenset("A")), Strategy("b", "1m")
    legacy = Strategy("c", "1m", frozenset("A"), mode=Mode.LEGACY)
    off = [Control(PER_TICKER_THROTTLE, value=False)]
    assert goes_as_one(beside([pairs, Strategy("b", "1m", status=Status.PAUSED)]))
    assert not goes_as_one(beside([pairs, every]))
    assert not goes_as_one(beside([pairs, legacy]))
    assert not goes_as_one(beside([pairs], controls=off))
    assert goes_as_one(beside([Strategy("a", "1m", frozenset("A"), mode=Mode.PER_TICKER)], controls=off))
    assert not goes_as_one(beside([pairs], default_mode=Mode.LEGACY))
    assert not goes_as_one(beside([pairs], turns={"a": UNTURNED}))


def test_shards_that_begin_with_what_changelogs_hold_are_many() -> None:
    nothing = Start(Recovery(), None, [], [], 0, NEVER)
    assert not goes_as_one(beside([Strategy("a", "1m", frozenset("A"))], starts={0: nothing}))


def test_one_shard_has_room_for_the_tickers_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.recorded.deciding.MAX_TICKERS", len(TICKERS) // 2)
    conditions: ConditionTable = load_conditions()
    day = beside([Strategy("a", "1m", frozenset(TICKERS))])
    run = runs(random.Random(5), TICKERS)[0]
    many, one = ByShard(day, conditions), ByShard(as_one(day), conditions, as_many=PARTITIONS)
    assert one.step_parts(gathered(run))[1] == many.step_parts(run)[1] == []
