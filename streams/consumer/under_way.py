"""What is under way of one partition, from its coming to its going: what has been handed out, and how far it is done.

Three things can become of an offset that was handed out: `settle`, it is done; `give_up`, nobody works on it any more,
and it must come again; or it is left open. Only what lies before the first one not settled may be committed.
"""

import asyncio

from streams.consumer.execution import Execution
from streams.consumer.seen import Seen


class UnderWay:
    """One partition for as long as it is ours."""

    def __init__(self, start: int, resume_at: int, seen: Seen) -> None:
        """Read from `start` on; what lies before `resume_at` has been handled, and is only to be remembered."""
        self.resume_at = self.next_offset = self.committed = resume_at
        self.read_to = start
        self.seen = seen
        self.let_go = False
        """Whether the partition is ours no more, or will soon be: nothing new is begun."""
        self.idle = asyncio.Event()
        """Whether nobody works on any of it."""
        self.idle.set()
        self._open: dict[int, None] = {}
        self._running = 0

    @property
    def committable(self) -> int:
        """Everything before this offset has been handled."""
        return next(iter(self._open), self.next_offset)

    def is_known_to(self, committed: int) -> bool:
        """Whether what has been seen is just what was handed out before this offset, no more and no less."""
        return not self._open and self.next_offset == committed and self.read_to >= self.resume_at

    def is_handled(self, offset: int) -> bool:
        """Whether the offset was handled before the partition came."""
        return offset < self.resume_at

    def pass_by(self, offset: int) -> None:
        """Take note of an offset at which nothing is to be done."""
        self.read_to = max(self.read_to, offset + 1)
        self.next_offset = max(self.next_offset, offset + 1)

    def hand_out(self, offset: int) -> None:
        """Take note of an offset that somebody works on from now on."""
        assert offset not in self._open, "an offset is handed out once"
        self.pass_by(offset)
        self._open[offset] = None
        self._running += 1
        self.idle.clear()

    def settle(self, offset: int) -> None:
        """It is done."""
        del self._open[offset]
        self._rest()

    def give_up(self, offset: int) -> None:
        """Nobody works on it any more, and it is not done: it stays open, so that it comes again."""
        assert offset in self._open, "only what is open can be given up"
        self._rest()

    def take_back(self, offset: int) -> None:
        """It has not been handed out after all; only the last one can be taken back, before another follows."""
        assert self.next_offset == offset + 1, "others have followed"
        del self._open[offset]
        self.next_offset = self.read_to = offset
        self._rest()

    def _rest(self) -> None:
        self._running -= 1
        assert self._running >= 0, "each offset ends once"
        if not self._running:
            self.idle.set()


class Delivery:
    """An execution that was handed out; ends with one call of `done` or `give_up`."""

    def __init__(self, execution: Execution, under_way: UnderWay) -> None:
        self.execution = execution
        self._under_way = under_way

    @property
    def let_go(self) -> bool:
        """Whether its partition is on its way to another consumer: what has not begun is better left to that one."""
        return self._under_way.let_go

    def done(self) -> None:
        """It has been handled: it may be committed."""
        self._under_way.settle(self.execution.position.offset)

    def give_up(self) -> None:
        """It has not been handled, and will not be by us: it is to come again."""
        self._under_way.give_up(self.execution.position.offset)
