"""Ticks out of a CSV file, plain or gzipped, by the block of whole lines.

A row is a line: a quoted cell may hold commas and doubled quotes, but no line break. So a stray quote spoils
its own line and no other. Lines are numbered like rows: row 1 is the one under the header; blank lines count
and are passed over. What a cell holds is taken as it is, spaces included.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from streams.errors import InputError, os_trouble
from streams.replay.known_names import KnownNames
from streams.replay.rejects import Fault, Reject, shown
from streams.replay.tick_columns import Faults, Int32s, Int64s, RawColumns
from streams.replay.tick_header import check_columns

BLOCK_BYTES: Final = 1 << 22
"""How much is read at a time, and how long a line may be."""

MAX_HEADER_BYTES: Final = 1 << 14

_FEW: Final = pa.dictionary(pa.int32(), pa.binary())
_CELL_KINDS: Final = {"ticker": _FEW, "ts": pa.binary(), "conditions": _FEW}
_BOM: Final = b"\xef\xbb\xbf"
_CELL: Final = rb'(?:[^",\r\n]++|"[^"\r\n]*+(?:""[^"\r\n]*+)*"|)'
_ANY_LINE: Final = re.compile(rb"%b(?:,%b)*\r?" % (_CELL, _CELL))
_QUOTED: Final = re.compile(rb'"[^"]*+"')
_QUOTE, _LINE_END = b'"\n'
_MAY_STAND_BEFORE: Final = np.isin(np.arange(256), list(b'\n,"'))
_MAY_STAND_AFTER: Final = np.isin(np.arange(256), list(b'\r\n,"'))
_SAFE_DIGITS: Final = 18
_WHOLE_NUMBER: Final = re.compile(rb"-?[0-9]+")
_CODE_BREAK: Final = re.compile(rb" *[,;|] *| +")
_MAX_CODE: Final = int(np.iinfo(np.int32).max)
_MAX_CODE_CHARACTERS: Final = len("-2147483648")


class CsvTicks:
    """A CSV file of ticks whose header has been checked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.total_rows: int | None = None
        self._next_line = 1
        self._size = max(path.stat().st_size, 1)
        header = next(self._blocks(), b"").partition(b"\n")[0]
        self.done = 0.0
        self.names = _header_names(path, header)
        self._known = KnownNames()
        self._line = re.compile(rb"%b\r?" % b",".join([_CELL] * len(self.names)))

    def chunks(self, _rows_at_most: int) -> Iterator[RawColumns]:
        """The file from its first row on, by the block of bytes."""
        self._next_line = 1
        for block in self._blocks():
            lines = block
            if self._next_line == 1:
                lines = block.partition(b"\n")[2]
                self._next_line = 2
            if lines:
                raw = self._raw_columns(lines, self._next_line - 1)
                self._next_line = raw.end_row + 1
                yield raw
        self.done = 1.0

    def _blocks(self) -> Iterator[bytes]:
        """The file in blocks that end where a line does."""
        rest = b""
        try:
            with self.path.open("rb") as file:
                stream = gzip.GzipFile(fileobj=file) if self.path.suffix.lower() == ".gz" else file
                while piece := stream.read(BLOCK_BYTES):
                    self.done = file.tell() / self._size
                    end = piece.rfind(b"\n") + 1
                    if end:
                        block, rest = rest + piece[:end], piece[end:]
                        yield block
                    else:
                        rest += piece
                        self._check_length(rest)
        except (OSError, EOFError, zlib.error) as error:
            words = os_trouble(error) if isinstance(error, OSError) else str(error)
            remedy = "copy the file again from where it is whole"
            raise InputError(f"{self.path}, line {self._next_line}", f"cannot be read on ({words})", remedy) from error
        if rest:
            yield rest + b"\n"

    def _check_length(self, line_begun: bytes) -> None:
        """Refuse a line without an end: it would be read into memory whole."""
        if len(line_begun) > BLOCK_BYTES:
            problem = f"a line of more than {BLOCK_BYTES} bytes"
            raise InputError(
                f"{self.path}, line {self._next_line}", problem, "check that this is a CSV file, one tick a line"
            )

    def _raw_columns(self, block: bytes, first_row: int) -> RawColumns:
        """One block of lines as columns of numbers."""
        end_row = first_row + block.count(b"\n")
        rows = np.arange(first_row, end_row)
        rejects: list[Reject] = []
        cells = self._cells(block) if _is_regular(block) else None
        if cells is None:
            good, rows, rejects = self._good_lines(block, first_row)
            cells = self._cells(good)
        assert cells is not None
        assert len(cells["ts"]) == len(rows), "the reader takes lines apart as we do"
        ts_ms, ts_faults = _times(cells["ts"])
        code_ends, codes, code_faults = _codes(cells["conditions"])
        return RawColumns(
            first_row=first_row,
            end_row=end_row,
            rows=rows,
            names=self._known.read(cells["ticker"].dictionary),
            entry_of=cells["ticker"].indices.to_numpy(),
            ts_ms=ts_ms,
            ts_faults=ts_faults,
            code_ends=code_ends,
            codes=codes,
            code_faults=code_faults,
            rejects=rejects,
            cell=lambda i, column: cells[column][i].as_py(),
        )

    def _cells(self, lines: bytes) -> dict[str, Any] | None:
        """The columns that matter, as bytes, few distinct ones as a dictionary; None where a line has not its cells."""
        if not lines:
            return {name: pa.array([], kind) for name, kind in _CELL_KINDS.items()}
        try:
            table = pacsv.read_csv(
                pa.BufferReader(lines),
                pacsv.ReadOptions(use_threads=False, block_size=len(lines) + 1, column_names=self.names),
                convert_options=pacsv.ConvertOptions(column_types=_CELL_KINDS, include_columns=list(_CELL_KINDS)),
            )
        except pa.ArrowInvalid:
            return None
        return {name: table.column(name).combine_chunks() for name in _CELL_KINDS}

    def _good_lines(self, block: bytes, first_row: int) -> tuple[bytes, Int64s, list[Reject]]:
        """Leave out the lines that are not exactly as many cells as the header has."""
        good: list[bytes] = []
        rows: list[int] = []
        rejects: list[Reject] = []
        for row, line in enumerate(block.split(b"\n")[:-1], first_row):
            if self._line.fullmatch(line):
                good.append(line)
                rows.append(row)
            elif line.strip(b"\r"):
                rejects.append(self._reject(line, row))
        return b"".join(line + b"\n" for line in good), np.array(rows, np.int64), rejects

    def _reject(self, line: bytes, row: int) -> Reject:
        """Say what is wrong with a line."""
        if _ANY_LINE.fullmatch(line):
            count = _QUOTED.sub(b"", line).count(b",") + 1
            words = f"{count} fields, the header has {len(self.names)}: {shown(line.rstrip())}"
            return Reject(row, Fault.FIELD_COUNT.reason, words)
        words = f"a quote is not closed, or stands inside a cell, or a line break is odd: {shown(line.rstrip())}"
        return Reject(row, Fault.LINE_MALFORMED.reason, words)


