"""The states of a shard that a worker owns, and the moves between them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a shard stands in its life."""

    RECOVERING = "recovering"
    """Its rows are being read."""
    RUNNING = "running"
    """Takes runs."""
    DRAINING = "draining"
    """Takes no more; its last checkpoint is on its way."""
    STOPPED = "stopped"
    """Can't go on, and says why. The others do."""
    CLOSED = "closed"
    """Let go."""


MOVES: Final[Mapping[State, frozenset[State]]] = {
    State.RECOVERING: frozenset({State.RUNNING, State.STOPPED, State.DRAINING}),
    State.RUNNING: frozenset({State.DRAINING, State.STOPPED}),
    State.DRAINING: frozenset({State.CLOSED, State.STOPPED}),
    State.STOPPED: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}

HELD: Final = frozenset({State.RUNNING, State.DRAINING})
"""States in which rows are right. A shard that has stopped may have decided what was never sent."""
