"""A day decided again as it was, into files: never onto a topic.

From the topics or from a recording of them the bytes of the executions are the same.
"""

from pathlib import Path
from typing import Any

import numpy as np

from streams import __version__
from streams.recorded.beside import Beside
from streams.recorded.deciding import ByShard
from streams.recorded.placed import Ticks
from streams.recorded.rejected import RefusedWriter
from streams.recorded.source import Day
from streams.replay.ahead import ahead
from streams.replay.results import ExecutionsWriter, write_manifest
from streams.replay.run import Advance, Replayed, hashed, make_folder, remove


def replay_day(
    day: Day, out: Path, advance: Advance = lambda _done, _total: None, beside: Beside | None = None
) -> Replayed:
    """Decide it by what it was decided by; or by something else, in one shard."""
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
                executions.add(fired)
                rejects.add(homeless)
            advance(*day.progress())
        executions.add(deciding.rest())
        remove(out / "manifest.json")
        remove(out / "variants.parquet")
    counts, warnings = deciding.counts, [*day.warnings, *deciding.skipped()]
    done = Replayed(counts["ticks"], executions.rows, rejects.rows, counts, warnings, {})
    write_manifest(out / "manifest.json", _manifest(day, deciding, done, out))
    return done


def together(ticks: Ticks) -> Ticks:
    """The ticks of all partitions in one shard."""
    return ticks._replace(partition=np.zeros_like(ticks.partition))


def _manifest(day: Day, deciding: ByShard, done: Replayed, out: Path) -> dict[str, Any]:
    return {
        "tickgate": __version__,
        "inputs": day.told(),
        "settings": {"order": "arrival"},
        "counts": deciding.counts,
        "fired_pairs": done.fired_pairs,
        "rejected": done.rejected,
        "result": hashed(out / "executions.parquet"),
    }
