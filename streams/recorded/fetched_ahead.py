"""Fetch responses of a topic's ticks ahead of who reads them, in a thread of their own whose event loop always runs.

aiokafka asks for more of a partition when the last response has been taken, and its loop has to run for that and for
what comes in. So whoever decides a day waited for the broker, and the broker for it. Here responses are taken as they
come and wait packed, which is a fraction of what they become; how many bytes do is bounded.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from threading import Condition, Thread
from types import TracebackType
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.kafka.packed_fetch import Packed, PackedFetch
from streams.kafka.topic_spans import Span
from streams.kafka.whole_topic import SILENCE_TIMEOUT_S

AHEAD_BYTES: Final = 32 << 20
"""So much may wait of all partitions together, packed. Each has its share, and may go beyond it by one response; one
more may lie in aiokafka."""

FETCH_WAIT_MS: Final = 200


class SilenceError(Exception):
    """Nothing has come of a partition for so long that the broker counts as gone."""


class StoppedError(Exception):
    """Nobody reads on."""


class FetchedAhead:
    """Responses of the partitions of a topic, each in its order. Used in a `with`: the thread ends with it."""

    def __init__(self, make_consumer: Callable[[], AIOKafkaConsumer], topic: str, spans: Mapping[int, Span]) -> None:
        """Take spans that are not empty."""
        self._make_consumer = make_consumer
        self._spans = {TopicPartition(topic, partition): span for partition, span in spans.items()}
        self._share_bytes = max(AHEAD_BYTES // max(len(spans), 1), 1)
        self._waiting: dict[int, deque[Packed]] = {partition: deque() for partition in spans}
        self._waiting_bytes = dict.fromkeys(spans, 0)
        self._failed: Exception | None = None
        self._changed = Condition()
        self._begun: Future[None] = Future()
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop, self._room = self._runner.get_loop(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._thread = Thread(target=self._run, name="fetching", daemon=True)

    def __enter__(self) -> Self:
        """Begin; raises what Kafka's troubles raise."""
        self._thread.start()
        try:
            self._begun.result()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def take(self, partition: int) -> Packed:
        """The next response of a partition; raises `SilenceError`, and what Kafka's troubles raise."""
        waiting = self._waiting[partition]
        with self._changed:
            if not self._changed.wait_for(lambda: waiting or self._failed is not None, SILENCE_TIMEOUT_S):
                raise SilenceError(f"partition {partition}")
            if not waiting:
                assert self._failed is not None, "that is what was waited for, too"
                raise self._failed
            packed = waiting.popleft()
            self._waiting_bytes[partition] -= len(packed.data)
        self._wake(self._room.set)
        return packed

    def give_up(self) -> None:
        """Have nobody wait any more for what is to come."""
        self._fail(StoppedError())

    def _fail(self, error: Exception) -> None:
        """Have this raised to whoever takes more than is there; the first error counts."""
        with self._changed:
            self._failed = self._failed or error
            self._changed.notify_all()

    def _end(self) -> None:
        self.give_up()
        self._wake(self._cancel)
        self._thread.join()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _wake(self, call: Callable[[], object]) -> None:
        """Call something in the loop of the thread, unless all has been fetched and it has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call)

    def _run(self) -> None:
        """Be the thread."""
        with suppress(asyncio.CancelledError), self._runner:
            self._runner.run(self._work())

    async def _work(self) -> None:
        if self._failed is not None:  # given up before it began
            return
        self._task = asyncio.current_task()
        try:
            await self._fetch()
        except Exception as error:  # noqa: BLE001 - it is raised where somebody waits for it
            if self._begun.done():
                self._fail(error)
            else:
                self._begun.set_exception(error)

    async def _fetch(self) -> None:
        consumer = self._make_consumer()
        try:
            fetch = PackedFetch(consumer)
            await consumer.start()
            consumer.assign([*self._spans])
            for tp, span in self._spans.items():
                consumer.seek(tp, span.first)
            self._begun.set_result(None)
            await self._fetch_all(consumer, fetch)
        finally:
            self._task = None  # to stop is not cut short
            await consumer.stop()

    async def _fetch_all(self, consumer: AIOKafkaConsumer, fetch: PackedFetch) -> None:
        """Take what comes of each partition while there is room for it, up to its end."""
        left = {tp: span.end for tp, span in self._spans.items()}
        while left:
            self._room.clear()
            asked = [tp for tp in left if self._waiting_bytes[tp.partition] < self._share_bytes]
            if not asked:
                await self._room.wait()
            for tp, found in (await fetch.getmany(asked, timeout_ms=FETCH_WAIT_MS)).items():
                self._put(tp.partition, found)
                if found[-1].position >= left[tp]:
                    consumer.pause(tp)  # so that nothing is asked for that lies behind the range
                    del left[tp]

    def _put(self, partition: int, found: list[Packed]) -> None:
        with self._changed:
            self._waiting[partition] += found
            self._waiting_bytes[partition] += sum(len(packed.data) for packed in found)
            self._changed.notify_all()
