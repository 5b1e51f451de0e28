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

from streams import __version__
from streams.errors import InputError, os_trouble
from streams.replay import definitions_file
from streams.replay.ahead import ahead
from streams.replay.deciding import Deciding
from streams.replay.definitions import Definitions, as_they_are, definitions_of
from streams.replay.definitions_file import write_definitions
from streams.replay.find_files import Found, find_files, gaps
from streams.replay.in_order import Order, in_order
from streams.replay.report import page
from streams.replay.report.page import write_report
from streams.replay.results import ExecutionsWriter, RejectsWriter, write_manifest
from streams.replay.tick_files import TickFile, open_ticks
from streams.replay.variants_file import write_variants
from streams.replay.what_if import Variant, read_what_if
from streams.strategy_file import read_strategies
from streams.whole_files import make_folder

DEFAULT_BATCH_TICKS: Final = 1 << 17


class Job(NamedTuple):
    """What to replay, how, and where to."""

    ticks: Sequence[Path]
    """Files, and folders of them."""
    strategies: Path
    out: Path
    batch_ticks: int = DEFAULT_BATCH_TICKS
    order: Order = Order.STRICT
    what_if: Path | None = None
    """Variants of the strategies, all to be decided."""
    report: bool = True
    """Whether `report.html` is written too."""


class Replayed(NamedTuple):
    """What a replay did."""

    ticks: int
    fired_pairs: int
    rejected: int
    counts: dict[str, int]
    warnings: list[str]
    variants: dict[str, int]
    """Fired pairs of each."""


Advance = Callable[[int, int | None], None]
"""Told now and then how many rows are done and, where known, how many there are."""


class Plan(NamedTuple):
    """What is to be decided."""

    variants: list[Variant]
    definitions: Definitions
    warnings: list[str]


def replay(job: Job, advance: Advance = lambda _done, _total: None) -> Replayed:
    """Replay one day, or what is given of it."""
    plan = read_plan(job)
    deciding = Deciding(plan.definitions, job.what_if or job.strategies)
    found = find_files(job.ticks)
    files = [open_ticks(file.path, job.batch_ticks) for file in found]
    labels = [file.label for file in found] if len(found) > 1 else [""]
    total = total_rows(files)
    make_folder(job.out)
    with (
        ExecutionsWriter(job.out / "executions.parquet", with_definition=bool(plan.variants)) as executions,
        RejectsWriter(job.out / "rejected.jsonl") as rejects,
    ):
        for run in ahead(in_order(files, job.order)):
            refused = deciding.step(run, executions)
            rejects.add((placed.reject, labels[placed.file]) for placed in refused)
            advance(sum(file.rows_read for file in files), total)
        for name in ("manifest.json", "variants.parquet", definitions_file.NAME, page.NAME):
            remove(job.out / name)
    warnings = [
        *plan.warnings,
        *skipped(plan, deciding),
        *gaps(found),
        *(each for file in files for each in file.warnings),
    ]
    done = done_of(plan, deciding, executions.rows, rejects.rows, warnings)
    write_rest(job, found, plan, deciding, done)
    return done


def done_of(plan: Plan, deciding: Deciding, fired_pairs: int, rejected: int, warnings: list[str]) -> Replayed:
    """What has been done."""
    fired = zip(plan.variants, plan.definitions.held, strict=True)
    of_variants = {variant.name: int(deciding.fired[held].sum()) for variant, held in fired}
    counts = deciding.shard.counts
    return Replayed(counts["ticks"], fired_pairs, rejected, counts, warnings, of_variants)


def write_rest(job: Job, found: Sequence[Found], plan: Plan, deciding: Deciding, done: Replayed) -> None:
    """Write what stands beside the executions; the manifest comes last."""
    write_definitions(job.out / definitions_file.NAME, plan.definitions, deciding.counts())
    if plan.variants:
        write_variants(job.out / "variants.parquet", plan.variants, plan.definitions, deciding.fired)
    whole = manifest(job, found, plan, done)
    if job.report:
        write_report(job.out, whole, done.warnings)
    write_manifest(job.out / "manifest.json", whole)


def read_plan(job: Job) -> Plan:
    """Read the strategies, and the variants of them."""
    file = read_strategies(job.strategies)
    if job.what_if is None:
        return Plan([], as_they_are(file.strategies), list(file.warnings))
    variants = read_what_if(job.what_if, file.strategies)
    warnings = [*file.warnings, *(warning for variant in variants for warning in variant.warnings)]
    return Plan(variants, definitions_of(file.strategies, variants), warnings)


def skipped(plan: Plan, deciding: Deciding) -> list[str]:
    """Which strategies decide nothing, where reading them has not told it."""
    told = "\n".join(plan.warnings)
    found = dict.fromkeys(f"strategy {sid!r} is skipped: {why}" for sid, why in deciding.skipped() if why not in told)
    return list(found)


def total_rows(files: Sequence[TickFile]) -> int | None:
    """Rows of all files; None where one of them cannot tell."""
    known = [file.total_rows for file in files if file.total_rows is not None]
    return sum(known) if len(known) == len(files) else None


def remove(path: Path) -> None:
    """Remove a file that may be there."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(str(path), f"cannot be removed ({os_trouble(error)})", "choose another folder") from error


def manifest(job: Job, found: Sequence[Found], plan: Plan, done: Replayed) -> dict[str, Any]:
    """What went in, what was done with it, and what came out: enough to know the same run again."""
    of_variants = {}
    if job.what_if is not None:
        of_variants = {
            "what_if": hashed(job.what_if),
            "definitions": len(plan.definitions.strategies),
            "variants": [
                {"name": each.name, "strategies_changed": len(each.changed), "fired_pairs": done.variants[each.name]}
                for each in plan.variants
            ],
            "variants_result": hashed(job.out / "variants.parquet"),
        }
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
        "definitions_result": hashed(job.out / definitions_file.NAME),
        **of_variants,
    }


def hashed(path: Path) -> dict[str, str]:
    """A file by its name and the hash of its bytes."""
    with path.open("rb") as file:
        return {"name": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
