"""All ways to fetch hand over the same records with the same positions, on a real Kafka."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka import Producer
from confluent_kafka import TopicPartition as AdminPartition
from confluent_kafka.admin import AdminClient

from streams.kafka.brokers import EmbeddedBroker
from streams.kafka.fetch import Fetch, RawRun
from streams.kafka.packed_fetch import PackedFetch
from streams.kafka.plain_fetch import PlainFetch
from streams.kafka.raw_fetch import RawFetch
from streams.kafka.record_batch import Limits
from tests.kafka.batches import Seen, seen_in
from tests.kafka.conftest import MakeTopic
from tests.kafka.shared_broker import SharedBroker


class Unpacked:
    """What comes packed, unpacked at once."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer, self._fetch = consumer, PackedFetch(consumer)

    async def getmany(
        self, partitions: Collection[TopicPartition] | None = None, *, timeout_ms: int = 0
    ) -> dict[TopicPartition, list[RawRun]]:
        asked = self._consumer.assignment() if partitions is None else partitions
        found = await self._fetch.getmany(asked, timeout_ms=timeout_ms)
        return {tp: [run for each in packed for run in each.runs(Limits())] for tp, packed in found.items()}


WAYS: dict[str, Callable[[AIOKafkaConsumer], Fetch]] = {"raw": RawFetch, "plain": PlainFetch, "packed": Unpacked}
TIMEOUT_S = 60
TS = 1_760_000_000_000
CODECS = [None, "gzip", "snappy", "lz4", "zstd"]


class Message(NamedTuple):
    """What is produced."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    ts_ms: int = TS


class Read(NamedTuple):
    """What came of one partition."""

    start: int
    records: list[Seen]
    position: int


MESSAGES = [
    Message(b"AAPL", b"1", ts_ms=TS + 5),
    Message(None, b"no key", ts_ms=TS - 100_000),
    Message(b"no value", None),
    Message(None, None),
    Message(b"", b"", (("", b""), ("leer", None), ("größe", b"\x00\xff"))),
    Message(b"large", bytes(range(256)) * 1000),
    *(Message(b"k%d" % i, b"value %d" % i, ts_ms=TS + i) for i in range(300)),
]

SENT_BY_AIOKAFKA = [
    m._replace(headers=tuple((name, value or b"") for name, value in m.headers))
    for m in MESSAGES
    if m.key is not None or m.value is not None
]
"""Its producer knows no null in a header, and no record without both key and value."""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """One way to fetch."""
    return str(request.param)


async def produce(bootstrap: str, topic: str, messages: Sequence[Message], **options: Any) -> None:
    """Produce with aiokafka into partition 0."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=20 << 20, **options)
    await producer.start()
    try:
        await send(producer, topic, messages)
    finally:
        await producer.stop()


async def send(producer: AIOKafkaProducer, topic: str, messages: Sequence[Message]) -> None:
    """Send all, and wait until they are there."""
    sent = [
        await producer.send(topic, m.value, m.key, partition=0, timestamp_ms=m.ts_ms, headers=list(m.headers))
        for m in messages
    ]
    await asyncio.gather(*sent)


def produce_with_librdkafka(bootstrap: str, topic: str, messages: Sequence[Message], **options: Any) -> None:
    """Produce with confluent-kafka into partition 0."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "enable.idempotence": True, **options})
    for m in messages:
        producer.produce(topic, m.value, m.key, 0, timestamp=m.ts_ms, headers=list(m.headers))
    assert producer.flush(30) == 0


async def read(  # noqa: PLR0913 - the ways in which a consumer differs
    way: str,
    bootstrap: str,
    topic: str,
    *,
    partitions: int = 1,
    start: int | None = 0,
    end: int | None = None,
    isolation: str = "read_committed",
    **options: Any,
) -> dict[int, Read]:
    """Read a topic to its end, or to one that is to come, and hold the runs to the chain that they are to form."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level=isolation, **options
    )
    fetch = WAYS[way](consumer)
    await consumer.start()
    try:
        tps = [TopicPartition(topic, partition) for partition in range(partitions)]
        consumer.assign(tps)
        for tp in tps if start is not None else ():
            consumer.seek(tp, start)
        ends = await consumer.end_offsets(tps) if end is None else dict.fromkeys(tps, end)
        runs = dict[int, list[RawRun]]()
        async with asyncio.timeout(TIMEOUT_S):
            while [tp for tp in tps if await consumer.position(tp) < ends[tp]]:
                for tp, found in (await fetch.getmany(timeout_ms=200)).items():
                    assert {(run.topic, run.partition) for run in found} == {(topic, tp.partition)}
                    runs.setdefault(tp.partition, []).extend(found)
        return {partition: joined(found) for partition, found in runs.items()}
    finally:
        await consumer.stop()


