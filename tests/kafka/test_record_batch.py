"""Record batches are read as aiokafka reads them, and what is wrong with one is told and goes no further."""

import random
import struct

import cramjam
import numpy as np
import pytest
from aiokafka.codec import snappy_encode
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka import batch_kernel
from streams.kafka.batch_kernel import CHECKSUM_TABLE, FAULT, HEADER_BYTES, Batches, Spans
from streams.kafka.compression import Unpacked
from streams.kafka.record_batch import REASONS, BadBatch, Limits, Response
from tests.kafka.batches import (
    ABORT,
    CODECS,
    COMMIT,
    GZIP,
    LZ4,
    NO_CODEC,
    SNAPPY,
    ZSTD,
    Row,
    batch,
    marker,
    patched,
    seen_by_aiokafka,
    seen_by_us,
    with_body,
)
from tests.kafka.guarded import guarded

TEXT = st.binary(max_size=12) | st.binary(min_size=60, max_size=200)
HEADERS = st.lists(st.tuples(st.text(max_size=8), st.none() | TEXT), max_size=3).map(tuple)
TIMES = st.integers(min_value=0, max_value=1 << 42)

LOG_APPEND_TIME = 0x08


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Records of one batch, some offsets left out as compaction does."""
    steps = draw(st.lists(st.integers(1, 300), max_size=8))
    deltas = np.cumsum(steps).tolist() if draw(st.booleans()) else list(range(len(steps)))
    return [Row(delta, draw(TIMES), draw(st.none() | TEXT), draw(st.none() | TEXT), draw(HEADERS)) for delta in deltas]


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """Batches of one partition as a broker would send them; those emptied by compaction are among them."""
    offset, out = draw(st.integers(0, 1 << 40)), b""
    for _ in range(draw(st.integers(1, 6))):
        content = draw(rows())
        codec = draw(st.sampled_from(CODECS)) if content else NO_CODEC  # as brokers leave an emptied batch
        last = (content[-1].delta if content else 0) + draw(st.integers(0, 5))
        made = batch(content, offset, codec, last_delta=last)
        if draw(st.booleans()):
            (attributes,) = struct.unpack_from(">h", made, 21)
            made = patched(made, attributes=attributes | LOG_APPEND_TIME, max_ts=draw(TIMES))
        out += made
        offset += last + 1 + draw(st.sampled_from([0, 0, 7]))
    return out


def within_the_first(data: bytes, ahead: int) -> int:
    """Choose a position for which a broker could have sent this: it sends no batch that lies before it as a whole."""
    (base_offset,), (delta,) = struct.unpack_from(">q", data), struct.unpack_from(">i", data, 23)
    return int(max(0, base_offset + min(ahead, delta)))


@given(responses(), st.integers(-1, 2000), st.integers(1, 20), st.integers(1, 1000))
def test_records_are_those_that_aiokafka_reads(data: bytes, ahead: int, run_records: int, run_bytes: int) -> None:
    position = within_the_first(data, ahead)
    limits = Limits(run_records, run_bytes, lets_go=run_records % 2 == 0)
    response = Response(data, position, limits=limits)
    found, after = seen_by_us(response)
    expected, expected_after = seen_by_aiokafka(data, position, None)
    assert (found, response.bad) == (expected, None)
    assert after == expected_after


@given(responses(), st.data())
def test_a_batch_that_the_broker_cut_short_is_left_out(data: bytes, draw: st.DataObject) -> None:
    cut = data[: draw.draw(st.integers(1, len(data)))]
    response = Response(cut, 0)
    found, after = seen_by_us(response)
    expected, expected_after = seen_by_aiokafka(cut, 0, None)
    assert (found, after, response.bad) == (expected, expected_after, None)


def test_wherever_the_broker_cut_a_batch_those_before_it_are_read() -> None:
    whole = GOOD + batch([Row(0), Row(1)], 2)
    for cut in range(len(GOOD), len(whole)):
        response = Response(whole[:cut], 0)
        assert seen_by_us(response)[1] == 2
        assert response.bad is None


def test_a_record_that_repeats_an_offset_is_left_out() -> None:
    data = with_body(RECORD + RECORD + BODY[len(RECORD) :], 3, last_delta=2)
    assert seen_by_us(Response(data, 0)) == seen_by_aiokafka(data, 0, None)
    assert [each.offset for each in seen_by_us(Response(data, 0))[0]] == [0, 1]


@given(responses(), st.data())
def test_a_changed_bit_is_found_and_what_stands_before_it_is_read(data: bytes, draw: st.DataObject) -> None:
    truth, _ = seen_by_us(Response(data, 0))
    at = draw.draw(st.integers(0, len(data) - 1))
    changed = bytearray(data)
    changed[at] ^= 1 << draw.draw(st.integers(0, 7))
    response = Response(bytes(changed), 0)
    found, _ = seen_by_us(response)
    whole = [batch_start for batch_start in starts(data) if batch_start <= at]
    if at - whole[-1] >= 16:  # what stands before the checksum is not covered by it
        assert response.bad is not None
        assert found == truth[: len(found)]


def starts(data: bytes) -> list[int]:
    """Where each batch begins."""
    found, at = [], 0
    while at < len(data):
        found.append(at)
        at += 12 + struct.unpack_from(">i", data, at + 8)[0]
    return found


@st.composite
def histories(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, int]]]:
    """Transactions of three producers mixed, with batches outside of any, and those that were aborted."""
    offset, out, begun, aborted = 0, b"", dict[int, int](), list[tuple[int, int]]()
    for _ in range(draw(st.integers(1, 14))):
        producer = draw(st.sampled_from([-1, 7, 8, 9]))
        if producer >= 0 and draw(st.sampled_from([0, 0, 1])):
            kind = draw(st.sampled_from([ABORT, COMMIT]))
            out += marker(kind, producer, offset)
            first = begun.pop(producer, None)
            if kind == ABORT and first is not None:
                aborted.append((producer, first))
            offset += 1
            continue
        count = draw(st.integers(1, 3))
        begun.setdefault(producer, offset)
        out += batch([Row(i) for i in range(count)], offset, draw(st.sampled_from(CODECS)), producer)
        offset += count
    return out, draw(st.permutations(aborted))


@given(histories(), st.booleans(), st.integers(-1, 3), st.integers(1, 4))
def test_aborted_transactions_and_markers_are_left_out(
    history: tuple[bytes, list[tuple[int, int]]], committed: bool, ahead: int, run_records: int
) -> None:
    data, aborted = history
    position = within_the_first(data, ahead)
    response = Response(data, position, aborted if committed else (), limits=Limits(run_records))
    found, after = seen_by_us(response)
    expected, expected_after = seen_by_aiokafka(data, position, list(aborted) if committed else None)
    assert (found, response.bad) == (expected, None)
    assert after == expected_after


def test_markers_alone_move_the_position_in_a_run_without_records() -> None:
    response = Response(marker(COMMIT, 7, 5) + marker(ABORT, 8, 6), 5, ())
    run = response.next_run()
    assert run is not None
    assert (len(run.columns), run.position, response.next_run()) == (0, 7, None)


def test_a_batch_that_compaction_emptied_moves_the_position() -> None:
    assert seen_by_us(Response(batch([], 5, last_delta=9), 5)) == ([], 15)


GOOD = batch([Row(0), Row(1)], 0)
BODY = GOOD[HEADER_BYTES:]
RECORD = BODY[: len(BODY) // 2]
BOMB = bytes(3 << 20)

BAD = {
    "length negative": (patched(GOOD, length=-1), FAULT.LENGTH),
    "length shorter than a header": (patched(GOOD, length=48), FAULT.LENGTH),
    "format 1": (patched(GOOD, magic=1), FAULT.MAGIC),
    "format 3": (patched(GOOD, magic=3), FAULT.MAGIC),
    "checksum": (patched(GOOD, crc=1), FAULT.CHECKSUM),
    "count negative": (patched(GOOD, records=-1), FAULT.COUNT),
    "count larger than the offsets": (batch([Row(0), Row(1), Row(2)], last_delta=1), FAULT.COUNT),
    "count larger than the bytes": (patched(GOOD, records=1000, last_delta=999), FAULT.COUNT),
    "count huge": (patched(GOOD, records=2**31 - 1, last_delta=2**31 - 1), FAULT.COUNT),
    "count too small": (patched(GOOD, records=1), FAULT.TRAILING),
    "last offset negative": (patched(GOOD, last_delta=-1), FAULT.OFFSETS),
    "base offset negative": (patched(GOOD, base_offset=-1), FAULT.OFFSETS),
    "base offset huge": (patched(GOOD, base_offset=2**63 - 1), FAULT.OFFSETS),
    "record behind the last offset": (batch([Row(0), Row(5)], last_delta=3), FAULT.OFFSETS),
    "unknown codec": (patched(GOOD, attributes=5), FAULT.CODEC),
    "gzip of nothing": (patched(GOOD, attributes=GZIP), FAULT.CODEC),
    "snappy of nothing": (patched(GOOD, attributes=SNAPPY), FAULT.CODEC),
    "lz4 of nothing": (patched(GOOD, attributes=LZ4), FAULT.CODEC),
    "zstd of nothing": (patched(GOOD, attributes=ZSTD), FAULT.CODEC),
    "gzip bomb": (with_body(bytes(cramjam.gzip.compress(BOMB)), 1, attributes=GZIP), FAULT.CODEC),
    "snappy bomb": (with_body(bytes(cramjam.snappy.compress_raw(BOMB)), 1, attributes=SNAPPY), FAULT.CODEC),
    "framed snappy bomb": (with_body(snappy_encode(BOMB), 1, attributes=SNAPPY), FAULT.CODEC),
    "lz4 bomb": (with_body(bytes(cramjam.lz4.compress(BOMB)), 1, attributes=LZ4), FAULT.CODEC),
    "zstd bomb": (with_body(bytes(cramjam.zstd.compress(BOMB)), 1, attributes=ZSTD), FAULT.CODEC),
    "framed snappy with a block too long": (
        with_body(snappy_encode(BODY)[:16] + struct.pack(">i", 99) + b"x", 1, attributes=SNAPPY),
        FAULT.CODEC,
    ),
    "framed snappy with a negative block": (
        with_body(snappy_encode(BODY)[:16] + struct.pack(">i", -1) + b"x", 1, attributes=SNAPPY),
        FAULT.CODEC,
    ),
    "framed snappy that ends within a length": (
        with_body(snappy_encode(BODY)[:18], 1, attributes=SNAPPY),
        FAULT.CODEC,
    ),
    "larger than the bound": (with_body(BOMB, 1), FAULT.SIZE),
    "record length negative": (with_body(b"\x01" + RECORD, 1), FAULT.RECORD),
    "record length too long": (with_body(b"\x7e" + RECORD[1:], 1), FAULT.RECORD),
    "record length endless": (with_body(b"\xff" * 20, 1), FAULT.RECORD),
    "time longer than 64 bits": (with_body(b"\x20\0" + b"\xff" * 9 + b"\x02\0\x02k\x01\0", 1), FAULT.RECORD),
    "key too long": (with_body(b"\x0e\0\0\0\x20k\x02v\0", 1), FAULT.RECORD),
    "value too long": (with_body(b"\x10\0\0\0\x02k\x20v\0", 1), FAULT.RECORD),
    "no count of headers": (with_body(b"\x0e\0\0\0\x02k\x02v", 1), FAULT.RECORD),
    "negative count of headers": (with_body(b"\x10\0\0\0\x02k\x02v\x01", 1), FAULT.RECORD),
    "too many headers": (with_body(b"\x10\0\0\0\x02k\x02v\x20", 1), FAULT.RECORD),
    "header without a name": (with_body(b"\x14\0\0\0\x02k\x02v\x02\x01\x01", 1), FAULT.RECORD),
    "record with more than it holds": (with_body(b"\x12\0\0\0\x02k\x02v\0\0", 1), FAULT.RECORD),
    "bytes behind the records": (with_body(RECORD + b"\0", 1), FAULT.TRAILING),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_batch_is_told_with_its_offset_and_reason_after_those_before_it(name: str) -> None:
    bad, fault = BAD[name]
    limits = Limits(batch_bytes=1 << 20)
    alone = Response(bad, 0, (), limits=limits)
    assert seen_by_us(alone) == ([], 0)
    (base_offset,) = struct.unpack_from(">q", bad)
    assert alone.bad == BadBatch(base_offset, REASONS[fault])
    assert alone.next_run() is None
    if base_offset != 0:  # the offset is what is bad
        return
    behind = Response(GOOD + struct.pack(">q", 2) + bad[8:], 0, (), limits=limits)
    found, position = seen_by_us(behind)
    assert (len(found), position) == (2, 2)
    assert behind.bad == BadBatch(2, REASONS[fault])


def test_a_count_past_the_bound_is_not_believed_however_many_bytes_there_are() -> None:
    response = Response(with_body(bytes(8 << 20), (1 << 20) + 1), 0)
    assert response.next_run() is None
    assert response.bad == BadBatch(0, REASONS[FAULT.COUNT])


def test_batches_out_of_order_are_bad() -> None:
    response = Response(GOOD + GOOD, 0)
    assert seen_by_us(response)[1] == 2
    assert response.bad == BadBatch(0, REASONS[FAULT.OFFSETS])


def test_every_fault_has_its_reason_and_its_example() -> None:
    assert {fault for _, fault in BAD.values()} == set(REASONS) == set(FAULT) - {FAULT.NONE}


def test_without_checksums_a_batch_is_believed() -> None:
    assert len(seen_by_us(Response(patched(GOOD, crc=1), 0, check_sums=False))[0]) == 2


def test_an_end_of_a_transaction_that_states_no_checksum_is_believed_and_nothing_else_is() -> None:
    """The embedded broker writes it so."""
    end = marker(COMMIT, 7, 2)
    found = Response(GOOD + patched(end, crc=0), 0)
    assert (seen_by_us(found)[1], found.bad) == (3, None)
    for bad in (patched(end, crc=1), patched(GOOD, crc=0)):
        response = Response(bad, 0)
        assert seen_by_us(response)[0] == []
        assert response.bad is not None
        assert response.bad.reason == REASONS[FAULT.CHECKSUM]


@pytest.mark.parametrize("packed", [snappy_encode(BODY), bytes(cramjam.snappy.compress_raw(BODY))])
def test_snappy_is_read_with_javas_frame_and_without(packed: bytes) -> None:
    data = with_body(packed, 2, attributes=SNAPPY, base_ts=1_760_000_000_000)
    assert seen_by_us(Response(data, 0)) == seen_by_us(Response(GOOD, 0))


@pytest.mark.parametrize("codec", CODECS)
def test_content_that_grows_much_is_unpacked_within_its_bound(codec: int) -> None:
    data = batch([Row(i, value=bytes(1000)) for i in range(500)], 0, codec)
    assert len(seen_by_us(Response(data, 0, limits=Limits(batch_bytes=600_000)))[0]) == 500
    short = Response(data, 0, limits=Limits(batch_bytes=500_000))
    assert seen_by_us(short) == ([], 0)
    assert short.bad is not None


@pytest.mark.parametrize("codec", CODECS[1:])
def test_nothing_at_all_that_claims_to_be_packed_is_refused_also_where_no_room_is_left(codec: int) -> None:
    unpacked = Unpacked(4, most_bytes_a_batch=1 << 16)
    assert unpacked.add(memoryview(b"full"), NO_CODEC) == FAULT.NONE
    assert len(unpacked.buffer) == unpacked.used
    assert unpacked.add(memoryview(b""), codec) == FAULT.CODEC
    assert unpacked.used == 4


def test_runs_end_at_the_limits_and_at_whole_batches() -> None:
    data = b"".join(batch([Row(i, value=bytes(91)) for i in range(10)], 10 * k) for k in range(7))

    def lengths(limits: Limits) -> list[int]:
        response = Response(data, 0, limits=limits)
        found = []
        while (run := response.next_run()) is not None:
            found.append(len(run.columns))
        return found

    assert lengths(Limits()) == [70]
    assert lengths(Limits(run_records=35)) == [30, 30, 10]
    assert lengths(Limits(run_records=1)) == [10] * 7
    assert lengths(Limits(run_bytes=1500)) == [20, 20, 20, 10]


def test_an_empty_response_has_no_run() -> None:
    assert Response(b"", 3).next_run() is None


@given(st.binary(max_size=300))
def test_the_checksum_is_aiokafkas(data: bytes) -> None:
    found = batch_kernel.checksum(np.frombuffer(data + b"!", np.uint8), 0, len(data), CHECKSUM_TABLE)
    assert found == calc_crc32c(data)


FUZZ = [batch([Row(i, headers=(("a", b"b"),)) for i in range(4)], 0, codec) for codec in CODECS]


def damaged(rng: random.Random, body: bytes) -> bytes:
    """Change a few bytes, or cut or repeat some."""
    out = bytearray(body)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        out[at : at + rng.randint(0, 3)] = rng.choice([b"", b"\xff", b"\x80\x01", b"\x01", rng.randbytes(2)])
    return bytes(out)


@pytest.mark.parametrize("seed", range(20))
def test_damage_under_a_right_checksum_never_reads_past_the_end(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        whole = FUZZ[0]
        records, body = rng.randint(0, 6), damaged(rng, whole[HEADER_BYTES:])
        data = damaged(rng, with_body(body, records, attributes=rng.choice([0, 0x30]), producer=7))
        with guarded(data) as raw:
            batches = Batches(*np.empty((10, batch_kernel.count_batches(raw)), np.int64))
            batch_kernel.scan(raw, 0, CHECKSUM_TABLE, batches)
            states, visible = np.zeros(1, np.uint8), np.zeros(len(batches.start), np.uint8)
            nine = np.array([9])
            batch_kernel.mark_visible(batches, nine, nine, states, visible)
        with guarded(body) as raw:
            batches = Batches(*np.zeros((10, 1), np.int64))
            batches.records[0], batches.last_offset[0] = records, 1 << 40
            room, none = np.full((8, records), -5), np.zeros(1, np.int64)
            read, _ = batch_kernel.read_records(raw, none, none + len(body), none, batches, 0, Spans(*room))
            assert (room[2:, :read] >= -1).all()
            assert (room[2:, :read] <= len(body)).all()


@pytest.mark.parametrize("codec", CODECS)
def test_damage_of_any_codec_is_a_value_and_never_an_exception(codec: int) -> None:
    rng = random.Random(codec)
    ends = set()
    for _ in range(400):
        body = damaged(rng, FUZZ[codec][HEADER_BYTES:])
        response = Response(with_body(body, 4, attributes=codec), 0, limits=Limits(batch_bytes=1 << 16))
        seen_by_us(response)
        ends.add(response.bad)
    assert len(ends) > 1
