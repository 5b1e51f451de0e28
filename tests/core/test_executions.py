"""Executions on the wire are what a plain reading of the fires makes of them, to the byte."""

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import fastavro
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.avro import long_map, string
from streams.core.events import Clock, Mode, Strategy, Tick
from streams.core.executions import MAX_EXECUTION_BYTES, MOST_BYTES_BESIDE_TICKERS, joined
from streams.core.limits import MAX_STRATEGY_ID_BYTES, MAX_TICKER_BYTES, MAX_TS_MS
from streams.core.shard import EVERY_TICKER, NO_FIRES, Fires, Shard, Ticks
from tests.core.decoded_executions import PARTITION, PREFIX, SCHEMA, TOPIC, decoded, executions_of
from tests.core.histories import (
    CONDITIONS,
    IDS,
    TICKERS,
    Change,
    Event,
    batches,
    fires_of_shard,
    histories,
    tell,
    ticks_of,
)
from tests.core.turn_cuts import between_turns

NAMES = (*TICKERS, "1234567", "12345678", "\0odd", "X" * MAX_TICKER_BYTES)


class One(NamedTuple):
    """One fire, and where it came from."""

    offset: int
    strategy_id: str
    ticker: str
    bucket_ms: int
    ts_ms: int


def plain(shard: Shard, fires: list[One], metadata: dict[str, int], room: int) -> list[dict[str, Any]]:
    """The executions, by dictionaries and lists."""
    found: list[dict[str, Any]] = []
    running: dict[tuple[str, int], dict[str, Any]] = {}
    for fire in sorted(fires, key=lambda each: (each.offset, each.strategy_id)):
        key, size = (fire.strategy_id, fire.bucket_ms), len(fire.ticker.encode())
        size += 1 if size < 64 else 2
        into = running.get(key)
        if not fire.ticker or into is None or into["size"] + size > room:
            strategy = shard.index.entries[fire.strategy_id].strategy
            into = {
                "execution_id": f"{fire.strategy_id}|{fire.bucket_ms}|{TOPIC}-{PARTITION}@{fire.offset}",
                "strategy_id": fire.strategy_id,
                "strategy_version": strategy.version,
                "mode": str(strategy.mode_under(shard.index.ways.default_mode)),
                "timeframe": strategy.timeframe,
                "bucket_ms": fire.bucket_ms,
                "tickers": [],
                "scope": "tickers" if fire.ticker else "universe",
                "ts": fire.ts_ms,
                "cause": {"topic": TOPIC, "partition": PARTITION, "first_offset": fire.offset},
                "metadata": metadata,
                "run_id": "",
                "size": 0,
            }
            found.append(into)
            if fire.ticker:
                running[key] = into
        into["cause"]["last_offset"] = fire.offset
        if fire.ticker:
            into["tickers"].append(fire.ticker)
            into["size"] += size
            into["ts"] = min(into["ts"], fire.ts_ms)
    return [{name: value for name, value in each.items() if name != "size"} for each in found]


def avro(execution: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, SCHEMA, execution)
    return PREFIX + out.getvalue()


