"""Keeps Redis equal to what is held, and knows by the marker what Redis has lost.

One `turn` looks at the marker, works in what has come, and writes what is missing. What goes wrong is raised; the next
turn begins by looking again, so it does not matter what became of a transaction that nobody answered.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, NoReturn, Protocol

from streams.errors import InputError, shortened
from streams.views.redis.held import EVERYTHING, Held
from streams.views.redis.keys import Keys
from streams.views.redis.marker import Marker, Positions
from streams.views.redis.wire import NOTHING, Command, MovedOnError, Packed
from streams.views.redis.writing import parts

log = logging.getLogger(__name__)

STALE_S: Final = 5.0
"""A marker of somebody else's that has not moved for so long is taken over; who follows moves it every second."""

LOOKS_AT_LEAST: Final = 3
"""So often it must have been seen the same, too: Redis may have been away itself."""


class Transactions(Protocol):
    """What a `Wire` does here."""

    async def watched(self, key: str) -> bytes | None:
        """What a key holds; the transaction that follows counts only if it still does."""

    async def transaction(self, commands: Sequence[Command], *, also: Packed = NOTHING, then: str = "") -> bytes | None:
        """All or none; what the key `then` holds behind it, watched again."""


class Told(Protocol):
    """Hears what the view does."""

    def written(self, count: int) -> None:
        """So many things stand in Redis now."""

    def refilled(self, reason: str) -> None:
        """All is written anew."""


class View:
    """One who follows."""

    def __init__(  # noqa: PLR0913 - by name
        self,
        wire: Transactions,
        held: Held,
        keys: Keys,
        *,
        view_of: str,
        run: str,
        most: int,
        now_s: Callable[[], float],
        told: Told,
    ) -> None:
        assert run, "an empty name stands for nobody"
        self._wire, self._held, self._keys, self._most = wire, held, keys, most
        self._view_of, self._run, self._now_s, self._told = view_of, run, now_s, told
        self._step = 0
        self._last: bytes | None = None
        """The marker as we have written it last."""
        self._attempted: bytes | None = None
        """One of which nobody knows whether it counts."""
        self._began = False
        self._shown: Positions = EVERYTHING
        """What the marker says while there is something left to write."""
        self.positions: Positions = EVERYTHING
        """Up to where Redis has all, by our doing."""
        self._others: bytes | None = None
        self._others_since_s, self._others_looks = 0.0, 0

    async def turn(self) -> bool:
        """Make Redis equal to what is held; False where somebody else sees to that."""
        if not self._is_ours(await self._wire.watched(self._keys.marker)):
            return False
        positions = self._held.gather(EVERYTHING if self._began else self._shown)
        self._began = True
        await self._write_parts()
        await self._write(NOTHING, positions)
        self._shown = self.positions = positions
        return True

    async def _write_parts(self) -> None:
        """Write what is missing; while Redis is at one part, the next is laid out."""
        left = parts(self._held, self._keys, self._most)
        part = next(left, None)
        while part is not None:
            writing = asyncio.create_task(self._write(part.packed, self._shown))
            try:
                await asyncio.sleep(0)  # it is sent
                following = next(left, None)
            finally:
                await writing
            part.written()
            self._told.written(part.size)
            part = following

    async def let_go(self) -> None:
        """Say in Redis that nobody follows from here; the next one need not wait."""
        if self._last is not None and await self._wire.watched(self._keys.marker) == self._last:
            self._step += 1
            gone = Marker(self._view_of, "", self._step, self._shown)
            await self._wire.transaction([("SET", self._keys.marker, gone.encoded())])

    def fill_anew(self, reason: str) -> None:
        """Write everything, whatever Redis has."""
        log.warning("everything is written to Redis anew: %s", reason)
        self._told.refilled(reason)
        self._held.write_everything()
        self._shown = EVERYTHING

    def _is_ours(self, found: bytes | None) -> bool:
        """Whether we write from here on; what Redis has lost is noted."""
        marker = Marker.read(found)
        if marker is not None and marker.view_of != self._view_of:
            self._refuse(marker)
        if marker is None:
            self.fill_anew("it holds no view" if self._last is None else "it has lost its view")
        elif marker.run == self._run:
            if found not in {self._last, self._attempted}:
                self.fill_anew("it holds an older view than was written")
        elif marker.run and not self._is_stale(found):
            return False
        else:
            self._take_over(marker)
        self._last, self._attempted = found, None
        return True

    def _take_over(self, marker: Marker) -> None:
        """Go on where somebody else has ended."""
        log.info("the view in Redis is followed from here%s", f", instead of by {marker.run}" if marker.run else "")
        read = self._held.read_up_to()
        if any(offset > read.get(place, 0) for place, offset in marker.positions.items()):
            self.fill_anew("its positions are past the ends of the topics, which must be others")
        elif self._began and not marker.covers(self.positions):
            self.fill_anew("who followed meanwhile had not come as far")
        else:
            self._shown = marker.positions

    def _is_stale(self, found: bytes | None) -> bool:
        """Whether somebody else's marker has stood still for too long."""
        if found != self._others:
            self._others, self._others_since_s, self._others_looks = found, self._now_s(), 0
        self._others_looks += 1
        return self._others_looks >= LOOKS_AT_LEAST and self._now_s() - self._others_since_s >= STALE_S

    async def _write(self, packed: Packed, positions: Positions) -> None:
        """Write something, and the marker; it must be ours still behind that."""
        self._step += 1
        marker = Marker(self._view_of, self._run, self._step, positions).encoded()
        self._attempted = marker
        key = self._keys.marker
        found = await self._wire.transaction([("SET", key, marker)], also=packed, then=key)
        self._last, self._attempted = marker, None
        if found != marker:
            raise MovedOnError("the marker is another one")

    def _refuse(self, marker: Marker) -> NoReturn:
        problem = f"holds the view of {shortened(marker.view_of)}, and this is {shortened(self._view_of)}"
        remedy = "set TICKGATE_REDIS_PREFIX to something of its own, or delete that key where it is a left-over"
        raise InputError(f"Redis, key {self._keys.marker}", problem, remedy)
