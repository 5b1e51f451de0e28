"""Makes proposals of results, exactly once, for as long as this process has the seat.

1. Open the transactional producer: whoever proposed before can write nothing from here on.
2. Read the state, whole; take results from where it says. A policy that has changed is a change like any other.
3. Judge what a fetch brings. Proposals, changes, dead letters, and the rows of what is known behind them, the last of
   which holds the positions, go out in one transaction.
4. Go on when it is committed.

Nothing is settled in the same epoch, nor from memory: where it is not known whether a transaction happened, all begins
again at 1, and the rows say. So what is decided twice is decided from the same state, and one of the two never was.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from streams.consumer.clients import close
from streams.errors import InputError
from streams.kafka.bad_values import Reason
from streams.kafka.checkpoint import BEFORE_COMMIT, COMMITTED, DECIDED, EXECUTIONS_SENT, ROWS_SENT, Observe
from streams.kafka.clients import attempt_s, make_consumer, make_transactional_producer
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.dead_letters import Refused, dead_letter
from streams.kafka.deciding import grouped
from streams.kafka.producing import Keyed, Letters, Outgoing, Producing, spread
from streams.kafka.registry import Schemas
from streams.kafka.registry_wait import patiently
from streams.kafka.result_records import decoded_result
from streams.kafka.rows_reader import bounds_of
from streams.kafka.topic_writer import MAX_RECORD_BYTES
from streams.kafka.whole_topic import Record
from streams.settings import Settings
from streams.trader.conviction_records import Rows, changes_of, proposals_of, rows_of
from streams.trader.judging import Judging, State, Step
from streams.trader.policy_watch import PolicyWatch
from streams.trader.proposal_counts import ProposalCounts
from streams.trader.seat import group_of

log = logging.getLogger(__name__)

FETCH_WAIT_MS: Final = 200
MOST_AT_ONCE: Final = 1_000
"""Results in one transaction."""

READING_S: Final = 30.0
"""So long without a row, while there are some to come, and the broker counts as gone."""

CLOSING_S: Final = 1.0


class Given(NamedTuple):
    """What the topics are read and written by."""

    settings: Settings
    sizes: Mapping[str, int]
    """Partitions of each topic."""
    decoder: Decoder
    """Of results."""
    row_decoder: Decoder
    encoder: Encoder
    schemas: Schemas


class Sending(NamedTuple):
    """What one transaction makes true."""

    keyed: list[Keyed]
    letters: list[Letters]
    rows: Outgoing


class Transaction(Producing):
    """Steps 1 and 3, as seen by the broker."""

    transactional = True

    def __init__(self, make_producer: Callable[[], AIOKafkaProducer], settings: Settings, observe: Observe) -> None:
        super().__init__(make_producer, settings.compression, attempt_s(settings))
        self._observe = observe

    async def commit(self, sending: Sending, position: int) -> None:
        """Returns when it is true; raises where that is not known."""
        self._observe(DECIDED, 0, position)
        await self._within_time(self._attempt(sending, position))
        self._observe(COMMITTED, 0, position)

    async def _attempt(self, sending: Sending, position: int) -> None:
        await self._ready.begin_transaction()
        await self._send(spread(sending.keyed), sending.letters)
        self._observe(EXECUTIONS_SENT, 0, position)
        await self._send([sending.rows])
        self._observe(ROWS_SENT, 0, position)
        self._observe(BEFORE_COMMIT, 0, position)
        await self._ready.commit_transaction()


class Proposing:
    """The work in the seat."""

    def __init__(self, given: Given, watch: PolicyWatch, counts: ProposalCounts, observe: Observe) -> None:
        self._given, self._watch, self._counts, self._observe = given, watch, counts, observe
        self._topic = given.settings.topics.alert_results
        self._tps = [TopicPartition(self._topic, each) for each in range(given.sizes[self._topic])]

    async def work(self, leaving: asyncio.Event, *, drain: bool) -> None:
        """Propose until the seat is given up; with `drain`, until all is taken that there was when it began."""
        settings = self._given.settings
        name = group_of(settings)
        transaction = Transaction(
            lambda: make_transactional_producer(settings, name, name, MAX_RECORD_BYTES),
            settings,
            self._observe,
        )
        consumer = make_consumer(settings)
        try:
            await transaction.open()
            judging = Judging(await self._state())
            await consumer.start()
            ends = await self._place(consumer, judging.state)
            self._counts.works(now=True)
            while not leaving.is_set():
                await self._go_on(consumer, judging, transaction)
                if drain and all([await consumer.position(tp) >= ends[tp] for tp in self._tps]):
                    return
        finally:
            self._counts.works(now=False)
            await close(consumer, CLOSING_S)
            await transaction.close()

    async def _state(self) -> State:
        """All rows, up to the end: nobody writes behind it, as the transaction is ours."""
        consumer = make_consumer(self._given.settings)
        tp, rows, decoder = (
            TopicPartition(self._given.settings.topics.conviction_state, 0),
            Rows(),
            self._given.row_decoder,
        )
        try:
            async with asyncio.timeout(READING_S):
                await consumer.start()
            bounds = (await bounds_of(consumer, [tp]))[tp]
            consumer.assign([tp])
            consumer.seek(tp, bounds.earliest)
            while await consumer.position(tp) < bounds.end:
                async with asyncio.timeout(READING_S):
                    found = (await consumer.getmany(tp, timeout_ms=FETCH_WAIT_MS)).get(tp, [])
                for record in found:
                    value = record.value
                    rows.take(record.key, None if value is None else await decoder.adecode(value, record.headers))
        finally:
            await close(consumer, CLOSING_S)
        return rows.state()

    async def _place(self, consumer: AIOKafkaConsumer, state: State) -> dict[TopicPartition, int]:
        """Go to where the state stands; returns where the partitions end."""
        bounds = await bounds_of(consumer, self._tps)
        consumer.assign(self._tps)
        for tp, (earliest, end) in bounds.items():
            at = state.positions.get(tp.partition, earliest)
            if at > end:
                problem = f"it ends at {end}, and results up to {at} were taken: it is another topic than it was"
                remedy = f"delete {self._given.settings.topics.conviction_state} too, and run `tickgate topics apply`"
                raise InputError(f"{self._topic}, partition {tp.partition}", problem, remedy)
            if at < earliest:
                form = "%s, partition %d: %d records were deleted before they were read"
                log.error(form, self._topic, tp.partition, earliest - at)
                self._counts.lost(earliest - at)
            consumer.seek(tp, max(at, earliest))
        return {tp: each.end for tp, each in bounds.items()}

    async def _go_on(self, consumer: AIOKafkaConsumer, judging: Judging, transaction: Transaction) -> None:
        """One fetch, and what comes of it."""
        judging.policy_is(self._watch.policy(judging.state.policy))
        fetched = await consumer.getmany(timeout_ms=FETCH_WAIT_MS, max_records=MOST_AT_ONCE)
        records = {
            (tp.partition, record.offset): record
            for tp in sorted(fetched)
            for record in fetched[tp]
            if record.offset >= judging.state.positions.get(tp.partition, 0)
        }
        found = await patiently(lambda: [self._read(each) for each in records.values()], self._topic)
        unread = []
        for (partition, offset), each in zip(records, found, strict=True):
            if isinstance(each, Reason):
                judging.pass_over(partition, offset)
                unread.append(each.word)
            else:
                judging.take(partition, offset, each)
        step = judging.take_step()
        if not step.is_empty:
            await transaction.commit(self._sending(step, judging.state, records), sum(judging.state.positions.values()))
            self._tell(step, unread)
        state = judging.state
        self._counts.stands(state.standing.threshold, policy_refused=bool(self._watch.trouble))
        for tp in self._tps:
            end, at = consumer.highwater(tp), await consumer.position(tp)
            self._counts.lag(tp.partition, max(0, (end or at) - at))

    def _read(self, record: ConsumerRecord[bytes, bytes]) -> dict[str, Any] | Reason:
        read = Record(record.partition, record.offset, record.key, record.value, tuple(record.headers))
        return decoded_result(read, self._given.decoder, len(self._tps))

    def _sending(self, step: Step, state: State, records: Mapping[tuple[int, int], Any]) -> Sending:
        """A step as records."""
        settings, sizes, encoder = self._given.settings, self._given.sizes, self._given.encoder
        topics = settings.topics
        keyed = [(topics.proposals, proposals_of(step, encoder)), (topics.conviction, changes_of(step, encoder))]
        told = []
        for partition, offset, reason in step.refused:
            record = records[partition, offset]
            place = (self._topic, partition, offset, record.timestamp)
            letter = dead_letter(encoder, Refused(*place, record.key, record.value, record.headers), reason)
            told.append((letter.topic, letter, record.timestamp))
        return Sending(
            [Keyed(topic, sizes[topic], each) for topic, each in keyed if each.count],
            grouped(told, sizes),
            Outgoing(topics.conviction_state, 0, rows_of(step, state, encoder)),
        )

    def _tell(self, step: Step, unread: list[str]) -> None:
        """What became true."""
        words: dict[str, int] = {}
        for _, _, reason in step.refused:
            words[reason.word] = words.get(reason.word, 0) + 1
        self._counts.true(step.taken, step.counts, len(step.changes), words)
        for word in unread:
            self._counts.unread(word)
        for each in step.changes:
            log.info("conviction %g, before %g: %s", each.moved.after, each.moved.before, each.moved.reason)
