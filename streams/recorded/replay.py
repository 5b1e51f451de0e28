"""A day decided again as it was, into files: never onto a topic.

From the topics or from a recording of them the bytes of the executions are the same.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from streams import __version__
from streams.core.limits import NEVER
from streams.recorded.beside import Beside
from streams.recorded.deciding import ByShard
from streams.recorded.placed import Ticks
from streams.recorded.rejected import RefusedWriter
from streams.recorded.source import Day
from streams.replay.ahead import ahead
from streams.replay.results import Batch, ExecutionsWriter, write_manifest
from streams.replay.run import Advance, Replayed, hashed, remove
from streams.whole_files import make_folder

OF_EARLIER_REPLAYS: Final = ("manifest.json", "variants.parquet", "definitions.parquet", "report.html")
"""What may stand in the folder and is not of this one."""


class How(NamedTuple):
    """What is asked for of a replay."""

    beside: Beside | None = None
    """Decides in place of what the day was decided by, in one shard."""
    warm_until_ms: int = NEVER
    """What fires at an earlier time is left out."""


def replay_day(day: Day, out: Path, how: How, advance: Advance = lambda _done, _total: None) -> Replayed:
    """Decide it by what it was decided by, or by something else."""
    beside = how.beside
    deciding = ByShard(beside or day.beside, day.conditions)
    make_folder(out)
    with (
        ExecutionsWriter(out / "executions.parquet") as executions,
        RefusedWriter(out / "rejected.jsonl") as rejects,
    ):
        for ticks, refused in ahead(day.runs()):
            rejects.add(refused)
            if ticks is not None and len(ticks.partition):
                fired, homeless = deciding.step(ticks if beside is None else together(ticks))
                executions.add(since(fired, how.warm_until_ms))
                rejects.add(homeless)
            advance(*day.progress())
        executions.add(since(deciding.rest(), how.warm_until_ms))
        for name in OF_EARLIER_REPLAYS:
            remove(out / name)
    counts, warnings = deciding.counts, [*day.warnings, *deciding.skipped()]
    done = Replayed(counts["ticks"], executions.rows, rejects.rows, counts, warnings, {})
    write_manifest(out / "manifest.json", _manifest(day, deciding, done, how, out))
    return done


def together(ticks: Ticks) -> Ticks:
    """The ticks of all partitions in one shard."""
    return ticks._replace(partition=np.zeros_like(ticks.partition))


def since(fired: Batch, ts_ms: int) -> Batch:
    """What fired at a time or later."""
    keep = fired.ts_ms >= ts_ms
    if keep.all():
        return fired
    return fired._replace(
        strategy=fired.strategy[keep],
        ticker=fired.ticker[keep],
        bucket_ms=fired.bucket_ms[keep],
        ts_ms=fired.ts_ms[keep],
        mode=fired.mode[keep],
    )


def _manifest(day: Day, deciding: ByShard, done: Replayed, how: How, out: Path) -> dict[str, Any]:
    warm = {} if how.warm_until_ms == NEVER else {"warm_up_until_ms": how.warm_until_ms}
    return {
        "tickgate": __version__,
        "inputs": day.told(),
        "settings": {"order": "arrival", **warm},
        "counts": deciding.counts,
        "fired_pairs": done.fired_pairs,
        "rejected": done.rejected,
        "result": hashed(out / "executions.parquet"),
    }
