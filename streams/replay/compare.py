"""Two runs held against each other: which executions are in one, which in the other, which in both.

Rows are compared in parts, each some strategies, so that memory does not grow with the day. Of two variants of one
replay, what they share is neither read nor compared: it is the same.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from streams.errors import InputError
from streams.replay.differences import Differences
from streams.replay.matching import BOTH, MOVED, ONLY, OTHERWISE
from streams.replay.parts import parts
from streams.replay.result_folder import Result
from streams.replay.sides import Sides
from streams.replay.tick_columns import Int64s
from streams.whole_files import WholeFile

COUNTS: Final = (
    *("executions_a", "executions_b", "both", "moved"),
    *("only_a", "only_b", "otherwise_a", "otherwise_b"),
)
"""`moved` are among `both`. Of each run: what is in both, only in it, and otherwise, are all its executions."""

SCHEMA: Final = pa.schema(
    [
        pa.field("strategy_id", pa.string(), nullable=False),
        *(pa.field(f"{name}_{side}", pa.string()) for name in ("timeframe", "mode") for side in "ab"),
        *(pa.field(name, pa.int64(), nullable=False) for name in COUNTS),
    ]
)


class Compared(NamedTuple):
    """What came of it."""

    by_strategy: Any
    """A row a strategy, in the order of the ids."""
    same_inputs: bool

    def total(self, column: str) -> int:
        """Of all strategies."""
        return int(pc.sum(self.by_strategy.column(column)).as_py() or 0)

    def by_timeframe(self) -> Any:  # noqa: ANN401 - pyarrow has no types
        """The same by what the timeframe was and is."""
        keys = ["timeframe_a", "timeframe_b"]
        summed = self.by_strategy.group_by(keys).aggregate([(name, "sum") for name in COUNTS])
        named = summed.select([*keys, *(f"{name}_sum" for name in COUNTS)]).rename_columns([*keys, *COUNTS])
        return named.sort_by([(key, "ascending") for key in keys])


def compare(a: Result, b: Result, differences: Path | None = None, *, inputs_may_differ: bool = False) -> Compared:
    """Hold `b` against `a`; what differs goes row by row to the file `differences`, where one is named."""
    same_inputs = a.inputs == b.inputs
    if not same_inputs and not inputs_may_differ:
        remedy = "compare runs over the same ticks, or say --different-inputs"
        raise InputError(b.name, f"is over other ticks than {a.name}", remedy)
    sides = Sides(a, b)
    counted = np.zeros((2, 4, len(sides.strategy_ids)), np.int64)
    """By run, kind and strategy."""
    with Differences(differences, sides) as out:
        for part in parts(sides):
            found = part.matched(sides)
            for side in (0, 1):
                cell = found[side].kind * np.int64(len(sides.strategy_ids)) + part.rows[side].strategy
                counted[side] += np.bincount(cell, minlength=counted[side].size).reshape(counted[side].shape)
            out.add(part.rows, found)
    return Compared(_by_strategy(sides, counted), same_inputs)


def write_by_strategy(compared: Compared, path: Path) -> None:
    """Write the counts, whole or not at all."""
    with WholeFile(path) as file, file.trouble_named():
        pq.write_table(compared.by_strategy, file.out, compression="zstd", store_schema=False)


def _by_strategy(sides: Sides, counted: Int64s) -> Any:  # noqa: ANN401 - pyarrow has no types
    shared = sides.shared_fires
    a, b = counted
    numbers = [
        *(sides.executions + shared),
        a[BOTH] + a[MOVED] + shared,
        a[MOVED],
        *(a[ONLY], b[ONLY], a[OTHERWISE], b[OTHERWISE]),
    ]
    texts = [sides.of(side, column) for column in ("timeframe", "mode") for side in (0, 1)]
    return pa.table([pa.array(sides.strategy_ids, pa.string()), *texts, *map(pa.array, numbers)], schema=SCHEMA)
