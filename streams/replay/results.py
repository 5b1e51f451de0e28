"""What a replay leaves behind: the executions, the rows it refused, and the manifest.

The bytes of each file follow from its content alone: not from how it was handed over in batches, nor from
the time of day. Each appears whole or not at all.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from streams.replay.rejects import Reject
from streams.whole_files import WholeFile, write_whole

GROUP_ROWS: Final = 1 << 17
"""Rows of one row group. Fixed, as the bytes of the file depend on it."""

MAX_PIECES: Final = 512
"""Pieces of a row group that wait side by side before they are joined: a piece has a cost of its own."""

SCHEMA: Final = pa.schema(
    [
        pa.field("strategy_id", pa.string(), nullable=False),
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("bucket_ms", pa.int64(), nullable=False),
        pa.field("ts", pa.int64(), nullable=False),
        pa.field("mode", pa.string(), nullable=False),
    ]
)

WITH_DEFINITION: Final = SCHEMA.insert(0, pa.field("definition", pa.int32(), nullable=False))
"""What a replay of several variants writes: see `definitions.py`."""

ENCODING: Final[dict[str, Any]] = {
    "compression": "zstd",
    "use_dictionary": ["definition", "strategy_id", "ticker", "bucket_ms", "mode"],
    "column_encoding": {"ts": "DELTA_BINARY_PACKED"},
    "write_statistics": ["bucket_ms", "ts"],
    "store_schema": False,
}

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]


class ExecutionsWriter:
    """Writes `executions.parquet`, one row a fired pair, in the order of `add`; takes the place of an earlier one.

    Used in a `with`: the file is there after a clean end of it, and only then.
    """

    def __init__(self, path: Path, schema: Any = SCHEMA) -> None:  # noqa: ANN401 - pyarrow has no types
        self.rows = 0
        self._schema = schema
        self._file = WholeFile(path)
        self._waiting: list[Any] = []
        self._waiting_rows = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._file)
            with self._file.trouble_named():
                self._parquet = pq.ParquetWriter(self._file.out, self._schema, **ENCODING)
            stack.push(self._finish)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(  # noqa: PLR0913, PLR0917 - the columns of one batch, side by side
        self,
        strategy_names: Sequence[str],
        strategy: Int32s,
        ticker_names: Sequence[str],
        ticker: Int32s,
        bucket_ms: Int64s,
        ts_ms: Int64s,
        mode_names: Sequence[str],
        mode: Int32s,
    ) -> None:
        """Add the rows of a batch: texts as positions in a list of names. A ticker of -1 is the empty text."""
        definition = [] if self._schema is SCHEMA else [pa.array(strategy, pa.int32())]
        columns = [
            *definition,
            _texts(strategy_names, strategy),
            _texts(ticker_names, ticker),
            pa.array(bucket_ms, pa.int64()),
            pa.array(ts_ms, pa.int64()),
            _texts(mode_names, mode),
        ]
        self.take(pa.record_batch(columns, schema=self._schema))

    def take(self, batch: Any) -> None:  # noqa: ANN401 - pyarrow has no types
        """Add rows that are columns. They wait until a row group is full: its bounds do not hang on the batches."""
        at = 0
        while at < len(batch):
            piece = batch.slice(at, GROUP_ROWS - self._waiting_rows)
            self._waiting.append(piece)
            self._waiting_rows += len(piece)
            at += len(piece)
            if self._waiting_rows == GROUP_ROWS:
                self._write_group()
        self.rows += len(batch)
        if len(self._waiting) > MAX_PIECES:
            self._waiting = [pa.concat_batches(self._waiting)]

    def _write_group(self) -> None:
        """Write what waits as one row group, joined first: pages break where arrays do."""
        if self._waiting:
            with self._file.trouble_named():
                self._parquet.write_batch(pa.concat_batches(self._waiting), row_group_size=GROUP_ROWS)
        self._waiting = []
        self._waiting_rows = 0

    def _finish(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write the rest and the footer on a clean end; let go of the writer on any."""
        try:
            if kind is None:
                self._write_group()
                with self._file.trouble_named():
                    self._parquet.close()
        finally:
            with contextlib.suppress(OSError, ValueError, pa.ArrowException):
                self._parquet.close()


def _texts(names: Sequence[str], index: Int32s) -> Any:  # noqa: ANN401 - pyarrow has no types
    """The named texts as a plain column. A few rows of many names cost what the few rows do."""
    if len(index) < len(names) or (len(index) and index.min() < 0):
        used, which = np.unique(index, return_inverse=True)
        names = [names[i] if i >= 0 else "" for i in used.tolist()]
        index = which.astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(index), pa.array(names, pa.string())).cast(pa.string())


class RejectsWriter(WholeFile):
    """Writes `rejected.jsonl`, a line for each row refused. An empty file says that there was none."""

    rows = 0

    def add(self, rejects: Iterable[tuple[Reject, str]]) -> None:
        """Add some rows, each with what its file is called, where there are several."""
        for reject, file in rejects:
            line = {"file": file, **reject._asdict()} if file else reject._asdict()
            self.write(json.dumps(line, ensure_ascii=False) + "\n")
            self.rows += 1


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write a manifest; keys are sorted, so that equal ones have equal bytes."""
    text = json.dumps(manifest, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
    write_whole(path, [text, "\n"])
