"""The rows of a shard as they stood at a tick: what its changelog held by then, or a refusal where that is gone."""

from random import Random
from typing import Any, NamedTuple

import numpy as np
import pytest

from streams.core.events import Strategy
from streams.core.limits import NEVER
from streams.core.shard import Shard
from streams.core.state_rows import StateRows
from streams.kafka.fetch import RawRun
from streams.kafka.record_batch import RecordColumns
from streams.recorded import rows_then
from streams.recorded.rows_then import RowsThen
from streams.reference_data import load_conditions
from tests.core.changelogs import remembered

NAMES = [f"T{k}" for k in range(6)]
MINUTE_MS = 60_000
CONDITIONS = load_conditions()


class Kept(NamedTuple):
    """A record in the log."""

    offset: int
    ts_ms: int
    key: bytes
    value: bytes | None


class Checkpoint(NamedTuple):
    """What was written by one, and what stood then."""

    tick: int
    stood: dict[str, dict[str, int]]
    updates: dict[str, int]


class Lived:
    """A shard at work, and its two logs. Each checkpoint's rows are cut into batches of two."""

    def __init__(self, draw: Random) -> None:
        self.log, self.updates = list[Kept](), list[Kept]()
        self.ends: list[int] = []
        """Of batches: where the cleaner may stand."""
        self.checkpoints: list[Checkpoint] = []
        shard = Shard(CONDITIONS)
        for k in range(4):
            shard.change(Strategy(f"s{k}", draw.choice(["1m", "5m"]), frozenset(draw.sample(NAMES, 3))))
        rows, tick, ts_ms = StateRows(shard), 0, 0
        for _ in range(draw.randint(2, 12)):
            for _ in range(draw.randint(0, 3)):
                ts_ms += draw.choice([0, 20_000, MINUTE_MS])
                rows.note(shard.step(ticks_of(shard, [draw.choice(NAMES)], ts_ms - draw.choice([0, 0, 90_000]))))
                tick += 1
            encoded = rows.encode(tick)
            self._append(self.log, encoded.last_bucket)
            self._append(self.updates, encoded.last_update)
            self.checkpoints.append(Checkpoint(tick, remembered(shard), updated(shard)))

    def _append(self, log: list[Kept], rows: Any) -> None:
        start = log[-1].offset + 2 if log else 0  # what ends a transaction takes an offset
        log += [Kept(start + k, int(rows.ts_ms[k]), rows.key(k), rows.value(k)) for k in range(rows.count)]
        if log is self.log:
            self.ends += [*range(start + 2, start + rows.count, 2), start + rows.count]

    def cleaned(self, end: int) -> None:
        """Of what lies before, the last record of each key is left."""
        last = {each.key: each for each in self.log if each.offset < end}
        self.log = [each for each in self.log if each.offset >= end or last[each.key] is each]


def ticks_of(shard: Shard, names: list[str], ts_ms: int) -> Any:
    times = np.full(len(names), max(ts_ms, 0), np.int64)
    numbers = np.arange(len(names), dtype=np.int32)
    return shard.from_columns(names, numbers, times, np.zeros(0, np.int32), np.zeros(len(names), np.int64))[0]


def updated(shard: Shard) -> dict[str, int]:
    times = shard.index.columns.tickers.last_update
    return {name: int(ts) for name, ts in zip(shard.index.tickers.all_names(), times, strict=False) if ts != NEVER}


def run_of(records: list[Kept], position: int) -> RawRun:
    buffer, spans = bytearray(), list[int]()
    for each in records:
        for part in (each.key, each.value):
            spans += (-1, -1) if part is None else (len(buffer), len(buffer) + len(part))
            buffer += part or b""
    columns = np.array(spans, np.int64).reshape(-1, 4).T.copy()
    offset, ts_ms = (np.array([each[n] for each in records], np.int64) for n in (0, 1))
    none = np.zeros(len(records), np.int64)
    data = np.frombuffer(bytes(buffer), np.uint8)
    return RawRun(
        "log",
        0,
        0,
        position,
        RecordColumns(data, offset, ts_ms, columns[0], columns[1], columns[2], columns[3], none, none),
    )


def read(lived: Lived, tick: int, draw: Random) -> RowsThen:
    """Both logs in runs of any size."""
    rows = RowsThen(tick)
    for log, take in ((lived.log, rows.take), (lived.updates, rows.take_updates)):
        left = list(log)
        while left and not rows.is_over:
            size = draw.choice([1, 2, 5, len(left)])
            take(run_of(left[:size], left[min(size, len(left)) - 1].offset + 1))
            left = left[size:]
        if log is lived.log:
            rows.ended()
    return rows


def may_stand_at(lived: Lived, tick: int) -> list[Checkpoint]:
    """The first that comes to the tick; those behind it too, where it is gone; else the last before it."""
    before = [Checkpoint(0, {}, {}), *(each for each in lived.checkpoints if each.tick < tick)]
    there = [each for each in lived.checkpoints if each.tick == tick > 0]
    return there or before[-1:]


@pytest.mark.parametrize("seed", range(100))
def test_rows_are_those_of_the_last_checkpoint_before_or_are_refused(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_then, "MOST_ROW_BYTES_BEHIND", 0)  # no batch is known to be whole
    draw = Random(seed)
    lived = Lived(draw)
    is_cleaned = draw.random() < 0.8
    before = len(lived.log)
    if is_cleaned:
        for _ in range(draw.randint(1, 2)):
            lived.cleaned(draw.choice(lived.ends))
    lost = before - len(lived.log)
    for tick in range(lived.checkpoints[-1].tick + 2):
        rows, may_stand = read(lived, tick, draw), may_stand_at(lived, tick)
        if rows.eaten() is not None:
            assert lost
            continue
        shard = Shard(CONDITIONS)
        restored = rows.recovery.finish(shard)
        wanted = next(each for each in (may_stand if lost else may_stand[:1]) if each.stood == remembered(shard))
        assert (restored.position.next_offset if restored.position else 0) == wanted.tick
        if not wanted.tick:
            continue
        newest_ms = max(wanted.updates.values())
        goes_on = any(each.tick > wanted.tick and max(each.updates.values()) == newest_ms for each in lived.checkpoints)
        assert goes_on or updated(shard) == wanted.updates  # within the same moment they may be newer


def test_the_newest_rows_are_there_however_often_the_log_is_cleaned() -> None:
    """Else nothing could be warmed up in an old environment."""
    for seed in range(40):
        draw = Random(seed)
        lived = Lived(draw)
        lived.cleaned(lived.ends[-1])
        if not lived.checkpoints[-1].tick:
            continue
        rows = read(lived, lived.checkpoints[-1].tick, draw)
        assert rows.eaten() is None
        assert rows.position is not None
        assert rows.position.next_offset == lived.checkpoints[-1].tick


def test_what_is_gone_is_told_with_where_to_begin() -> None:
    for seed in range(40):
        draw = Random(seed)
        lived = Lived(draw)
        lived.cleaned(lived.ends[-1])
        early = [each.tick for each in lived.checkpoints if 0 < each.tick < lived.checkpoints[-1].tick]
        if not early:
            continue
        eaten = read(lived, early[0], draw).eaten()
        assert eaten is not None
        assert eaten.first_offset == lived.checkpoints[-1].tick
        assert read(lived, eaten.first_offset, draw).eaten() is None
