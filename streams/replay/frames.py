"""Data frames of any library as tick files: by Arrow's PyCapsule interface, or by the interchange protocol."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.interchange
import pyarrow.parquet as pq
import pyarrow.types as kinds

from streams.errors import InputError
from streams.replay.tick_header import COLUMNS
from streams.whole_files import WholeFile

DEFAULTS: Final = {"price": pa.float64(), "size": pa.int32(), "conditions": pa.list_(pa.int32())}
"""Columns that a frame may lack. Without conditions every tick moves the price."""

GROUP_ROWS: Final = 1 << 17


def is_frame(given: Any) -> bool:  # noqa: ANN401 - whatever a user gives
    """Whether something is a data frame."""
    return hasattr(given, "__arrow_c_stream__") or hasattr(given, "__dataframe__")


def write_frame(frame: Any, path: Path) -> None:  # noqa: ANN401 - a frame of any library
    """Write a frame as a tick file, batch by batch where it can be had so."""
    reader = _reader(frame)
    names = [name for name in COLUMNS if name in reader.schema.names]
    fields = [_plain(reader.schema.field(name)) for name in names]
    fields += [pa.field(name, kind) for name, kind in DEFAULTS.items() if name not in names]
    schema = pa.schema(fields)
    with (
        WholeFile(path) as file,
        file.trouble_named(),
        pq.ParquetWriter(file.out, schema, compression="lz4", use_dictionary=["ticker"]) as parquet,
    ):
        for batch in _batches(reader, path):
            columns = [_cast(batch.column(name), schema.field(name).type) for name in names]
            columns += [_filled(name, len(batch)) for name in schema.names[len(names) :]]
            parquet.write_batch(pa.record_batch(columns, schema=schema), row_group_size=GROUP_ROWS)


def _reader(frame: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    if hasattr(frame, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(frame)
    return pa.interchange.from_dataframe(frame).to_reader(GROUP_ROWS)


def _batches(reader: Any, path: Path) -> Iterator[Any]:  # noqa: ANN401 - pyarrow has no types
    try:
        yield from reader
    except pa.ArrowException as error:
        raise InputError(path.stem, f"cannot be read ({error})", "turn it into a pyarrow.Table first") from error


def _plain(field: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    """The field, its text of the kind that every reader of Parquet knows, its times not finer than Parquet's."""
    kind = field.type
    text = kind.value_type if kinds.is_dictionary(kind) else kind
    if kinds.is_string(text) or kinds.is_large_string(text) or kinds.is_string_view(text):
        return pa.field(field.name, pa.string())
    if kinds.is_timestamp(kind) and kind.unit == "s":
        return pa.field(field.name, pa.timestamp("ms", kind.tz))
    return pa.field(field.name, kind)


def _cast(column: Any, kind: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    if kinds.is_dictionary(column.type):  # of a kind of text that pyarrow can't look up, it may be
        column = pa.DictionaryArray.from_arrays(column.indices, column.dictionary.cast(kind))
    return column.cast(kind)


def _filled(name: str, rows: int) -> Any:  # noqa: ANN401 - pyarrow has no types
    """A column that the frame lacks."""
    if name == "conditions":
        return pa.ListArray.from_arrays(pa.array([0] * (rows + 1), pa.int32()), pa.array([], pa.int32()))
    return pa.array([0] * rows, DEFAULTS[name])
