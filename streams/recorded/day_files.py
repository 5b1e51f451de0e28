"""Ticks of a topic as Parquet files, one a day, in the order of a replay; `tickgate replay` reads the folder as it is.

A tick stands in the file of the day that its partition has come to, UTC. So a late one keeps its place.
"""

import contextlib
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streams.core.timeframes import DAY_MS
from streams.recorded.placed import NO_SIZE, Placed
from streams.whole_files import WholeFile

GROUP_ROWS: Final = 1 << 17

_TICKER: Final = pa.dictionary(pa.int32(), pa.string())
SCHEMA: Final = pa.schema(
    [
        pa.field("ticker", _TICKER, nullable=False),
        pa.field("ts", pa.int64(), nullable=False),
        pa.field("price", pa.float64()),
        pa.field("size", pa.int64()),
        pa.field("conditions", pa.list_(pa.int32()), nullable=False),
        pa.field("topic", _TICKER, nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
    ]
)
ENCODING: Final[dict[str, Any]] = {
    "compression": "zstd",
    "use_dictionary": ["ticker", "topic", "partition", "size"],
    "column_encoding": {"ts": "DELTA_BINARY_PACKED", "offset": "DELTA_BINARY_PACKED"},
    "store_schema": False,
}


class DayFile(NamedTuple):
    """A file that is whole."""

    name: str
    ticks: int
    backwards: bool
    """Whether times in it run backwards: ticks that came late."""


class DayFiles:
    """Writes the files of a folder, one after the other. Used in a `with`."""

    def __init__(self, folder: Path, topic: str) -> None:
        self.written: list[DayFile] = []
        self._folder, self._topic = folder, topic
        self._day: int | None = None
        self._waiting: list[Any] = []
        self._ticks, self._newest_ms, self._backwards = 0, 0, False
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._end()
        else:
            self._open.__exit__(kind, error, trace)

    def add(self, placed: Placed) -> None:
        """Add ticks."""
        days = placed.order_ms // DAY_MS
        firsts = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
        for start, end in pairwise(firsts):
            if start < end:
                self._begin(int(days[start]))
                self._add(placed.part(start, end))

    def _begin(self, day: int) -> None:
        """Go on to the file of a day."""
        if day == self._day:
            return
        self._end()
        self._day, self._ticks, self._backwards = day, 0, False
        name = f"ticks-{datetime.fromtimestamp(day * DAY_MS / 1000, UTC):%Y-%m-%d}.parquet"
        self._file = self._open.enter_context(WholeFile(self._folder / name))
        with self._file.trouble_named():
            self._parquet = pq.ParquetWriter(self._file.out, SCHEMA, **ENCODING)
        self._open.push(self._close)

    def _add(self, placed: Placed) -> None:
        ts_ms = placed.ticks.batch.ts_ms
        before = np.concatenate(([self._newest_ms], ts_ms[:-1]))
        self._backwards = self._backwards or bool((ts_ms < before).any())
        self._ticks, self._newest_ms = self._ticks + len(placed), int(ts_ms[-1])
        self._waiting.append(self._columns(placed))
        if sum(map(len, self._waiting)) >= GROUP_ROWS:
            self._write()

    def _columns(self, placed: Placed) -> Any:  # noqa: ANN401 - pyarrow has no types
        batch, partition = placed.ticks
        used, name_of = np.unique(batch.name_of, return_inverse=True)
        names = pa.array([batch.names[at] for at in used.tolist()], pa.string())
        lists = np.concatenate(([0], batch.code_ends)).astype(np.int32)
        columns = [
            pa.DictionaryArray.from_arrays(pa.array(name_of.astype(np.int32)), names),
            pa.array(batch.ts_ms),
            pa.array(placed.price, mask=np.isnan(placed.price)),
            pa.array(placed.size, mask=placed.size == NO_SIZE),
            pa.ListArray.from_arrays(pa.array(lists), pa.array(batch.codes, pa.int32())),
            pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(placed), np.int32)), pa.array([self._topic])),
            pa.array(partition),
            pa.array(batch.rows),
        ]
        return pa.record_batch(columns, schema=SCHEMA)

    def _write(self) -> None:
        table = pa.Table.from_batches(self._waiting, SCHEMA).unify_dictionaries()
        self._waiting = []
        with self._file.trouble_named():
            self._parquet.write_table(table, row_group_size=GROUP_ROWS)

    def _end(self) -> None:
        """Let the file that is open be whole."""
        if self._day is None:
            return
        if self._waiting:
            self._write()
        self._open.__exit__(None, None, None)
        self._open = contextlib.ExitStack()
        self.written.append(DayFile(self._file.path.name, self._ticks, self._backwards))
        self._day = None

    def _close(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write the footer on a clean end; let go of the writer on any."""
        if kind is None:
            with self._file.trouble_named():
                self._parquet.close()
        else:
            with contextlib.suppress(OSError, ValueError, pa.ArrowException):
                self._parquet.close()
