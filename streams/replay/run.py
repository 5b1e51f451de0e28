"""One replay: a file of ticks and a file of strategies in, the fired pairs out, in order.

The shard here is the one that decides live. Rows are taken in the order they stand in; time that runs
backwards is refused unless the caller says what it means.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from streams.core.events import Mode
from streams.core.lifecycle import Verdict
from streams.core.limits import NEVER
from streams.core.shard import Shard
from streams.errors import InputError
from streams.reference_data import load_conditions
from streams.replay.results import ExecutionsWriter, RejectsWriter, write_manifest
from streams.replay.tick_files import Reject, TickBatch, TickFile, open_ticks
from streams.strategy_file import read_strategies

DEFAULT_BATCH_TICKS: Final = 65_536
MODES: Final = [mode.value for mode in Mode]


class Order(StrEnum):
    """What rows whose times run backwards mean."""

    STRICT = "strict"
    """A mistake: say where, and stop."""
    ARRIVAL = "arrival"
    """They came in like that: the late ones are late, as they would have been live."""
    TIME = "time"
    """The file was shuffled: put it in the order of time first. Takes memory for the whole file."""


class Replayed(NamedTuple):
    """What a replay did."""

    ticks: int
    fired_pairs: int
    rejected: int
    counts: dict[str, int]
    warnings: list[str]


def replay(
    ticks: Path,
    strategies: Path,
    out: Path,
    batch_ticks: int = DEFAULT_BATCH_TICKS,
    order: Order = Order.STRICT,
    advance: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> Replayed:
    """Replay one file; `advance` is told the rows done and, where known, the rows there are."""
    shard = Shard(load_conditions())
    warnings = load_strategies(shard, strategies)
    file = open_ticks(ticks, batch_ticks)
    fired = rejected = 0
    out.mkdir(parents=True, exist_ok=True)
    with ExecutionsWriter(out / "executions.parquet") as executions, RejectsWriter(out / "rejected.jsonl") as rejects:
        for batch in in_order(file, ticks, order):
            fires, too_many = _step(shard, batch)
            executions.add(
                shard.strategy_ids,
                fires.strategy,
                shard.index.tickers.all_names(),
                fires.ticker,
                fires.bucket_ms,
                fires.ts_ms,
                MODES,
                _mode_numbers(shard)[fires.strategy],
            )
            rejects.add([*batch.rejects, *too_many])
            fired += len(fires.tick)
            rejected += len(batch.rejects) + len(too_many)
            advance(batch.first_row + len(batch.rows) + len(batch.rejects), file.total_rows)
    result = Replayed(shard.counts["ticks"], fired, rejected, shard.counts, warnings)
    write_manifest(out / "manifest.json", manifest(result, ticks, strategies, out, order))
    return result


def load_strategies(shard: Shard, path: Path) -> list[str]:
    """Put the file's strategies in force; returns the warnings."""
    file = read_strategies(path)
    for strategy in file.strategies:
        settled = shard.change(strategy)
        if settled.verdict is not Verdict.ACCEPTED:
            raise InputError(f"{path}, strategy {strategy.strategy_id!r}", settled.reason, "mend the file")
    return [*file.warnings, *(f"strategy {sid!r} is skipped: {why}" for sid, why in shard.index.warnings.items())]


def in_order(file: TickFile, path: Path, order: Order) -> Iterator[TickBatch]:
    """The batches, with their times held against the order that was asked for."""
    batches: Iterable[TickBatch] = file.batches()
    if order is Order.TIME:
        yield from by_time(list(batches))
        return
    newest = NEVER
    for batch in batches:
        if order is Order.STRICT and len(batch.ts_ms):
            before = np.concatenate(([newest], batch.ts_ms[:-1]))
            backwards = np.flatnonzero(batch.ts_ms < before)
            if len(backwards):
                at = backwards[0]
                raise InputError(
                    f"{path}, row {batch.rows[at]}",
                    f"its time {batch.ts_ms[at]} is before {before[at]}, the time of the row above",
                    "sort the file by ts; or say --order arrival (late ticks are late, as live) or --order time (sort)",
                )
            newest = int(batch.ts_ms[-1])
        yield batch
