"""A Faust transport whose unit of work is the run: what one fetch brought of one partition.

Of `ticks` and of `clock`, the agents get one event for each fetch: the runs of all partitions in it. Of `alert-results`
its agent gets one event for each run, and so does the recovery of the changelogs of our tables. Records of other topics
come one by one, as Faust's own transport brings them; there are few of them. The transport does not commit: of ticks
and clock records a checkpoint does (`checkpoint.py`), and of all it is asked where they stand.

Each guard below stands against a fault of Faust 0.15.3 that a kill or a rebalance showed. The chain check in
`shards.py` stands behind them all. What is touched inside Faust is named in `TOUCHED`.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, cast

import faust.transport.consumer as base
import faust.transport.drivers.aiokafka as driver
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from streams.errors import in_words
from streams.kafka.asking_again import ask_again
from streams.kafka.faust_records import RunRecord, SingleRecord, fetch_record, run_records, single_records
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.handed_back import hand_back
from streams.kafka.in_loop import ConsumerInLoop
from streams.kafka.ports import App
from streams.kafka.raw_fetch import RawFetch
from streams.kafka.touched import no_longer_used
from streams.kafka.waits_less import WaitsLess

log = logging.getLogger(__name__)

NAME: Final = "tickgate"
"""The URL scheme of the transport, as the entry point in `pyproject.toml` names it."""

LONGEST_POLL_S: Final = 0.1
"""What a poll waits for something to come. A rebalance may be over before it is: see `handed_back.py`."""

COMMIT_S: Final = 2.0
"""What the group's offsets may take; they are for tools only."""
NOTHING_WANTED_S: Final = 0.005
"""A look at whether somebody wants more, while nobody does."""

TOUCHED: Final = {
    driver.AIOKafkaConsumerThread: (
        "_create_worker_consumer",
        "_ensure_consumer",
        "_fetch_records",
        "call_thread",
        "crash",
        "on_start",
        "seek_to_beginning",
        "seek_wait",
    ),
    driver.Consumer: (
        "_new_consumer_thread",
        "_new_offset",
        "_add_gap",
        "on_buffer_full",
        "perform_seek",
        "wait_empty",
        "position",
    ),
    driver.Transport: ("Consumer",),
}
"""Inside Faust: what is overridden or called here. A test names what an upgrade moves."""

TOUCHED_NAMES: Final = {
    base.Consumer.__init__: ("_acked", "_acked_index"),
    base.Consumer.getmany: ("consumer_generation_id", "perform_seek"),
    driver.AIOKafkaConsumerThread._create_worker_consumer: ("AIOKafkaConsumer",),  # noqa: SLF001 - that is the point
    AIOKafkaConsumer.__init__: ("_isolation_level", "_fetch_max_wait_ms", "_closed"),
    AIOKafkaConsumer.start: ("_coordinator",),
}
"""Inside Faust and aiokafka: the names that the code of a function looks up, and ours leans on."""


def moved() -> list[str]:
    """Name what an upgrade has moved; nothing, if this file still fits."""
    gone = [
        f"{kind.__qualname__}.{name}" for kind, names in TOUCHED.items() for name in names if not hasattr(kind, name)
    ]
    return gone + no_longer_used(TOUCHED_NAMES)


def those_of(active: set[TP] | None, may_fetch: Callable[[TP], bool]) -> list[TopicPartition]:
    """What of Faust's live set may be fetched, as a list of its own: aiokafka takes an empty set for "all".

    Faust changes the set while a fetch is under way, at each rebalance and when recovery ends; so it is copied.
    """
    return [TopicPartition(*tp) for tp in active.copy() if may_fetch(tp)] if active else []