def _is_regular(block: bytes) -> bool:
    """Whether the reader alone can be trusted with the lines: line ends, blank lines and quotes are in order.

    It would take a line break into a quoted cell, and a blank line for an empty cell.
    """
    if block.startswith((b"\n", b"\r")) or b"\n\n" in block or b"\n\r" in block:
        return False
    if b"\r" in block and block.count(b"\r") != block.count(b"\r\n"):
        return False
    return b'"' not in block or _is_well_quoted(block)


def _is_well_quoted(block: bytes) -> bool:
    """Whether every quote stands at an edge of a cell, or is doubled, and each line closes what it opens."""
    data = np.frombuffer(block, np.uint8)
    quotes = np.flatnonzero(data == _QUOTE)
    line_of = np.searchsorted(np.flatnonzero(data == _LINE_END), quotes)
    first_in_line = np.concatenate(([0], np.flatnonzero(np.diff(line_of)) + 1, [len(quotes)]))
    if (np.diff(first_in_line) % 2).any():
        return False
    opening, closing = quotes[::2], quotes[1::2]
    before = np.where(opening == 0, _LINE_END, data[opening - 1])
    return bool(_MAY_STAND_BEFORE[before].all() and _MAY_STAND_AFTER[data[closing + 1]].all())


def _header_names(path: Path, header: bytes) -> list[str]:
    """Names of the columns, from the first line."""
    place = f"{path}, header"
    if len(header) > MAX_HEADER_BYTES:
        raise InputError(place, f"a first line of {len(header)} bytes", "begin the file with the names of the columns")
    try:
        text = header.removeprefix(_BOM).decode().removesuffix("\r")
    except UnicodeDecodeError as error:
        at = error.start + (len(_BOM) if header.startswith(_BOM) else 0)
        raise InputError(place, f"not UTF-8 at byte {at}", "save the file as CSV in UTF-8") from error
    if not _ANY_LINE.fullmatch(text.encode()):
        raise InputError(place, f"a quote or a line end is out of place in {shown(text)}", "mend the first line")
    names = next(csv.reader([text]), [])
    other = next((mark for mark in (";", "\t", "|") if mark in text and len(names) == 1), None)
    check_columns(path, names, f"separate the cells by commas, not by {other!r}" if other else "")
    return names