@st.composite
def shards_and_fires(draw: st.DrawFn) -> tuple[Shard, Fires, np.ndarray[Any, Any], list[One]]:
    """A shard whose strategies came in any order, and fires of it in any order: each tick has one ticker."""
    ids = draw(st.lists(st.sampled_from([*IDS, "S" * MAX_STRATEGY_ID_BYTES]), min_size=1, max_size=6, unique=True))
    shard = Shard(CONDITIONS, draw(st.sampled_from([Mode.PER_TICKER, Mode.LEGACY])))
    for strategy_id in ids:
        version, timeframe = draw(st.sampled_from([1, 63, 64, (1 << 63) - 1])), draw(st.sampled_from(["1m", "1mo"]))
        shard.change(
            Strategy(strategy_id, timeframe, frozenset(draw(st.sets(st.sampled_from(NAMES)))), version=version)
        )
    ticks = draw(st.integers(1, 12))
    gaps = draw(st.lists(st.integers(1, 1 << 33), min_size=ticks, max_size=ticks))
    offsets = np.cumsum(gaps) - gaps[0]
    tickers = [draw(st.sampled_from(NAMES)) for _ in range(ticks)]
    times = [draw(st.integers(0, MAX_TS_MS - 1)) for _ in range(ticks)]
    buckets = draw(st.lists(st.integers(-(10**9), MAX_TS_MS), min_size=1, max_size=3))
    met = st.tuples(st.integers(0, ticks - 1), st.sampled_from(ids))
    rows, ones = [], []
    for tick, strategy_id in draw(st.lists(met, max_size=60, unique=True)):
        ticker, bucket_ms = draw(st.sampled_from([tickers[tick], tickers[tick], ""])), draw(st.sampled_from(buckets))
        number = shard.index.tickers.number(ticker) if ticker else EVERY_TICKER
        rows.append((tick, shard.index.entries[strategy_id].number, number, bucket_ms, times[tick]))
        ones.append(One(int(offsets[tick]), strategy_id, ticker, bucket_ms, times[tick]))
    kinds = (np.int32, np.int32, np.int32, np.int64, np.int64)
    columns = zip(*rows, strict=True) if rows else [()] * 5
    return shard, Fires._make(np.array(c, kind) for c, kind in zip(columns, kinds, strict=True)), offsets, ones


COUNTS = st.dictionaries(st.sampled_from(["checked", "fired", "late"]), st.integers(-5, 1 << 40))


@given(shards_and_fires(), COUNTS, st.sampled_from([MAX_EXECUTION_BYTES, 2400, 2200]))
def test_executions_are_the_plain_ones_to_the_byte(case: Any, metadata: dict[str, int], max_bytes: int) -> None:
    shard, fires, offsets, ones = case
    records = executions_of(shard, max_bytes).encode(fires, offsets, metadata)
    room = max_bytes - MOST_BYTES_BESIDE_TICKERS - len(long_map(metadata) + string(""))
    expected = plain(shard, ones, metadata, room)
    assert decoded(records) == expected
    assert [records.value(i) for i in range(records.count)] == [avro(each) for each in expected]
    assert all(len(avro(each)) <= max_bytes for each in expected)


@given(shards_and_fires(), st.randoms(use_true_random=False))
def test_the_order_in_which_fires_come_changes_nothing(case: Any, random: Any) -> None:
    shard, fires, offsets, ones = case
    order = list(range(len(ones)))
    random.shuffle(order)
    mixed = Fires._make(column[np.array(order, np.int64)] for column in fires)
    one, other = executions_of(shard).encode(fires, offsets), executions_of(shard).encode(mixed, offsets)
    assert one.data.tobytes() == other.data.tobytes()
    assert one.key_start.tolist() == other.key_start.tolist()


@given(histories(), st.lists(st.integers(1, 12), max_size=30), st.sampled_from([Mode.PER_TICKER, Mode.LEGACY]))
def test_what_fires_is_executed_once_each_with_the_strategy_as_it_stood(
    events: list[Event], sizes: list[int], default: Mode
) -> None:
    shard, same = Shard(CONDITIONS, default), Shard(CONDITIONS, default)
    executions, fires, ids, offset = executions_of(shard), [], [], 0
    for batch in (part for whole in batches(events, sizes) for part in between_turns(shard, whole)):
        expected = fires_of_shard(same, batch, [])
        if isinstance(batch[0], Change):
            tell(shard, batch[0])
            continue
        ticks = ticks_of(shard.index.tickers, [each for each in batch if not isinstance(each, Change)])
        offset += len(batch)
        for each in decoded(executions.encode(shard.step(ticks), np.arange(offset - len(batch), offset))):
            strategy = shard.index.entries[each["strategy_id"]].strategy
            assert (each["strategy_version"], each["timeframe"]) == (strategy.version, strategy.timeframe)
            assert each["scope"] == ("tickers" if each["mode"] == Mode.PER_TICKER else "universe")
            ids.append(each["execution_id"])
            of_batch = (each["strategy_id"], each["bucket_ms"], each["mode"])
            fires += [(*of_batch, ticker) for ticker in each["tickers"] or [""]]
        assert sorted(fires) == sorted((f.strategy_id, f.bucket_ms, str(f.mode), f.ticker) for f in expected)
        fires.clear()
    assert len(set(ids)) == len(ids)


