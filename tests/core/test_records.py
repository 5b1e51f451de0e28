"""Records on their way out: partitions as Java's producer has them, and batches as aiokafka builds them."""

from typing import Any

import numpy as np
import pytest
from aiokafka.partitioner import murmur2 as murmur2_of_aiokafka
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch
from hypothesis import given
from hypothesis import strategies as st

from streams.core.records import (
    NO_RECORDS,
    EncodedRecords,
    append_all,
    by_partition,
    concatenated,
    murmur2,
    partitions_of,
    records_of,
    section,
)
from tests.core.java_hashes import HASHES

HEADER_BYTES = 61
NO_LIMIT = 1 << 20

PAIRS = st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=200)), max_size=40)
PAIRS_OR_NULL = st.lists(st.tuples(st.binary(max_size=20), st.none() | st.binary(max_size=200)), max_size=40)
TIMES = st.integers(0, 1 << 41)


@st.composite
def some_records(draw: st.DrawFn, min_size: int = 1) -> EncodedRecords:
    """Records with times of their own, some of them deletions, in a buffer with more than they use."""
    pairs = draw(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=200)), min_size=min_size, max_size=40))
    records = records_of([(b"left", b"out"), *pairs], 0).picked(np.arange(1, len(pairs) + 1))
    size = len(pairs)
    times = np.array(draw(st.lists(TIMES, min_size=size, max_size=size)), np.int64)
    gone = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)), bool)
    starts, ends = np.where(gone, -1, records.value_start), np.where(gone, -1, records.value_end)
    return EncodedRecords(records.data, records.key_start, records.key_end, starts, ends, times)


def listed(records: EncodedRecords) -> list[tuple[bytes, bytes | None, int]]:
    return [(records.key(i), records.value(i), int(records.ts_ms[i])) for i in range(records.count)]


def read(batch: Any) -> list[tuple[bytes, bytes | None, int]]:
    return [(record.key, record.value, record.timestamp) for record in DefaultRecordBatch(bytes(batch))]


@pytest.mark.parametrize(("key", "signed"), HASHES)
def test_a_key_hashes_as_in_java(key: bytes, signed: int) -> None:
    assert murmur2(np.frombuffer(key, np.uint8), 0, len(key)) == signed & 0x7FFFFFFF


@given(st.binary(max_size=70), st.integers(0, 5))
def test_any_key_hashes_as_in_aiokafka(key: bytes, before: int) -> None:
    data = np.frombuffer(bytes(before) + key + b"\xff", np.uint8)
    assert murmur2(data, before, before + len(key)) == murmur2_of_aiokafka(key) & 0x7FFFFFFF


@given(some_records(), st.integers(1, 12))
def test_each_record_goes_to_the_partition_of_its_key_and_none_overtakes_another(
    records: EncodedRecords, partitions: int
) -> None:
    expected: dict[int, list[tuple[bytes, bytes | None, int]]] = {}
    for each in listed(records):
        expected.setdefault((murmur2_of_aiokafka(each[0]) & 0x7FFFFFFF) % partitions, []).append(each)
    assert {p: listed(part) for p, part in by_partition(records, partitions)} == expected
    assert partitions_of(records, partitions).tolist() == [
        (murmur2_of_aiokafka(key) & 0x7FFFFFFF) % partitions for key, _, _ in listed(records)
    ]


@given(some_records(), st.integers(HEADER_BYTES, 2000))
def test_batches_are_those_that_aiokafka_builds(records: EncodedRecords, batch_bytes: int) -> None:
    plain_at = at = 0
    seen = []
    while plain_at < records.count:
        builder = BatchBuilder(batch_bytes + 1, 0)  # compiled, it leaves the last byte free
        first, plain_at = plain_at, append_all(builder, records, plain_at)
        laid_out, at = section(records, at, batch_bytes - HEADER_BYTES)
        assert at == plain_at
        batch = bytes(builder._build())
        assert laid_out.data.tobytes() == batch[HEADER_BYTES:]
        header = DefaultRecordBatch(batch)
        times = records.ts_ms[first:at].tolist()
        assert (laid_out.records, laid_out.base_ts_ms, laid_out.max_ts_ms) == (at - first, times[0], max(times))
        assert (header.first_timestamp, header.max_timestamp) == (times[0], max(times))
        seen += read(batch)
    assert seen == listed(records)


def test_one_record_is_taken_however_large_it_is() -> None:
    records = records_of([(b"k", bytes(5000)), (b"k", b"v")], 0)
    assert section(records, 0, 100)[1] == append_all(BatchBuilder(100, 0), records) == 1


@given(PAIRS_OR_NULL, PAIRS_OR_NULL)
def test_records_one_behind_the_other_are_those_of_the_parts(one: Any, other: Any) -> None:
    """Also where values are null."""
    parts = [records_of(one, 7), NO_RECORDS, records_of(other, 8)]
    assert listed(concatenated(parts)) == [(k, v, 7) for k, v in one] + [(k, v, 8) for k, v in other]


def test_nothing_to_send_fills_no_batch() -> None:
    assert append_all(BatchBuilder(100, 0), NO_RECORDS) == 0
    assert by_partition(NO_RECORDS, 3) == []
