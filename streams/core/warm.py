"""Everything that is compiled, called once: who starts here never waits for the compiler later."""

from dataclasses import replace

import numpy as np

from streams.core import kernel
from streams.core.asked import Asked
from streams.core.conditions import ConditionTable
from streams.core.decisions import Recorder
from streams.core.decode import NO_PREFIX
from streams.core.events import Mode, Status, Strategy
from streams.core.executions import Executions
from streams.core.gathered import Step
from streams.core.latest import FIRST_KEYS, Latest, RowRun
from streams.core.plan import decode_plan
from streams.core.records import EncodedRecords, by_partition, records_of, section
from streams.core.restore import Recovery
from streams.core.shard import Shard, Ticks
from streams.core.state_rows import StateRows

FIELDS = ({"name": "ticker", "type": "string"}, {"name": "ts", "type": "long"})
SCHEMA = {"type": "record", "name": "Tick", "fields": FIELDS}


def warm_up(conditions: ConditionTable) -> None:
    """Take a tick and a change through every compiled function, in a shard that is thrown away."""
    shard = Shard(conditions)
    shard.compare(on=True)
    universe, more = frozenset({"A"}), frozenset("ABCDEFGH")
    changes = (
        Strategy("s", "1m", universe),
        Strategy("s", "1m", more),
        Strategy("s", "1m", more, mode=Mode.LEGACY),
        Strategy("s", "1m", universe, mode=Mode.LEGACY, status=Status.PAUSED),
        Strategy("s", "1m"),
        Strategy("s", "1m", universe),
    )
    for version, change in enumerate(changes, 1):
        shard.change(replace(change, version=version))
        assert shard.next_due_ms >= shard.stream_ms
        shard.clock(60_000 * version)
    value = np.frombuffer(b"\x02A\x80\x80\x04", np.uint8)
    new_name, plan, start = np.frombuffer(b"\x02Z\x80\x80\x04", np.uint8), decode_plan(SCHEMA), np.array([0])
    shard.from_values(new_name, start, np.array([len(new_name)]), plan, NO_PREFIX)
    ticks, _ = shard.from_values(value, start, np.array([len(value)]), plan, NO_PREFIX)
    for tracked in (True, False, True):
        shard.tracked = tracked
        shard.in_order(shard.step(ticks), 1)
    nothing = np.zeros(0, np.int32)
    shard.from_columns(["A"], np.zeros(1, np.int32), np.zeros(1, np.int64), nothing, np.zeros(1, np.int64))
    shard.end_round()
    kernel.count_late_of(shard.index.columns, np.zeros(1, np.int32))  # else only an edit behind a late tick comes here
    assert shard.shadow is not None
    shard.shadow.counts_of("s")
    shard.step(Ticks(nothing, np.zeros(0, np.int64), np.zeros(0, np.uint8)))
    warm_up_emission(Shard(conditions), ticks)


def warm_up_emission(shard: Shard, ticks: Ticks) -> None:
    """Take the fires of a tick through what leaves a shard, and its rows back into another."""
    offsets = np.zeros(1, np.int64)
    for strategy_id, coalesce_ms in (("s", 0), ("t", 1), ("u", 1)):
        shard.change(Strategy(strategy_id, "1m", frozenset({"A"}), coalesce_ms=coalesce_ms))
    recorder = Recorder(shard.index, Asked(frozenset("s")))
    recorder.before(ticks)
    executions, rows, fires = Executions(shard, "ticks", 0, 0), StateRows(shard), shard.step(ticks)
    recorder.after(fires)
    recorder.take()
    at_once = shard.gathered.take(fires, Step(ticks, offsets, 0), shard.rank(), executions.room)
    shard.change(Strategy("u", "1m", version=2))
    for _, records in by_partition(executions.encode(at_once, offsets), 1):
        section(records, 0, records.count)
    executions.encode_gathered(shard.gathered.take_closed(shard.rank()))
    rows.note(fires)
    recovery = Recovery()
    for latest, row in zip((recovery.last_update, recovery.last_bucket), rows.encode(1), strict=True):
        latest.take(run_of(row))
    again = Shard(shard.conditions)
    recovery.finish(again)
    again.gathered.close_due(again.gathered.due_ms)
    Latest("").take(run_of(records_of(((bytes([key]), b"") for key in range(2 * FIRST_KEYS)), 0)))


def run_of(rows: EncodedRecords) -> RowRun:
    """Rows as they come back."""
    spans = (rows.key_start, rows.key_end, rows.value_start, rows.value_end)
    return RowRun(rows.data, np.arange(rows.count), *spans)
