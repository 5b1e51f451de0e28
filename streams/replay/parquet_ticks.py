"""Ticks out of a Parquet file, by the chunk: only the columns that matter are read, and never a whole row group."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as kinds

from streams.core.columns import Ends
from streams.errors import InputError, os_trouble, shortened
from streams.replay.known_names import KnownNames
from streams.replay.rejects import Fault
from streams.replay.tick_columns import Faults, Int32s, Int64s, Names, RawColumns
from streams.replay.tick_header import check_columns

READ_AHEAD_BYTES: Final = 1 << 20
_READ_COLUMNS: Final = ["ticker", "ts", "conditions"]
_DAMAGED: Final = "make the file again, or copy it again from where it is whole"
_PER_MS: Final = {"ms": 1, "us": 1_000, "ns": 1_000_000}
"""The units of a timestamp. Parquet has no seconds: they are written as milliseconds."""

_INT32: Final = np.iinfo(np.int32)


class ParquetTicks:
    """A Parquet file of ticks whose columns have been checked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done = 0.0
        with _damage_named(path, "is not a readable Parquet file"), pq.ParquetFile(path) as file:
            self.total_rows: int | None = file.metadata.num_rows
            schema = file.schema_arrow
            names = list(schema.names)
        self._known = KnownNames()
        self._dictionary: Any = None
        self._names = self._known.read(pa.array([], pa.binary()))
        check_columns(path, names)
        for column, (fits, wanted, remedy) in _COLUMN_KINDS.items():
            kind = schema.field(column).type
            if not fits(kind):
                raise InputError(f"{path}, column {column}", f"holds {kind}, where {wanted} belongs", remedy)

    def chunks(self, rows_at_most: int) -> Iterator[RawColumns]:
        """The file from its first row on."""
        row = 1
        with contextlib.ExitStack() as stack:
            with _damage_named(self.path, "is not a readable Parquet file"):
                file = stack.enter_context(_opened(self.path))
                batches = file.iter_batches(rows_at_most, columns=_READ_COLUMNS, use_threads=False)
            while True:
                with _damage_named(self.path, f"is damaged after row {row - 1}"):
                    batch = next(batches, None)
                    if batch is None and row - 1 != self.total_rows:
                        raise ValueError(f"it should have {self.total_rows} rows")
                    if batch is None:
                        break
                    raw = _raw_columns(batch, row, self._read_names(batch.column("ticker").dictionary))
                row = raw.end_row
                self.done = (row - 1) / max(self.total_rows or 0, 1)
                yield raw
        self.done = 1.0

    def _read_names(self, dictionary: Any) -> Names:  # noqa: ANN401 - pyarrow has no types
        """Read the tickers, or know them again: one dictionary serves a whole row group."""
        if self._dictionary is None or not dictionary.equals(self._dictionary):
            self._dictionary = dictionary
            self._names = self._known.read(dictionary)
        return self._names


def _opened(path: Path) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Open the file so that memory does not grow with it, and tickers come as numbers."""
    return pq.ParquetFile(
        path,
        read_dictionary=["ticker"],
        pre_buffer=False,
        buffer_size=READ_AHEAD_BYTES,
        coerce_int96_timestamp_unit="us",
        page_checksum_verification=True,
    )


@contextlib.contextmanager
def _damage_named(path: Path, problem: str) -> Iterator[None]:
    """Turn what the reader trips over into an error of the file."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        words = os_trouble(error) if isinstance(error, OSError) else str(error)
        raise InputError(str(path), f"{problem} ({shortened(words, 200)})", _DAMAGED) from error


def _raw_columns(batch: Any, first_row: int, names: Names) -> RawColumns:  # noqa: ANN401 - pyarrow has no types
    """One batch of the reader as columns of numbers."""
    ticker, ts, conditions = (batch.column(name) for name in _READ_COLUMNS)
    end_row = first_row + len(batch)
    ts_ms, ts_faults = _times(ts)
    code_ends, codes, code_faults = _codes(conditions)

    def cell(i: int, column: str) -> Any:  # noqa: ANN401 - whatever the file holds
        if column == "ticker":
            return ticker.dictionary.cast(pa.binary())[ticker.indices[i].as_py()].as_py()
        if column == "ts" and kinds.is_timestamp(ts.type):
            return f"{ts[i].value} {ts.type.unit}"
        return batch.column(column)[i].as_py()

    return RawColumns(
        first_row=first_row,
        end_row=end_row,
        rows=np.arange(first_row, end_row),
        names=names,
        entry_of=_entries(ticker),
        ts_ms=ts_ms,
        ts_faults=ts_faults,
        code_ends=code_ends,
        codes=codes,
        code_faults=code_faults,
        rejects=[],
        cell=cell,
    )


