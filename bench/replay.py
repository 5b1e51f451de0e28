"""From a file of ticks to a file of executions, in one process: ours, beside Polars and DuckDB on the same files.

All answer the reference workload, whose pairs are checked by its digest. The peers are asked for less: they need not
put rows in order, nor judge conditions, nor look for rows that are no ticks. Their queries aggregate to the finest
timeframe first and derive the others from that, and may use both cores. What all write is compressed alike, by snappy.
Each has a process of its own.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import polars as pl
import yaml

from bench import kafka_replay, reference
from bench.apart import apart
from bench.core import must_find
from bench.timing import Candidate, Timing, in_turn, ratio
from streams.replay.run import Job, replay

TICKS: Final = 10_000_000
"""So many that what does not grow with the day, strategies above all, is a small part, for all alike."""
VARIANTS: Final = (1, 10, 100)
DAYS: Final = 10
"""Files of the folder that memory is measured with: a hundred million ticks, unless it is asked for fewer."""
DAY_MS: Final = 86_400_000
MOVED: Final = 20
"""Strategies that a variant moves."""

SAYS_ITS_PEAK: Final = """
import re, sys
from pathlib import Path
from streams.cli import main
main(standalone_mode=False)
print(re.search(r"VmHWM:\\s+([0-9]+)", Path("/proc/self/status").read_text())[1], file=sys.stderr)
"""
"""What the system says of a child counts the memory of its parent too, so it is asked itself. In KiB."""

SQL: Final = """
copy (
    with watchers as (
        select strategy_id, timeframe, unnest(universe) as ticker
        from read_json('{strategies}', format = 'newline_delimited')
    ),
    frames as (values {frames}),
    minutes as (select ticker, ts // 60000 as minute, min(ts) as ts from read_parquet('{ticks}') group by all),
    hits as (
        select ticker, timeframe, ts // length * length as bucket_ms, min(ts) as ts
        from minutes cross join frames as f(timeframe, length) group by all
    )
    select strategy_id, ticker, bucket_ms, ts, 'per_ticker' as mode from hits join watchers using (ticker, timeframe)
) to '{out}' (format parquet, compression snappy)
"""


class Files(NamedTuple):
    """The workload on disk, and where answers go."""

    folder: Path
    ticks: Path
    strategies: Path
    strategy_ids: list[str]
    pairs: int

    @classmethod
    def of(cls, work: reference.Workload, folder: Path) -> "Files":
        """Write them."""
        return cls(folder, *reference.write_files(work, folder), sorted(work.raw_strategies), work.pairs)

    def out(self, name: str) -> Path:
        """A folder for one candidate."""
        path = self.folder / name
        path.mkdir(exist_ok=True)
        return path / "executions.parquet"


def ours(files: Files, variants: int = 0) -> Candidate:
    """A replay, with so many variants where there are any."""
    out = files.out(f"ours-{variants}").parent
    what_if = None
    if variants:
        what_if = files.folder / f"what-if-{variants}.yaml"
        what_if.write_text(yaml.safe_dump(some_variants(files.strategy_ids, variants)))

    def run(_: object) -> None:
        done = replay(Job([files.ticks], files.strategies, out, what_if=what_if, report=False))
        must_find(files.pairs, done.variants["0"] if variants else done.fired_pairs)

    return Candidate(lambda: None, run)


def some_variants(ids: list[str], count: int) -> list[dict[str, object]]:
    """The strategies as they are; then, by turns: some moved elsewhere, whole timeframes, the old throttle."""
    lengths = list(reference.TIMEFRAMES.values())
    variants: list[dict[str, object]] = [{"name": "0"}]
    for number in range(1, count):
        moved = [ids[(number * MOVED + at) % len(ids)] for at in range(MOVED)]
        changes: dict[str, object] = {"strategies": {sid: {"timeframe": lengths[number % 5]} for sid in moved}}
        if number % 10 == 1:
            turn = number // 10
            changes = {"timeframes": {lengths[turn % 5]: lengths[(turn + 1 + turn // 5) % 5]}}
        elif number % 10 == 2:  # noqa: PLR2004 - by turns
            changes = {"per_ticker_throttle": False, "percentage": number}
        variants.append({"name": str(number), **changes})
    return variants


def polars_query(files: Files) -> Candidate:
    """Lazily, from file to file."""
    lengths = {name: length for length, name in reference.TIMEFRAMES.items()}

    def run(_: object) -> None:
        watchers = pl.scan_ndjson(files.strategies).explode("universe").rename({"universe": "ticker"})
        minutes = (
            pl.scan_parquet(files.ticks)
            .select("ticker", "ts", minute=pl.col("ts") // 60_000)
            .group_by("ticker", "minute")
            .agg(pl.col("ts").min())
        )
        hits = [
            minutes.group_by("ticker", bucket_ms=pl.col("ts") // length * length)
            .agg(pl.col("ts").min())
            .join(watchers.filter(pl.col("timeframe") == name), on="ticker")
            for name, length in lengths.items()
        ]
        columns = ("strategy_id", "ticker", "bucket_ms", "ts")
        answer = pl.concat(hits).select(*columns, mode=pl.lit("per_ticker"))
        answer.sink_parquet(files.out("polars"), compression="snappy")

    return Candidate(lambda: None, run)


def duckdb_query(files: Files) -> Candidate:
    """One statement."""
    frames = ", ".join(f"('{name}', {length})" for length, name in reference.TIMEFRAMES.items())
    paths = {"strategies": files.strategies, "ticks": files.ticks, "out": files.out("duckdb")}

    def run(_: object) -> None:
        duckdb.sql(SQL.format(frames=frames, **paths))

    return Candidate(lambda: None, run)


def peak_mb(work: reference.Workload, files: Files, days: int) -> tuple[int, float]:
    """Ticks and peak memory of a replay of so many days, as a process of its own."""
    folder = files.folder / f"days-{days}"
    folder.mkdir()
    for day in range(days):
        reference.write_ticks(work._replace(when=work.when + day * DAY_MS), folder / f"{day:03}.parquet")
    command = [sys.executable, "-c", SAYS_ITS_PEAK, "replay", "--ticks", str(folder)]
    command += ["--strategies", str(files.strategies), "--out", str(files.folder / "memory")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(json.loads(done.stdout)["ticks"]), int(done.stderr.splitlines()[-1]) / 1024


def rates(seconds: dict[str, Timing], ticks: int) -> list[str]:
    """A line for each."""
    return [f"  {name:24} {ticks / timing.median / 1e6:8.2f} million ticks/s" for name, timing in seconds.items()]


def timed(
    others: Mapping[str, Callable[[Files], Candidate]], mine: Mapping[str, Candidate], files: Files, rounds: int
) -> dict[str, Timing]:
    """All of them in turn, each in a process of its own, which the others do not outlive."""
    with ExitStack() as stack:
        return in_turn(
            {**mine, **{name: stack.enter_context(apart(make, files)) for name, make in others.items()}}, rounds
        )


def report(seed: int, ticks: int, rounds: int) -> list[str]:
    """Run everything in turn, and say it in lines."""
    work = reference.make(seed, ticks)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        files = Files.of(work, Path(folder))
        mine = stack.enter_context(apart(ours, files))
        peers = timed({"polars": polars_query, "duckdb": duckdb_query}, {"ours": mine}, files, rounds)
        for name in ("ours-0", "polars", "duckdb"):
            if reference.digest_of(files.out(name)) != (work.pairs, work.digest):
                raise AssertionError(f"{name} does not have the workload's pairs")
        of_variants = timed(
            {f"{count} variants": partial(ours, variants=count) for count in VARIANTS}, {}, files, rounds
        )
        memory = [peak_mb(work, files, days) for days in (1, DAYS)]
        from_kafka = kafka_replay.report(work, rounds, mine)
    first = of_variants[f"{VARIANTS[0]} variants"]
    lines = [f"replay: {ticks:,} ticks, {work.pairs:,} pairs, seed {seed}; all found the workload's pairs"]
    lines += rates(peers, ticks)
    lines += [f"  ours against {name}: {ratio(peers['ours'], peers[name]):.2f} times" for name in ("polars", "duckdb")]
    lines += rates(of_variants, ticks)
    lines += [f"  {name} cost {ratio(first, timing):.2f} times one (bound 10)" for name, timing in of_variants.items()]
    lines += [f"  memory of {count:,} ticks: {megabytes:.0f} MB at most" for count, megabytes in memory]
    return [*lines, *from_kafka]
