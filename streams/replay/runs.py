"""A run of ticks out of one file or several: what a replay takes at once."""

from typing import NamedTuple

import numpy as np

from streams.replay.rejects import Reject
from streams.replay.tick_columns import Int32s, TickBatch


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
        file_of = np.full(len(batch.ts_ms), file, np.int32)
        return cls(batch, file_of, [Placed(file, reject) for reject in batch.rejects])

    @classmethod
    def of_none(cls, refused: list[Placed]) -> "Run":
        """Refused rows alone."""
        none = np.zeros(0, np.int64)
        batch = TickBatch(1, none, [], none.astype(np.int32), none, none, none.astype(np.int32), [])
        return cls(batch, none.astype(np.int32), refused)
