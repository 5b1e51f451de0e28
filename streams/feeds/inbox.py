"""Messages of a feed that wait to be sent on, bounded in bytes.

Where it is full, whoever reads the feed waits for room: the feed's own buffers fill up, and it sends no faster than
Kafka takes. Nothing is thrown away here. A feed may end the connection of so slow a reader: that is a gap, and said so.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

OVERHEAD_BYTES: Final = 64
"""What a message takes beside its bytes, about."""


class Taken(NamedTuple):
    """Some messages, in their order."""

    messages: list[bytes]
    bytes: int
    is_anew: bool
    """Whether they are the first of another connection."""


class Inbox:
    """Between one that reads and one that sends."""

    def __init__(self, most_bytes: int, now_s: Callable[[], float]) -> None:
        self.most_bytes, self._now_s = most_bytes, now_s
        self.bytes = 0
        """Of messages that wait or are on their way to Kafka."""
        self.waiting_bytes = 0
        """Of those that wait."""
        self.full_s = 0.0
        """How long there was no room, in all."""
        self._messages: deque[bytes | None] = deque()
        """None: what follows comes by another connection."""
        self._some, self._room = asyncio.Event(), asyncio.Event()
        self._is_closed = False

    @property
    def is_full(self) -> bool:
        """Whether to read no further."""
        return self.bytes >= self.most_bytes

    def put(self, message: bytes) -> None:
        """Take a message that has been read. It is taken even if there is no room: it is there."""
        size = len(message) + OVERHEAD_BYTES
        self._messages.append(message)
        self.bytes += size
        self.waiting_bytes += size
        self._some.set()

    async def room(self) -> None:
        """Wait while it is full, until half of it is free."""
        began_s = self._now_s()
        while self.bytes > self.most_bytes // 2:
            self._room.clear()
            await self._room.wait()
        self.full_s += self._now_s() - began_s

    def disconnected(self) -> None:
        """Note that what comes from here on comes by another connection."""
        self._messages.append(None)

    def close(self) -> None:
        """Nothing comes any more."""
        self._is_closed = True
        self._some.set()

    async def take(self, most_bytes: int) -> Taken | None:
        """Wait for messages, and take those that are there, about so many; None: there are no more."""
        messages: list[bytes] = []
        taken, is_anew = 0, False
        while not messages:
            while self._messages and taken < most_bytes:
                if self._messages[0] is None and messages:
                    break
                message = self._messages.popleft()
                if message is None:
                    is_anew = True
                else:
                    messages.append(message)
                    taken += len(message) + OVERHEAD_BYTES
            if not messages:
                if self._is_closed:
                    return None
                self._some.clear()
                await self._some.wait()
        self.waiting_bytes -= taken
        return Taken(messages, taken, is_anew)

    def done(self, taken: Taken) -> None:
        """What was taken has arrived."""
        self.bytes -= taken.bytes
        self._room.set()
