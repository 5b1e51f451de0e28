"""Everything a report tells of, gathered from a folder of results."""

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.replay import definitions_file
from streams.replay.compare import Compared, compare
from streams.replay.limits import MAX_REPORT_COMPARED_ROWS, MAX_VARIANTS_SHOWN
from streams.replay.report.numbers import Numbers, count
from streams.replay.result_folder import EXECUTIONS, Result, pq_metadata, variant_names
from streams.replay.tick_columns import Int64s

THE_RUN: Final = "all strategies"
"""What the one run is called where there are no variants."""


class Facts(NamedTuple):
    """What is known of a replay."""

    manifest: dict[str, Any]
    warnings: list[str]
    names: list[str]
    """The runs that are shown: the first variants, or the one run."""
    more: int
    """Variants that are not shown."""
    numbers: Numbers
    definitions: Any
    """The definitions of the first run, in the order of the ids."""
    sizes: Int64s
    """Of their universes; 0 stands for every ticker."""
    fires: list[Int64s]
    """By run: how often each strategy fired, in the order of the ids."""
    compared: list[Compared]
    """The second run and those behind it, each held against the first; empty where that would take too long."""


def gather(folder: Path, manifest: dict[str, Any], warnings: list[str]) -> Facts:
    """Read the results of a replay. Its manifest need not be written yet."""
    variants = variant_names(manifest)
    shown = variants[:MAX_VARIANTS_SHOWN]
    runs = [Result(folder, name, manifest) for name in shown] or [Result(folder, None, manifest)]
    definitions = pq_metadata(folder / definitions_file.NAME).num_rows
    rows = pq_metadata(folder / EXECUTIONS).num_rows
    first = runs[0]
    return Facts(
        manifest,
        warnings,
        shown or [THE_RUN],
        len(variants) - len(shown),
        count(folder, [member_of(run, definitions) for run in runs]),
        first.definitions,
        universe_sizes(first),
        [run.definitions.column("fired_pairs").to_numpy() for run in runs],
        [compare(first, run) for run in runs[1:]] if rows <= MAX_REPORT_COMPARED_ROWS else [],
    )


def member_of(run: Result, definitions: int) -> npt.NDArray[np.bool_]:
    """Of each definition whether the run holds it."""
    member = np.zeros(definitions, np.bool_)
    member[run.numbers] = True
    return member


def universe_sizes(run: Result) -> Int64s:
    """How many tickers each universe holds."""
    return np.asarray(run.universes.value_lengths(), np.int64)
