"""All shards that this worker owns, and the rows of those that it keeps a copy of.

The transport tells when shards come and go (`fence`, `position`, `seeked`, `drain`), the tables hand in rows
(`take_rows`, `recovered`), the agent hands in ticks (`take`), the strategy book tells what has changed (`told`).
"""

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer

from streams.core.agreement import Agreement
from streams.core.shard import Shard
from streams.core.special_rows import NO_INPUTS, Position
from streams.core.turning import Turning
from streams.instruments import Instruments, ShardStatus
from streams.kafka.ahead import Ahead
from streams.kafka.book import Refusal, unanswered
from streams.kafka.checkpoint import Transaction
from streams.kafka.deciding import Deciding, Tools
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.news import Told
from streams.kafka.other_books import Books
from streams.kafka.owned_shard import OwnedShard
from streams.kafka.rows_reader import Log, complete
from streams.kafka.shard_rows import ShardRows
from streams.kafka.shard_states import State
from streams.kafka.strategy_book import Change
from streams.kafka.surroundings import Surroundings
from streams.process import give_back
from streams.topic_names import CLOCK, TABLES

log = logging.getLogger(__name__)

REFUSALS_SHARD = 0
"""The shard whose checkpoints carry the dead letters of strategy changes: every worker sees these, one must tell."""


class Makers(NamedTuple):
    """What makes the parts of a shard."""

    shard: Callable[[int], Shard]
    transaction: Callable[[int], Transaction]
    agreement: Callable[[int], Agreement]
    """The part of a partition's shard in it."""
    reader: Callable[[], AIOKafkaConsumer]
    """A consumer of what is committed, in no group."""


class Remade(NamedTuple):
    """A shard made of its rows."""

    deciding: Deciding
    position: Position | None
    changelog_end: int


