"""Ends or freezes the process that it is in, at the step of a checkpoint that a plan names."""

import os
import sys

from tests.chaos.plan import STEPS, Plan


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
