"""Sends versions of strategies as the only one that does so under its name: whoever opens it shuts the others out.

So who has opened it, and then has read the topic to its end, knows all that was ever sent under the name. What it
sends next is sent once: if another has opened it meanwhile, the broker takes none of it. Each call is a transaction.
"""

from collections.abc import Sequence
from typing import ClassVar

from streams.kafka.producing import FencedError, Keyed, Producing, RefusedError, Sent, UnsureError, spread, unsure
from streams.kafka.sending import NO_ANSWER

__all__ = ["FencedChanges", "FencedError", "RefusedError", "UnsureError"]


class FencedChanges(Producing):
    """See the head of this file."""

    transactional: ClassVar[bool] = True

    @property
    def is_open(self) -> bool:
        """Whether it was opened, and nothing has failed since."""
        return self._producer is not None

    async def open_anew(self) -> None:
        """Shut out all others; raises `UnsureError` where that is not known to be so."""
        try:
            await self.open()
        except NO_ANSWER as error:
            raise unsure(error) from error

    async def commit(self, keyed: Sequence[Keyed]) -> dict[Sent, int]:
        """Send all of it or nothing; returns where the partitions end behind it.

        Raises `FencedError` where another has opened it, `RefusedError`, `UnsureError`; it must be opened anew then.
        """
        ends: dict[Sent, int] = {}
        try:
            await self._within_time(self._attempt(keyed, ends))
        except BaseException:
            await self.close()
            raise
        return ends

    async def _attempt(self, keyed: Sequence[Keyed], ends: dict[Sent, int]) -> None:
        await self._ready.begin_transaction()
        ends.update(await self._send(spread(keyed)))
        await self._ready.commit_transaction()