def joined(runs: list[RawRun]) -> Read:
    """Put a partition's runs together."""
    for before, after in pairwise(runs):
        assert after.start == before.position
    for run in runs:
        assert run.start < run.position
        offsets = run.columns.offset
        assert ((offsets >= run.start) & (offsets < run.position)).all()
    return Read(runs[0].start, [each for run in runs for each in seen_in(run.columns)], runs[-1].position)


def seen(messages: Sequence[Message], first: int = 0) -> list[Seen]:
    """Tell what a reader is to see of messages that stand one behind the other."""
    return [Seen(first + i, m.ts_ms, m.key, m.value, m.headers) for i, m in enumerate(messages)]


@pytest.mark.parametrize("codec", CODECS)
def test_what_aiokafka_produced(way: str, codec: str | None, real_broker: SharedBroker, make_topic: MakeTopic) -> None:
    topic, bootstrap = make_topic(), real_broker.bootstrap
    asyncio.run(produce(bootstrap, topic, SENT_BY_AIOKAFKA, compression_type=codec))
    (found,) = asyncio.run(read(way, bootstrap, topic)).values()
    assert found == Read(0, seen(SENT_BY_AIOKAFKA), len(SENT_BY_AIOKAFKA))


@pytest.mark.parametrize("codec", CODECS)
def test_what_librdkafka_produced(
    way: str, codec: str | None, real_broker: SharedBroker, make_topic: MakeTopic
) -> None:
    topic, bootstrap = make_topic(), real_broker.bootstrap
    produce_with_librdkafka(bootstrap, topic, MESSAGES, **{"compression.type": codec or "none"})
    (found,) = asyncio.run(read(way, bootstrap, topic)).values()
    assert found == Read(0, seen(MESSAGES), len(MESSAGES))


@pytest.mark.parametrize("codec", CODECS[1:])
def test_what_the_broker_compressed(way: str, codec: str, real_broker: SharedBroker, make_topic: MakeTopic) -> None:
    topic, bootstrap = make_topic(**{"compression.type": str(codec)}), real_broker.bootstrap
    produce_with_librdkafka(bootstrap, topic, MESSAGES)
    (found,) = asyncio.run(read(way, bootstrap, topic)).values()
    assert found == Read(0, seen(MESSAGES), len(MESSAGES))


def test_the_embedded_broker(way: str) -> None:
    embedded = EmbeddedBroker()
    produce_with_librdkafka(embedded.bootstrap, "t", MESSAGES)
    (found,) = asyncio.run(read(way, embedded.bootstrap, "t", isolation="read_uncommitted")).values()
    embedded.stop()
    assert found == Read(0, seen(MESSAGES), len(MESSAGES))


@pytest.mark.parametrize("start", [1, 150, 299, 304])
def test_a_seek_into_the_middle_of_a_batch(
    way: str, start: int, real_broker: SharedBroker, make_topic: MakeTopic
) -> None:
    topic, bootstrap = make_topic(), real_broker.bootstrap
    asyncio.run(produce(bootstrap, topic, SENT_BY_AIOKAFKA, compression_type="lz4", max_batch_size=1 << 20))
    (found,) = asyncio.run(read(way, bootstrap, topic, start=start)).values()
    expected = seen(SENT_BY_AIOKAFKA)
    assert found == Read(start, expected[start:], len(SENT_BY_AIOKAFKA))


def test_times_that_the_broker_sets(way: str, real_broker: SharedBroker, make_topic: MakeTopic) -> None:
    topic, bootstrap = make_topic(**{"message.timestamp.type": "LogAppendTime"}), real_broker.bootstrap
    asyncio.run(produce(bootstrap, topic, SENT_BY_AIOKAFKA, compression_type="lz4"))
    (found,) = asyncio.run(read(way, bootstrap, topic)).values()
    times = {each.ts_ms for each in found.records}
    assert min(times) > TS + 1000
    assert [each._replace(ts_ms=0) for each in found.records] == [
        each._replace(ts_ms=0) for each in seen(SENT_BY_AIOKAFKA)
    ]
    (other,) = asyncio.run(read("plain", bootstrap, topic)).values()
    assert found == other


