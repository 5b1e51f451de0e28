"""What a replay leaves behind: the executions, the rows it refused, and the manifest.

The bytes of each file follow from its content alone: not from how it was handed over in batches, nor from
the time of day. Each appears whole or not at all.
"""

import contextlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from streams.replay.hashes import HashedAsWritten
from streams.replay.rejects import Reject
from streams.replay.texts import Texts
from streams.whole_files import WholeFile, write_whole

GROUP_ROWS: Final = 1 << 18
"""Rows of one row group. Fixed, as the bytes of the file depend on it. Each begins with its texts: half as many cost a
tenth of the writing and a twelfth of the bytes."""

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
    "compression": "snappy",  # an eighth more bytes than zstd, and the whole writing takes three quarters of the time
    "use_dictionary": ["definition", "strategy_id", "ticker", "bucket_ms", "mode"],
    "write_statistics": ["bucket_ms", "ts"],
    "column_encoding": {"ts": "DELTA_BINARY_PACKED"},  # it hardly moves from row to row: a third of the bytes
    "store_schema": False,
    "write_batch_size": 1 << 13,  # rows at a time within a group: the default of 1,024 costs a fortieth
    "max_rows_per_page": 1 << 16,  # by default 20,000: three times the calls of the file, each a turn of this thread
}

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

_KINDS: Final = {pa.string(): pa.dictionary(pa.int32(), pa.string())}
"""How columns are handed to the writer: what is a dictionary already is not looked through again."""

_NUMBERS: Final = {pa.string(): np.int32, pa.int32(): np.int32, pa.int64(): np.int64}
"""How they are gathered."""


MAX_WAITING: Final = 8
"""Batches that wait to be written; whoever adds another waits too. Where a bucket begins, one has many times the rows
of others."""


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
        schema = WITH_DEFINITION if with_definition else SCHEMA
        self._written = pa.schema([field.with_type(_KINDS.get(field.type, field.type)) for field in schema])
        self._file = WholeFile(path)
        self._texts = {field.name: Texts() for field in schema if field.type in _KINDS}
        self._room = {field.name: np.empty(GROUP_ROWS, _NUMBERS[field.type]) for field in schema}
        """Columns side by side that a row group gathers in, texts as their numbers in it."""
        self._waiting_rows = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._file)
            with self._file.trouble_named():
                self._out = HashedAsWritten(self._file.out)
                self._parquet = pq.ParquetWriter(self._out, self._written, **ENCODING)
            self._thread = ThreadPoolExecutor(1)
            self._adding: deque[Future[None]] = deque()
            stack.push(self._finish)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def hashed(self) -> dict[str, str]:
        """The file as `hashes.hashed` has it, once it is there."""
        return {"name": self._file.path.name, "sha256": self._out.sha256}

    def add(self, batch: Batch) -> None:
        """Add rows. A thread takes them meanwhile; a later call, or the end, raises what goes wrong there."""
        self.add_made(len(batch.ts_ms), lambda: batch)

    def add_made(self, rows: int, make: Callable[[], Batch]) -> None:
        """The same, of so many rows that the thread has still to make."""
        self._settle(but=MAX_WAITING - 1)
        self.rows += rows
        self._adding.append(self._thread.submit(self._take, make))

    def _take(self, make: Callable[[], Batch]) -> None:
        """Let rows wait until a row group is full, so that its bounds do not depend on the batches."""
        batch = make()
        at = 0
        while at < len(batch.ts_ms):
            part = slice(at, at + GROUP_ROWS - self._waiting_rows)
            at += self._gather(Batch._make(c[part] if isinstance(c, np.ndarray) else c for c in batch))
            if self._waiting_rows == GROUP_ROWS:
                self._write_group()

    def _gather(self, batch: Batch) -> int:
        """Put rows that find room behind those that wait; returns how many."""
        count = len(batch.ts_ms)
        room = {name: column[self._waiting_rows :][:count] for name, column in self._room.items()}
        self._texts["strategy_id"].number(batch.strategy_names, batch.strategy, room["strategy_id"])
        self._texts["ticker"].number(batch.ticker_names, batch.ticker, room["ticker"])
        self._texts["mode"].number(batch.mode_names, batch.mode, room["mode"])
        room["bucket_ms"][:], room["ts"][:] = batch.bucket_ms, batch.ts_ms
        if "definition" in room:
            room["definition"][:] = batch.strategy
        self._waiting_rows += count
        return count

    def _write_group(self) -> None:
        """Write what waits as one row group."""
        if self._waiting_rows:
            rows = {name: column[: self._waiting_rows] for name, column in self._room.items()}
            columns = [self._texts[name].take(c) if name in self._texts else pa.array(c) for name, c in rows.items()]
            with self._file.trouble_named():
                batch = pa.record_batch(columns, schema=self._written)
                self._parquet.write_batch(batch, row_group_size=GROUP_ROWS)
        self._waiting_rows = 0

    def _settle(self, *, but: int = 0) -> None:
        """Wait for rows that are being taken beside us, but for so many batches."""
        while len(self._adding) > but:
            self._adding.popleft().result()

    def _finish(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write the rest and the footer on a clean end; let go of the writer on any."""
        try:
            if kind is None:
                self._settle()
                self._write_group()
                with self._file.trouble_named():
                    self._parquet.close()
        finally:
            self._thread.shutdown(cancel_futures=True)
            with contextlib.suppress(OSError, ValueError, pa.ArrowException):
                self._parquet.close()


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
