"""Topics of a test's own: executions are put on them as a worker would, and results are read back."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.consumer import Execution, Executions, Limits
from streams.consumer.execution import Cause, Position
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.partitions import partition_of
from streams.kafka.registry import FileSchemas
from streams.settings import Settings

ENCODER = Encoder(FileSchemas(), ("execution", "result"))
QUICK = Limits(session_s=6.0, commit_every_s=0.1)
PATIENCE_S = 60.0
"""How long a test waits for what must come; reached only when it does not."""

MINUTE_MS = 60_000


def execution(strategy_id: str = "s1", bucket: int = 0, tickers: Sequence[str] = ("AAPL",), **more: Any) -> Execution:
    """An execution; without tickers, for the whole universe."""
    told = {
        "execution_id": f"{strategy_id}/{bucket}/{'-'.join(tickers)}"[:80],
        "strategy_version": 3,
        "mode": "per_ticker" if tickers else "global",
        "timeframe": "1m",
        "scope": "tickers" if tickers else "universe",
        "ts_ms": bucket * MINUTE_MS + 7,
        "cause": Cause("ticks", 0, 1, 2),
        "metadata": {},
        "run_id": "",
        "position": Position("alert-executions", 0, 0),
    }
    return Execution(strategy_id=strategy_id, bucket_ms=bucket * MINUTE_MS, tickers=tuple(tickers), **{**told, **more})


def value(told: Execution) -> bytes:
    """An execution as it stands on its topic."""
    fields = ("execution_id", "strategy_id", "strategy_version", "mode", "timeframe", "bucket_ms", "scope", "run_id")
    record = {name: getattr(told, name) for name in fields}
    more = {"tickers": list(told.tickers), "ts": told.ts_ms, "cause": told.cause._asdict(), "metadata": told.metadata}
    return ENCODER.encode("execution", record | more)


class Got(NamedTuple):
    """What a test compares of an execution."""

    strategy_id: str
    bucket: int
    tickers: tuple[str, ...]


def got(told: Execution) -> Got:
    return Got(told.strategy_id, told.bucket_ms // MINUTE_MS, told.tickers)


class Result(NamedTuple):
    """A result with where it stood."""

    partition: int
    key: bytes | None
    time_ms: int
    record: dict[str, Any]


class Ground(NamedTuple):
    """Topics under one prefix."""

    bootstrap: str
    prefix: str

    @property
    def settings(self) -> Settings:
        return Settings(broker=self.bootstrap, topic_prefix=self.prefix)

    @property
    def topic(self) -> str:
        return self.settings.topics.alert_executions

    def make_topics(self, partitions: int) -> None:
        topics = self.settings.topics
        wanted = [
            NewTopic(name, partitions, 1, config={"retention.ms": "-1"})
            for name in (topics.alert_executions, topics.alert_results)
        ]
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for made in admin.create_topics(wanted).values():
            made.result(timeout=30)

    def put(self, told: Iterable[Execution | bytes | None], *, partition: int = 0) -> None:
        """Put values on one partition, in their order, and wait for the broker."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 0, "enable.idempotence": True})
        for each in told:
            self._put(producer, each, partition)
        assert producer.flush(30) == 0

    def put_in_transaction(self, told: Iterable[Execution], *, commit: bool) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap, "transactional.id": f"{self.prefix}t"})
        producer.init_transactions(30)
        producer.begin_transaction()
        for each in told:
            self._put(producer, each, 0)
        assert producer.flush(30) == 0
        (producer.commit_transaction if commit else producer.abort_transaction)(30)

    def _put(self, producer: Producer, told: Execution | bytes | None, partition: int) -> None:
        if isinstance(told, Execution):
            producer.produce(self.topic, value(told), told.strategy_id, partition, timestamp=told.ts_ms)
        else:
            producer.produce(self.topic, told, b"hostile", partition)
        producer.poll(0)

    def committed(self, group: str = "g", partition: int = 0) -> int:
        """The committed offset of a group; negative where there is none."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": f"{self.prefix}{group}"})
        try:
            return consumer.committed([TopicPartition(self.topic, partition)], timeout=30)[0].offset
        finally:
            consumer.close()

    def executions(self, group: str = "g", **more: Any) -> Executions:
        return Executions(self.settings, group, **{"limits": QUICK, **more})

    def results(self) -> list[Result]:
        """All results that stand there by now, of each partition in their order."""
        decoder = Decoder(FileSchemas(), "result")
        options = {"bootstrap.servers": self.bootstrap, "group.id": "none", "enable.auto.commit": False}
        consumer = Consumer(options)
        found = []
        try:
            for partition in range(2):
                place = TopicPartition(self.settings.topics.alert_results, partition, 0)
                _, end = consumer.get_watermark_offsets(place, timeout=30)
                consumer.assign([place])
                at = 0
                while at < end:
                    (message,) = consumer.consume(1, PATIENCE_S)
                    assert message.error() is None
                    at = (message.offset() or 0) + 1
                    record = decoder.decode(message.value())
                    found.append(Result(partition, message.key(), message.timestamp()[1], record))
        finally:
            consumer.close()
        return found


def home(strategy_id: str) -> int:
    """The partition, of two, that a strategy's records belong in."""
    return partition_of(strategy_id.encode(), 2)


async def take(executions: Executions, count: int) -> list[Got]:
    """The next so many, and no more; all of them handled."""
    found: list[Got] = []
    async with asyncio.timeout(PATIENCE_S):
        async for each in executions:
            found.append(got(each))
            if len(found) == count:
                executions.finish()
    return found


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what comes about in the loop, and tells nobody."""
    while not condition():  # noqa: ASYNC110 - nobody sets an event
        await asyncio.sleep(0.02)


def in_loop(made: Callable[[], Awaitable[Any]]) -> Any:
    """Run a test's story."""

    async def story() -> Any:
        async with asyncio.timeout(PATIENCE_S * 2):
            return await made()

    return asyncio.run(story())
