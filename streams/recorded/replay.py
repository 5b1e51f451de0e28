"""A day decided again as it was, into files: never onto a topic.

From the topics or from a recording of them the bytes of the executions are the same.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from streams import __version__
from streams.core.columns import Int64s, grown
from streams.core.limits import NEVER
from streams.process import nothing_collected
from streams.recorded.as_one import all_gathered, as_one, goes_as_one
from streams.recorded.beside import Beside
from streams.recorded.deciding import ByShard
from streams.recorded.parted import Parted, all_split
from streams.recorded.placed import Refused
from streams.recorded.rejected import RefusedWriter
from streams.recorded.source import Day, TopicDay
from streams.recorded.tally_kernel import tally
from streams.replay import definitions_file
from streams.replay.ahead import STEPS, ahead
from streams.replay.definitions import as_they_are
from streams.replay.definitions_file import write_definitions
from streams.replay.hashes import hashed
from streams.replay.report import page
from streams.replay.report.page import write_report
from streams.replay.results import Batch, ExecutionsWriter, write_manifest
from streams.replay.run import Advance, Replayed, remove
from streams.whole_files import make_folder

OF_EARLIER_REPLAYS: Final = ("manifest.json", "variants.parquet", definitions_file.NAME, page.NAME)
"""What may stand in the folder and is not of this one."""


STEPS_OF_TOPICS: Final = 16
"""So many runs are read ahead, of `MOST_TICKS` or fewer: as strategies are read and put in force, none is decided."""

Runs = Iterator[tuple[Parted | None, list[Refused]]]


class Written(NamedTuple):
    """What stands in the files of executions and of refused records."""

    fired: Int64s
    """How often each strategy did."""
    rejected: int
    executions: dict[str, str]
    """The file of executions, by its hash."""


class How(NamedTuple):
    """What is asked for of a replay."""

    beside: Beside | None = None
    """Decides in place of what the day was decided by, in one shard."""
    warm_until_ms: int = NEVER
    """What fires at an earlier time is left out."""
    report: bool = True
    """Whether `report.html` is written too."""
    warnings: Sequence[str] = ()
    """Of what decides in its place."""


class Course(NamedTuple):
    """What a day is decided by, and the ticks as shards take them."""

    beside: Beside
    as_many: int
    """For how many shards each stands."""
    runs: Runs


def replay_day(day: Day, out: Path, how: How, advance: Advance = lambda _done, _total: None) -> Replayed:
    """Decide it by what it was decided by, or by something else. Ticks are read while strategies still are."""
    with ahead(_parted(day), STEPS_OF_TOPICS if isinstance(day, TopicDay) else STEPS) as parted:
        with nothing_collected():
            beside = how.beside or day.beside
            course = _course(beside, parted, as_one_day=how.beside is not None or goes_as_one(beside))
            deciding = ByShard(course.beside, day.conditions, as_many=course.as_many)
        with ahead(course.runs) as runs:
            written = _decide(day, deciding, runs, out, how, advance)
    counts, warnings = deciding.counts, [*how.warnings, *day.warnings, *deciding.skipped()]
    done = Replayed(counts["ticks"], int(written.fired.sum()), written.rejected, counts, warnings, {})
    _write_definitions(out / definitions_file.NAME, deciding, written.fired)
    results = {"result": written.executions, "definitions_result": hashed(out / definitions_file.NAME)}
    manifest = _manifest(day, deciding, done, how) | results
    if how.report:
        write_report(out, manifest, warnings)
    write_manifest(out / "manifest.json", manifest)
    return done


def _course(beside: Beside, parted: Runs, *, as_one_day: bool) -> Course:
    """Whatever decides it at the least cost."""
    if as_one_day:
        return Course(as_one(beside), beside.shards, all_gathered(parted))
    return Course(beside, 1, parted)


def _parted(day: Day) -> Runs:
    """The ticks as shards decide them."""
    return day.parted() if isinstance(day, TopicDay) else all_split(day.runs(), day.conditions)


def _decide(  # noqa: PLR0913, PLR0917 - what is decided, by what, and where it goes
    day: Day, deciding: ByShard, runs: Runs, out: Path, how: How, advance: Advance
) -> Written:
    """Take all ticks, and write what fires and what is refused."""
    make_folder(out)
    fired = np.zeros(0, np.int64)
    with (
        ExecutionsWriter(out / "executions.parquet") as executions,
        RefusedWriter(out / "rejected.jsonl") as rejects,
    ):

        def add(batch: Batch) -> None:
            nonlocal fired
            kept = since(batch, how.warm_until_ms)
            executions.add(kept)
            fired = grown(fired, len(deciding.strategies.names), 0)
            tally(kept.strategy, fired)

        for ticks, refused in runs:
            rejects.add(refused)
            if ticks is not None:
                batch, homeless = deciding.step_parts(ticks)
                add(batch)
                rejects.add(homeless)
            advance(*day.progress())
        add(deciding.rest())
        for name in OF_EARLIER_REPLAYS:
            remove(out / name)
    return Written(fired, rejects.rows, executions.hashed)


def _write_definitions(path: Path, deciding: ByShard, fired: Int64s) -> None:
    """Each strategy as it stood last. Pairs that fired are those of the result, the other counts are of all ticks."""
    strategies = deciding.stood()
    names = deciding.strategies.names
    fired_of = dict(zip(names, fired[: len(names)].tolist(), strict=True))
    counted = deciding.strategy_counts()
    counts = (counted[each.strategy_id]._replace(fired=fired_of.get(each.strategy_id, 0)) for each in strategies)
    write_definitions(path, as_they_are(strategies), deciding.universes(strategies), counts)


def since(fired: Batch, ts_ms: int) -> Batch:
    """What fired at a time or later."""
    if ts_ms == NEVER or (keep := fired.ts_ms >= ts_ms).all():
        return fired
    return fired._replace(
        strategy=fired.strategy[keep],
        ticker=fired.ticker[keep],
        bucket_ms=fired.bucket_ms[keep],
        ts_ms=fired.ts_ms[keep],
        mode=fired.mode[keep],
    )


def _manifest(day: Day, deciding: ByShard, done: Replayed, how: How) -> dict[str, Any]:
    warm: dict[str, Any] = {} if how.warm_until_ms == NEVER else {"warm_up_until_ms": how.warm_until_ms}
    if (how.beside or day.beside).starts:
        warm["warm_up_from"] = "changelogs"
    return {
        "tickgate": __version__,
        "inputs": day.told(),
        "settings": {"order": "arrival", **warm},
        "counts": deciding.counts,
        "fired_pairs": done.fired_pairs,
        "rejected": done.rejected,
    }