def _times(column: Any) -> tuple[Int64s, Faults]:  # noqa: ANN401 - pyarrow has no types
    """Times in milliseconds. A number that is too long for certain stands for one out of range."""
    texts = column.cast(pa.string(), safe=False)
    good = pc.and_(pc.ascii_is_decimal(texts), pc.less_equal(pc.binary_length(texts), _SAFE_DIGITS))
    faults = np.zeros(len(column), np.uint8)
    bad = np.flatnonzero(~good.to_numpy(zero_copy_only=False)).tolist()
    for i in bad:
        number = _WHOLE_NUMBER.fullmatch(column[i].as_py())
        faults[i] = Fault.TS_OUT_OF_RANGE if number else Fault.TS_NOT_A_NUMBER
    if bad:
        texts = pc.if_else(good, texts, "0")
    return texts.cast(pa.int64()).to_numpy(), faults


def _codes(column: Any) -> tuple[Int64s, Int32s, Faults]:  # noqa: ANN401 - pyarrow has no types
    """Condition codes: where those of each row end, all of them in a row, and what is wrong by row.

    Few texts are distinct: each is read once.
    """
    read = [_read_codes(cell) for cell in column.dictionary.to_pylist()]
    which = column.indices.to_numpy()
    faults = np.array([fault for _, fault in read], np.uint8)[which]
    lengths = np.array([len(codes) for codes, _ in read], np.int32)
    all_codes = np.array([code for codes, _ in read for code in codes], np.int32)
    starts = np.cumsum(lengths) - lengths
    counts = lengths[which]
    ends = np.cumsum(counts)
    places = np.arange(counts.sum()) + np.repeat(starts[which] - ends + counts, counts)
    return ends, all_codes[places], faults


def _read_codes(cell: bytes) -> tuple[list[int], Fault]:
    """Codes separated by spaces, `;`, `|` or commas, with or without brackets around them."""
    inside = cell[1:-1] if cell.startswith(b"[") and cell.endswith(b"]") else cell
    inside = inside.strip(b" ")
    if not inside:
        return [], Fault.NONE
    codes = []
    for text in _CODE_BREAK.split(inside):
        if not _WHOLE_NUMBER.fullmatch(text):
            return [], Fault.CONDITION_NOT_A_NUMBER
        value = int(text) if len(text) <= _MAX_CODE_CHARACTERS else _MAX_CODE + 1
        if not -_MAX_CODE - 1 <= value <= _MAX_CODE:
            return [], Fault.CONDITION_OUT_OF_RANGE
        codes.append(value)
    return codes, Fault.NONE
