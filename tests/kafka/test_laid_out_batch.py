"""Batches laid out as a whole hold what aiokafka's builder would hold, and brokers and readers take them for such."""

import asyncio
import inspect
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import RequestTimedOutError
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatch
from confluent_kafka import Consumer, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.core.records import NO_RECORDS, EncodedRecords, append_all, records_of
from streams.kafka import laid_out_batch
from streams.kafka.compression import CODECS
from streams.kafka.laid_out_batch import HEADER, LaidOutBatch, batches
from streams.kafka.record_batch import Response
from tests.kafka.batches import Seen, patched, seen_by_us
from tests.kafka.conftest import MakeTopic
from tests.kafka.shared_broker import SharedBroker

BATCH_BYTES = 4000
NO_LIMIT = 1 << 20
TS_MS = 1_760_000_000_000
TEXTS = st.binary(max_size=12) | st.binary(min_size=1, max_size=3).map(lambda text: 100 * text)
TIMES = st.integers(0, 1 << 42)
CODEC_NAMES = st.sampled_from(sorted(CODECS))

REPEATING = records_of([(b"key-%d" % i, b"value-%d " % i * 20) for i in range(50)], TS_MS)
"""They become smaller in every codec, and make more than one batch."""

Row = tuple[bytes, bytes | None, int]


@st.composite
def some_records(draw: st.DrawFn) -> EncodedRecords:
    """Records with times of their own, some of them deletions."""
    rows = draw(st.lists(st.tuples(TEXTS, TEXTS, st.booleans(), TIMES), min_size=1, max_size=60))
    records = records_of([(key, value) for key, value, _, _ in rows], 0)
    gone, times = np.array([row[2] for row in rows]), np.array([row[3] for row in rows], np.int64)
    starts, ends = (np.where(gone, -1, each) for each in (records.value_start, records.value_end))
    return EncodedRecords(records.data, records.key_start, records.key_end, starts, ends, times)


def rows(records: EncodedRecords) -> list[Row]:
    return [(records.key(i), records.value(i), int(records.ts_ms[i])) for i in range(records.count)]


def built_by_us(records: EncodedRecords, compression: str, *, transactional: bool) -> list[bytes]:
    built = []
    for batch in batches(records, compression=compression, transactional=transactional, max_bytes=BATCH_BYTES):
        batch._set_producer_state(7, 3, 40)
        built.append(bytes(batch._build()))
        assert batch.size() == len(built[-1])
        assert batch.record_count() == DefaultRecordBatch(built[-1]).next_offset
    return built


def built_by_aiokafka(
    ours: list[bytes], records: EncodedRecords, compression: str, *, transactional: bool
) -> list[bytes]:
    """The same records in the same batches."""
    at, built = 0, []
    for batch in ours:
        after = at + DefaultRecordBatch(batch).next_offset
        builder = BatchBuilder(NO_LIMIT, CODECS[compression], is_transactional=transactional)
        append_all(builder, records.picked(np.arange(at, after)))
        builder._set_producer_state(7, 3, 40)
        built.append(bytes(builder._build()))
        at = after
    return built


def seen_in(data: bytes) -> list[Seen]:
    """What aiokafka itself reads of a batch."""
    read = DefaultRecordBatch(data)
    assert read.validate_crc()
    return [Seen(each.offset, each.timestamp, each.key, each.value, each.headers) for each in read]


def header(data: bytes) -> tuple[int, ...]:
    """All of a header but its length, its checksum and its codec, which hang on how well it was compressed."""
    fields = list(HEADER.unpack_from(data))
    fields[1] = fields[4] = 0
    fields[5] &= ~7
    return tuple(fields)


@given(some_records(), CODEC_NAMES, st.booleans())
def test_a_batch_is_the_one_that_aiokafka_builds(records: EncodedRecords, compression: str, transactional: Any) -> None:
    ours = built_by_us(records, compression, transactional=transactional)
    theirs = built_by_aiokafka(ours, records, compression, transactional=transactional)
    assert [header(each) for each in ours] == [header(each) for each in theirs]
    assert [seen_in(each) for each in ours] == [seen_in(each) for each in theirs]
    assert [row[1:4] for each in ours for row in seen_in(each)] == [
        (ts, key, value) for key, value, ts in rows(records)
    ]