class ConsumerThread(ConsumerInLoop):
    """Fetches runs."""

    consumer: "Consumer"
    raw: RawFetch

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Faust reads uncommitted records unless it commits itself, and waits 1.5 s for a full fetch.
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - see TOUCHED
        consumer._fetch_max_wait_ms = self.consumer.settings.fetch_max_wait_ms  # noqa: SLF001 - as above
        self.raw = RawFetch(consumer, is_seldom=self.consumer.is_seldom)
        return consumer

    async def on_start(self) -> None:
        """Connect, and let no error of the group end in silence."""
        await super().on_start()
        ask_again(self._ensure_consumer()._coordinator, self.crash)  # noqa: SLF001 - see TOUCHED_NAMES

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP] | None,
        timeout: float | None = None,  # noqa: ASYNC109 - as Faust calls it
        max_records: int | None = None,  # noqa: ARG002 - a run is as large as it came
    ) -> dict[TP, list[RunRecord] | list[SingleRecord]]:
        """What has come; of this generation only, as Faust would take it for that."""
        owner, generation = self.consumer, self.app.consumer_generation_id
        if not owner.flow_active:
            return {}
        if consumer._closed:  # noqa: SLF001 - see TOUCHED
            raise ConsumerStoppedError
        wanted = those_of(active_partitions, owner.may_fetch)
        if not wanted:
            await asyncio.sleep(NOTHING_WANTED_S)
            return {}
        wait_ms = int(1000 * min(timeout or LONGEST_POLL_S, LONGEST_POLL_S))
        fetched = await self.raw.getmany(wanted, timeout_ms=wait_ms)
        if generation == self.app.consumer_generation_id:
            return owner.as_records(fetched)
        await hand_back(consumer, fetched)
        return {}

    async def commit_positions(self, positions: Mapping[TP, int]) -> None:
        """Commit; what goes wrong is said, and no more: where the truth is, see `checkpoint.py`."""
        offsets = {TopicPartition(*tp): OffsetAndMetadata(offset, "") for tp, offset in positions.items()}
        try:
            async with asyncio.timeout(COMMIT_S):
                await self._ensure_consumer().commit(offsets)
        except (KafkaError, TimeoutError) as error:
            log.info("the offsets of the group could not be committed: %s", in_words(error))


