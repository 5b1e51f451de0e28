"""The reference workload in the forms that users have: Parquet, strategy files, encoded values; and its digest."""

import json
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bench import workload
from streams.core.events import Strategy

TIMEFRAMES: Final = {60_000: "1m", 300_000: "5m", 900_000: "15m", 3_600_000: "1h", 86_400_000: "1d"}

PER_SECOND: Final = 3_333.0
"""Ticks per second of event time, where nothing else is said."""

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]


class Workload(NamedTuple):
    """Ticks as columns, strategies, and how many pairs must fire."""

    names: list[str]
    who: Int32s
    when: Int64s
    raw_strategies: dict[str, list]  # type: ignore[type-arg]
    pairs: int
    digest: str

    @property
    def strategies(self) -> list[Strategy]:
        """The strategies, in the order of their ids."""
        return [
            Strategy(sid, TIMEFRAMES[timeframe_ms], frozenset(universe))
            for sid, (timeframe_ms, universe) in sorted(self.raw_strategies.items())
        ]


def make(
    seed: int, ticks: int, tickers: int = 8_000, strategies: int = 2_000, per_second: float = PER_SECOND
) -> Workload:
    """The workload of a seed, exactly as `workload.py make` would write it."""
    rng = np.random.default_rng(seed)
    raw = workload.make_strategies(rng, strategies, tickers)
    who, when = workload.make_ticks(rng, ticks, tickers, per_second, workload.START_MS)
    answer = workload.answer(raw, who, when)
    names = [workload.ticker_name(i) for i in range(tickers)]
    return Workload(names, who, when, raw, answer["pairs"], answer["digest"])


def encoded(work: Workload) -> list[bytes]:
    """Each tick as the workload's loader sends it."""
    names = work.names
    return [
        workload.encode(names[who], when, 100.0 + i % 100)
        for i, (who, when) in enumerate(zip(work.who.tolist(), work.when.tolist(), strict=True))
    ]


def write_files(work: Workload, folder: Path) -> tuple[Path, Path]:
    """`ticks.parquet` and `strategies.jsonl`, as `tickgate replay` takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    ticks, strategies = folder / "ticks.parquet", folder / "strategies.jsonl"
    write_ticks(work, ticks)
    with strategies.open("w") as file:
        for sid, (timeframe_ms, universe) in work.raw_strategies.items():
            line = {"strategy_id": sid, "timeframe": TIMEFRAMES[timeframe_ms], "universe": universe}
            file.write(json.dumps(line) + "\n")
    return ticks, strategies


def write_ticks(work: Workload, path: Path) -> None:
    """The ticks as Parquet, with the price, size and conditions that the loader sends."""
    count = len(work.who)
    tickers = pa.DictionaryArray.from_arrays(pa.array(work.who), pa.array(work.names)).cast(pa.string())
    codes = pa.array(np.tile(np.array([0, 14], np.int32), count))
    columns = {
        "ticker": tickers,
        "ts": pa.array(work.when),
        "price": pa.array(100.0 + np.arange(count) % 100),
        "size": pa.array(np.full(count, 100, np.int32)),
        "conditions": pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32) * 2), codes),
    }
    pq.write_table(pa.table(columns), path, row_group_size=1 << 18)


def digest_of(executions: Path) -> tuple[int, str]:
    """How many pairs a replay's file holds, and the workload's order-free digest of them."""
    total = count = 0
    for batch in pq.ParquetFile(executions).iter_batches(columns=["strategy_id", "ticker", "bucket_ms"]):
        columns = [column.to_pylist() for column in batch.columns]
        total += sum(map(workload.triple_hash, *columns))
        count += batch.num_rows
    return count, f"{total % 2**64:016x}"
