"""Follows `alert-results` and `proposals`, and shows what they say of trading. In no group: it commits nothing.

It begins an hour back, so that the trades of the last hour are known at once; those from before it began do not count
as trades of this process. What cannot be read is left out: workers write it to the dead letters.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Never

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.errors import InputError, in_words
from streams.kafka.bad_values import BadValueError
from streams.kafka.clients import make_consumer
from streams.kafka.codec import Decoder
from streams.kafka.look_up import needed_sizes
from streams.kafka.registry import RegistryDownError, Schemas
from streams.kafka.security import for_confluent
from streams.settings import Settings
from streams.trader.activity import HOUR_MS, Activity, Fill
from streams.trader.exporter import PrometheusExporter

log = logging.getLogger(__name__)

FETCH_WAIT_MS: Final = 500
AGAIN_S: Final = 5.0
"""After trouble with the broker or the registry."""

CYCLE_S: Final = 60.0
"""Of a process that has no cycles of its own."""


def moment_ms() -> int:
    """A clock that does not go back."""
    return time.monotonic_ns() // 1_000_000


class Following:
    """One follower; `moment_ms` is a clock that does not go back."""

    def __init__(
        self, settings: Settings, schemas: Schemas, exporter: PrometheusExporter, moment_ms: Callable[[], int]
    ) -> None:
        self._settings, self._exporter, self._moment_ms = settings, exporter, moment_ms
        self._activity = Activity()
        topics = settings.topics
        self._decoders = {
            topics.alert_results: Decoder(schemas, "result"),
            topics.proposals: Decoder(schemas, "proposal"),
        }
        self._next: dict[TopicPartition, int] = {}
        """Where reading goes on."""
        self._began: dict[TopicPartition, int] = {}
        """Where the partitions ended when it began."""

    async def run(self, now_ms: int) -> None:
        """Follow until cancelled, from an hour before now on; where it cannot be, that is logged, and tried again."""
        while True:
            try:
                await self._follow(now_ms - HOUR_MS)
            except (InputError, KafkaError, OSError, RegistryDownError) as error:
                log.warning("results and proposals are not followed at the moment: %s", in_words(error))
            await asyncio.sleep(AGAIN_S)

    def end_cycle(self) -> None:
        """Show what the cycle had that ends now."""
        self._exporter.update_trigger_stats(*self._activity.end_cycle())

    def refresh(self) -> None:
        """Show how many trades the last hour had."""
        self._exporter.update_trades_per_hour(self._activity.trades_per_hour(self._moment_ms()))

    def take(self, topic: str, decoded: dict[str, Any], *, is_history: bool) -> None:
        """Take one record."""
        now_ms = self._moment_ms()
        if topic == self._settings.topics.proposals:
            self._activity.proposal(decoded["proposal_id"], decoded["ts"], now_ms)
            return
        fills = [Fill(each["ts"], each["fill_id"]) for each in decoded["fills"]]
        triggers = len(decoded["triggers"])
        new = self._activity.result(decoded["execution_id"], decoded["ts"], triggers, fills, now_ms)
        if not is_history:
            self._exporter.traded(new)

    async def _follow(self, from_ms: int) -> None:
        consumer = make_consumer(self._settings)
        try:
            await consumer.start()
            await self._place(consumer, from_ms)
            while True:
                found = await consumer.getmany(timeout_ms=FETCH_WAIT_MS)
                for tp, records in found.items():
                    for record in records:
                        await self._read(tp, record)
        finally:
            await consumer.stop()

    async def _place(self, consumer: AIOKafkaConsumer, from_ms: int) -> None:
        """Go to where reading goes on: at first, an hour back."""
        broker, security = self._settings.broker, for_confluent(self._settings)
        sizes = await asyncio.to_thread(needed_sizes, broker, self._decoders, security)
        tps = [TopicPartition(topic, number) for topic, size in sizes.items() for number in range(size)]
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        times = await consumer.offsets_for_times(dict.fromkeys(tps, from_ms))
        for tp in tps:
            if tp not in self._next:
                self._began[tp] = ends[tp]
                self._next[tp] = ends[tp] if times[tp] is None else times[tp].offset
            consumer.seek(tp, self._next[tp])

    async def _read(self, tp: TopicPartition, record: Any) -> None:  # noqa: ANN401 - aiokafka's
        try:
            decoded = await self._decoders[tp.topic].adecode(record.value, record.headers)
        except BadValueError as error:
            log.debug("left out %s-%d@%d: %s", tp.topic, tp.partition, record.offset, error.reason)
        else:
            self.take(tp.topic, decoded, is_history=record.offset < self._began[tp])
        self._next[tp] = record.offset + 1


@asynccontextmanager
async def beside(following: Following, cycle_s: float | None = None) -> AsyncIterator[None]:
    """While something else is done, follow; end a cycle every so often, unless whoever else does."""
    tasks = [asyncio.create_task(following.run(time.time_ns() // 1_000_000))]
    if cycle_s is not None:
        tasks.append(asyncio.create_task(_cycles(following, cycle_s)))
    for each in tasks:
        each.add_done_callback(_told)
    try:
        yield
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _cycles(following: Following, cycle_s: float) -> Never:
    while True:
        await asyncio.sleep(cycle_s)
        following.end_cycle()


def _told(task: asyncio.Task[Any]) -> None:
    """Nobody waits for what goes on beside: say what ended it."""
    if not task.cancelled() and task.exception() is not None:
        log.error("results and proposals are followed no more", exc_info=task.exception())
