"""`definitions.parquet`: each strategy that a replay decided, as it stood, and what happened to it in numbers.

A row a definition, in the order of their numbers. Without variants each strategy is its own definition.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streams.core.entry import NOBODY
from streams.core.events import Mode, Strategy
from streams.core.strategy_counts import StrategyCounts
from streams.replay.definitions import Definitions, Universes
from streams.replay.tick_columns import Int32s, Int64s
from streams.whole_files import WholeFile

NAME: Final = "definitions.parquet"

COUNTS: Final = ("fired_pairs", "bucket_dup", "late", "no_bucket")
"""What became of a strategy's pairs, tick by tick. A strategy that decides as a whole has fires alone."""

SCHEMA: Final = pa.schema(
    [
        pa.field("definition", pa.int32(), nullable=False),
        pa.field("strategy_id", pa.string(), nullable=False),
        pa.field("timeframe", pa.string(), nullable=False),
        pa.field("mode", pa.string(), nullable=False),
        pa.field("universe", pa.list_(pa.string()), nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in COUNTS),
    ]
)
"""An empty universe stands for every ticker there is."""

_WRITTEN: Final = SCHEMA.set(
    SCHEMA.get_field_index("universe"),
    pa.field("universe", pa.list_(pa.dictionary(pa.int32(), pa.string())), nullable=False),
)
"""How it is handed to the writer: tickers are told apart already, and there are many of them."""

ENCODING: Final[dict[str, Any]] = {
    "compression": "zstd",
    "write_statistics": ["strategy_id"],  # of a universe they tell nothing, and cost as much as its writing
    "write_batch_size": 1 << 16,
    "store_schema": False,
}

GROUP_ROWS: Final = 1 << 14

RANK_BITS: Final = 32
"""Of a key that tickers are sorted by, with the number of their universe above."""


def write_definitions(
    path: Path, definitions: Definitions, universes: Universes, counts: Iterable[StrategyCounts]
) -> None:
    """Write the file, whole or not at all."""
    counted = np.array([count[: len(COUNTS)] for count in counts], np.int64).reshape(-1, len(COUNTS))
    by_name = sorted(range(len(universes.names)), key=universes.names.__getitem__)
    rank = np.empty(len(by_name), np.int64)
    rank[by_name] = np.arange(len(by_name))
    names = pa.array([universes.names[at] for at in by_name], pa.string())
    with WholeFile(path) as file, file.trouble_named(), pq.ParquetWriter(file.out, _WRITTEN, **ENCODING) as parquet:
        for start in range(0, len(definitions.strategies), GROUP_ROWS):
            part = slice(start, start + GROUP_ROWS)
            lists = _sorted_lists(names, rank, universes.tickers[part])
            parquet.write_batch(_batch(start, definitions.strategies[part], lists, counted[part]))


def _sorted_lists(names: Any, rank: Int64s, tickers: Sequence[Int32s]) -> Any:  # noqa: ANN401 - pyarrow has no types
    """The universes, each sorted by name: as ranks, all at once, which costs a tenth of sorting texts.

    Names that are in none of them are left out: others may know more of these.
    """
    lengths = np.array([len(each) for each in tickers], np.int64)
    keys = (np.repeat(np.arange(len(tickers)), lengths) << RANK_BITS) | rank[np.concatenate([NOBODY, *tickers])]
    keys.sort()
    ends = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    ranks = keys & ((1 << RANK_BITS) - 1)
    is_held = np.bincount(ranks, minlength=len(names)) > 0
    places = pa.array((np.cumsum(is_held, dtype=np.int32) - 1)[ranks])
    held = pa.DictionaryArray.from_arrays(places, names.filter(pa.array(is_held)), safe=False)
    return pa.ListArray.from_arrays(pa.array(ends), held)


def _batch(first: int, strategies: list[Strategy], lists: Any, counted: Any) -> Any:  # noqa: ANN401 - as above
    columns = [
        pa.array(np.arange(first, first + len(strategies), dtype=np.int32)),
        pa.array([strategy.strategy_id for strategy in strategies], pa.string()),
        pa.array([strategy.timeframe for strategy in strategies], pa.string()),
        pa.array([strategy.mode_under(Mode.PER_TICKER).value for strategy in strategies], pa.string()),
        lists,
        *(pa.array(np.ascontiguousarray(column)) for column in counted.T),
    ]
    return pa.record_batch(columns, schema=_WRITTEN)
