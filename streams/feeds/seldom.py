"""Lets a few log lines through in a while, and says with the next how many it has held back. Pure but for the clock."""

from collections.abc import Callable
from typing import Final

AT_ONCE: Final = 5
WHILE_S: Final = 10.0


class Seldom:
    """So many in a while."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._began_s = now_s()
        self._shown = self._held = 0

    def may(self) -> bool:
        """Whether to say it; else it is counted."""
        now_s = self._now_s()
        if now_s - self._began_s >= WHILE_S:
            self._began_s, self._shown = now_s, 0
        if self._shown >= AT_ONCE:
            self._held += 1
            return False
        self._shown += 1
        return True

    def hold(self, count: int) -> None:
        """Count what is not even asked for."""
        self._held += count

    def more(self) -> str:
        """What to say of those held back so far; they are said with it."""
        held, self._held = self._held, 0
        return f" (and {held} more before)" if held else ""
