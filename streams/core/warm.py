"""Everything that is compiled, called once: who starts here never waits for the compiler later."""

from dataclasses import replace

import numpy as np

from streams.core.conditions import ConditionTable
from streams.core.decode import NO_PREFIX
from streams.core.events import Mode, Status, Strategy
from streams.core.plan import decode_plan
from streams.core.shard import Shard, Ticks

FIELDS = ({"name": "ticker", "type": "string"}, {"name": "ts", "type": "long"})
SCHEMA = {"type": "record", "name": "Tick", "fields": FIELDS}


def warm_up(conditions: ConditionTable) -> None:
    """Take a tick and a change through every compiled function, in a shard that is thrown away."""
    shard = Shard(conditions)
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
        shard.clock(60_000 * version)
    value = np.frombuffer(b"\x02A\x80\x80\x04", np.uint8)
    ticks, _ = shard.from_values(value, np.array([0]), np.array([len(value)]), decode_plan(SCHEMA), NO_PREFIX)
    for tracked in (True, False, True):
        shard.tracked = tracked
        shard.in_order(shard.step(ticks), 1)
    nothing = np.zeros(0, np.int32)
    shard.from_columns(["A"], np.zeros(1, np.int32), np.zeros(1, np.int64), nothing, np.zeros(1, np.int64))
    shard.step(Ticks(nothing, np.zeros(0, np.int64), np.zeros(0, np.uint8)))
