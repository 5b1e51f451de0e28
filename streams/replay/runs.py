"""A run of ticks out of one file or several: what a replay takes at once."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from streams.core.columns import Bytes
from streams.core.conditions import ConditionTable
from streams.core.decode import judged
from streams.replay.rejects import Reject
from streams.replay.tick_columns import Int32s, Int64s, TickBatch


class Placed(NamedTuple):
    """A refused row, and the number of its file."""

    file: int
    reject: Reject


class Run(NamedTuple):
    """Ticks in the order to take them, where each comes from, and the rows refused among them."""

    batch: TickBatch
    file_of: Int32s
    refused: list[Placed]

    @classmethod
    def of_file(cls, file: int, batch: TickBatch) -> "Run":
        """A batch of one file."""
        file_of = np.broadcast_to(np.int32(file), len(batch.ts_ms))  # takes no memory
        return cls(batch, file_of, [Placed(file, reject) for reject in batch.rejects])

    @classmethod
    def of_none(cls, refused: list[Placed]) -> "Run":
        """Refused rows alone."""
        none = np.zeros(0, np.int64)
        batch = TickBatch(1, none, [], none.astype(np.int32), none, none, none.astype(np.int32), [])
        return cls(batch, none.astype(np.int32), refused)


class Judged(NamedTuple):
    """A run with no more of its ticks than deciding reads: less than half the memory of one that waits."""

    names: list[str]
    name_of: Int32s
    ts_ms: Int64s
    moves_price: Bytes
    rows: Int64s
    file_of: Int32s
    refused: list[Placed]


def all_judged(runs: Iterable[Run], conditions: ConditionTable) -> Iterator[Judged]:
    """Run after run, each tick judged by its condition codes."""
    for batch, file_of, refused in runs:
        moves_price = judged(batch.codes, batch.code_ends, conditions.blocks, conditions.unlisted_blocks)
        yield Judged(batch.names, batch.name_of, batch.ts_ms, moves_price, batch.rows, file_of, refused)