def fired(shard: Shard, events: Sequence[Tick | Clock]) -> Fires:
    return shard.step(ticks_of(shard.index.tickers, events))


def test_several_steps_make_one_execution() -> None:
    shard = Shard(CONDITIONS)
    shard.change(Strategy("s", "1m", frozenset({"A", "B", "C"})))
    first, second = fired(shard, [Tick("A", 5), Tick("A", 7), Tick("C", 9)]), fired(shard, [Tick("A", 7), Tick("B", 3)])
    steps = [(first, np.array([10, 11, 12])), (NO_FIRES, np.zeros(0, np.int64)), (second, np.array([20, 30]))]
    (execution,) = decoded(executions_of(shard).encode(*joined(steps)))
    assert execution["tickers"] == ["A", "C", "B"]
    assert execution["cause"] == {"topic": TOPIC, "partition": PARTITION, "first_offset": 10, "last_offset": 30}
    assert execution["ts"] == 3
    assert execution["execution_id"] == "s|0|w7.ticks-2@10"


def test_a_change_between_two_steps_shows() -> None:
    shard = Shard(CONDITIONS)
    executions, strategy = executions_of(shard), Strategy("s", "1m", frozenset({"A"}))
    seen = []
    for version, timeframe in enumerate(("1m", "15m", "5m", "1mo", "1m"), 1):
        shard.change(replace(strategy, version=version * 100, timeframe=timeframe))
        shard.change(Strategy(f"more {version}", "1m", frozenset({"A"})))
        records = executions.encode(fired(shard, [Tick("A", version * 40 * 86_400_000)]), np.array([version]))
        seen += [(each["strategy_id"], each["strategy_version"], each["timeframe"]) for each in decoded(records)]
    assert [each for each in seen if each[0] == "s"] == [
        ("s", 100, "1m"),
        ("s", 200, "15m"),
        ("s", 300, "5m"),
        ("s", 400, "1mo"),
        ("s", 500, "1m"),
    ]
    assert {each for each in seen if each[0] != "s"} == {(f"more {k}", 1, "1m") for k in range(1, 6)}


def test_a_hundred_thousand_tickers_are_spread_over_executions_that_a_broker_takes() -> None:
    shard, names = Shard(CONDITIONS), [f"{k:0>{MAX_TICKER_BYTES}}" for k in range(100_000)]
    shard.change(Strategy("s", "1m", frozenset(names)))
    numbers = shard.index.tickers.numbers(names)
    fires = shard.step(Ticks(numbers, np.zeros(len(names), np.int64), np.ones(len(names), np.uint8)))
    records = executions_of(shard).encode(fires, np.arange(len(names)))
    found = decoded(records)
    sizes = (records.value_end - records.value_start).tolist()
    assert max(sizes) <= MAX_EXECUTION_BYTES
    assert min(sizes[:-1]) > MAX_EXECUTION_BYTES - MOST_BYTES_BESIDE_TICKERS - MAX_TICKER_BYTES - 2
    assert [ticker for each in found for ticker in each["tickers"]] == names
    assert len({each["execution_id"] for each in found}) == len(found) == 9


def test_a_bound_without_room_for_a_ticker_is_refused() -> None:
    shard = Shard(CONDITIONS)
    shard.change(Strategy("s", "1m", frozenset({"A"})))
    fires = fired(shard, [Tick("A", 5)])
    with pytest.raises(ValueError, match="allow more"):
        executions_of(shard, MOST_BYTES_BESIDE_TICKERS + MAX_TICKER_BYTES).encode(fires, np.array([1]))


def test_nothing_fired_makes_no_records() -> None:
    assert executions_of(Shard(CONDITIONS)).encode(NO_FIRES, np.zeros(0, np.int64)).count == 0
