"""Sends changed strategies that a worker makes, and dead letters of results. It goes on until they are there.

Nothing else follows from them, so there is no transaction: what led to them counts as done behind the acknowledgement,
and what is sent once more says the same.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from streams.errors import in_words
from streams.kafka.producing import Keyed, Letters, Outgoing, Producing, RefusedError, Sent, UnsureError, spread
from streams.kafka.sending import NO_ANSWER

log = logging.getLogger(__name__)

FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 5.0
"""Between two attempts."""


class Announcer(Producing):
    """See the head of this file."""

    transactional = False

    async def send(
        self, keyed: Sequence[Keyed], letters: Sequence[Letters], placed: Sequence[Outgoing] = ()
    ) -> dict[Sent, int]:
        """Send until all of it is acknowledged; returns where the partitions of `keyed` and `placed` end behind it."""
        outgoing = [*spread(keyed), *placed]
        wait_s = FIRST_WAIT_S
        while True:
            try:
                if self._producer is None:
                    await self.open()
                return await self._sent(outgoing, letters)
            except RefusedError as error:
                log.error("changes of strategies cannot be written: %s", error)  # noqa: TRY400 - it says all there is
            except (UnsureError, *NO_ANSWER) as error:
                log.info("changes of strategies could not be written: %s", in_words(error))
                await self.close()
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _sent(self, outgoing: Sequence[Outgoing], letters: Sequence[Letters]) -> dict[Sent, int]:
        ends: dict[Sent, int] = {}

        async def attempt() -> None:
            ends.update(await self._send(outgoing, letters))

        await self._within_time(attempt())
        return ends