@given(some_records(), st.booleans())
def test_without_compression_it_is_the_same_to_the_byte(records: EncodedRecords, transactional: Any) -> None:
    ours = built_by_us(records, "none", transactional=transactional)
    assert ours == built_by_aiokafka(ours, records, "none", transactional=transactional)


@given(some_records(), CODEC_NAMES)
def test_our_own_reader_reads_it(records: EncodedRecords, compression: str) -> None:
    offset, response = 0, b""
    for built in built_by_us(records, compression, transactional=False):
        response += patched(built, base_offset=offset)
        offset += DefaultRecordBatch(built).next_offset
    found, position = seen_by_us(Response(response, 0))
    assert [(each.key, each.value, each.ts_ms) for each in found] == rows(records)
    assert position == records.count


@pytest.mark.parametrize("compression", CODECS)
def test_what_becomes_smaller_is_compressed_and_says_how(compression: str) -> None:
    (plain, *_), (built, *_) = (built_by_us(REPEATING, each, transactional=False) for each in ("none", compression))
    assert DefaultRecordBatch(built).compression_type == CODECS[compression]
    assert (len(built) < len(plain) // 2) == (compression != "none")


@pytest.mark.parametrize("compression", CODECS)
def test_what_does_not_become_smaller_goes_as_it_is(compression: str) -> None:
    noise = records_of([(b"", np.random.default_rng(5).bytes(1000))], TS_MS)
    (built,) = built_by_us(noise, compression, transactional=False)
    assert DefaultRecordBatch(built).compression_type == 0
    assert built == built_by_us(noise, "none", transactional=False)[0]


def test_no_batch_is_larger_than_asked_for_unless_it_holds_one_record() -> None:
    large = records_of([(b"k", bytes(BATCH_BYTES)), (b"k", b""), (b"k", b"")], TS_MS)
    made = list(batches(large, compression="none", transactional=False, max_bytes=BATCH_BYTES))
    assert [(batch.record_count(), batch.size() > BATCH_BYTES) for batch in made] == [(1, True), (2, False)]
    small = records_of([(b"k", b"v")] * 1000, TS_MS)
    first, *_ = batches(small, compression="none", transactional=False, max_bytes=BATCH_BYTES)
    assert BATCH_BYTES - 20 < first.size() <= BATCH_BYTES
    assert list(batches(NO_RECORDS, compression="none", transactional=False, max_bytes=BATCH_BYTES)) == []


def one_batch() -> LaidOutBatch:
    return next(batches(REPEATING, compression="lz4", transactional=False, max_bytes=BATCH_BYTES))


def test_a_batch_is_closed_from_the_start_and_takes_nothing_more() -> None:
    batch = one_batch()
    count = batch.record_count()
    assert batch.closed()
    assert append_all(batch, REPEATING) == 0
    batch.close()
    assert (batch.closed(), batch.record_count()) == (True, count)


def test_a_batch_that_is_sent_again_is_the_same_bytes_and_takes_no_other_sequence() -> None:
    batch = one_batch()
    batch._set_producer_state(7, 3, 40)
    first = bytes(batch._build())
    with pytest.raises(AssertionError, match="another"):
        batch._set_producer_state(7, 3, 41)
    assert bytes(batch._build()) == first
    read = DefaultRecordBatch(first)
    assert (read.producer_id, read.producer_epoch, read.base_sequence) == (7, 3, 40)


def test_nothing_that_is_touched_inside_aiokafka_has_moved() -> None:
    assert laid_out_batch.moved() == []


def test_what_an_upgrade_moves_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BatchBuilder, "flip", lambda self: None, raising=False)
    monkeypatch.setattr(BatchBuilder, "append", lambda self, *, record: None)
    monkeypatch.delattr(BatchBuilder, "size")
    monkeypatch.setitem(laid_out_batch.TOUCHED_NAMES, MessageAccumulator.flush_for_commit, ("no_such_call",))
    assert laid_out_batch.moved() == [
        "BatchBuilder.flip is new",
        "BatchBuilder.append takes other arguments",
        "BatchBuilder.size is gone",
        "MessageAccumulator.flush_for_commit no longer uses no_such_call",
    ]


