"""What a replay leaves behind: the executions, the rows it refused, and the manifest.

The bytes of each file follow from its content alone: not from how it was handed over in batches, nor from
the time of day. Each appears whole or not at all.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

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
Numbers = npt.NDArray[Any]

_KINDS: Final = {pa.string(): pa.dictionary(pa.int32(), pa.string())}
"""How columns are handed to the writer: what is a dictionary already is not looked through again."""


class Batch(NamedTuple):
    """Rows as columns side by side: texts as positions in a list of names. A ticker of -1 is the empty text."""

    strategy_names: Sequence[str]
    strategy: Int32s
    ticker_names: Sequence[str]
    ticker: Int32s
    bucket_ms: Int64s
    ts_ms: Int64s
    mode_names: Sequence[str]
    mode: Int32s


class ExecutionsWriter:
    """Writes `executions.parquet`, one row a fired pair, in the order of `add`; takes the place of an earlier one.

    Used in a `with`: the file is there after a clean end of it, and only then.
    """

    def __init__(self, path: Path, *, with_definition: bool = False) -> None:
        self.rows = 0
        self._schema = WITH_DEFINITION if with_definition else SCHEMA
        self._written = pa.schema([field.with_type(_KINDS.get(field.type, field.type)) for field in self._schema])
        self._file = WholeFile(path)
        self._waiting: list[list[Numbers]] = []
        """Columns side by side, texts as their numbers in the row group."""
        self._waiting_rows = 0
        self._texts = _no_texts()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._file)
            with self._file.trouble_named():
                self._parquet = pq.ParquetWriter(self._file.out, self._written, **ENCODING)
            self._thread = ThreadPoolExecutor(1)
            self._adding: Future[None] | None = None
            stack.push(self._finish)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, batch: Batch) -> None:
        """Add rows. A thread takes them meanwhile; the next call, or the end, raises what goes wrong there."""
        self._settle()
        self.rows += len(batch.ts_ms)
        self._adding = self._thread.submit(self._take, batch)

    def _take(self, batch: Batch) -> None:
        at = 0
        while at < len(batch.ts_ms):
            part = slice(at, at + GROUP_ROWS - self._waiting_rows)
            piece: list[Numbers] = [
                self._numbers("strategy_id", batch.strategy_names, batch.strategy[part]),
                self._numbers("ticker", batch.ticker_names, batch.ticker[part]),
                batch.bucket_ms[part],
                batch.ts_ms[part],
                self._numbers("mode", batch.mode_names, batch.mode[part]),
            ]
            self._wait(piece if self._schema is SCHEMA else [batch.strategy[part], *piece])
            at += len(batch.ts_ms[part])

    def _numbers(self, column: str, names: Sequence[str], index: Int32s) -> Int32s:
        """Texts as numbers of the row group's own, in the order in which it met them: no batch has a say in it."""
        met = pa.array(index).dictionary_encode()
        texts = self._texts[column]
        number = [texts.setdefault(names[i] if i >= 0 else "", len(texts)) for i in met.dictionary.to_pylist()]
        numbers: Int32s = np.array(number, np.int32)[met.indices.to_numpy()]
        return numbers

    def _wait(self, piece: list[Numbers]) -> None:
        """Let rows wait until a row group is full, so that its bounds do not depend on the batches."""
        self._waiting.append(piece)
        self._waiting_rows += len(piece[-1])
        if self._waiting_rows == GROUP_ROWS:
            self._write_group()
        elif len(self._waiting) > MAX_PIECES:
            self._waiting = [self._joined()]

    def _joined(self) -> list[Numbers]:
        return [np.concatenate(column) for column in zip(*self._waiting, strict=True)]

    def _write_group(self) -> None:
        """Write what waits as one row group, joined first: pages break where arrays do."""
        if self._waiting:
            columns = [
                _as_texts(column, self._texts[name]) if name in self._texts else pa.array(column)
                for name, column in zip(self._written.names, self._joined(), strict=True)
            ]
            with self._file.trouble_named():
                batch = pa.record_batch(columns, schema=self._written)
                self._parquet.write_batch(batch, row_group_size=GROUP_ROWS)
        self._waiting = []
        self._waiting_rows = 0
        self._texts = _no_texts()

    def _settle(self) -> None:
        """Wait for the rows that are being taken beside us."""
        if self._adding is not None:
            adding, self._adding = self._adding, None
            adding.result()

    def _finish(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write the rest and the footer on a clean end; let go of the writer on any."""
        try:
            if kind is None:
                self._settle()
                self._write_group()
                with self._file.trouble_named():
                    self._parquet.close()
        finally:
            self._thread.shutdown()
            with contextlib.suppress(OSError, ValueError, pa.ArrowException):
                self._parquet.close()


def _no_texts() -> dict[str, dict[str, int]]:
    """Of each column of texts: those met, by number."""
    return {"strategy_id": {}, "ticker": {}, "mode": {}}


def _as_texts(numbers: Numbers, texts: Iterable[str]) -> Any:  # noqa: ANN401 - pyarrow has no types
    return pa.DictionaryArray.from_arrays(pa.array(numbers), pa.array(list(texts), pa.string()))


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
