"""How long what fires for each strategy is gathered; `gathering` tells what that means."""

import numpy as np

from streams.core.columns import Int64s, grown


class Windows:
    """By number of the strategy."""

    def __init__(self) -> None:
        self.default_ms = 0
        """Of strategies that name none; to be set before the first of them comes."""
        self.ms: Int64s = np.zeros(0, np.int64)
        self.count = 0
        """Strategies that have one."""

    def set(self, number: int, asked_ms: int | None) -> None:
        """Give a strategy the window that it asks for, or the default."""
        window_ms = self.default_ms if asked_ms is None else asked_ms
        self.make_room(number)
        self.count += int(window_ms > 0) - int(self.ms[number] > 0)
        self.ms[number] = window_ms

    def make_room(self, number: int) -> None:
        """Have an entry for this strategy."""
        self.ms = grown(self.ms, number + 1, 0)