def test_a_value_that_is_larger_than_a_fetch(way: str, real_broker: SharedBroker, make_topic: MakeTopic) -> None:
    topic, bootstrap = make_topic(**{"max.message.bytes": str(16 << 20)}), real_broker.bootstrap
    messages = [Message(b"a", b"small"), Message(b"b", bytes(5 << 20)), Message(b"c", b"small")]
    asyncio.run(produce(bootstrap, topic, messages))
    (found,) = asyncio.run(read(way, bootstrap, topic, max_partition_fetch_bytes=100_000)).values()
    assert found == Read(0, seen(messages), 3)


async def transactions(bootstrap: str, topic: str, codec: str | None) -> list[int]:
    """Let two producers' transactions overlap, some aborted. Returns the offsets of what is committed."""
    one = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"{topic}-1", compression_type=codec)
    two = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"{topic}-2", compression_type=codec)
    await asyncio.gather(one.start(), two.start())
    committed = []
    for i in range(6):
        await asyncio.gather(one.begin_transaction(), two.begin_transaction())
        for producer, name, kept in ((one, "one", i % 3 != 1), (two, "two", i % 2 == 0), (one, "more", i % 3 != 1)):
            sent = [await producer.send_and_wait(topic, b"%s %d" % (name.encode(), i), partition=0) for _ in "ab"]
            committed += [each.offset for each in sent if kept]
        await (one.abort_transaction() if i % 3 == 1 else one.commit_transaction())
        await (two.commit_transaction() if i % 2 == 0 else two.abort_transaction())
    await one.begin_transaction()
    await one.send_and_wait(topic, b"never committed", partition=0)
    await one.abort_transaction()
    await asyncio.gather(one.stop(), two.stop())
    return committed


END = 6 * 8 + 2
"""Each time three pairs and two markers; then a record and its marker. Markers are written after the commit returns."""


@pytest.mark.parametrize("codec", [None, "lz4"])
def test_transactions(way: str, codec: str | None, real_broker: SharedBroker, make_topic: MakeTopic) -> None:
    topic, bootstrap = make_topic(), real_broker.bootstrap
    committed = asyncio.run(transactions(bootstrap, topic, codec))
    (found,) = asyncio.run(read(way, bootstrap, topic, end=END)).values()
    assert [each.offset for each in found.records] == sorted(committed)
    assert (found.start, found.position) == (0, END)
    (uncommitted,) = asyncio.run(read(way, bootstrap, topic, end=END, isolation="read_uncommitted")).values()
    assert (len(uncommitted.records), uncommitted.position) == (6 * 6 + 1, END)
    assert set(found.records) < set(uncommitted.records)


def test_transactions_from_any_position_look_the_same_all_ways(
    real_broker: SharedBroker, make_topic: MakeTopic
) -> None:
    topic, bootstrap = make_topic(), real_broker.bootstrap
    committed = asyncio.run(transactions(bootstrap, topic, "lz4"))
    for start in range(0, END, 7):
        raw, plain, packed = (asyncio.run(read(way, bootstrap, topic, start=start, end=END)) for way in WAYS)
        assert raw == plain == packed
        assert [each.offset for each in raw[0].records] == [offset for offset in sorted(committed) if offset >= start]


def test_an_open_transaction_holds_back_what_comes_after_it(
    way: str, real_broker: SharedBroker, make_topic: MakeTopic
) -> None:
    topic, bootstrap = make_topic(), real_broker.bootstrap

    async def story() -> tuple[dict[int, Read], dict[int, Read]]:
        await produce(bootstrap, topic, [Message(b"before", b"1")])
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=topic)
        await producer.start()
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"open", b"a", partition=0, timestamp_ms=TS)
        await produce(bootstrap, topic, [Message(b"after", b"2")])
        held = await read(way, bootstrap, topic)
        await producer.commit_transaction()
        await producer.stop()
        return held, await read(way, bootstrap, topic, start=held[0].position, end=4)

    held, rest = asyncio.run(story())
    assert held == {0: Read(0, seen([Message(b"before", b"1")]), 1)}
    assert rest == {0: Read(1, seen([Message(b"a", b"open"), Message(b"after", b"2")], 1), 4)}


COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "1000",
    "min.cleanable.dirty.ratio": "0.001",
    "min.compaction.lag.ms": "0",
    "delete.retention.ms": "0",
}


