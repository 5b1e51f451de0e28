"""All strategies as this worker knows them: the rows of the GlobalTable `strategies`, decoded and settled in order.

Runs of `strategy-changes` come in by `take`, in Faust's recovery and ever after. A task decodes them, since a schema
may have to be asked for, and a registry may be down: what comes later waits behind it. `caught_up` returns when
all that was taken is in the book; so every worker holds every strategy before the first tick.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer

from streams.core.discovery import Origin, Standing, origin_after
from streams.core.events import Strategy, Tombstone
from streams.core.hidden import HiddenStrategies
from streams.core.timeframes import bucket_rule, parse_timeframe
from streams.errors import in_words
from streams.kafka.bad_values import BadValueError, Reason
from streams.kafka.codec import Decoder
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.packed_strategies import PackedStrategies
from streams.kafka.registry_wait import FIRST_WAIT_S, LONGEST_WAIT_S, patiently
from streams.kafka.rows_reader import Log, complete
from streams.kafka.sending import NO_ANSWER
from streams.kafka.strategy_fold import Discovered, Read, id_of, note_hidden, put, read
from streams.kafka.whole_topic import Record
from streams.topic_names import STRATEGY_CHANGES

log = logging.getLogger(__name__)

REFUSALS_KEPT: Final = 1000
"""Refused changes that are kept until their dead letters are written; the oldest give way, with a line in the log."""

DECODED_AT_ONCE: Final = 200
"""Records whose universes are sets of tickers at the same time."""


class Place(NamedTuple):
    """Where a change stands on its topic."""

    partition: int
    offset: int


class Change(NamedTuple):
    """A strategy's version that counts, or the tombstone of one."""

    place: Place
    stands: Strategy | Tombstone


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that does not count, and why."""

    place: Place
    record: Record
    reason: Reason


Told = Callable[[Change | Refusal], None]


class StrategyBook:
    """What stands, up to where each partition of the topic has been read."""

    def __init__(self, topic: str, partitions: int, decoder: Decoder) -> None:
        self.topic, self.partitions = topic, partitions
        self.strategies = PackedStrategies()
        """Deleted ones too, until their tombstone: their version goes on counting."""
        self.hidden = HiddenStrategies()
        """Those whose last record does not count, up to where the topic has been read."""
        self.positions: dict[int, int] = {}
        """Of each partition, the offset up to which it is in here."""
        self.taken: dict[int, int] = {}
        """The same, with what waits to be decoded."""
        self.refusals: list[Refusal] = []
        self.told: Told = lambda _: None
        """Called with each change and each refusal, in order, once it is in here."""
        self._origins: dict[str, Origin] = {}
        """Of universes that do not come from the version that stands."""
        self._moved = asyncio.Event()
        self._decoder = decoder
        self._runs: asyncio.Queue[RawRun] = asyncio.Queue()

    def inputs(self) -> dict[tuple[str, int], int]:
        """The positions, as `Position` of a shard has them."""
        return {(STRATEGY_CHANGES, partition): offset for partition, offset in self.positions.items()}

    def logs(self) -> list[Log]:
        """The partitions of the topic, to be completed."""
        return [Log("strategies", self.topic, partition, self) for partition in range(self.partitions)]

    def is_whole(self, table: str, partition: int, bounds: Bounds) -> bool:
        """Whether all that there is of a partition has been taken."""
        del table
        return bounds.end in {bounds.earliest, 0} or self.taken.get(partition, 0) >= bounds.end

    def goes_on_at(self, table: str, partition: int, bounds: Bounds) -> int:
        """Where reading goes on."""
        del table
        self.taken[partition] = max(self.taken.get(partition, 0), bounds.earliest)
        return self.taken[partition]

    def take(self, table: str, run: RawRun) -> None:
        """Take a run, to be decoded in its turn. One behind a gap is left out; see `watch.py`."""
        del table
        taken = self.taken.setdefault(run.partition, 0)
        if run.start <= taken < run.position:
            self.taken[run.partition] = run.position
            self._runs.put_nowait(run)

    async def caught_up(self) -> None:
        """Wait until all that was taken is in here."""
        await self._runs.join()

    async def catch_up(self, make_reader: Callable[[], AIOKafkaConsumer]) -> None:
        """Read up to where the topic ends now; as often as that takes."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                await complete(make_reader, self.logs())
            except NO_ANSWER as error:
                log.info("%s could not be read: %s", self.topic, in_words(error))
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            else:
                return await self.caught_up()

    async def reached(self, place: Place) -> None:
        """Wait until a record is in here, or is refused."""
        while self.positions.get(place.partition, 0) <= place.offset:
            self._moved.clear()
            await self._moved.wait()

    def standing(self, strategy_id: str) -> Standing | None:
        """What stands of a strategy, a deleted one too."""
        strategy = self.strategies.get(strategy_id)
        if strategy is None:
            return None
        return Standing(strategy, self._origins.get(strategy_id, Origin(strategy.version)))

    async def work(self) -> None:
        """Decode what is taken, for good."""
        while True:
            run = await self._runs.get()
            await self._read(run)
            self._runs.task_done()

    async def _read(self, run: RawRun) -> None:
        known = self.positions.get(run.partition, 0)  # Faust reads the topic from its start with each assignment
        for first in range(0, len(run.columns), DECODED_AT_ONCE):
            rows = range(first, min(first + DECODED_AT_ONCE, len(run.columns)))
            records = [record for i in rows if (record := record_at(run, i)).offset >= known]
            for record, found in zip(records, await self._decoded(records), strict=True):
                self._fold(record, found)
                self.positions[run.partition] = record.offset + 1
        self.positions[run.partition] = max(run.position, known)
        self._moved.set()

    def _fold(self, record: Record, found: Read) -> None:
        """Let one record count, or keep why it does not."""
        place = Place(record.partition, record.offset)
        before = None if isinstance(found, Reason) else self.standing(found.strategy_id)
        change = put(self.strategies, found)
        self._note_hidden(record, found, refused=isinstance(change, Reason))
        if isinstance(change, Reason):
            self._refuse(Refusal(place, record, change))
        elif change is not None:
            self._note_origin(before, change, found.ts_ms if isinstance(found, Discovered) else None)
            self.told(Change(place, change))

    def _note_hidden(self, record: Record, found: Read, *, refused: bool) -> None:
        """Keep whether a strategy is hidden by its last record, or by this one no more."""
        try:
            strategy_id = id_of(record)
        except BadValueError:
            return  # no strategy has such a key
        stands = None if refused else self.strategies.version(strategy_id)
        left_out = note_hidden(self.hidden, strategy_id, record.partition, found, stands)
        if left_out:
            log.error("%s: too many records that do not count; %r is not mended", self.topic, left_out)

    def _note_origin(self, before: Standing | None, change: Strategy | Tombstone, discovered_ms: int | None) -> None:
        """Keep where the universe comes from, where that is not this version."""
        if isinstance(change, Tombstone):
            self._origins.pop(change.strategy_id, None)
            return
        origin = origin_after(before, change, discovered_ms)
        if origin == Origin(change.version):
            self._origins.pop(change.strategy_id, None)
        else:
            self._origins[change.strategy_id] = origin

    def _refuse(self, refusal: Refusal) -> None:
        log.warning("%s, partition %d, offset %d: %s", self.topic, *refusal.place, refusal.reason.detail)
        self.refusals.append(refusal)
        if len(self.refusals) > REFUSALS_KEPT:
            log.error("%s: too many refused changes; one may get no dead letter", self.topic)
            del self.refusals[0]
        self.told(refusal)

    async def _decoded(self, records: Sequence[Record]) -> list[Read]:
        """Decode, and begin again for as long as the registry is down."""
        return await patiently(lambda: [with_rule(read(record, self._decoder)) for record in records], self.topic)


def with_rule(found: Read) -> Read:
    """Have the bucket rule made and kept, here in a thread: the first calendar takes more than a second."""
    change = found.strategy if isinstance(found, Discovered) else found
    if isinstance(change, Strategy):
        with suppress(ValueError):  # one that nobody understands is skipped, with a warning, where it is put in force
            bucket_rule(parse_timeframe(change.timeframe), change.time_zone, change.session)
    return found


def record_at(run: RawRun, i: int) -> Record:
    """One record of a run."""
    columns = run.columns
    headers = tuple(columns.headers(i))
    return Record(run.partition, int(columns.offset[i]), columns.key(i), columns.value(i), headers)
