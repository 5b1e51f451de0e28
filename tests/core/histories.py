"""Random histories of ticks, clocks and strategy changes, and what the oracle and a shard make of one."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from hypothesis import strategies as st

from streams.core.columns import fire_columns
from streams.core.conditions import ConditionTable
from streams.core.events import Clock, Fire, Mode, Status, Strategy, Tick
from streams.core.kernel import CLOCK
from streams.core.limits import MAX_TS_MS, NEVER
from streams.core.oracle import Oracle
from streams.core.shard import Shard, Ticks
from streams.core.tickers import Tickers

Event = Tick | Clock | Strategy

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
OUT_OF_SEQUENCE = 33
BLOCKS = np.zeros(256, np.uint8)
BLOCKS[OUT_OF_SEQUENCE] = 1
CONDITIONS = ConditionTable(BLOCKS, unlisted_blocks=False, names={OUT_OF_SEQUENCE: "out of sequence"})

TICKERS = ["AAPL", "B", "BRK.B", "LONGEST-TICKER-OF-ALL", "ÄÖÜ", "a ticker no one watches"]
WATCHED = TICKERS[:-1]
TIMEFRAMES = ["1s", "1m", "5m", "90m", "1h", "4h", "1d", "2d", "1w", "1mo", "3mo", "5 minutes"]
ZONES = ["UTC", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia"]
SESSIONS = ["", "", "", "XNYS", "XHKG", "NONE SUCH"]

STARTS_MS = [
    0,
    1_325_239_200_000,  # Apia skips a day: 2011-12-30
    1_699_163_940_000,  # New York, Havana: clocks go back, 2023-11-05
    1_710_054_000_000,  # New York: clocks go forward, 2024-03-10
    1_732_899_600_000,  # XNYS closes early, 2024-11-29
    1_732_507_200_000,  # XHKG goes to lunch, 2024-11-25
    1_760_000_000_000,
    MAX_TS_MS - 2 * DAY_MS,
]


def tick_at(ts_ms: int) -> st.SearchStrategy[Tick]:
    """A trade at a time; now and then one that must not move the price."""
    codes = st.sampled_from([(), (0, 14), (), (OUT_OF_SEQUENCE,), (14, OUT_OF_SEQUENCE), (300, -1)])
    return st.builds(Tick, st.sampled_from(TICKERS), st.just(ts_ms), conditions=codes)


@st.composite
def changes(draw: st.DrawFn) -> Strategy:
    """A version of one of a few strategies: also stale, illegal, or without a timeframe that exists."""
    return Strategy(
        strategy_id=draw(st.sampled_from(["s1", "s10", "s2", "ß"])),
        timeframe=draw(st.sampled_from(TIMEFRAMES)),
        universe=draw(st.frozensets(st.sampled_from(WATCHED), max_size=4)),
        status=draw(st.sampled_from([Status.ACTIVE, Status.ACTIVE, Status.ACTIVE, *Status])),
        version=draw(st.integers(1, 40)),
        time_zone=draw(st.sampled_from(ZONES)),
        session=draw(st.sampled_from(SESSIONS)),
        mode=draw(st.sampled_from([None, None, Mode.PER_TICKER, Mode.LEGACY])),
    )


STEPS_MS = st.sampled_from([0, 0, 1, 999, 20_000, MINUTE_MS, 5 * MINUTE_MS, HOUR_MS, 9 * HOUR_MS, DAY_MS, 31 * DAY_MS])
DELAYS_MS = st.sampled_from([0, 0, 0, 0, 1, 30_000, MINUTE_MS, 2 * HOUR_MS, DAY_MS])


@st.composite
def histories(draw: st.DrawFn, max_events: int = 60) -> list[Event]:
    """Events in the order they arrive: time mostly moves on, and some ticks are late."""
    now_ms = draw(st.sampled_from(STARTS_MS)) + draw(st.integers(0, DAY_MS))
    versions: dict[str, int] = {}
    events: list[Event] = []
    for _ in range(draw(st.integers(1, max_events))):
        kind = draw(st.sampled_from("ttttttcs"))
        now_ms = min(now_ms + draw(STEPS_MS), MAX_TS_MS - 1)
        then_ms = max(now_ms - draw(DELAYS_MS), 0)
        if kind == "s":
            change = draw(changes())
            if draw(st.booleans()):  # mostly the very next version, so that it counts
                versions[change.strategy_id] = version = versions.get(change.strategy_id, 0) + 1
                change = Strategy(**{**as_fields(change), "version": version})
            events.append(change)
        else:
            events.append(Clock(then_ms) if kind == "c" else draw(tick_at(then_ms)))
    return events


def as_fields(strategy: Strategy) -> dict[str, object]:
    """A strategy's fields by name."""
    return {name: getattr(strategy, name) for name in Strategy.__slots__}


