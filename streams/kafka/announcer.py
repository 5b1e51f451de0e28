"""Sends what nothing else follows from: changed strategies that a worker makes, dead letters of results, live ticks.

It goes on until they are there. There is no transaction: what led to them counts as done behind the acknowledgement,
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
    what = "changes of strategies"

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
                log.error("%s cannot be written: %s", self.what, error)  # noqa: TRY400 - it says all there is
            except (UnsureError, *NO_ANSWER) as error:
                log.info("%s could not be written: %s", self.what, in_words(error))
                await self.close()
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _sent(self, outgoing: Sequence[Outgoing], letters: Sequence[Letters]) -> dict[Sent, int]:
        ends: dict[Sent, int] = {}

        async def attempt() -> None:
            ends.update(await self._send(outgoing, letters))

        await self._within_time(attempt())
        return ends
