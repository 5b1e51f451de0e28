"""A worker that loses runs: `python -m tests.holes.failing_worker HOW`, where HOW is `raised` or `dropped`.

The first run of each partition makes the agent fail, or is gone as if Faust had emptied a queue. All else is
read from the environment, as the real worker reads it; it ends when all is done.
"""

import os
import sys
from collections.abc import Sequence

from streams.kafka.fetch import RawRun
from streams.kafka.shards import Shards
from streams.settings import Settings
from streams.worker import run_worker

FIRST_LOST = 1
"""So many, of each partition. Mostly there is nothing behind them."""

take = Shards.take
seen: dict[int, int] = {}


async def fail(self: Shards, runs: Sequence[RawRun]) -> None:
    """Take runs as the agent has them taken, or lose some."""
    for run in runs:
        seen[run.partition] = seen.get(run.partition, 0) + 1
        if seen[run.partition] > FIRST_LOST:
            await take(self, [run])
        elif sys.argv[1] == "raised":
            raise ValueError(f"run {run.start} of partition {run.partition}")


if __name__ == "__main__":
    Shards.take = fail  # type: ignore[method-assign]
    sys.exit(run_worker(Settings.read(os.environ), drain=True))
