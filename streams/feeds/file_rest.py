"""What a replay does not read of a tick file: price and size, by row; not a number where none stands."""

import csv
import gzip
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from streams.core.columns import Int64s
from streams.replay.find_files import format_of

Floats = npt.NDArray[np.float64]

ROWS_AT_ONCE: Final = 1 << 16
FIRST_ROW: Final = 1
_BOM: Final = "\ufeff"
_NAN: Final = float("nan")


class Rest(NamedTuple):
    """Of rows in their order."""

    price: Floats
    size: Floats


class FileRest:
    """Reads along with whoever reads the ticks: rows are asked for in rising order."""

    def __init__(self, path: Path) -> None:
        self._chunks = _of_parquet(path) if format_of(path) == "Parquet" else _of_csv(path)
        self._have, self._first = Rest(np.zeros(0), np.zeros(0)), FIRST_ROW

    def of(self, rows: Int64s) -> Rest:
        """Those of some rows."""
        if not len(rows):
            return Rest(np.zeros(0), np.zeros(0))
        parts, end = [self._have], self._first + len(self._have.price)
        while end <= rows[-1]:
            more = next(self._chunks)
            parts.append(more)
            end += len(more.price)
        have = Rest._make(map(np.concatenate, zip(*parts, strict=True)))
        at = rows - self._first
        passed = int(at[-1]) + 1
        self._have, self._first = Rest._make(column[passed:] for column in have), self._first + passed
        return Rest._make(column[at] for column in have)


def _of_parquet(path: Path) -> Iterator[Rest]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=["price", "size"]):
            yield Rest(_numbers(batch.column("price")), _numbers(batch.column("size")))


def _numbers(column: Any) -> Floats:  # noqa: ANN401 - pyarrow has no types
    found: Floats = pc.fill_null(column.cast(pa.float64(), safe=False), _NAN).to_numpy()
    return found


def _of_csv(path: Path) -> Iterator[Rest]:
    """By the line, as the ticks are read; a line that is none of them holds no numbers, and is not asked for."""
    with path.open("rb") as bare:
        file = gzip.GzipFile(fileobj=bare) if path.suffix.lower() == ".gz" else bare
        header = next(csv.reader([next(file).decode().removeprefix(_BOM).rstrip("\r\n")]))
        columns = header.index("price"), header.index("size")
        while lines := list(islice(file, ROWS_AT_ONCE)):
            numbers = np.array([_two_numbers(line, columns) for line in lines])
            yield Rest(numbers[:, 0], numbers[:, 1])


def _two_numbers(line: bytes, columns: tuple[int, int]) -> tuple[float, float]:
    cells = next(csv.reader([line.decode(errors="replace")]), [])
    try:
        return float(cells[columns[0]]), float(cells[columns[1]])
    except (ValueError, IndexError):
        return _NAN, _NAN
