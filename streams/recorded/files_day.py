"""Files of ticks and one of strategies as a day: one shard, and strategies that stay as they are."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from streams.core.conditions import ConditionTable
from streams.core.events import Mode
from streams.recorded.beside import of_strategies
from streams.recorded.placed import Refused, Ticks
from streams.replay.find_files import find_files
from streams.replay.hashes import hashed
from streams.replay.in_order import Order, in_order
from streams.replay.tick_files import open_ticks
from streams.strategy_file import read_strategies

ROW_BITS: Final = 40
"""Of an offset here: the row, with the number of the file above it."""


class FilesDay:
    """What `tickgate replay` reads."""

    def __init__(
        self, ticks: Sequence[Path], strategies: Path, conditions: ConditionTable, batch_ticks: int, order: Order
    ) -> None:
        """Open the files; raises `InputError`."""
        read = read_strategies(strategies)
        self.beside, self.conditions = of_strategies(read.strategies, Mode.PER_TICKER), conditions
        self._found, self._order = find_files(ticks), order
        self._files = [open_ticks(file.path, batch_ticks) for file in self._found]
        self.warnings = list(read.warnings)

    def runs(self) -> Iterator[tuple[Ticks | None, list[Refused]]]:
        """The ticks in the order that was asked for."""
        for run in in_order(self._files, self._order):
            offset = (run.file_of.astype(np.int64) << ROW_BITS) | run.batch.rows
            refused = [Refused(0, each.file << ROW_BITS | each.reject.row, *each.reject[1:]) for each in run.refused]
            yield Ticks(run.batch._replace(rows=offset), np.zeros(len(offset), np.int32)), refused

    def progress(self) -> tuple[int, int | None]:
        """Rows."""
        return sum(file.rows_read for file in self._files), None

    def told(self) -> dict[str, Any]:
        """Which files."""
        return {"ticks": [hashed(file.path) for file in self._found]}

    def place(self, partition: int, offset: int) -> str:
        """Where a tick stands; all files are one partition."""
        del partition
        return f"{self._found[offset >> ROW_BITS].label}, row {offset & ((1 << ROW_BITS) - 1)}"
