"""What stands is written behind records of `strategy-changes` that do not count, before compaction takes it away.

`core/hidden.py` says of which strategies, and why. The owner of one shard writes, as it does the dead letters of
changes. It waits until nothing else has come for a while: whoever sent the bad record may be about to send a good one.
It keeps nothing: it asks the book, which knows what is hidden from the log, and sees there what was written. So it is
written once by the group; by two who both take themselves for the owner, as the same record, which is a repetition.

An edit that is on its way in the same moment may find its version taken. That is so between any two writers; the
moment is short, since the book is brought up to the end of the topic first.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, NamedTuple

from streams.core.events import Strategy
from streams.core.hidden import Hidden, mended_version
from streams.core.lifecycle import MAX_VERSION
from streams.core.records import records_of
from streams.kafka.announcer import Announcer
from streams.kafka.codec import Encoder
from streams.kafka.producing import Outgoing
from streams.kafka.shard_states import State
from streams.kafka.shards import REFUSALS_SHARD, Shards
from streams.kafka.strategy_book import Place, StrategyBook
from streams.kafka.strategy_records import record_of
from streams.kafka.strategy_topic import RECORD

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5
SETTLED_S: Final = 2.0
"""So long a strategy must have been hidden by the same record. The cleaner leaves a record alone for a day."""

SOURCE: Final = "mending"
REASON: Final = "it stands as before, behind a record that does not count"


class Tools(NamedTuple):
    """What mending needs of the others."""

    book: StrategyBook
    catch_up: Callable[[], Awaitable[None]]
    """Bring the book up to where its topic ends now."""
    encoder: Encoder
    announcer: Announcer


class Mending:
    """Looks after hidden strategies."""

    def __init__(self, shards: Shards, tools: Tools, settled_s: float = SETTLED_S) -> None:
        self._shards, self._settled_s = shards, settled_s
        self._book, self._catch_up, self._encoder, self._announcer = tools
        self._since: dict[str, tuple[Hidden, float]] = {}
        """Of each hidden strategy, by what, and when that was first looked at."""

    async def work(self) -> None:
        """Look, for good."""
        try:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                await self.look(asyncio.get_running_loop().time())
        finally:
            await self._announcer.close()

    async def look(self, now_s: float) -> None:
        """Write what has been hidden for long enough, if that is ours to do."""
        known = self._since
        self._since = {
            strategy_id: known[strategy_id] if known.get(strategy_id, (None,))[0] == hidden else (hidden, now_s)
            for strategy_id, hidden in self._book.hidden.items()
        }
        settled = [each for each, (_, since_s) in self._since.items() if now_s - since_s >= self._settled_s]
        if settled and self._is_owner:
            await self._catch_up()
            await self._mend([each for each in settled if self._book.hidden.get(each) == self._since[each][0]])

    @property
    def _is_owner(self) -> bool:
        shard = self._shards.owned.get(REFUSALS_SHARD)
        return shard is not None and shard.state is State.RUNNING

    async def _mend(self, strategy_ids: list[str]) -> None:
        """Write these, and wait until the book has read them."""
        outgoing = [each for strategy_id in strategy_ids for each in self._record(strategy_id)]
        ends = await self._announcer.send([], [], outgoing)
        for (_, partition), end in ends.items():
            await self._book.reached(Place(partition, end - 1))

    def _record(self, strategy_id: str) -> list[Outgoing]:
        """What stands of one strategy, as it goes out; nothing, where no version is left for that."""
        hidden = self._book.hidden.get(strategy_id)
        assert hidden is not None, "only what is hidden is written"
        version = mended_version(self._book.strategies, strategy_id, hidden)
        if version > MAX_VERSION:
            log.error("strategy %r: no version is left to stand under; take a new strategy_id", strategy_id)
            return []
        if version:
            log.info("strategy %r stands as version %d, behind a record that does not count", strategy_id, version)
            value = self._value(replace(self._book.strategies[strategy_id], version=version))
        else:
            log.info("there is no strategy %r; a tombstone says so, behind a record that does not count", strategy_id)
            value = None
        return [Outgoing(self._book.topic, hidden.partition, records_of([(strategy_id.encode(), value)], self._ts_ms))]

    def _value(self, strategy: Strategy) -> bytes:
        return self._encoder.encode(RECORD, record_of(strategy, self._ts_ms, source=SOURCE, reason=REASON))

    @property
    def _ts_ms(self) -> int:
        """Stream time, as far as the shard has come."""
        shard = self._shards.owned.get(REFUSALS_SHARD)
        return 0 if shard is None or shard.deciding is None else max(shard.deciding.shard.stream_ms, 0)
