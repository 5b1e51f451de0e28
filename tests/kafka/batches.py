"""Record batches for tests, built by aiokafka, and what aiokafka itself reads out of them."""

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from streams.kafka.record_batch import RecordColumns, Response

TP = TopicPartition("t", 0)
HEADER = struct.Struct(">qiibIhiqqqhii")
NO_CODEC, GZIP, SNAPPY, LZ4, ZSTD = CODECS = range(5)
ABORT, COMMIT = 0, 1


class Row(NamedTuple):
    """One record; `delta` is its offset behind that of its batch."""

    delta: int
    ts_ms: int = 1_760_000_000_000
    key: bytes | None = b"k"
    value: bytes | None = b"v"
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Seen(NamedTuple):
    """One record as a reader tells it."""

    offset: int
    ts_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def patched(batch: bytes, **fields: int) -> bytes:
    """Change fields of the header, and make the checksum right again unless that is what is changed."""
    names = (
        *("base_offset", "length", "epoch", "magic", "crc", "attributes", "last_delta", "base_ts", "max_ts"),
        *("producer", "producer_epoch", "sequence", "records"),
    )
    header = dict(zip(names, HEADER.unpack_from(batch), strict=True))
    body = batch[HEADER.size :]
    made = HEADER.pack(*{**header, **fields}.values()) + body
    if "crc" in fields:
        return made
    return HEADER.pack(*{**header, **fields, "crc": calc_crc32c(made[21:])}.values()) + body


def batch(rows: Iterable[Row], base_offset: int = 0, codec: int = NO_CODEC, producer: int = -1, **fields: int) -> bytes:
    """Build a batch; `fields` change its header. One with a producer is transactional."""
    transactional = int(producer >= 0)
    builder = DefaultRecordBatchBuilder(2, codec, transactional, producer, transactional - 1, -1, 1 << 30)
    for row in rows:
        assert builder.append(row.delta, row.ts_ms, row.key, row.value, list(row.headers)) is not None
    return patched(bytes(builder.build()), base_offset=base_offset, **fields)


def with_body(body: bytes, records: int, **fields: int) -> bytes:
    """Build a batch around any bytes."""
    empty = batch([]) + body
    return patched(empty, length=len(empty) - 12, records=records, **{"last_delta": max(records - 1, 0), **fields})


def marker(kind: int, producer: int, base_offset: int) -> bytes:
    """Build the control batch that ends a transaction."""
    row = Row(0, key=struct.pack(">hh", 0, kind), value=bytes(6))
    return batch([row], base_offset, producer=producer, attributes=0x30)


def seen_by_aiokafka(
    data: bytes, position: int, aborted: Sequence[tuple[int, int]] | None, *, check_sums: bool = True
) -> tuple[list[Seen], int]:
    """Let aiokafka read a response; returns its records, and the position after."""
    committed = int(aborted is not None)
    records = PartitionRecords(TP, MemoryRecords(data), aborted, position, None, None, check_sums, committed)
    return [Seen(r.offset, r.timestamp, r.key, r.value, r.headers) for r in records], records.next_fetch_offset


def seen_in(columns: RecordColumns) -> list[Seen]:
    """Take the columns apart again."""
    return [
        Seen(
            int(columns.offset[i]),
            int(columns.ts_ms[i]),
            columns.key(i),
            columns.value(i),
            tuple(columns.headers(i)),
        )
        for i in range(len(columns))
    ]


def seen_by_us(response: Response) -> tuple[list[Seen], int]:
    """Read a response to its end, or to a bad batch; returns its records, and the position after."""
    found = []
    while (run := response.next_run()) is not None:
        assert run.position == response.position
        found += seen_in(run.columns)
    return found, response.position