def ticks_of(tickers: Tickers, events: Sequence[Tick | Clock]) -> Ticks:
    """A batch in columns. What must not move the price needs no number."""
    moves = [isinstance(event, Clock) or CONDITIONS.moves_price(event.conditions) for event in events]
    numbers = [
        CLOCK if isinstance(event, Clock) else tickers.number(event.ticker) if moving else -1
        for event, moving in zip(events, moves, strict=True)
    ]
    times = [event.ts_ms for event in events]
    return Ticks(np.array(numbers, np.int32), np.array(times, np.int64), np.array(moves, np.uint8))


def shard_with_small_buffers(default_mode: Mode, *, tracked: bool = True) -> Shard:
    """A shard that must stop and go on often."""
    shard = Shard(CONDITIONS, default_mode, tracked=tracked)
    shard._pair_fires = fire_columns(1)
    return shard


def fires_of_oracle(oracle: Oracle, events: Sequence[Event]) -> list[Fire]:
    """All fires, in order."""
    fires: list[Fire] = []
    for event in events:
        if isinstance(event, Strategy):
            oracle.change(event)
        else:
            fires += oracle.tick(event) if isinstance(event, Tick) else oracle.clock(event)
    return fires


def batches(events: Sequence[Event], sizes: Sequence[int]) -> list[list[Event]]:
    """The events cut into batches: a change stands alone, between two steps."""
    cuts = set(accumulate(sizes))
    parts: list[list[Event]] = [[]]
    for at, event in enumerate(events):
        if at in cuts or isinstance(event, Strategy) or (parts[-1] and isinstance(parts[-1][-1], Strategy)):
            parts.append([])
        parts[-1].append(event)
    return [part for part in parts if part]


def fires_of_shard(shard: Shard, events: Sequence[Event], sizes: Sequence[int]) -> list[Fire]:
    """All fires, in order, whatever the batches."""
    fires: list[Fire] = []
    for batch in batches(events, sizes):
        if isinstance(batch[0], Strategy):
            shard.change(batch[0])
            continue
        ticks = ticks_of(shard.index.tickers, [event for event in batch if not isinstance(event, Strategy)])
        fires += shard.named(shard.in_order(shard.step(ticks), len(batch)))
    return fires


State = tuple[dict[str, int], dict[tuple[str, str], int], dict[str, int], int]


def state_of_oracle(oracle: Oracle) -> State:
    """Last update by ticker, last bucket by pair in force, newest run by strategy in force as a whole, stream time."""
    pairs = {
        (sid, ticker): max(oracle.last_bucket[sid].get(ticker, NEVER), oracle.every_ticker_ran.get(sid, NEVER))
        for ticker, watchers in oracle.watchers.items()
        for sid in watchers
    }
    strategies = [oracle.strategies[sid] for sid in oracle.whole]
    runs = {s.strategy_id: oracle.newest_run(s, s.mode_under(oracle.default_mode)) for s in strategies}
    return dict(oracle.last_update), pairs, runs, oracle.stream_ms


def state_of_shard(shard: Shard) -> State:
    """The same, read out of the columns."""
    names, columns, ids = shard.index.tickers.all_names(), shard.index.columns, shard.strategy_ids
    updates = {name: int(columns.tickers.last_update[t]) for t, name in enumerate(names)}
    pairs = {
        (ids[columns.pairs.strategy[j]], name): int(columns.pairs.last_bucket[j])
        for t, name in enumerate(names)
        for j in range(columns.tickers.row_start[t], columns.tickers.row_start[t] + columns.tickers.row_awake[t])
    }
    runs = {ids[s]: int(columns.strategies.last_trigger[s]) for s in columns.strategies.level}
    return {name: ts_ms for name, ts_ms in updates.items() if ts_ms > NEVER}, pairs, runs, shard.stream_ms
