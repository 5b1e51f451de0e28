"""A replay's results, read back: a folder of them, or one variant out of it.

Texts come as numbers, and rows in batches, so that nothing grows with the day.
"""

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from streams.core.limits import FOREVER, NEVER
from streams.errors import InputError, os_trouble, shortened
from streams.replay import definitions_file
from streams.replay.tick_columns import Int32s, Int64s

EXECUTIONS: Final = "executions.parquet"
BATCH_ROWS: Final = 1 << 17
_REMEDY: Final = "name the folder of a replay that has ended, or FOLDER:VARIANT"


class Rows(NamedTuple):
    """Executions as columns; texts as positions in the lists that were asked with."""

    strategy: Int32s
    ticker: Int32s
    """-1 where the whole universe ran."""
    bucket_ms: Int64s
    ts_ms: Int64s
    mode: Int32s

    def only(self, wanted: npt.NDArray[Any]) -> "Rows":
        """Those that are wanted, by flag or by place."""
        return Rows._make(column[wanted] for column in self)


NO_ROWS: Final = Rows._make(np.zeros(0, kind) for kind in (np.int32, np.int32, np.int64, np.int64, np.int32))


def joined(*pieces: Rows) -> Rows:
    """Rows one behind the other."""
    return Rows._make(map(np.concatenate, zip(NO_ROWS, *pieces, strict=True)))


