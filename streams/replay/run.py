"""One replay: files of ticks and a file of strategies in, the fired pairs out, in order.

The shard here is the one that decides live. Rows are taken in the order they stand in; time that runs
backwards is refused unless the caller says what it means.

What is there of a result under its name is whole. The manifest comes last, and an earlier one goes before anything of
the earlier result does: where there is a manifest, all that it names is of one run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from streams import __version__
from streams.errors import InputError, os_trouble
from streams.process import give_back, nothing_collected
from streams.reference_data import load_conditions
from streams.replay import definitions_file
from streams.replay.ahead import ahead
from streams.replay.deciding import Deciding
from streams.replay.definitions import Definitions, as_read, definitions_of
from streams.replay.definitions_file import write_definitions
from streams.replay.find_files import Found, find_files, gaps
from streams.replay.hashes import hashed, hashing
from streams.replay.in_order import Order, in_order
from streams.replay.numbered_file import read_numbered
from streams.replay.report import page
from streams.replay.report.page import write_report
from streams.replay.results import ExecutionsWriter, RejectsWriter, write_manifest
from streams.replay.runs import Judged, all_judged
from streams.replay.tick_files import TickFile, open_ticks
from streams.replay.variants_file import write_variants
from streams.replay.what_if import Variant, read_what_if
from streams.strategy_file import read_strategies
from streams.whole_files import make_folder

DEFAULT_BATCH_TICKS: Final = 1 << 16

RUNS_AHEAD: Final = 16
"""So many runs are read while strategies still are: what comes later has less to wait for."""


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


class Written(NamedTuple):
    """What stands in the files of executions and of refused rows."""

    fired_pairs: int
    rejected: int
    executions: dict[str, str]
    """The file of executions, by its hash."""


Advance = Callable[[int, int | None], None]
"""Told now and then how many rows are done and, where known, how many there are."""


class Ticks(NamedTuple):
    """What goes in."""

    found: Sequence[Found]
    files: Sequence[TickFile]
    runs: Iterator[Judged]


class Plan(NamedTuple):
    """What is to be decided."""

    variants: list[Variant]
    definitions: Definitions
    warnings: list[str]


def replay(job: Job, advance: Advance = lambda _done, _total: None) -> Replayed:
    """Replay one day, or what is given of it. Files are hashed, and ticks read, while strategies still are."""
    found = find_files(job.ticks)
    files = [open_ticks(file.path, job.batch_ticks) for file in found]
    conditions = load_conditions()
    coming = all_judged(in_order(files, job.order), conditions)
    with ahead(coming, RUNS_AHEAD) as runs, hashing([*(file.path for file in found), job.strategies]) as hashes:
        with nothing_collected():
            plan = read_plan(job)
            deciding = Deciding(plan.definitions, job.what_if or job.strategies, conditions)
            give_back()
        written = decide(job, Ticks(found, files, runs), plan, deciding, advance)
        warnings = [*plan.warnings, *skipped(plan, deciding), *gaps(found)]
        warnings += [warning for file in files for warning in file.warnings]
        done = done_of(plan, deciding, written, warnings)
        ticks = [{**hashes[file.path].result(), "name": file.label} for file in found]
        inputs = {"ticks": ticks, "strategies": hashes[job.strategies].result()}
        write_rest(job, inputs, plan, written, done)
    return done


def decide(job: Job, ticks: Ticks, plan: Plan, deciding: Deciding, advance: Advance) -> Written:
    """Take all ticks, and write what fires, what is refused, and by what it was decided."""
    labels = [file.label for file in ticks.found] if len(ticks.found) > 1 else [""]
    total = total_rows(ticks.files)
    make_folder(job.out)
    with (
        ExecutionsWriter(job.out / "executions.parquet", with_definition=bool(plan.variants)) as executions,
        RejectsWriter(job.out / "rejected.jsonl") as rejects,
    ):
        for run in ticks.runs:
            refused = deciding.step(run, executions)
            rejects.add((placed.reject, labels[placed.file]) for placed in refused)
            advance(sum(file.rows_read for file in ticks.files), total)
        for name in ("manifest.json", "variants.parquet", definitions_file.NAME, page.NAME):
            remove(job.out / name)
        write_decided(job, plan, deciding)  # beside the last executions, which are still being written
    return Written(executions.rows, rejects.rows, executions.hashed)


def write_decided(job: Job, plan: Plan, deciding: Deciding) -> None:
    """Write the strategies as they stood, and what became of each."""
    universes = deciding.universes()
    write_definitions(job.out / definitions_file.NAME, plan.definitions, universes, deciding.counts())
    if plan.variants:
        write_variants(job.out / "variants.parquet", plan.variants, plan.definitions, deciding.fired)


def done_of(plan: Plan, deciding: Deciding, written: Written, warnings: list[str]) -> Replayed:
    """What has been done."""
    fired = zip(plan.variants, plan.definitions.held, strict=True)
    of_variants = {variant.name: int(deciding.fired[held].sum()) for variant, held in fired}
    counts = deciding.shard.counts
    return Replayed(counts["ticks"], written.fired_pairs, written.rejected, counts, warnings, of_variants)


def write_rest(job: Job, inputs: Mapping[str, Any], plan: Plan, written: Written, done: Replayed) -> None:
    """Write what tells of the results; the manifest comes last."""
    whole = manifest(job, inputs, plan, written, done)
    if job.report:
        write_report(job.out, whole, done.warnings)
    write_manifest(job.out / "manifest.json", whole)


def read_plan(job: Job) -> Plan:
    """Read the strategies, and the variants of them."""
    if job.what_if is None:
        numbered = read_numbered(job.strategies)
        return Plan([], as_read(numbered), list(numbered.warnings))
    file = read_strategies(job.strategies)
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


def manifest(job: Job, inputs: Mapping[str, Any], plan: Plan, written: Written, done: Replayed) -> dict[str, Any]:
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
        "inputs": inputs,
        "settings": {"order": job.order.value},
        "counts": done.counts,
        "fired_pairs": done.fired_pairs,
        "rejected": done.rejected,
        "result": written.executions,
        "definitions_result": hashed(job.out / definitions_file.NAME),
        **of_variants,
    }
