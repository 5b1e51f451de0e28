"""Recorded ticks out of a Parquet or CSV file, in batches of any size; memory does not grow with the file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from streams.core.limits import FOREVER
from streams.errors import InputError, os_trouble
from streams.replay.csv_ticks import CsvTicks
from streams.replay.find_files import SUFFIXES, format_of
from streams.replay.parquet_ticks import ParquetTicks
from streams.replay.rejects import Reject
from streams.replay.tick_columns import RawColumns, TickBatch, sift, slices

__all__ = ["Reject", "TickBatch", "TickFile", "open_ticks"]

CHUNK_ROWS: Final = 1 << 17
"""Rows taken out of a Parquet file at a time, and the most that a batch of one holds."""

PEEK_ROWS: Final = 1 << 10
"""Rows taken at a time to find the first tick."""

SUSPICIOUS_MS: Final = 100_000_000_000
"""A time before March 1973 is more likely one in seconds."""


class Source(Protocol):
    """A file of one format."""

    total_rows: int | None
    done: float

    def chunks(self, rows_at_most: int) -> Iterator[RawColumns]:
        """The file from its first row on."""


class TickFile:
    """A tick file that is there and has the right columns. `batches` reads it, from the start each time."""

    def __init__(self, path: Path, source: Source, batch_rows: int) -> None:
        self.path = path
        self.batch_rows = batch_rows
        self.total_rows = source.total_rows
        """None where only reading to the end can tell."""
        self.warnings: list[str] = []
        """Things met so far that are allowed, but look like a mistake."""
        self.rows_read = 0
        self._source = source

    @property
    def done(self) -> float:
        """How much of the file has been read, from 0 to 1."""
        return self._source.done

    def batches(self) -> Iterator[TickBatch]:
        """The rows in the order of the file, at most `batch_rows` of them at a time, those refused among them."""
        chunk_rows = min(self.batch_rows, CHUNK_ROWS)
        for raw in self._source.chunks(CHUNK_ROWS // chunk_rows * chunk_rows):
            batch = sift(raw)
            self._look_at_times(batch)
            self.rows_read = raw.end_row - 1
            yield from slices(batch, self.batch_rows, raw.end_row)

    def first_ms(self) -> int:
        """The time of the first tick; FOREVER where there is none."""
        batches = map(sift, self._source.chunks(PEEK_ROWS))
        return next((int(batch.ts_ms[0]) for batch in batches if len(batch.ts_ms)), FOREVER)

    def _look_at_times(self, batch: TickBatch) -> None:
        """Warn, once, of times that look like seconds."""
        if self.warnings or not len(batch.ts_ms) or batch.ts_ms.min() >= SUSPICIOUS_MS:
            return
        at = int(batch.ts_ms.argmin())
        self.warnings.append(
            f"{self.path}, row {batch.rows[at]}, ts: {batch.ts_ms[at]} ms is a time before 1973; "
            "if these are seconds, multiply them by 1000"
        )


def open_ticks(path: Path, batch_rows: int) -> TickFile:
    """Open a tick file by its suffix and check its columns; raise `InputError` where it cannot be used."""
    if batch_rows < 1:
        raise ValueError(f"batch_rows is {batch_rows}; it must be at least 1")
    kind = format_of(path)
    if kind is None and path.is_dir():
        raise InputError(str(path), "is a folder", "name one file of ticks")
    if kind is None:
        remedy = f"name it {', '.join(SUFFIXES)}"
        raise InputError(str(path), "the format of a tick file is told by its suffix", remedy)
    reader: type[ParquetTicks | CsvTicks] = ParquetTicks if kind == "Parquet" else CsvTicks
    _check_readable(path)
    return TickFile(path, reader(path), batch_rows)


def _check_readable(path: Path) -> None:
    """Refuse what is no file with something in it."""
    try:
        with path.open("rb") as file:
            first = file.read(1)
    except OSError as error:
        raise InputError(str(path), f"cannot be opened ({os_trouble(error)})", "check the path") from error
    if not first:
        raise InputError(str(path), "the file is empty", "give a file with the columns ticker, ts, price, ...")
