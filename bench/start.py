"""From the start of the process to the first decision: `tickgate replay` of a few ticks, as a whole process."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bench import reference


def seconds_of_a_run(folder: Path, cache: Path) -> float:
    """One process, from its start to its end; the first decision stands near the end."""
    ticks, strategies = folder / "ticks.parquet", folder / "strategies.jsonl"
    command = [sys.executable, "-m", "streams.cli", "replay", "--ticks", str(ticks), "--strategies", str(strategies)]
    began = time.perf_counter()
    subprocess.run(
        [*command, "--out", str(folder / "out"), "--no-progress"],
        env={**os.environ, "TICKGATE_KERNEL_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def report(seed: int, rounds: int) -> list[str]:
    """The reference strategies (2,000, with 650,000 pairs) and 1,000 ticks."""
    work = reference.make(seed, 1_000)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        reference.write_files(work, folder)
        cold = seconds_of_a_run(folder, folder / "cache")
        warm = [seconds_of_a_run(folder, folder / "cache") for _ in range(2 * rounds + 1)]
    return [
        "start: a process that loads the reference strategies, decides on 1,000 ticks, writes the fires and ends",
        f"  warm kernel cache: {median(warm):.2f} s (bound 2); cold: {cold:.2f} s (bound 20)",
    ]
