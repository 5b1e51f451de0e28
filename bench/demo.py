"""`./dev demo`: a synthetic market of ten minutes, replayed; what fired is told on the terminal."""

import argparse
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from bench import reference
from streams.cli import shown_progress
from streams.replay.run import Job, Replayed, replay

SHOWN: int = 12


def main() -> None:
    """Make the market, replay it, show the first executions and what was saved."""
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument("--ticks", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, help="keep the results in this folder")
    args = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.out or Path(scratch)
        console.print(f"A market of 8,000 tickers, {args.ticks:,} ticks, 2,000 strategies, seed {args.seed} …")
        ticks, strategies = reference.write_files(reference.make(args.seed, args.ticks), folder)
        with shown_progress(None) as advance:
            done = replay(Job(ticks, strategies, folder), advance)
        show(console, folder / "executions.parquet", done)


def show(console: Console, executions: Path, done: Replayed) -> None:
    """The first fired pairs, and the sums."""
    table = Table(title="the first executions", title_justify="left")
    for column in ("strategy_id", "ticker", "bucket_ms", "ts", "mode"):
        table.add_column(column)
    first = next(pq.ParquetFile(executions).iter_batches(batch_size=SHOWN))
    for row in first.to_pylist():
        table.add_row(*map(str, row.values()))
    console.print(table)
    looked = done.counts["fired"] + done.counts["bucket_dup"] + done.counts["late"]
    console.print(
        f"{done.ticks:,} ticks met {looked:,} pairs; {done.fired_pairs:,} fired, "
        f"{done.counts['bucket_dup']:,} had fired in their bucket. "
        f"The kernel looked at {done.counts['looks']:,} of them ({done.counts['looks'] / max(looked, 1):.1%})."
    )


if __name__ == "__main__":
    main()
