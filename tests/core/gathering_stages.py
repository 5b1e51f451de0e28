"""Two ways from events to executions, emission by emission: plainly, and as a worker does; and markets for both."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from streams.core.events import Clock, Fire, Mode, Strategy, Tick, Tombstone
from streams.core.executions import MAX_EXECUTION_BYTES, MOST_BYTES_BESIDE_TICKERS
from streams.core.gathered import Step
from streams.core.gathering import Gathering, Group
from streams.core.oracle import Oracle
from streams.core.records import EncodedRecords
from streams.core.shard import Shard
from streams.core.state_rows import StateRows
from streams.core.turns import universe_before
from tests.core.changelogs import Changelogs
from tests.core.decoded_executions import PARTITION, TOPIC, decoded, executions_of
from tests.core.histories import CONDITIONS, Change, Event, Pick, tell, ticks_of

Execution = dict[str, Any]
FEW_TICKERS = MOST_BYTES_BESIDE_TICKERS + 70
"""Bytes of an execution that has room for the longest ticker there may be, or for a few short ones."""


class Plain:
    """The oracle and the plain window."""

    def __init__(self, default_ms: int = 0, max_bytes: int = MAX_EXECUTION_BYTES, mode: Mode = Mode.PER_TICKER) -> None:
        self.oracle = Oracle(CONDITIONS, mode)
        self.gathering = Gathering(executions_of(Shard(CONDITIONS), max_bytes).room, default_ms)
        self.waiting: list[Group] = []
        self.offset = 0

    def change(self, change: Change) -> None:
        if tell(self.oracle, change):
            self.waiting += self.gathering.change(change.strategy_id)

    def emit(self, events: Sequence[Event]) -> list[Execution]:
        """One emission over ticks and clocks: what changes have closed, what is due, what is not gathered."""
        flushed = sorted(self.waiting, key=lambda group: (group.due_ms, group.first_offset, group.strategy.strategy_id))
        self.waiting = []
        closed: list[Group] = []
        at_once: list[tuple[int, Fire]] = []
        for event in events:
            fires = self.oracle.tick(event) if isinstance(event, Tick) else self.oracle.clock(clock_of(event))
            taken = self.gathering.take(fires, self.offset, self.oracle.stream_ms, self.oracle.strategies)
            closed += taken.closed
            at_once += [(self.offset, fire) for fire in taken.at_once]
            self.offset += 1
        return [*map(shown, flushed), *map(shown, closed), *self.at_once(at_once)]

    def at_once(self, fires: Sequence[tuple[int, Fire]]) -> list[Execution]:
        """What is not gathered: one execution for each strategy and bucket of the emission, if its tickers fit."""
        found: list[Execution] = []
        running: dict[tuple[str, int], Execution] = {}
        for offset, fire in fires:
            size, key = len(fire.ticker.encode()) + 1, (fire.strategy_id, fire.bucket_ms)
            into = running.get(key)
            if not fire.ticker or into is None or into["size"] + size > self.gathering.room:
                strategy = self.oracle.strategies[fire.strategy_id]
                into = execution(strategy, str(fire.mode), fire.bucket_ms, offset, fire.ts_ms)
                found.append(into)
                if fire.ticker:
                    running[key] = into
            into["cause"]["last_offset"], into["ts"] = offset, min(into["ts"], fire.ts_ms)
            if fire.ticker:
                into["tickers"].append(fire.ticker)
                into["scope"] = "tickers"
            into["size"] += size
        return [{name: value for name, value in each.items() if name != "size"} for each in found]


def clock_of(event: Event) -> Clock:
    assert isinstance(event, Clock)
    return event


def execution(strategy: Strategy, mode: str, bucket_ms: int, offset: int, ts_ms: int) -> Execution:
    """One without tickers yet."""
    return {
        "execution_id": f"{strategy.strategy_id}|{bucket_ms}|{TOPIC}-{PARTITION}@{offset}",
        "strategy_id": strategy.strategy_id,
        "strategy_version": strategy.version,
        "mode": mode,
        "timeframe": strategy.timeframe,
        "bucket_ms": bucket_ms,
        "tickers": [],
        "scope": "universe",
        "ts": ts_ms,
        "cause": {"topic": TOPIC, "partition": PARTITION, "first_offset": offset, "last_offset": offset},
        "metadata": {},
        "run_id": "",
        "size": 0,
    }


def shown(group: Group) -> Execution:
    """A group as an execution."""
    made = execution(group.strategy, "per_ticker", group.bucket_ms, group.first_offset, group.ts_ms)
    del made["size"]
    made["cause"]["last_offset"] = group.last_offset
    return {**made, "tickers": group.tickers, "scope": "tickers"}


class Fast:
    """A shard, what it has gathered, and its changelogs, as a worker has them."""

    def __init__(self, default_ms: int = 0, max_bytes: int = MAX_EXECUTION_BYTES, mode: Mode = Mode.PER_TICKER) -> None:
        self.default_ms, self.max_bytes, self.mode = default_ms, max_bytes, mode
        self.logs = Changelogs()
        self.standing: dict[str, Strategy] = {}
        self.before: dict[str, frozenset[str]] = {}
        self.offset = 0
        self.records: list[EncodedRecords] = []
        self._begin(Shard(CONDITIONS, mode))
        self.rows = StateRows(self.shard)

    def _begin(self, shard: Shard) -> None:
        self.shard = shard
        self.shard.index.windows.default_ms = self.default_ms
        self.executions = executions_of(shard, self.max_bytes)

    def change(self, change: Change) -> None:
        if tell(self.shard, change):
            old = self.standing.pop(change.strategy_id, None)
            known = self.before.pop(change.strategy_id, frozenset())
            if isinstance(change, Strategy):
                self.standing[change.strategy_id] = change
                self.before[change.strategy_id] = universe_before(old, known, change)

    def emit(self, events: Sequence[Event], cuts: Sequence[int] = ()) -> list[Execution]:
        """One emission, over several steps."""
        shard, gathered = self.shard, self.shard.gathered
        self._send(self.executions.encode_gathered(gathered.take_closed(shard.rank())))
        sent, steps = len(self.records) - 1, []
        for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True):
            part = [event for event in events[start:end] if not isinstance(event, Change)]
            offsets = np.arange(self.offset, self.offset + len(part))
            ticks, before_ms = ticks_of(shard.index.tickers, part), shard.stream_ms
            fires = shard.step(ticks)
            self.rows.note(fires)
            steps.append(gathered.take(fires, Step(ticks, offsets, before_ms), shard.rank(), self.executions.room))
            self.offset += len(part)
        gathered.close_due(shard.stream_ms)
        self._send(self.executions.encode_gathered(gathered.take_closed(shard.rank())))
        self._send(self._at_once(steps, [0, *cuts], len(events)))
        return [each for records in self.records[sent:] for each in decoded(records)]

    def _at_once(self, steps: Sequence[Any], starts: Sequence[int], count: int) -> EncodedRecords:
        moved = [fires._replace(tick=fires.tick + np.int32(at)) for fires, at in zip(steps, starts, strict=True)]
        fires = type(steps[0])._make(map(np.concatenate, zip(*moved, strict=True)))
        return self.executions.encode(fires, np.arange(self.offset - count, self.offset))

    def _send(self, records: EncodedRecords) -> None:
        self.records.append(records)

    def checkpoint(self) -> None:
        self.logs.append(self.rows.encode(self.offset))

    def replaced(self, pick: Pick, absent: frozenset[str] = frozenset()) -> None:
        """Go on from the rows of the last checkpoint, with the strategies that stand, in any order."""
        turns = self.shard.index.ways.turns
        self._begin(Shard(CONDITIONS, self.mode))
        self.shard.index.ways.turns.update(turns)
        self.rows, position = self.logs.restore(self.shard, pick)
        self.offset = position.next_offset if position else 0
        waiting = sorted(self.standing.keys() - absent)
        while waiting:
            strategy_id = pick(waiting)
            waiting.remove(strategy_id)
            self.shard.stand(self.standing[strategy_id], self.before[strategy_id])
        self.shard.all_stand()

    @property
    def values(self) -> list[bytes | None]:
        """All that was sent, to the byte."""
        return [records.value(i) for records in self.records for i in range(records.count)]


def with_windows(events: Sequence[Event], pick: Pick) -> list[Event]:
    """The same history, in which strategies name windows."""
    windows = (None, None, 0, 1, 1_000, 20_000, 60_000)
    return [replace(each, coalesce_ms=pick(windows)) if isinstance(each, Strategy) else each for each in events]


def busy(pick: Pick, *, is_late: bool = True, windows: Sequence[int | None] = (None, 0, 1, 300, 2_000)) -> list[Event]:
    """A dense market: much fires for the same strategy and bucket, and groups of many strategies are open together."""
    tickers = [f"T{number}" for number in range(12)] + ["LONGEST-TICKER-OF-ALL", "ANOTHER-LONG-TICKER"]
    now_ms = pick((0, 1_760_000_000_000, 1_760_000_059_000))
    versions: dict[str, int] = {}

    def strategy() -> Strategy:
        sid = pick(("s1", "s10", "s2", "a", "b", "c"))
        versions[sid] = versions.get(sid, 0) + 1
        some = frozenset(pick(tickers) for _ in range(pick((1, 3, 8, 30))))
        timeframe, window_ms = pick(("1s", "5s", "1m", "1d")), pick(windows)
        return Strategy(sid, timeframe, some, version=versions[sid], coalesce_ms=window_ms)

    def edit() -> Event:
        return Tombstone(pick(sorted(versions))) if not pick(range(6)) else strategy()

    events: list[Event] = [strategy() for _ in range(pick((3, 6)))]
    for _ in range(pick((10, 60, 150))):
        now_ms += pick((0, 0, 1, 40, 200, 999))
        late_ms = pick((0, 0, 0, 1, 300, 1_000, 5_000)) if is_late else 0
        kind = pick("tttttttttttttttcs" if is_late else "t")
        ts_ms = max(0, now_ms - late_ms)
        events.append(edit() if kind == "s" else Clock(ts_ms) if kind == "c" else Tick(pick(tickers), ts_ms))
    return events
