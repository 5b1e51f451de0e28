"""One replay: a file of ticks and a file of strategies in, the fired pairs out, in order.

The shard here is the one that decides live. Rows are taken in the order they stand in; time that runs
backwards is refused unless the caller says what it means.
"""

import hashlib
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from streams import __version__
from streams.core.events import Mode
from streams.core.lifecycle import Verdict
from streams.core.limits import MAX_TICKERS, NEVER
from streams.core.shard import EVERY_TICKER, Shard
from streams.errors import InputError, os_trouble
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


class Job(NamedTuple):
    """What to replay, how, and where to."""

    ticks: Path
    strategies: Path
    out: Path
    batch_ticks: int = DEFAULT_BATCH_TICKS
    order: Order = Order.STRICT


class Replayed(NamedTuple):
    """What a replay did."""

    ticks: int
    fired_pairs: int
    rejected: int
    counts: dict[str, int]
    warnings: list[str]


Advance = Callable[[int, int | None], None]
"""Told now and then how many rows are done and, where known, how many there are."""


def replay(job: Job, advance: Advance = lambda _done, _total: None) -> Replayed:
    """Replay one file."""
    shard = Shard(load_conditions())
    warnings = load_strategies(shard, job.strategies)
    file = open_ticks(job.ticks, job.batch_ticks)
    make_folder(job.out)
    with (
        ExecutionsWriter(job.out / "executions.parquet") as executions,
        RejectsWriter(job.out / "rejected.jsonl") as rejects,
    ):
        rejected = 0
        for batch in in_order(file, job.order):
            rejected += step(shard, batch, executions, rejects)
            advance(file.rows_read, file.total_rows)
    done = Replayed(shard.counts["ticks"], executions.rows, rejected, shard.counts, [*warnings, *file.warnings])
    write_manifest(job.out / "manifest.json", manifest(job, done))
    return done


def step(shard: Shard, batch: TickBatch, executions: ExecutionsWriter, rejects: RejectsWriter) -> int:
    """Take one batch; returns how many rows were refused."""
    ticks, refused = shard.from_columns(batch.names, batch.name_of, batch.ts_ms, batch.codes, batch.code_ends)
    fires = shard.in_order(shard.step(ticks), len(ticks.ticker))
    if len(fires.tick):
        mode_of = np.array([MODES.index(mode) for mode in shard.whole_modes()], np.int32)
        by_pairs = np.int32(MODES.index(Mode.PER_TICKER))
        executions.add(
            shard.strategy_ids,
            fires.strategy,
            shard.index.tickers.all_names(),
            fires.ticker,
            fires.bucket_ms,
            fires.ts_ms,
            MODES,
            np.where(fires.ticker == EVERY_TICKER, mode_of[fires.strategy], by_pairs),
        )
    found = sorted([*batch.rejects, *(too_many_tickers(int(batch.rows[at])) for at in refused)])
    rejects.add(found)
    return len(found)


def too_many_tickers(row: int) -> Reject:
    """Why a row is refused whose ticker finds no room."""
    return Reject(row, "too_many_tickers", f"a shard holds at most {MAX_TICKERS} tickers")


def make_folder(path: Path) -> None:
    """Make the folder for the results."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(path), f"cannot be made ({os_trouble(error)})", "choose another folder") from error


def load_strategies(shard: Shard, path: Path) -> list[str]:
    """Put the file's strategies in force, in the order of their ids; returns the warnings."""
    file = read_strategies(path)
    for strategy in sorted(file.strategies, key=lambda strategy: strategy.strategy_id):
        settled = shard.change(strategy)
        if settled.verdict is not Verdict.ACCEPTED:
            raise InputError(f"{path}, strategy {strategy.strategy_id!r}", settled.reason, "mend the file")
    told = "\n".join(file.warnings)
    skipped = [f"strategy {sid!r} is skipped: {why}" for sid, why in shard.index.warnings.items() if why not in told]
    return [*file.warnings, *skipped]


def in_order(file: TickFile, order: Order) -> Iterator[TickBatch]:
    """The batches, with their times held against the order that was asked for."""
    if order is Order.TIME:
        yield from by_time(list(file.batches()), file.batch_rows)
        return
    newest = NEVER
    for batch in file.batches():
        if order is Order.STRICT and len(batch.ts_ms):
            before = np.concatenate(([newest], batch.ts_ms[:-1]))
            backwards = np.flatnonzero(batch.ts_ms < before)
            if len(backwards):
                at = int(backwards[0])
                raise InputError(
                    f"{file.path}, row {batch.rows[at]}, ts",
                    f"{batch.ts_ms[at]} is before {before[at]}, the time of the row above",
                    "sort the file by ts; or say --order time (sort here), or --order arrival (late ticks stay late)",
                )
            newest = int(batch.ts_ms[-1])
        yield batch


def by_time(batches: list[TickBatch], batch_rows: int) -> Iterator[TickBatch]:
    """All ticks sorted by time; those of one time stay in the order of the file."""
    if not batches:
        return
    names = list(dict.fromkeys(name for batch in batches for name in batch.names))
    number = {name: at for at, name in enumerate(names)}
    numbers = (np.array([number[name] for name in batch.names], np.int32)[batch.name_of] for batch in batches)
    name_of, rows = np.concatenate(list(numbers)), np.concatenate([batch.rows for batch in batches])
    ts_ms = np.concatenate([batch.ts_ms for batch in batches])
    counts = np.concatenate([np.diff(batch.code_ends, prepend=0) for batch in batches])
    codes = np.concatenate([batch.codes for batch in batches])
    first_code = np.cumsum(counts) - counts
    order = np.argsort(ts_ms, kind="stable")
    rejects = [reject for batch in batches for reject in batch.rejects]
    for start in range(0, max(len(order), 1), batch_rows):
        part = order[start : start + batch_rows]
        picked = [np.arange(first_code[at], first_code[at] + counts[at]) for at in part.tolist()]
        yield TickBatch(
            first_row=start + 1,
            rows=rows[part],
            names=names,
            name_of=name_of[part],
            ts_ms=ts_ms[part],
            code_ends=np.cumsum(counts[part]),
            codes=codes[np.concatenate(picked)] if picked else codes[:0],
            rejects=[] if start else rejects,
        )


def manifest(job: Job, done: Replayed) -> dict[str, Any]:
    """What went in, what was done with it, and what came out: enough to know the same run again."""
    return {
        "tickgate": __version__,
        "inputs": {"ticks": hashed(job.ticks), "strategies": hashed(job.strategies)},
        "settings": {"order": job.order.value},
        "counts": done.counts,
        "fired_pairs": done.fired_pairs,
        "rejected": done.rejected,
        "result": hashed(job.out / "executions.parquet"),
    }


def hashed(path: Path) -> dict[str, str]:
    """A file by its name and the hash of its bytes."""
    with path.open("rb") as file:
        return {"name": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
