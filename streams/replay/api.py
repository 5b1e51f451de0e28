"""A replay from Python, for notebooks: one call on files or data frames, the results as Arrow tables.

    from streams.replay.api import replay

    done = replay(frame, [{"strategy_id": "s1", "timeframe": "5m", "universe": ["AAPL"]}])
    done.executions          # a pyarrow.Table

What is given as objects is written to files first, and replayed from there: there is no second way to decide.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import yaml

from streams.core.events import Strategy
from streams.replay import definitions_file
from streams.replay.frames import is_frame, write_frame
from streams.replay.in_order import Order
from streams.replay.result_folder import EXECUTIONS, read_table
from streams.replay.run import Job
from streams.replay.run import replay as run
from streams.replay.variants_file import extract
from streams.strategy_file import as_fields
from streams.whole_files import write_whole

Paths = str | Path
Strategies = Paths | Iterable[Strategy | Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Run:
    """What a replay found, in memory."""

    executions: Any
    """A row a fired pair, in order, as `executions.parquet`; of several variants, with the number of a definition."""
    definitions: Any
    """A row a strategy as it was decided, with what happened to it in numbers."""
    variants: Any
    """Which variant holds which definition, and how often that fired; None without variants."""
    by_variant: Mapping[str, Any]
    """The executions of each variant, as a replay of it alone would have them; empty without variants."""
    rejected: list[dict[str, Any]]
    """Rows that are no ticks, and why."""
    warnings: list[str]
    manifest: dict[str, Any]


def replay(
    ticks: Any,  # noqa: ANN401 - a path, a frame of any library, or several
    strategies: Strategies,
    *,
    what_if: Paths | Sequence[Mapping[str, Any]] | None = None,
    order: str = "strict",
    out: Paths | None = None,
) -> Run:
    """Replay ticks: files or folders by their paths, or data frames; one, or a list of them.

    A frame is whatever speaks Arrow's PyCapsule interface (Polars, pandas, pyarrow, DuckDB) or the data frame
    interchange protocol. It has the columns of a tick file; price, size and conditions may be missing.
    Strategies are a file, or what would stand in one; so is `what_if`. With `out` the files stay there, a report too.
    """
    with TemporaryDirectory(prefix="tickgate-") as scratch:
        folder = Path(scratch)
        results = Path(out) if out is not None else folder / "out"
        job = Job(
            _tick_files(ticks, folder),
            _strategy_file(strategies, folder),
            results,
            order=Order(order),
            what_if=_what_if_file(what_if, folder),
            report=out is not None,
        )
        done = run(job)
        return _read(results, folder, done.warnings)


def _read(results: Path, scratch: Path, warnings: list[str]) -> Run:
    manifest = json.loads((results / "manifest.json").read_bytes())
    names = [each["name"] for each in manifest.get("variants", [])]
    rejected = (results / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    return Run(
        executions=read_table(results / EXECUTIONS),
        definitions=read_table(results / definitions_file.NAME),
        variants=read_table(results / "variants.parquet") if names else None,
        by_variant={name: _variant(results, name, scratch) for name in names},
        rejected=[json.loads(line) for line in rejected],
        warnings=warnings,
        manifest=manifest,
    )


def _variant(results: Path, name: str, scratch: Path) -> Any:  # noqa: ANN401 - pyarrow has no types
    extract(results, name, scratch / "one.parquet")
    return read_table(scratch / "one.parquet")


def _tick_files(ticks: Any, folder: Path) -> list[Path]:  # noqa: ANN401 - as `replay`
    given = [ticks] if is_frame(ticks) or isinstance(ticks, str | Path) else list(ticks)
    files = []
    for number, each in enumerate(given, 1):
        path = folder / f"data frame {number}.parquet"
        if is_frame(each):
            write_frame(each, path)
        files.append(path if is_frame(each) else Path(each))
    return files


def _strategy_file(strategies: Strategies, folder: Path) -> Path:
    if isinstance(strategies, str | Path):
        return Path(strategies)
    path = folder / "strategies.jsonl"
    fields = (as_fields(each) if isinstance(each, Strategy) else dict(each) for each in strategies)
    lines = [json.dumps(each, ensure_ascii=False, default=_as_list) + "\n" for each in fields]
    write_whole(path, lines or ["[]\n"])
    return path


def _what_if_file(what_if: Paths | Sequence[Mapping[str, Any]] | None, folder: Path) -> Path | None:
    if what_if is None or isinstance(what_if, str | Path):
        return None if what_if is None else Path(what_if)
    path = folder / "what-if.yaml"
    plain = json.loads(json.dumps(list(what_if), default=_as_list))
    write_whole(path, [yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)])
    return path


def _as_list(value: Any) -> list[Any]:  # noqa: ANN401 - whatever JSON does not know
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, pa.Array | pa.ChunkedArray):
        values: list[Any] = value.to_pylist()
        return values
    raise TypeError(f"{type(value).__name__} cannot stand in a strategy; give texts, numbers and lists")
