"""What a crash run is held to: where workers end or freeze themselves, and how many ticks wait at most."""

import signal
from typing import Final, NamedTuple

PLAN: Final = "CHAOS_PLAN"
DRAIN: Final = "CHAOS_DRAIN"
STEPS: Final = ("decided", "executions_sent", "rows_sent", "before_commit", "committed")

MOST_AHEAD: Final = 600
"""Ticks that are there beyond the positions of all shards, at most: so that there are many small checkpoints."""


class Plan(NamedTuple):
    """What to do, and when."""

    step: str
    nth: int
    signal: signal.Signals

    def __str__(self) -> str:
        """Print it as `read` reads it."""
        return f"{self.step}:{self.nth}:{self.signal.name.removeprefix('SIG')}"


def read(text: str) -> Plan | None:
    """Read a plan."""
    if not text:
        return None
    step, nth, name = text.split(":")
    assert step in STEPS, f"there is no step {step}"
    return Plan(step, int(nth), signal.Signals[f"SIG{name}"])
