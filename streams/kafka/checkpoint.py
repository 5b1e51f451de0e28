"""The checkpoint: what a shard has decided becomes true, all of it or nothing. This module alone sends it.

Exactly once (`Transaction`). The transactional id is made of the group and the input partition, so a new owner
shuts the old one out before it reads anything.

1. Open: start a producer. The broker ends what an earlier owner left open, and takes nothing more of that owner.
2. Begin a transaction.
3. Send the executions and the dead letters, then the rows of the state. The last row is the position in the input.
4. Wait until every batch is acknowledged; one that is not ends the attempt.
5. Commit. Executions, state and position are there together, for whoever reads committed records.
6. Only now has the shard come this far. The offset of the group follows, now and then, for tools that show lag.

At least once (`ahead.py`, and then the same). The executions go out by a producer of their own, outside of the
transaction, and are acknowledged before a row is sent that knows of them; whoever reads them need not wait for a
commit. Dead letters, rows and position stay in the transaction, so state is exact here too, and an owner that was
replaced cannot touch it. A crash in between repeats executions that name the same (strategy, ticker, bucket),
and loses none.

An attempt that fails leaves a question: did it happen? Nothing is sent again in the old epoch. A new producer is
opened, which settles what the old one left; then the changelog itself answers. If rows stand behind the last
known one and end in this very position, it happened. If nothing is there, nothing of it is visible, and all of it
is sent anew. If something else is there, another worker has gone on, and this one stops.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from streams.core.special_rows import NO_INPUTS, Inputs
from streams.kafka.changelog_tail import Tail
from streams.kafka.producing import FencedError, Keyed, Letters, MakeProducer, Outgoing, Producing, spread
from streams.kafka.sending import given_up

DECIDED: Final = "decided"
EXECUTIONS_SENT: Final = "executions_sent"
ROWS_SENT: Final = "rows_sent"
BEFORE_COMMIT: Final = "before_commit"
COMMITTED: Final = "committed"
STEPS: Final = (DECIDED, EXECUTIONS_SENT, ROWS_SENT, BEFORE_COMMIT, COMMITTED)
"""The places between two steps where a worker may die, in order."""

Observe = Callable[[str, int, int], None]
"""Called with the step, the partition and the position that the checkpoint leads to."""


def unobserved(_step: str, _partition: int, _position: int) -> None:
    """Nobody looks."""


class Emission(NamedTuple):
    """All that one checkpoint makes true."""

    executions: Sequence[Keyed]
    letters: Sequence[Letters]
    rows: Sequence[Outgoing]
    """Of `last_update`, then of `last_bucket`, whose last row is the position. None: they follow with a later one."""
    position: int
    """Where the shard goes on from in its input; the last row says the same."""
    inputs: Inputs = NO_INPUTS
    """And in its other inputs; as above."""


class Transaction(Producing):
    """Makes the emissions of one shard true, one after the other."""

    transactional = True

    def __init__(
        self, partition: int, make_producer: MakeProducer, tail: Tail, compression: str, timeout_s: float
    ) -> None:
        super().__init__(make_producer, compression, timeout_s)
        self.partition, self._tail, self._changelog_end = partition, tail, 0
        self.observe: Observe = unobserved

    def stands(self, changelog_end: int) -> None:
        """Told where the changelog ended when the shard was recovered."""
        self._changelog_end = changelog_end

    async def commit(self, emission: Emission) -> None:
        """Steps 2 to 5; raises where it is not known to be true."""
        await self._within_time(self._attempt(emission))
        self.observe(COMMITTED, self.partition, emission.position)

    async def _attempt(self, emission: Emission) -> None:
        await self._ready.begin_transaction()
        sending = [
            asyncio.create_task(self._send(spread(emission.executions), emission.letters)),
            asyncio.create_task(self._send(emission.rows)),
        ]
        try:
            await sending[0]
            self._see(EXECUTIONS_SENT, emission)
            ends = await sending[1]
        finally:
            await given_up(sending)
        self._see(ROWS_SENT, emission)
        self._see(BEFORE_COMMIT, emission)
        await self._ready.commit_transaction()
        last = emission.rows[-1]
        self._changelog_end = ends[last.topic, last.partition]

    def _see(self, step: str, emission: Emission) -> None:
        self.observe(step, self.partition, emission.position)

    async def happened(self, emission: Emission) -> bool:
        """After `UnsureError` and `open`: whether it is true after all. Only the changelog knows."""
        position, end = await self._tail.position_behind(self._changelog_end)
        if position is None:
            return False
        if (position.next_offset, position.inputs) != (emission.position, emission.inputs):
            told = f"the changelog says {position.next_offset}, where only {emission.position} could be"
            raise FencedError(f"another worker has taken the shard over ({told})")
        self._changelog_end = end
        return True


def merged(emissions: Sequence[Emission]) -> Emission:
    """Emissions of which the last one alone has rows, as one."""
    letters = [each for emission in emissions for each in emission.letters]
    executions = [each for emission in emissions for each in emission.executions]
    return emissions[-1]._replace(executions=executions, letters=letters)
