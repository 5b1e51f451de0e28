"""`definitions.parquet`: each strategy that a replay decided, as it stood, and what happened to it in numbers.

A row a definition, in the order of their numbers. Without variants each strategy is its own definition.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streams.core.events import Mode, Strategy
from streams.core.strategy_counts import StrategyCounts
from streams.replay.definitions import Definitions
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

GROUP_ROWS: Final = 1 << 14


def write_definitions(path: Path, definitions: Definitions, counts: Iterable[StrategyCounts]) -> None:
    """Write the file, whole or not at all."""
    counted = np.array([count[: len(COUNTS)] for count in counts], np.int64).reshape(-1, len(COUNTS))
    with (
        WholeFile(path) as file,
        file.trouble_named(),
        pq.ParquetWriter(file.out, SCHEMA, compression="zstd", store_schema=False) as parquet,
    ):
        for start in range(0, len(definitions.strategies), GROUP_ROWS):
            part = slice(start, start + GROUP_ROWS)
            parquet.write_batch(_batch(start, definitions.strategies[part], counted[part]))


def _batch(first: int, strategies: list[Strategy], counted: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    universes = [sorted(strategy.universe) for strategy in strategies]
    ends = np.cumsum([0, *map(len, universes)]).astype(np.int32)
    flat = pa.array([ticker for universe in universes for ticker in universe], pa.string())
    columns = [
        pa.array(np.arange(first, first + len(strategies), dtype=np.int32)),
        pa.array([strategy.strategy_id for strategy in strategies], pa.string()),
        pa.array([strategy.timeframe for strategy in strategies], pa.string()),
        pa.array([strategy.mode_under(Mode.PER_TICKER).value for strategy in strategies], pa.string()),
        pa.ListArray.from_arrays(pa.array(ends), flat),
        *(pa.array(np.ascontiguousarray(column)) for column in counted.T),
    ]
    return pa.record_batch(columns, schema=SCHEMA)