def _entries(ticker: Any) -> Int32s:  # noqa: ANN401 - pyarrow has no types
    """Which entry of its dictionary each ticker is; the reader does not check that it is one."""
    entries: Int32s = _filled(ticker.indices, -1).astype(np.int32, copy=False)
    if len(entries) and not -1 <= entries.min() <= entries.max() < len(ticker.dictionary):
        raise ValueError("a ticker is beyond the end of its dictionary")
    return entries


def _filled(column: Any, missing: int) -> npt.NDArray[Any]:  # noqa: ANN401 - pyarrow has no types
    """A column of whole numbers, with one of them for those that are missing."""
    filled: npt.NDArray[Any] = (column.fill_null(missing) if column.null_count else column).to_numpy()
    return filled


def _marked_missing(column: Any, fault: Fault) -> Faults:  # noqa: ANN401 - pyarrow has no types
    """The fault where the column holds nothing."""
    faults = np.zeros(len(column), np.uint8)
    if column.null_count:
        faults[column.is_null().to_numpy(zero_copy_only=False)] = fault
    return faults


def _times(column: Any) -> tuple[Int64s, Faults]:  # noqa: ANN401 - pyarrow has no types
    """Times in milliseconds, floored. What is too large for a signed number becomes one before 1970, as absurd."""
    faults = _marked_missing(column, Fault.TS_MISSING)
    if not kinds.is_timestamp(column.type):
        return _filled(column, 0).astype(np.int64, copy=False), faults
    return _filled(column.cast(pa.int64()), 0) // _PER_MS[column.type.unit], faults


def _codes(column: Any) -> tuple[Ends, Int32s, Faults]:  # noqa: ANN401 - pyarrow has no types
    """Condition codes: where those of each row end, all of them in a row, and what is wrong by row."""
    ends = _code_ends(column)
    flat = pc.list_flatten(column)
    values, faults = _filled(flat, 0), np.zeros(len(column), np.uint8)
    is_narrow = np.can_cast(values.dtype, np.int32)
    if is_narrow and not flat.null_count:
        return ends, values.astype(np.int32, copy=False), faults
    code_faults = _marked_missing(flat, Fault.CONDITION_MISSING)
    if not is_narrow:
        code_faults[(values < _INT32.min) | (values > _INT32.max)] = Fault.CONDITION_OUT_OF_RANGE
    if code_faults.any():
        row_of = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        for fault in (Fault.CONDITION_OUT_OF_RANGE, Fault.CONDITION_MISSING):  # the first one counts, so it comes last
            faults[row_of[code_faults == fault]] = fault
    return ends, values.astype(np.int32), faults


def _code_ends(column: Any) -> Ends:  # noqa: ANN401 - pyarrow has no types
    """Where the codes of each row end. As a rule the column itself knows."""
    if column.null_count or kinds.is_fixed_size_list(column.type):
        return np.cumsum(_filled(pc.list_value_length(column), 0), dtype=np.int64)
    offsets: Ends = column.offsets.to_numpy()
    return offsets[1:] - offsets[0] if offsets[0] else offsets[1:]


def _is_text(kind: Any) -> bool:  # noqa: ANN401 - pyarrow has no types
    value = kind.value_type if kinds.is_dictionary(kind) else kind
    return bool(kinds.is_string(value) or kinds.is_large_string(value) or kinds.is_string_view(value))


def _is_time(kind: Any) -> bool:  # noqa: ANN401 - pyarrow has no types
    return bool(kinds.is_integer(kind) or kinds.is_timestamp(kind))


def _is_number(kind: Any) -> bool:  # noqa: ANN401 - pyarrow has no types
    return bool(kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind))


def _is_code_list(kind: Any) -> bool:  # noqa: ANN401 - pyarrow has no types
    is_list = kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind)
    return bool(is_list and kinds.is_integer(kind.value_type))


_COLUMN_KINDS: Final[dict[str, tuple[Callable[[Any], bool], str, str]]] = {
    "ticker": (_is_text, "text", "cast the column to string"),
    "ts": (_is_time, "int64 milliseconds or a timestamp", "cast the column to int64, milliseconds since 1970 in UTC"),
    "price": (_is_number, "a number", "cast the column to double"),
    "size": (_is_number, "a number", "cast the column to int32"),
    "conditions": (_is_code_list, "a list of integers", "cast the column to list<int32>, an empty list where none"),
}
