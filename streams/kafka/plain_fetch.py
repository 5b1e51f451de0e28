"""The same runs through aiokafka's public interface alone: slower, and there should an upgrade break the raw fetch."""

from collections.abc import Collection, Sequence

import numpy as np
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from streams.kafka.fetch import RawRun
from streams.kafka.record_batch import NOTHING, RecordColumns


class PlainFetch:
    """Takes runs out of a consumer that has no deserializers.

    A batch that cannot be read is an exception of aiokafka's, and what it had taken of other partitions by then is
    lost to us: their next runs start later than the last ones ended.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def getmany(
        self, partitions: Collection[TopicPartition] | None = None, *, timeout_ms: int = 0
    ) -> dict[TopicPartition, list[RawRun]]:
        """What has come of these partitions, waiting so long for something to come. None means all, empty none."""
        consumer = self._consumer
        asked = consumer.assignment() if partitions is None else partitions
        if not asked:
            return {}
        before = {tp: await consumer.position(tp) for tp in asked}
        found = await consumer.getmany(*asked, timeout_ms=timeout_ms)
        runs = {}
        for tp in consumer.assignment() & set(asked):
            position = await consumer.position(tp)
            if position != before[tp]:
                columns = columns_of(found.get(tp, ()))
                start = await self._start(tp, before[tp], columns)
                runs[tp] = [RawRun(tp.topic, tp.partition, start, position, columns)]
        return runs

    async def _start(self, tp: TopicPartition, before: int, columns: RecordColumns) -> int:
        """Where a run starts: later than the position was, if the broker has deleted records from there on."""
        if len(columns) and columns.offset[0] == before:
            return before
        first: int = (await self._consumer.beginning_offsets([tp]))[tp]
        return max(before, first)


def columns_of(records: Sequence[ConsumerRecord]) -> RecordColumns:
    """Lay records out as they lie in a batch."""
    if not records:
        return NOTHING
    buffer = bytearray()

    def put(content: bytes | None) -> tuple[int, int]:
        if content is None:
            return -1, -1
        buffer.extend(content)
        return len(buffer) - len(content), len(buffer)

    rows = [
        (each.offset, each.timestamp, *put(each.key), *put(each.value), *put(encode_headers(each.headers)))
        for each in records
    ]
    return RecordColumns(np.frombuffer(buffer, np.uint8), *np.array(rows, np.int64).T.copy())


def encode_headers(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    """Headers as they stand in a record: nothing at all where there are none."""
    if not headers:
        return b""
    pieces = [zigzag(len(headers))]
    for name, value in headers:
        encoded = name.encode()
        pieces += [zigzag(len(encoded)), encoded, zigzag(-1 if value is None else len(value)), value or b""]
    return b"".join(pieces)


def zigzag(number: int) -> bytes:
    """A number of 32 bits as Kafka's records hold lengths."""
    rest = (number << 1) ^ (number >> 31)
    out = bytearray()
    while rest > 127:  # noqa: PLR2004 - seven bits a byte
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)
