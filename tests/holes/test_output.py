"""Faults of Faust's producer: a failed send is a log line, and a transaction belongs to a partition of the output.

Each test runs with our cure and without it. Places are those of faust-streaming 0.15.3.
"""

import asyncio
import uuid
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.core.records import records_of
from streams.kafka import checkpoint, clients, producing
from streams.kafka.checkpoint import BEFORE_COMMIT, Emission, Transaction
from streams.kafka.partitions import partition_of
from streams.kafka.producing import FencedError, Keyed, Outgoing, UnsureError
from streams.settings import Settings
from tests.holes.cures import with_and_without_the_cure
from tests.kafka.shared_broker import SharedBroker

OUTPUTS = 3
TS_MS = 1_760_000_000_000
KEYS = [next(key for key in map(b"%d".__mod__, count()) if partition_of(key, OUTPUTS) == p) for p in range(OUTPUTS)]
"""One for each partition."""


def emission(settings: Settings, shard: int, position: int) -> Emission:
    """Executions for every partition of the output, and a row."""
    value = b"%d of shard %d" % (position, shard)
    each = [records_of([(key, value)], TS_MS) for key in KEYS]
    executions = [Keyed(settings.topics.alert_executions, OUTPUTS, records) for records in each]
    return Emission(executions, [], [Outgoing(settings.topics.changelog("last_bucket"), shard, each[0])], position)


class DeafProducer:
    """Stands where a producer stands; the broker does not take the executions, or does not answer."""

    def __init__(self, *, answers: bool) -> None:
        self.answers, self.committed = answers, False

    async def begin_transaction(self) -> None:
        pass

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]:  # noqa: ARG002 - as the real one
        sent = asyncio.get_running_loop().create_future()
        if self.answers:
            sent.set_exception(KafkaTimeoutError())
            sent.exception()  # the loop would tell of one that nobody looks at
        return sent

    async def commit_transaction(self) -> None:
        self.committed = True

    async def stop(self) -> None:
        pass


async def not_looked_at(on_their_way: Sequence[tuple[Any, int]]) -> int:
    """What Faust makes of an acknowledgement: nothing that anybody waits for."""
    return 0


@with_and_without_the_cure
@pytest.mark.parametrize("answers", [True, False], ids=["refused", "no_answer"])
def test_nothing_is_committed_behind_a_send_that_is_not_acknowledged(
    monkeypatch: pytest.MonkeyPatch, cured: bool, answers: bool
) -> None:
    """`Topic._on_published` (topics.py) logs the error of a send, and the commit goes on."""
    if not cured:
        monkeypatch.setattr(producing, "end_of", not_looked_at)

    async def main() -> None:
        producer: Any = DeafProducer(answers=answers)
        nobody: Any = None
        transaction = Transaction(0, lambda: producer, nobody, "none", timeout_s=0.05)
        transaction._producer = producer
        attempt = transaction.commit(emission(Settings(), 0, 7))
        if cured:
            with pytest.raises(UnsureError):
                await attempt
        else:
            await attempt
        assert producer.committed is not cured

    asyncio.run(main())


@pytest.fixture
def settings(real_broker: SharedBroker) -> Settings:
    """Topics of this test's own: two shards, and more partitions of the output."""
    made = Settings(
        broker=real_broker.bootstrap,
        topic_prefix=f"{uuid.uuid4().hex[:8]}.",
        app_id=uuid.uuid4().hex,
        compression="none",
    )
    sizes = {made.topics.alert_executions: OUTPUTS, made.topics.changelog("last_bucket"): 2}
    admin = AdminClient({"bootstrap.servers": real_broker.bootstrap})
    for future in admin.create_topics([NewTopic(name, size, 1) for name, size in sizes.items()]).values():
        future.result(timeout=30)
    return made


async def visible(settings: Settings) -> list[tuple[int, bytes]]:
    """Partition and value of each execution that a read_committed consumer finds, once all are decided."""
    tps = [TopicPartition(settings.topics.alert_executions, p) for p in range(OUTPUTS)]
    async with AIOKafkaConsumer(bootstrap_servers=settings.broker) as consumer:
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)  # behind the markers too, if they are there already
    found = []
    async with AIOKafkaConsumer(bootstrap_servers=settings.broker, isolation_level="read_committed") as consumer:
        consumer.assign(tps)
        for tp in tps:
            consumer.seek(tp, 0)
            while await consumer.position(tp) < ends[tp]:
                records = (await consumer.getmany(tp, timeout_ms=100)).get(tp, ())
                found += [(tp.partition, record.value) for record in records]
    return sorted(found)


class EndedError(Exception):
    """The worker has died here."""


@with_and_without_the_cure
def test_shards_that_write_to_the_same_partition_do_not_shut_one_another_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, cured: bool
) -> None:
    """`TransactionManager.send` (transport/consumer.py) makes the transactional id of the partition of the output.

    Then whoever writes there last fences all others (issues 177, 323 and 517 of faust-streaming).
    """
    if not cured:
        monkeypatch.setattr(clients, "transactional_id", lambda settings, partition: f"{settings.group_id}-0-0")

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the client's own task is fenced as well
        first, second = (clients.make_transaction(settings, shard, checkpoint.unobserved) for shard in (0, 1))
        try:
            await first.open()
            await second.open()
            await second.commit(emission(settings, 1, 5))
            if cured:
                await first.commit(emission(settings, 0, 7))
            else:
                with pytest.raises(FencedError):
                    await first.commit(emission(settings, 0, 7))
        finally:
            await first.close()
            await second.close()
        wanted = [(p, b"7 of shard 0") for p in range(OUTPUTS) if cured]
        wanted += [(p, b"5 of shard 1") for p in range(OUTPUTS)]
        assert await visible(settings) == sorted(wanted)

    asyncio.run(main())


@with_and_without_the_cure
def test_what_one_input_caused_comes_whole_or_not_at_all_to_all_partitions(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, cured: bool
) -> None:
    """`TransactionManager.commit` (transport/consumer.py) ends one transaction for each partition of the output.

    A worker that dies in between has sent a part, and the next owner sends all of it again.
    """

    def die(step: str, partition: int, position: int) -> None:
        if step == BEFORE_COMMIT:
            raise EndedError

    async def main() -> None:
        whole = emission(settings, 0, 7)
        parts = [whole] if cured else [whole._replace(executions=[each]) for each in whole.executions]
        dying = clients.make_transaction(settings, 0, checkpoint.unobserved)
        await dying.open()
        for part in parts[:-1]:
            await dying.commit(part)
        dying.observe = die
        with pytest.raises(EndedError):
            await dying.commit(parts[-1])
        owner = clients.make_transaction(settings, 0, checkpoint.unobserved)
        try:
            await owner.open()
            await owner.commit(whole)
        finally:
            await owner.close()
            await dying.close()
        found = await visible(settings)
        assert (found == [(p, b"7 of shard 0") for p in range(OUTPUTS)]) is cured

    asyncio.run(main())