class Result:
    """One run: all strategies of a replay, or those of one variant."""

    def __init__(self, folder: Path, variant: str | None, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.variant = variant
        self.manifest = manifest
        self.numbers = self._numbers()
        """The definitions that it holds."""

    @property
    def name(self) -> str:
        """What to call it."""
        return f"{self.folder}:{self.variant}" if self.variant is not None else str(self.folder)

    @cached_property
    def definitions(self) -> Any:  # noqa: ANN401 - pyarrow has no types
        """The definitions that it holds, as a table, in the order of the strategies' ids."""
        columns = [name for name in definitions_file.SCHEMA.names if name != "universe"]
        return read_table(self.folder / definitions_file.NAME, columns).take(pa.array(self.numbers))

    @cached_property
    def universes(self) -> Any:  # noqa: ANN401 - pyarrow has no types
        """The universe of each of them, in the same order; empty stands for every ticker."""
        column = read_table(self.folder / definitions_file.NAME, ["universe"]).column("universe")
        return column.take(pa.array(self.numbers)).combine_chunks()

    @property
    def strategy_ids(self) -> list[str]:
        """Each once, in order."""
        ids: list[str] = self.definitions.column("strategy_id").to_pylist()
        return ids

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """What ticks went in, whatever their files were called; or which part of a topic."""
        given = self.manifest["inputs"]
        return [{key: value for key, value in each.items() if key != "name"} for each in given.get("ticks", [given])]

    def rows(
        self, strategies: dict[str, int], tickers: dict[str, int], modes: dict[str, int], but: Int32s | None = None
    ) -> Iterator[Rows]:
        """The executions in order, but for those of some definitions, under the numbers of their texts.

        Tickers that are not known yet get the next number.
        """
        place_of = self._places(strategies, but)
        of_strategy, of_ticker, of_mode = Numbered(strategies), Numbered(tickers, grows=True), Numbered(modes)
        for batch in execution_batches(self.folder / EXECUTIONS, with_definition=place_of is not None):
            if place_of is None:
                strategy = of_strategy.numbers(batch.column("strategy_id"))
            else:
                strategy = place_of[batch.column("definition").to_numpy()]
            rows = Rows(
                strategy,
                of_ticker.numbers(batch.column("ticker")),
                batch.column("bucket_ms").to_numpy(),
                batch.column("ts").to_numpy(),
                of_mode.numbers(batch.column("mode")),
            )
            yield rows if place_of is None else rows.only(strategy >= 0)

    def _numbers(self) -> Int32s:
        count = pq_metadata(self.folder / definitions_file.NAME).num_rows
        if self.variant is None:
            return np.arange(count, dtype=np.int32)
        table = read_table(self.folder / "variants.parquet", ["variant", "definition"])
        held: Int32s = table.filter(pc.equal(table.column("variant"), self.variant)).column("definition").to_numpy()
        return held

    def _places(self, strategies: dict[str, int], but: Int32s | None) -> Int32s | None:
        """Of each definition its strategy's number, -1 where it is not wanted; None: all are, told by ids."""
        if self.variant is None:
            return None
        place_of = np.full(pq_metadata(self.folder / definitions_file.NAME).num_rows, -1, np.int32)
        place_of[self.numbers] = [strategies[strategy_id] for strategy_id in self.strategy_ids]
        if but is not None:
            place_of[but] = -1
        return place_of


class Numbered:
    """Texts of dictionaries as numbers of our own."""

    def __init__(self, number_of: dict[str, int], *, grows: bool = False) -> None:
        self._number_of = number_of
        self._grows = grows
        self._dictionary: Any = None
        self._numbers = np.zeros(0, np.int32)

    def numbers(self, column: Any) -> Int32s:  # noqa: ANN401 - pyarrow has no types
        """The number of each; one dictionary serves a whole row group. The empty text is -1."""
        if self._dictionary is None or not column.dictionary.equals(self._dictionary):
            self._dictionary = column.dictionary
            self._numbers = np.array([self._number(text) for text in column.dictionary.to_pylist()], np.int32)
        found: Int32s = self._numbers[column.indices.to_numpy()]
        return found

    def _number(self, text: str) -> int:
        if not text:
            return -1
        if self._grows:
            return self._number_of.setdefault(text, len(self._number_of))
        return self._number_of[text]


def execution_batches(path: Path, *, with_definition: bool) -> Iterator[Any]:
    """The executions of a file in order, by the batch, texts as dictionaries."""
    columns = ["strategy_id", "ticker", "bucket_ms", "ts", "mode", *(["definition"] if with_definition else [])]
    try:
        with pq.ParquetFile(path, read_dictionary=["strategy_id", "ticker", "mode"], pre_buffer=False) as file:
            yield from file.iter_batches(BATCH_ROWS, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def bounds_of(path: Path, column: str) -> tuple[int, int]:
    """The least and the largest number of a column, as the file's statistics have it; FOREVER and NEVER: no rows."""
    metadata = pq_metadata(path)
    at = metadata.schema.names.index(column)
    groups = [metadata.row_group(group).column(at).statistics for group in range(metadata.num_row_groups)]
    return min((each.min for each in groups), default=FOREVER), max((each.max for each in groups), default=NEVER)


def open_result(text: str) -> Result:
    """A result by its folder, or a variant as `FOLDER:VARIANT`; raise `InputError` where there is none."""
    folder, variant = _split(text)
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except OSError as error:
        problem = f"holds no whole result: no manifest.json ({os_trouble(error)})"
        raise InputError(str(folder), problem, _REMEDY) from error
    except ValueError as error:
        raise InputError(str(folder / "manifest.json"), f"is no JSON ({shortened(str(error))})", _REMEDY) from error
    if not isinstance(manifest, dict) or "definitions_result" not in manifest:
        problem = "does not tell of its strategies: of another version of tickgate, it may be"
        raise InputError(str(folder), problem, "replay the same ticks again, with this version")
    names = variant_names(manifest)
    if variant is None and names:
        raise InputError(str(folder), "holds several variants", f"add one of them: {_listed(folder, names)}")
    if variant is not None and variant not in names:
        problem = f"no variant {shortened(variant)}"
        remedy = f"those there are: {_listed(folder, names)}" if names else "name the folder alone: it has none"
        raise InputError(str(folder), problem, remedy)
    return Result(folder, variant, manifest)


def variant_names(manifest: dict[str, Any]) -> list[str]:
    """The variants of a result, in order."""
    return [each["name"] for each in manifest.get("variants", [])]


def _split(text: str) -> tuple[Path, str | None]:
    """The folder and the variant; both may have colons in them, so the longest folder that is there counts."""
    pieces = text.split(":")
    for end in range(len(pieces), 0, -1):
        folder = Path(":".join(pieces[:end]))
        if folder.is_dir():
            return folder, ":".join(pieces[end:]) if end < len(pieces) else None
    raise InputError(text, "there is no such folder", _REMEDY)


def _listed(folder: Path, names: Sequence[str]) -> str:
    return ", ".join(f"{folder}:{name}" for name in names)[:1_000]


def pq_metadata(path: Path) -> Any:  # noqa: ANN401 - pyarrow has no types
    """What a Parquet file says of itself."""
    try:
        return pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def read_table(path: Path, columns: Sequence[str] | None = None) -> Any:  # noqa: ANN401 - pyarrow has no types
    """A small Parquet file, whole."""
    try:
        return pq.ParquetFile(path).read(columns)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    words = os_trouble(error) if isinstance(error, OSError) else shortened(str(error), 200)
    return InputError(str(path), f"cannot be read ({words})", "replay the same files again")
