"""A day made up: ticks in four partitions, late ones among them, changes of all kinds, and a journal of them."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np

from streams.core.conditions import ConditionTable
from streams.core.events import Clock, Mode, Status, Strategy, Tombstone
from streams.core.flags import PER_TICKER_THROTTLE, Control, Scope
from streams.core.journal import Entry
from streams.core.turns import UNTURNED, Turn, Turns, Way
from streams.kafka.partitions import partition_of
from streams.recorded.beside import Beside, Event, Stands
from streams.recorded.placed import Refused, Ticks
from streams.recorded.source import topic_place
from streams.reference_data import load_conditions
from streams.replay.picked import part_of
from streams.replay.tick_columns import TickBatch

PARTITIONS: Final = 4
TICKERS: Final = [f"T{k}" for k in range(16)]
START_MS: Final = 1_760_000_040_000
MINUTE_MS: Final = 60_000
DAY_MINUTES: Final = 30
FRAMES: Final = ["1m", "1m", "5m", "15m", "10s", "1d", "7x"]
BLOCKED: Final = (37,)


class MadeDay:
    """A day that no topic has seen."""

    def __init__(self, seed: int, ticks: int = 3_000, *, turned: bool = False) -> None:
        draw = random.Random(seed)
        self.conditions: ConditionTable = load_conditions()
        self.warnings: list[str] = []
        times = sorted(START_MS + draw.randrange(DAY_MINUTES * MINUTE_MS) for _ in range(ticks))
        names = [draw.choice(TICKERS) for _ in times]
        self.ts_ms = [ts - draw.choice([0] * 12 + [500, 70_000, 400_000]) for ts in times]
        self.names, self.blocked = names, [draw.random() < 0.1 for _ in times]
        self.partition = [partition_of(name.encode(), PARTITIONS) for name in names]
        count = [0] * PARTITIONS
        self.offset = []
        for partition in self.partition:
            self.offset.append(count[partition])
            count[partition] += 1
        self.strategies = [self._strategy(draw, f"s{k}") for k in range(24)]
        self.beside = self._beside(draw, count, turned=turned)
        self._draw = draw

    def _strategy(self, draw: random.Random, strategy_id: str) -> Strategy:
        universe = frozenset(draw.sample(TICKERS, draw.randint(1, 8)) if draw.random() < 0.85 else [])
        mode = draw.choice([None, None, None, Mode.LEGACY, Mode.PER_TICKER])
        status = draw.choice([Status.ACTIVE] * 3 + [Status.PAUSED])
        return Strategy(strategy_id, draw.choice(FRAMES), universe, status, mode=mode)

    def _beside(self, draw: random.Random, count: list[int], *, turned: bool) -> Beside:
        """What came in, and when each shard took it."""
        now = {each.strategy_id: each for each in self.strategies}
        changes: list[tuple[int, Event]] = []
        for offset in range(90):
            strategy_id = draw.choice([*now])
            new = replace(self._strategy(draw, strategy_id), version=now[strategy_id].version + 1)
            old, before = now[strategy_id], frozenset[str]()
            if old.status is new.status is Status.ACTIVE and not new.universe:
                before = old.universe
            now[strategy_id] = new
            event = Stands(Tombstone(strategy_id)) if draw.random() < 0.1 else Stands(new, before)
            changes.append((offset, event))
        control = Control(PER_TICKER_THROTTLE, value=False, scope=Scope.PERCENTAGE, percentage=40.0)
        others: dict[tuple[str, int], list[tuple[int, Event]]] = {
            ("strategy-changes", 0): changes,
            ("controls", 0): [(0, control), (1, control._replace(value=None))],
        }
        entries = {}
        for partition in range(PARTITIONS):
            clock = [(k, Clock(START_MS + k * 7 * MINUTE_MS)) for k in range(6)]
            others["clock", partition] = list(clock)
            taken = [sorted(draw.choices(range(size + 1), k=8)) for size in (len(changes), 2, 6)]
            places = (("strategy-changes", 0), ("controls", 0), ("clock", partition))
            at = sorted(draw.choices(range(count[partition] + 1), k=8))
            entries[partition] = [
                Entry(at[k], {place: taken[n][k] for n, place in enumerate(places)}) for k in range(8)
            ]
        turns = {each.strategy_id: self._turns(draw) for each in self.strategies} if turned else {}
        start = [Stands(each) for each in self.strategies]
        return Beside(PARTITIONS, Mode.PER_TICKER, start, [], turns, {}, others, entries)

    def universe(self, version: Strategy) -> frozenset[str]:
        """The tickers of a version, as it was sent."""
        sent = [each.stands for each in self.beside.strategies]
        sent += [each.stands for _, each in self.beside.others["strategy-changes", 0] if isinstance(each, Stands)]
        same = (version.strategy_id, version.version)
        return next(
            each.universe for each in sent if isinstance(each, Strategy) and (each.strategy_id, each.version) == same
        )

    def _turns(self, draw: random.Random) -> Turns:
        times = sorted(START_MS + draw.randrange(DAY_MINUTES * MINUTE_MS) for _ in range(2))
        return draw.choice(
            [UNTURNED, (*UNTURNED, *(Turn(ms, way) for ms, way in zip(times, reversed(Way), strict=True)))]
        )

    def runs(self, *sizes: int) -> Iterator[tuple[Ticks | None, list[Refused]]]:
        """The ticks, a run at a time."""
        known = sorted(set(self.names))
        codes = np.array([code for blocked in self.blocked for code in (BLOCKED if blocked else ())], np.int32)
        ends = np.cumsum([len(BLOCKED) if blocked else 0 for blocked in self.blocked])
        name_of = np.array([known.index(name) for name in self.names], np.int32)
        whole = TickBatch(
            1, np.array(self.offset), known, name_of, np.array(self.ts_ms), ends.astype(np.int64), codes, []
        )
        partition, done, size = np.array(self.partition, np.int32), 0, (sizes or (1_000,))[0]
        while done < len(partition):
            end = min(done + size, len(partition))
            yield Ticks(part_of(whole, done, end), partition[done:end]), []
            done = end

    def progress(self) -> tuple[int, int | None]:
        return 0, None

    def told(self) -> dict[str, Any]:
        return {}

    def place(self, partition: int, offset: int) -> str:
        return topic_place("ticks", partition, offset)
