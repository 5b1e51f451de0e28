"""All strategies as this worker knows them: the rows of the GlobalTable `strategies`, decoded and settled in order.

Runs of `strategy-changes` come in by `take`, in Faust's recovery and ever after. A task decodes them, since a schema
may have to be asked for, and a registry may be down: what comes later waits behind it. `caught_up` returns when
all that was taken is in the book; so every worker holds every strategy before the first tick.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from streams.core.events import Status, Strategy
from streams.core.lifecycle import Verdict, settle
from streams.errors import shortened
from streams.kafka.bad_values import BadValueError, Reason
from streams.kafka.codec import Decoder
from streams.kafka.fetch import RawRun
from streams.kafka.registry import RegistryDownError
from streams.kafka.strategy_records import strategy_of
from streams.kafka.whole_topic import Record

log = logging.getLogger(__name__)

REFUSALS_KEPT: Final = 1000
"""Refused changes that are kept until their dead letters are written; the oldest give way, with a line in the log."""

FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 5.0
"""Between two questions to a registry that is down."""


class Place(NamedTuple):
    """Where a change stands on its topic."""

    partition: int
    offset: int


class Change(NamedTuple):
    """A strategy's version that counts."""

    place: Place
    strategy: Strategy


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that does not count, and why."""

    place: Place
    record: Record
    reason: Reason


Told = Callable[[Change | Refusal], None]


class StrategyBook:
    """What stands, up to where each partition of the topic has been read."""

    def __init__(self, topic: str, decoder: Decoder) -> None:
        self.topic = topic
        self.strategies: dict[str, Strategy] = {}
        """Deleted ones too: their version goes on counting."""
        self.positions: dict[int, int] = {}
        """Of each partition, the offset up to which it is in here."""
        self.refusals: list[Refusal] = []
        self.told: Told = lambda _: None
        """Called with each change and each refusal, in order, once it is in here."""
        self._decoder = decoder
        self._runs: asyncio.Queue[RawRun] = asyncio.Queue()

    def take(self, run: RawRun) -> None:
        """Take a run, to be decoded in its turn."""
        self._runs.put_nowait(run)

    async def caught_up(self) -> None:
        """Wait until all that was taken is in here."""
        await self._runs.join()

    async def work(self) -> None:
        """Decode what is taken, for good."""
        while True:
            run = await self._runs.get()
            await self._read(run)
            self._runs.task_done()

    async def _read(self, run: RawRun) -> None:
        known = self.positions.get(run.partition, 0)  # Faust reads the topic from its start with each assignment
        records = [record for i in range(len(run.columns)) if (record := record_at(run, i)).offset >= known]
        for record, found in zip(records, await self._decoded(records), strict=True):
            self._fold(record, found)
            self.positions[run.partition] = record.offset + 1
        self.positions[run.partition] = max(run.position, known)

    def _fold(self, record: Record, found: Strategy | Reason | None) -> None:
        """Let one record count, or keep why it does not. None is a tombstone."""
        place = Place(record.partition, record.offset)
        if isinstance(found, Reason):
            self._refuse(Refusal(place, record, found))
            return
        change = found or deleted(self.strategies.get(id_of(record)))
        if change is None:
            return
        settled = settle(self.strategies.get(change.strategy_id), change)
        if settled.verdict is Verdict.ACCEPTED:
            self.strategies[change.strategy_id] = change
            self.told(Change(place, change))
        elif settled.verdict.is_refusal:
            problem, _, remedy = settled.reason.partition("; ")
            self._refuse(Refusal(place, record, Reason(f"change_{settled.verdict}", problem, remedy)))

    def _refuse(self, refusal: Refusal) -> None:
        log.warning("%s, partition %d, offset %d: %s", self.topic, *refusal.place, refusal.reason.detail)
        self.refusals.append(refusal)
        if len(self.refusals) > REFUSALS_KEPT:
            log.error("%s: too many refused changes; one may get no dead letter", self.topic)
            del self.refusals[0]
        self.told(refusal)

    async def _decoded(self, records: Sequence[Record]) -> list[Strategy | Reason | None]:
        """Decode, and begin again for as long as the registry is down."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                # In a thread: the first value of a schema may ask the registry for it.
                return await asyncio.to_thread(lambda: [self._decoded_one(record) for record in records])
            except RegistryDownError as error:
                log.warning("%s waits for the registry: %s", self.topic, error)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _decoded_one(self, record: Record) -> Strategy | Reason | None:
        """The version in a record, or what is wrong with it; None for a tombstone."""
        try:
            strategy_id = id_of(record)
            if record.value is None:
                return None
            change = strategy_of(self._decoder.decode(record.value, record.headers))
        except BadValueError as error:
            return error.reason
        if change.strategy_id != strategy_id:
            detail = f"the key is {shortened(strategy_id)}, the strategy {shortened(change.strategy_id)}"
            return Reason("other_key", detail, "send the strategy's id as the key")
        return change


def record_at(run: RawRun, i: int) -> Record:
    """One record of a run."""
    columns = run.columns
    headers = tuple(columns.headers(i))
    return Record(run.partition, int(columns.offset[i]), columns.key(i), columns.value(i), headers)


def id_of(record: Record) -> str:
    """The strategy that a record is of, by its key."""
    try:
        strategy_id = (record.key or b"").decode()
    except UnicodeDecodeError:
        strategy_id = ""
    if not strategy_id:
        raise BadValueError(
            Reason("bad_key", "the key is missing, or not UTF-8", "send the strategy's id as the key, in UTF-8")
        )
    return strategy_id


def deleted(now: Strategy | None) -> Strategy | None:
    """What a tombstone makes of what stands: one that comes before the deletion deletes."""
    if now is None or now.status is Status.DELETED:
        return None
    return replace(now, status=Status.DELETED, version=now.version + 1)
