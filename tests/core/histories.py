"""Random histories of ticks, clocks and strategy changes, and what the oracle and a shard make of one.

A history is told by one function that picks from what may come next. Hypothesis picks where an example should
be made small when it fails; a seeded generator picks where many histories, or always the same, are wanted.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from hypothesis import strategies as st

from streams.core.columns import fire_columns
from streams.core.conditions import ConditionTable
from streams.core.events import Clock, Fire, Mode, Status, Strategy, Tick, Tombstone
from streams.core.kernel import CLOCK
from streams.core.lifecycle import Verdict, settle
from streams.core.limits import MAX_TS_MS, NEVER
from streams.core.oracle import Oracle
from streams.core.shard import Shard, Ticks
from streams.core.tickers import Tickers

Change = Strategy | Tombstone
Event = Tick | Clock | Change
T = TypeVar("T")

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
OUT_OF_SEQUENCE = 33
BLOCKS = np.zeros(256, np.uint8)
BLOCKS[OUT_OF_SEQUENCE] = 1
CONDITIONS = ConditionTable(BLOCKS, unlisted_blocks=False, names={OUT_OF_SEQUENCE: "out of sequence"})

TICKERS = ("AAPL", "B", "BRK.B", "LONGEST-TICKER-OF-ALL", "ÄÖÜ", "C")
IDS = ("s1", "s10", "s2", "ß", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "S", "T", "U", "V", "W")
TIMEFRAMES = ("1s", "1m", "1m", "5m", "5m", "90m", "1h", "4h", "1d", "2d", "1w", "1mo", "3mo")
ZONES = ("UTC", "UTC", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia")
SESSIONS = (("",), ("",), ("",), ("",), ("", "XNYS"), ("XNYS", "XHKG"))
BROKEN = (("timeframe", "5 minutes"), ("session", "NONE SUCH"))
CODES = (*((),) * 8, (0, 14), (300, -1), (OUT_OF_SEQUENCE,), (14, OUT_OF_SEQUENCE))
STATUSES = (*(Status.ACTIVE,) * 12, Status.PAUSED, *Status)
MODES = (None, None, None, Mode.PER_TICKER, Mode.LEGACY)

STARTS_MS = (
    0,
    1_325_239_200_000,  # Apia skips a day: 2011-12-30
    1_699_163_940_000,  # New York, Havana: clocks go back, 2023-11-05
    1_710_054_000_000,  # New York: clocks go forward, 2024-03-10
    1_732_899_600_000,  # XNYS closes early, 2024-11-29
    1_732_507_200_000,  # XHKG goes to lunch, 2024-11-25
    1_760_000_000_000,
    MAX_TS_MS - 2 * DAY_MS,
)
PACES_MS = (
    (0, 0, 1, 999, 1_000, 20_000, MINUTE_MS),
    (0, 0, 1, 20_000, MINUTE_MS, 5 * MINUTE_MS, HOUR_MS),
    (0, 0, 1, MINUTE_MS, HOUR_MS, 9 * HOUR_MS, DAY_MS),
    (0, 0, 1, HOUR_MS, DAY_MS, 7 * DAY_MS, 31 * DAY_MS),
)
"""How far time moves on between two events; every third tick is as much too late."""
GRIDS_MS = (1, 1, 1, 1_000, MINUTE_MS, 5 * MINUTE_MS, HOUR_MS)
"""Times are often put on a border of these, where buckets begin."""
KINDS = ("tttttttc", "ttttttcs", "ttts", "tsss", "ccts")
"""Ticks, clocks and strategy changes: histories differ in what they have most of."""


class Pick(Protocol):
    """Picks one of several."""

    def __call__(self, options: Sequence[T], /) -> T: ...


class Scene(NamedTuple):
    """What one history plays with: often little, so that it meets again and again."""

    ids: tuple[str, ...]
    tickers: tuple[str, ...]
    watched: tuple[str, ...]
    timeframes: tuple[str, ...]
    zones: tuple[str, ...]
    sessions: tuple[str, ...]
    pace_ms: tuple[int, ...]
    kinds: str


def some(pick: Pick, options: Sequence[T], most: int) -> tuple[T, ...]:
    """A few of the options, some of them more than once."""
    return tuple(pick(options) for _ in range(pick(range(1, most + 1))))


def scene(pick: Pick) -> Scene:
    """Choose what a history plays with."""
    tickers = some(pick, TICKERS, pick((1, 2, 4)))
    return Scene(
        some(pick, IDS, pick((1, 2, 4, len(IDS)))),
        tickers,
        (*tickers, *some(pick, TICKERS, 2)),
        some(pick, TIMEFRAMES, 3),
        some(pick, ZONES, 2),
        pick(SESSIONS),
        pick(PACES_MS),
        pick(KINDS),
    )


def change(pick: Pick, play: Scene, strategy_id: str, old: Strategy | None) -> Strategy:
    """A version of a strategy: the next one and legal, mostly, and like the one before in all but one field."""
    new = Strategy(
        strategy_id,
        pick(play.timeframes),
        frozenset(some(pick, play.watched, 4)) if pick(range(8)) else frozenset(),
        pick(STATUSES),
        time_zone=pick(play.zones),
        session=pick(play.sessions),
        mode=pick(MODES),
    )
    if not pick(range(20)):
        name, value = pick(BROKEN)
        new = with_field(new, name, value)
    if old is None:
        return new
    version = old.version + pick((*(1,) * 12, -1, 0, 2, 9))
    field = pick(("universe", "universe", "mode", "mode", "timeframe", "status", "session", "nothing", "all"))
    if field == "all":
        return replace(new, version=version)
    version_only = replace(old, version=version)
    return version_only if field == "nothing" else with_field(version_only, field, getattr(new, field))


def with_field(strategy: Strategy, name: str, value: Any) -> Strategy:
    """The strategy with one field changed."""
    fields: dict[str, Any] = {name: value}
    return replace(strategy, **fields)


def history(pick: Pick, max_events: int = 60) -> list[Event]:
    """Events in the order they arrive: time mostly moves on, and some ticks are late."""
    play = scene(pick)
    now_ms = pick(STARTS_MS) + pick(range(DAY_MS))
    standing: dict[str, Strategy | None] = {}
    events: list[Event] = []
    for kind in "s" * pick(range(1, 7)) + "?" * pick(range(1, max_events - 5)):
        now_ms = min(now_ms + pick(play.pace_ms), MAX_TS_MS - 1)
        now_ms -= now_ms % pick(GRIDS_MS)
        ts_ms = max(now_ms - pick((0, 0, pick(play.pace_ms))), 0)
        match pick(play.kinds) if kind == "?" else kind:
            case "s":
                sid = pick(play.ids)
                if sid in standing and not pick(range(12)):
                    events.append(Tombstone(sid))
                    standing[sid] = None
                    continue
                new = change(pick, play, sid, standing.get(sid))
                standing[sid] = settle(standing.get(sid), new).strategy
                events.append(new)
            case "c":
                events.append(Clock(ts_ms))
            case _:
                events.append(Tick(pick(play.tickers), ts_ms, conditions=pick(CODES)))
    return events


among = lru_cache(maxsize=256)(st.sampled_from)


@st.composite
def histories(draw: st.DrawFn, max_events: int = 60) -> list[Event]:
    """Histories that hypothesis makes smaller."""
    return history(lambda options: draw(among(options)), max_events)


def seeded(seed: int) -> Pick:
    """Pick by a seed: far faster than hypothesis, and the same in every run."""
    return Random(seed).choice


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
    """A shard that must stop and go on often, and whose tickers have their flags in two words."""
    shard = Shard(CONDITIONS, default_mode, tracked=tracked)
    shard._pair_fires = fire_columns(1)
    shard.index.tickers.numbers([f"never met {number}" for number in range(30)])
    return shard


def tell(told: Oracle | Shard, change: Change) -> bool:
    """Hand over a change; says whether it counts."""
    if isinstance(change, Tombstone):
        told.forget(change.strategy_id)
        return True
    return told.change(change).verdict is Verdict.ACCEPTED


def fires_of_oracle(oracle: Oracle, events: Sequence[Event]) -> list[Fire]:
    """All fires, in order."""
    fires: list[Fire] = []
    for event in events:
        if isinstance(event, Change):
            tell(oracle, event)
        else:
            fires += oracle.tick(event) if isinstance(event, Tick) else oracle.clock(event)
    return fires


def batches(events: Sequence[Event], sizes: Sequence[int]) -> list[list[Event]]:
    """The events cut into batches: a change stands alone, between two steps."""
    cuts = set(accumulate(sizes))
    parts: list[list[Event]] = [[]]
    for at, event in enumerate(events):
        if at in cuts or isinstance(event, Change) or (parts[-1] and isinstance(parts[-1][-1], Change)):
            parts.append([])
        parts[-1].append(event)
    return [part for part in parts if part]


def fires_of_shard(shard: Shard, events: Sequence[Event], sizes: Sequence[int]) -> list[Fire]:
    """All fires, in order, whatever the batches."""
    fires: list[Fire] = []
    for batch in batches(events, sizes):
        if isinstance(batch[0], Change):
            tell(shard, batch[0])
            continue
        ticks = ticks_of(shard.index.tickers, [event for event in batch if not isinstance(event, Change)])
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
    runs = {s.strategy_id: oracle.newest_run(s) for s in strategies}
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
