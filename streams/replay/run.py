"""One replay: files of ticks and a file of strategies in, the fired pairs out, in order.

The shard here is the one that decides live. Rows are taken in the order they stand in; time that runs
backwards is refused unless the caller says what it means.

What is there of a result under its name is whole. The manifest comes last, and an earlier one goes before anything of
the earlier result does: where there is a manifest, all that it names is of one run.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from streams import __version__
from streams.core.events import Mode
from streams.core.lifecycle import Verdict
from streams.core.limits import MAX_TICKERS
from streams.core.shard import EVERY_TICKER, Shard
from streams.errors import InputError, os_trouble
from streams.reference_data import load_conditions
from streams.replay.find_files import Found, find_files, gaps
from streams.replay.in_order import Order, in_order
from streams.replay.results import ExecutionsWriter, RejectsWriter, write_manifest
from streams.replay.runs import Placed, Run
from streams.replay.tick_files import Reject, TickFile, open_ticks
from streams.strategy_file import read_strategies

DEFAULT_BATCH_TICKS: Final = 65_536
MODES: Final = [mode.value for mode in Mode]


class Job(NamedTuple):
    """What to replay, how, and where to."""

    ticks: Sequence[Path]
    """Files, and folders of them."""
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
    """Replay one day, or what is given of it."""
    shard = Shard(load_conditions())
    warnings = load_strategies(shard, job.strategies)
    found = find_files(job.ticks)
    files = [open_ticks(file.path, job.batch_ticks) for file in found]
    labels = [file.label for file in found] if len(found) > 1 else [""]
    total = total_rows(files)
    make_folder(job.out)
    manifest_path = job.out / "manifest.json"
    with (
        ExecutionsWriter(job.out / "executions.parquet") as executions,
        RejectsWriter(job.out / "rejected.jsonl") as rejects,
    ):
        for run in in_order(files, job.order):
            refused = step(shard, run, executions)
            rejects.add((placed.reject, labels[placed.file]) for placed in refused)
            advance(sum(file.rows_read for file in files), total)
        remove(manifest_path)
    warnings += [*gaps(found), *(warning for file in files for warning in file.warnings)]
    done = Replayed(shard.counts["ticks"], executions.rows, rejects.rows, shard.counts, warnings)
    write_manifest(manifest_path, manifest(job, found, done))
    return done


def step(shard: Shard, run: Run, executions: ExecutionsWriter) -> list[Placed]:
    """Take one run of ticks; returns the rows that were refused."""
    batch = run.batch
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
    if not refused:
        return run.refused
    homeless = (Placed(int(run.file_of[at]), too_many_tickers(int(batch.rows[at]))) for at in refused)
    return sorted([*run.refused, *homeless])


def total_rows(files: Sequence[TickFile]) -> int | None:
    """Rows of all files; None where one of them cannot tell."""
    known = [file.total_rows for file in files if file.total_rows is not None]
    return sum(known) if len(known) == len(files) else None


def too_many_tickers(row: int) -> Reject:
    """Why a row is refused whose ticker finds no room."""
    return Reject(row, "too_many_tickers", f"a shard holds at most {MAX_TICKERS} tickers")


def make_folder(path: Path) -> None:
    """Make the folder for the results."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(path), f"cannot be made ({os_trouble(error)})", "choose another folder") from error


def remove(path: Path) -> None:
    """Remove a file that may be there."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(str(path), f"cannot be removed ({os_trouble(error)})", "choose another folder") from error


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


def manifest(job: Job, found: Sequence[Found], done: Replayed) -> dict[str, Any]:
    """What went in, what was done with it, and what came out: enough to know the same run again."""
    return {
        "tickgate": __version__,
        "inputs": {
            "ticks": [{**hashed(file.path), "name": file.label} for file in found],
            "strategies": hashed(job.strategies),
        },
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