class Consumer(WaitsLess, driver.Consumer):
    """Hands over runs, leaves the commit to the checkpoints, and seeks to where the shards stand."""

    has_sought = False
    """Ticks are fetched only behind the seek that follows the recovery."""
    has_recovered = False
    """Set by the tables when all of their rows are there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as Faust makes it
        super().__init__(*args, **kwargs)
        app = cast("App", self.app)
        self.settings, self.shards, self.results = app.tickgate, app.shards, app.results
        topics = app.tickgate.topics
        self.ticks_topic, self.clock_topic, self.results_topic = topics.ticks, topics.clock, topics.alert_results
        self._quiet_topics = frozenset({topics.clock, topics.alert_results, topics.strategy_changes})
        self._wants_more: dict[str, Callable[[int], bool]] = {
            self.ticks_topic: partial(self.shards.wants_more, self.ticks_topic),
            self.clock_topic: partial(self.shards.wants_more, self.clock_topic),
            self.results_topic: self.results.wants_more,
        }

    @property
    def own_topics(self) -> tuple[str, str]:
        """What is read for one shard alone, from where that stands."""
        return self.ticks_topic, self.clock_topic

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def may_fetch(self, tp: TP) -> bool:
        """What is kept track of here only where it stands, and where there is room for more."""
        wants_more = self._wants_more.get(tp.topic)
        return wants_more is None or (self.has_sought and wants_more(tp.partition))

    def is_seldom(self, tp: TopicPartition) -> bool:
        """Whether little comes of a partition, once the shards are recovered: it is asked for now and then."""
        return self.has_sought and tp.topic in self._quiet_topics

    def is_in_runs(self, topic: str) -> bool:
        """Whether the topic comes in runs."""
        return topic in self._wants_more or topic in self.app.tables.changelog_topics

    def as_records(self, fetched: Mapping[TP, list[RawRun]]) -> dict[TP, list[RunRecord] | list[SingleRecord]]:
        """The runs as Faust takes records. A run without records counts: the position has moved past markers."""
        found: dict[TP, list[RunRecord] | list[SingleRecord]] = {}
        for topic in self.own_topics:
            of_all = [run for tp, runs in fetched.items() if tp.topic == topic for run in runs]
            if of_all:
                found[TP(topic, of_all[0].partition)] = [fetch_record(of_all)]
            if topic == self.ticks_topic and any(len(run.columns) for run in of_all):
                self.shards.fetched()
        for tp, runs in fetched.items():
            if tp.topic not in self.own_topics:
                records = run_records(runs) if self.is_in_runs(tp.topic) else single_records(runs)
                if records:
                    found[tp] = records
                if tp.topic == self.results_topic and runs:
                    self.results.fetched(tp.partition, runs[-1].position)
        return found

    def on_buffer_full(self, tp: TP) -> None:
        """The shards say when they want no more: an event is for all of them, and Faust would hold up one."""
        if tp.topic not in self.own_topics:
            super().on_buffer_full(tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if not self.is_in_runs(tp.topic):
            await super()._add_gap(tp, offset_from, offset_to)

    def _new_offset(self, tp: TP) -> int | None:
        if tp.topic not in self._wants_more:
            return super()._new_offset(tp)
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return None  # `commit_positions` does; an acknowledged event says nothing

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop fetching ticks until the shards stand again."""
        self.has_sought = self.has_recovered = False
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Fence before high-water marks are read: what an earlier owner still writes must not slip in behind them."""
        self.has_sought = self.has_recovered = False
        if not self.app.should_stop:
            await self.shards.fence([tp.partition for tp in assigned if tp.topic == self.ticks_topic])
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """Go to where the state says, not to where the group has committed; those may lie apart."""
        if self.app.tables.changelog_topics and not self.has_recovered:
            return  # `getmany` calls this before the recovery too
        generation = self.app.consumer_generation_id
        await super().perform_seek()
        mine = [tp for tp in self.assignment() if tp.topic in self.own_topics]
        results = [tp for tp in self.assignment() if tp.topic == self.results_topic]
        known = {tp: self.shards.position(*tp) for tp in mine}
        bare = [TopicPartition(*tp) for tp in mine if known[tp] is None]
        bare += [TopicPartition(*tp) for tp in results if not self._committed_offset.get(tp)]
        if bare:  # Faust leaves a partition without a commit where it happens to stand
            await self._thread.seek_to_beginning(*bare)
        await self._thread.seek_wait({tp: offset for tp, offset in known.items() if offset is not None})
        for tp in (*mine, *results):
            self._read_offset[tp] = None  # Faust drops what lies below the group's offset, which says nothing here
        earliest, ends = await self.earliest_offsets(*mine), await self.highwaters(*mine)
        results_at = {tp.partition: at for tp in results if (at := await self.position(tp)) is not None}
        found = {tp: offset for tp in mine if (offset := await self.position(tp)) is not None}
        if generation == self.app.consumer_generation_id:
            stand = {(tp.topic, tp.partition): (at, Bounds(earliest[tp], ends[tp])) for tp, at in found.items()}
            self.shards.seeked(stand)
            self.results.seeked(results_at)
            self.has_sought = True

    async def seek(self, partition: TP, offset: int) -> None:
        """Read a partition again from here."""
        await super().seek(partition, offset)
        if partition.topic == self.results_topic:
            self.results.sought(partition.partition, offset)

    def positions(self) -> dict[TP, int]:
        """How far the shards have come, for tools that show lag; and the results, which go on from there."""
        shards = {TP(self.ticks_topic, partition): at for partition, at in self.shards.committed().items()}
        return shards | {TP(self.results_topic, partition): at for partition, at in self.results.committed().items()}

    async def commit_positions(self, offsets: Mapping[TP, int]) -> None:
        """Let the group's offsets follow. Faust's own way ends the worker where the broker is away for a moment."""
        if not offsets:
            return
        thread = cast("ConsumerThread", self._thread)
        await thread.call_thread(thread.commit_positions, offsets)

    async def bounds(self, topic: str, partition: int) -> Bounds:
        """What a partition holds now."""
        tp = TP(topic, partition)
        earliest, ends = await self.earliest_offsets(tp), await self.highwaters(tp)
        return Bounds(earliest[tp], ends[tp])

    async def wait_empty(self) -> None:
        """Runs on revocation and on shutdown, before the group is left: the last checkpoint belongs here."""
        await self.results.let_go()
        await self.shards.drain()
        await self.commit_positions(self.positions())
        await super().wait_empty()


class Transport(driver.Transport):
    """Kafka through aiokafka, in runs."""

    Consumer = Consumer
