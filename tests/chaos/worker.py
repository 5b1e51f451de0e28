"""A worker that ends or freezes itself at a step of a checkpoint: `python -m tests.chaos.worker`.

CHAOS_PLAN says where: `rows_sent:3:KILL` is the third time that any shard's rows have been sent. It says so on standard
output before it does it. Without a plan it is a worker as any other; CHAOS_DRAIN=1 makes it one that ends when all is
done. All else is read from the environment as the real one reads it.
"""

import os
import sys

from streams.process import end
from streams.settings import Settings
from streams.worker import run_worker
from tests.chaos.plan import DRAIN, PLAN, STEPS, Plan, read
from tests.chaos.stacks import tell_when_asked


class Observer:
    """Counts steps, and does what the plan says."""

    def __init__(self, plan: Plan | None) -> None:
        self.plan, self.seen = plan, 0

    def __call__(self, step: str, partition: int, next_offset: int) -> None:
        """Note that a checkpoint has come to a step."""
        assert step in STEPS, f"the worker has a step that no test knows: {step}"
        if self.plan is None or step != self.plan.step:
            return
        self.seen += 1
        if self.seen == self.plan.nth:
            line = f"chaos {self.plan.signal.name} {step} {partition} {next_offset}\n"
            os.write(sys.stdout.fileno(), line.encode())
            os.kill(os.getpid(), self.plan.signal)


def main() -> None:
    """Run it."""
    tell_when_asked()
    settings = Settings.read(os.environ)
    drain = os.environ.get(DRAIN) == "1"
    end(run_worker(settings, drain=drain, observe=Observer(read(os.environ.get(PLAN, "")))))


if __name__ == "__main__":
    main()