class Shards:
    """See the head of this file."""

    def __init__(self, books: Books, make: Makers, ahead: Ahead | None, tools: Tools, around: Surroundings) -> None:
        self.ready = False
        """Whether the worker has joined, and what it owns is recovered."""
        self.waits_for = "the group to assign partitions"
        """While it is not ready: what for, in words."""
        self._books, self._make, self._ahead = books, make, ahead
        self._tools, self._around = tools, around
        self._owned: dict[int, OwnedShard] = {}
        self._rows: dict[int, ShardRows] = {}
        self._assigned_at = 0.0
        self._recovering = asyncio.Lock()
        self.first_fetch_s: float | None = None
        """When the first ticks were fetched, by the clock that only goes forward."""
        for book in books:
            book.told = self.told

    @property
    def owned(self) -> Mapping[int, OwnedShard]:
        """The shards, by partition."""
        return self._owned

    @property
    def shards(self) -> Sequence[ShardStatus]:
        """How each stands, in order."""
        return [self._owned[partition].status for partition in sorted(self._owned)]

    @property
    def instruments(self) -> Instruments:
        """Who counts."""
        return self._around.instruments

    @property
    def stopped_for(self) -> list[str]:
        """Why shards have stopped, those that were let go since included; empty for those that have not."""
        return [shard.reason for shard in self._owned.values()]

    def committed(self) -> dict[int, int]:
        """How far each shard has come."""
        return {p: shard.committed for p, shard in self._owned.items() if shard.committed >= 0}

    def ends(self, ends: Mapping[int, int]) -> None:
        """Where partitions end now, as the broker says."""
        for partition, end in ends.items():
            shard = self._owned.get(partition)
            if shard is not None:
                shard.ends_at(end)

    # Coming and going.

    async def fence(self, partitions: Collection[int]) -> None:
        """These are ours now; shut out whoever owned them before."""
        await self.drain()
        self._assigned_at = time.monotonic()
        self.waits_for = "the broker to shut out earlier owners of its shards"
        for p in sorted(self._rows.keys() & set(partitions)):
            held = ", ".join(f"{table} up to {self._rows[p].position(table)}" for table in TABLES)
            log.info("shard %d goes on from its copy, which holds %s", p, held)
        make, had_any = self._make, bool(self._owned)
        self._owned = {p: OwnedShard(p, make.transaction(p), self._ahead, self._around) for p in sorted(partitions)}
        if had_any:
            gc.collect()  # a shard is a circle of objects, and large; searches are too rare here to wait for one
        await asyncio.gather(*(shard.open() for shard in self._owned.values()))
        self.waits_for = "Faust to hand over the rows of its shards and the strategies"

    async def drain(self) -> None:
        """Checkpoint what has been decided, and let go."""
        self.ready, self.waits_for = False, "its shards to be let go"
        closing = [shard for shard in self._owned.values() if shard.state is not State.CLOSED]
        await asyncio.gather(*(shard.drain() for shard in closing))
        if self._ahead is not None:
            await self._ahead.close()
        for shard in closing:
            self.instruments.let_go(self._around.topic, shard.partition)
        self.waits_for = "the group to assign partitions"

    def position(self, topic: str, partition: int) -> int | None:
        """Where the restored state of a shard stands in its ticks or its clock records; None where there is none."""
        shard = self._owned.get(partition)
        if shard is None:
            return None
        offset = shard.clock.next_offset if topic == self._around.clock else shard.next_offset
        return offset if offset >= 0 else None

    def seeked(self, positions: Mapping[tuple[str, int], tuple[int, Bounds]]) -> None:
        """The inputs go on from here."""
        for (topic, partition), (offset, bounds) in positions.items():
            shard = self._owned.get(partition)
            if topic == self._around.topic and shard is not None and shard.state is State.RECOVERING:
                shard.start(offset, bounds, positions.get((self._around.clock, partition)))
        self.ready = True

    # Rows.

    def rows(self, partition: int) -> ShardRows:
        """The rows of a shard, ours or a copy."""
        return self._rows.setdefault(partition, ShardRows())

    def rows_read(self, table: str, partition: int) -> int | None:
        """Up to where rows are here, of a shard that this worker kept a copy of."""
        rows = self._rows.get(partition)
        return None if rows is None else rows.position(table)

    def take_rows(self, table: str, run: RawRun) -> None:
        """A run of rows."""
        owned = self._owned.get(run.partition)
        if owned is None or owned.state is State.RECOVERING:
            self.rows(run.partition).take(table, run)

    async def recovered(self) -> None:
        """Every row is there, and every strategy: make the shards."""
        async with self._recovering:  # each table says it
            bare = [each for each in self._owned.values() if each.state is State.RECOVERING and not each.deciding]
            self.waits_for = "rows and strategies that Faust has not handed over"
            await self._complete(bare)
            self.waits_for = "strategies to be decoded"
            await self._books.caught_up()
            self.waits_for = "its shards to be made of their rows"
            await self._restore([each for each in bare if each.state is State.RECOVERING])
            self.waits_for = "the broker to say where its partitions begin and end"
        self.ready = self.ready or not self._owned

    async def _complete(self, bare: Sequence[OwnedShard]) -> None:
        """Read what Faust has not handed over."""
        topics = self._tools.layout.topics
        logs = [log for book in self._books for log in book.logs()] if bare else []
        logs += [
            Log(table, topics.changelog(table), shard.partition, self.rows(shard.partition))
            for shard in bare
            for table in TABLES
        ]
        missing = await complete(self._make.reader, logs)
        if missing:
            log.warning("%d rows had not been handed over, and were read again", missing)

    async def _restore(self, bare: Sequence[OwnedShard]) -> None:
        """Make the shards of their rows, and put the strategies in force in all of them."""
        # By id, as executions stand: then what fires for one tick comes out of the kernel in order.
        ids = sorted(self._books.strategies.strategies)
        inputs = {place: offset for book in self._books for place, offset in book.inputs.items()}
        refused = [book.refused for book in self._books]
        for owned in bare:
            owned.hears = True  # from here on: what is refused now is not in `refused`, and is told
        found = [await self._remade(owned.partition) for owned in bare]
        await asyncio.to_thread(self._put_in_force, [each.deciding for each in found], ids)
        for owned, (deciding, position, end) in zip(bare, found, strict=True):
            if owned.partition == REFUSALS_SHARD:
                for refusal in unanswered(refused, position):
                    owned.tell(refusal)
            owned.restored(deciding, position, end, {**inputs, **taken_alone(position)})
            self.instruments.recovered(self._around.topic, owned.partition, time.monotonic() - self._assigned_at)

    async def _remade(self, partition: int) -> Remade:
        """A shard as its rows have it, without any strategy."""
        rows, shard = self._rows.pop(partition, ShardRows()), self._make.shard(partition)
        restored = await asyncio.to_thread(rows.recovery.finish, shard)
        turning = Turning(shard, self._make.agreement(partition))
        deciding = Deciding(partition, turning, restored.rows, self._tools, restored.position)
        shard.set_flags(self._books.controls.flags)
        turning.stand(self._books.turns.ledger.copied(), deciding.promise.kept_ms)
        return Remade(deciding, restored.position, rows.position("last_bucket") or 0)

    def _put_in_force(self, shards: Sequence[Deciding], ids: Sequence[str]) -> None:
        """Give shards the strategies as they stand. What changes meanwhile they are told too."""
        with ExitStack() as together:
            for deciding in shards:
                together.enter_context(deciding.shard.together())
            self._all_stand(shards, ids)
        for deciding in shards:
            deciding.all_stand()
        give_back()

    def _all_stand(self, shards: Sequence[Deciding], ids: Sequence[str]) -> None:
        for strategy_id in ids:
            strategy = self._books.strategies.strategies.get(strategy_id)  # made anew each time: once for all shards
            if strategy is None:
                continue  # deleted meanwhile
            before = self._books.strategies.before.get(strategy_id, frozenset())
            for deciding in shards:
                problem = deciding.stand(strategy, before)
                if problem:
                    log.error("shard %d leaves %r out: %s", deciding.partition, strategy_id, problem)

    # What comes in.

    def wants_more(self, topic: str, partition: int) -> bool:
        """Whether ticks, or clock records, should be fetched for a shard."""
        shard = self._owned.get(partition)
        if shard is None:
            return False
        return shard.clock.wants_more if topic == self._around.clock else shard.wants_more

    def fetched(self) -> None:
        """Ticks have come."""
        if self.first_fetch_s is None:
            self.first_fetch_s = time.monotonic()

    async def take(self, runs: Sequence[RawRun]) -> None:
        """Runs of ticks, or of clock records, in the order of each partition."""
        for run in runs:
            shard = self._owned.get(run.partition)
            if shard is not None:
                await (shard.put_clock(run) if run.topic == self._around.clock else shard.put(run))

    def told(self, news: Told) -> None:
        """Something has changed, or was refused: each shard hears of it."""
        if isinstance(news, Change):
            self.instruments.universe_updates(1)
        for partition, shard in self._owned.items():
            if shard.hears and (not isinstance(news, Refusal) or partition == REFUSALS_SHARD):
                shard.tell(news)

    def end_rounds(self) -> None:
        """Let every shard count the strategies that had no update since this was last called, and tell of universes."""
        self.instruments.universes(self._books.strategies.strategies.active_sizes())
        for shard in self._owned.values():
            if shard.deciding is not None and shard.state is State.RUNNING:
                shard.deciding.shard.end_round()

    def refresh(self) -> None:
        """Let quiet shards look at what has changed."""
        for shard in self._owned.values():
            shard.wake()


def taken_alone(position: Position | None) -> dict[tuple[str, int], int]:
    """What a shard has taken of the inputs that are read for it alone; the book knows of the others."""
    taken = position.inputs if position else NO_INPUTS
    return {place: offset for place, offset in taken.items() if place[0] == CLOCK}
