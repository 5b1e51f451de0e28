"""A worker whose update tracking is spoilt while ticks flow: `python -m tests.worker.spoiling_worker`.

Of each shard a flag is turned before the third step, a time before the fifth, and the counter before the seventh. What
the step then found is said on standard output.
"""

import os
import sys
from unittest.mock import patch

import numpy as np

from streams.core.shard import Fires, Shard, Ticks
from streams.process import end
from streams.settings import Settings
from streams.worker import run_worker
from tests.core.spoiling import spoil

SPOILT = {3: "flag", 5: "stamp", 7: "counter"}
"""By the number of the step."""


class SpoilingShard(Shard):
    """Spoils itself."""

    steps = 0

    def step(self, ticks: Ticks) -> Fires:
        """Spoil something, if it is the step for that, and say whether the step found it."""
        untouched = np.setdiff1d(np.arange(self.index.tickers.count), ticks.ticker)
        takes_part = len(ticks.ticker) > 0 and len(untouched) > 0  # a time that the step writes itself is no matter
        self.steps += takes_part
        what = SPOILT.get(self.steps, "") if takes_part else ""
        if not what:
            return super().step(ticks)
        spoil(self, what, int(untouched[0]))
        before = self.counts["corruptions"]
        fires = super().step(ticks)
        os.write(sys.stdout.fileno(), f"spoilt {what}: found {self.counts['corruptions'] - before}\n".encode())
        return fires


def main() -> None:
    """Run it."""
    with patch("streams.app.Shard", SpoilingShard):
        end(run_worker(Settings.read(os.environ)))


if __name__ == "__main__":
    main()
