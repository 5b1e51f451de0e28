"""`variants.parquet`: which definitions each variant holds, and how often each fired; and one variant out of all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from streams.core.events import Mode
from streams.errors import InputError, os_trouble, shortened
from streams.replay.definitions import Definitions
from streams.replay.results import Batch, ExecutionsWriter
from streams.replay.tick_columns import Int64s
from streams.replay.what_if import Variant
from streams.whole_files import WholeFile

VARIANTS_SCHEMA: Final = pa.schema(
    [
        pa.field("variant", pa.string(), nullable=False),
        pa.field("strategy_id", pa.string(), nullable=False),
        pa.field("definition", pa.int32(), nullable=False),
        pa.field("timeframe", pa.string(), nullable=False),
        pa.field("mode", pa.string(), nullable=False),
        pa.field("tickers", pa.int32(), nullable=False),
        pa.field("fired_pairs", pa.int64(), nullable=False),
    ]
)

TEXTS: Final = ("strategy_id", "ticker", "mode")
"""Columns of texts of the executions."""


def write_variants(path: Path, variants: Sequence[Variant], definitions: Definitions, fired: Int64s) -> None:
    """Write the file, a row for each variant and strategy in it."""
    strategies = definitions.strategies
    table = pa.record_batch(
        [
            pa.array(definitions.ids, pa.string()),
            pa.array(np.arange(len(strategies), dtype=np.int32)),
            pa.array([strategy.timeframe for strategy in strategies], pa.string()),
            pa.array([strategy.mode_under(Mode.PER_TICKER).value for strategy in strategies], pa.string()),
            pa.array([len(strategy.universe) for strategy in strategies], pa.int32()),
            pa.array(fired),
        ],
        names=VARIANTS_SCHEMA.names[1:],
    )
    with (
        WholeFile(path) as file,
        file.trouble_named(),
        pq.ParquetWriter(file.out, VARIANTS_SCHEMA, compression="zstd", store_schema=False) as parquet,
    ):
        for variant, held in zip(variants, definitions.held, strict=True):
            names = pa.repeat(pa.scalar(variant.name, pa.string()), len(held))
            rows = table.take(pa.array(held))
            parquet.write_batch(pa.record_batch([names, *rows.columns], schema=VARIANTS_SCHEMA))


def extract(replayed: Path, variant: str, executions: Path) -> int:
    """Write the executions of one variant, as a replay of it alone would have; returns how many."""
    held = _held(replayed / "variants.parquet", variant)
    with _opened(replayed / "executions.parquet", TEXTS) as file, ExecutionsWriter(executions) as writer:
        for batch in file.iter_batches():
            chosen = batch.filter(pc.is_in(batch.column("definition"), value_set=held))
            strategy, ticker, mode = (chosen.column(name) for name in TEXTS)
            texts = Batch(
                strategy.dictionary.to_pylist(),
                strategy.indices.to_numpy(),
                ticker.dictionary.to_pylist(),
                ticker.indices.to_numpy(),
                chosen.column("bucket_ms").to_numpy(),
                chosen.column("ts").to_numpy(),
                mode.dictionary.to_pylist(),
                mode.indices.to_numpy(),
            )
            writer.add(texts)
    return writer.rows


def _held(path: Path, variant: str) -> Any:  # noqa: ANN401 - pyarrow has no types
    """The definitions that a variant holds."""
    known: dict[str, None] = {}
    held = []
    with _opened(path) as file:
        for batch in file.iter_batches(columns=["variant", "definition"]):
            known |= dict.fromkeys(batch.column("variant").unique().to_pylist())
            held.append(batch.filter(pc.equal(batch.column("variant"), variant)).column("definition"))
    if variant not in known:
        raise InputError(str(path), f"no variant {shortened(variant)}", f"those there are {', '.join(known)}"[:1_000])
    return pa.chunked_array(held)


def _opened(path: Path, as_numbers: Sequence[str] = ()) -> Any:  # noqa: ANN401 - pyarrow has no types
    remedy = "name the folder of a replay with --what-if"
    try:
        return pq.ParquetFile(path, read_dictionary=list(as_numbers))
    except (OSError, pa.ArrowException) as error:
        words = os_trouble(error) if isinstance(error, OSError) else shortened(str(error), 200)
        raise InputError(str(path), f"cannot be read ({words})", remedy) from error