def test_gaps_that_compaction_leaves(way: str, real_broker: SharedBroker, make_topic: MakeTopic) -> None:
    topic, bootstrap = make_topic(**COMPACTED), real_broker.bootstrap
    rounds = [  # each with times so much later that a new segment begins
        [Message(b"%d" % i, b"old") for i in range(100)],
        [Message(b"gone", b"an emptied batch stays, for its producer's sake")],
        [*(Message(b"%d" % i, b"new") for i in range(0, 100, 3)), Message(b"gone", b"again")],
        [Message(b"1", b"the last segment is never compacted")],
    ]
    for k, messages in enumerate(rounds):
        late = [m._replace(ts_ms=TS + 10_000 * k) for m in messages]
        options = {"compression_type": "lz4", "enable_idempotence": True, "max_batch_size": 1 << 20, "linger_ms": 100}
        asyncio.run(produce(bootstrap, topic, late, **options))
    end = sum(map(len, rounds))
    kept = [i for i in range(100) if i % 3] + list(range(101, end))

    async def compacted() -> Read:
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                (found,) = (await read(way, bootstrap, topic)).values()
                if len(found.records) == len(kept):
                    return found

    found = asyncio.run(compacted())
    assert ([each.offset for each in found.records], found.position) == (kept, end)
    for start in (1, 50, 99, 100, 101, 103):
        (again,) = asyncio.run(read(way, bootstrap, topic, start=start)).values()
        assert again == Read(start, [each for each in found.records if each.offset >= start], end)


def test_records_that_were_deleted_leave_a_hole_that_can_be_seen(
    way: str, real_broker: SharedBroker, make_topic: MakeTopic
) -> None:
    topic, bootstrap = make_topic(), real_broker.bootstrap
    asyncio.run(produce(bootstrap, topic, SENT_BY_AIOKAFKA))
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for deleted in admin.delete_records([AdminPartition(topic, 0, 120)]).values():
        deleted.result(30)
    (found,) = asyncio.run(read(way, bootstrap, topic, start=10)).values()
    assert found == Read(120, seen(SENT_BY_AIOKAFKA)[120:], len(SENT_BY_AIOKAFKA))


def test_many_partitions(way: str, real_broker: SharedBroker, make_topic: MakeTopic) -> None:
    topic, bootstrap = make_topic(12), real_broker.bootstrap
    # Idempotent: one that is not may send what it was refused, before it knew the leader, behind what came later.
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": "zstd", "enable.idempotence": True})
    for i in range(1200):
        producer.produce(topic, b"%d" % i, b"k", i % 11, timestamp=TS)
    assert producer.flush(30) == 0
    found = asyncio.run(read(way, bootstrap, topic, partitions=12, start=None))
    assert set(found) == set(range(11))  # the twelfth holds nothing
    for partition, content in found.items():
        assert [each.value for each in content.records] == [b"%d" % i for i in range(partition, 1200, 11)]


def test_partitions_that_are_not_asked_for_or_paused_are_left_alone(
    way: str, real_broker: SharedBroker, make_topic: MakeTopic
) -> None:
    topic, bootstrap = make_topic(3), real_broker.bootstrap
    producer = Producer({"bootstrap.servers": bootstrap})
    for partition in range(3):
        producer.produce(topic, b"v", b"k", partition, timestamp=TS)
    assert producer.flush(30) == 0

    async def story() -> list[set[TopicPartition]]:
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        fetch = WAYS[way](consumer)
        await consumer.start()
        zero, one, two = tps = [TopicPartition(topic, partition) for partition in range(3)]
        consumer.assign(tps)
        consumer.pause(two)
        rounds = []
        for asked in ([], [zero], None):
            found = dict[TopicPartition, list[RawRun]]()
            async with asyncio.timeout(TIMEOUT_S):
                expected = {zero, one} - {zero} if asked is None else set(asked)
                while set(found) < expected:
                    found |= await fetch.getmany(asked, timeout_ms=100)
            rounds.append(set(found) or set(await fetch.getmany(asked, timeout_ms=100)))
        rounds.append(set(await fetch.getmany(timeout_ms=300)))
        consumer.resume(two)
        found = {}
        async with asyncio.timeout(TIMEOUT_S):
            while not found:
                found = await fetch.getmany(timeout_ms=100)
        rounds.append(set(found))
        await consumer.stop()
        return rounds

    zero, one, two = (TopicPartition(topic, partition) for partition in range(3))
    assert asyncio.run(story()) == [set(), {zero}, {one}, set(), {two}]