PLAIN: dict[str, Any] = {}
IDEMPOTENT: dict[str, Any] = {"enable_idempotence": True}


def transactional() -> dict[str, Any]:
    return {"transactional_id": uuid.uuid4().hex}


async def sent(producer: AIOKafkaProducer, topic: str, compression: str) -> None:
    """Send all records, and wait until they are acknowledged."""
    is_transactional = producer._txn_manager is not None and producer._txn_manager.transactional_id is not None
    made = batches(REPEATING, compression=compression, transactional=is_transactional, max_bytes=BATCH_BYTES)
    futures = [await producer.send_batch(batch, topic, partition=0) for batch in made]
    assert len(futures) > 1
    await asyncio.gather(*futures)


async def produced(bootstrap: str, topic: str, compression: str, options: dict[str, Any]) -> None:
    """Send twice, in transactions where they are asked for; the first of these is aborted."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", **options) as producer:
        if "transactional_id" in options:
            await producer.begin_transaction()
            await sent(producer, topic, compression)
            await producer.abort_transaction()
            async with producer.transaction():
                await sent(producer, topic, compression)
        else:
            await sent(producer, topic, compression)


def consumed(bootstrap: str, topic: str) -> list[Row]:
    """What librdkafka reads of what is committed, checksums checked, up to the end."""
    found: list[Row] = []
    options = {"isolation.level": "read_committed", "check.crcs": True, "enable.partition.eof": True}
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False, **options})
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        while True:
            message = consumer.poll(30)
            assert message is not None, "the broker is silent"
            error = message.error()
            if error is not None:
                assert error.name() == "_PARTITION_EOF", error
                return found
            key, value = message.key(), message.value()
            assert isinstance(key, bytes)
            found.append((key, value, message.timestamp()[1]))
    finally:
        consumer.close()


@pytest.mark.parametrize("compression", CODECS)
def test_a_broker_that_must_unpack_the_batches_takes_them(
    real_broker: SharedBroker, make_topic: MakeTopic, compression: str
) -> None:
    topic = make_topic(**{"compression.type": "uncompressed" if compression != "none" else "gzip"})
    asyncio.run(produced(real_broker.bootstrap, topic, compression, IDEMPOTENT))
    assert consumed(real_broker.bootstrap, topic) == rows(REPEATING)


@pytest.mark.parametrize("compression", CODECS)
@pytest.mark.parametrize("options", [PLAIN, transactional()], ids=["plain", "transactional"])
def test_what_a_producer_sends_a_consumer_reads(
    real_broker: SharedBroker, make_topic: MakeTopic, compression: str, options: dict[str, Any]
) -> None:
    topic = make_topic()
    asyncio.run(produced(real_broker.bootstrap, topic, compression, options))
    assert consumed(real_broker.bootstrap, topic) == rows(REPEATING)


async def produced_with_lost_answers(bootstrap: str, topic: str) -> Sequence[bytes]:
    """Let the first answer to each batch be lost; returns all bytes that were sent."""
    went_out: list[bytes] = []
    options: dict[str, Any] = {"enable_idempotence": True, "retry_backoff_ms": 5}
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, **options) as producer:
        send = producer.client.send

        async def lose_first_answers(node: int, request: Any, **how: Any) -> Any:
            answer = send(node, request, **how)
            answer = await answer if inspect.isawaitable(answer) else answer
            if isinstance(request, ProduceRequest):
                ((_, ((_, data),)),) = request._topics
                went_out.append(bytes(data))
                if went_out.count(went_out[-1]) == 1:
                    raise RequestTimedOutError
            return answer

        producer.client.send = lose_first_answers
        await sent(producer, topic, "zstd")
    return went_out


def test_a_batch_whose_answer_was_lost_is_sent_again_and_is_there_once(
    real_broker: SharedBroker, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    went_out = asyncio.run(produced_with_lost_answers(real_broker.bootstrap, topic))
    assert [went_out.count(each) for each in went_out] == [2] * len(went_out)
    assert consumed(real_broker.bootstrap, topic) == rows(REPEATING)
