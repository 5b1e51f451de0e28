"""Rows that cannot be what a shard wrote end the recovery with their key and offset, and touch nothing else."""

import contextlib
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import restore_kernel
from streams.core.avro import long, long_map, string
from streams.core.columns import PairColumns, pair_columns
from streams.core.limits import FOREVER, MAX_STRATEGIES, MAX_TS_MS, NEVER
from streams.core.restore import CorruptRowError, Recovery
from streams.core.restore_kernel import FAULT
from streams.core.shard import Shard
from tests.core.changelogs import Changelogs, Record, bucket_row, number, remembered, run_of, strategy_row, update_row
from tests.core.guard_pages import guarded
from tests.core.histories import CONDITIONS, seeded

NOON_MS = 1_760_000_000_000
POSITION = {"next_offset": 5, "stream_ms": NOON_MS, "log_numbers": 2}


def group_row(
    *, version: int = 7, timeframe: str = "1m", numbers: Sequence[int] = (NOON_MS, NOON_MS + 900, 4, 9, NOON_MS + 5, 1)
) -> bytes:
    """What is gathered: the bucket, when it is due, first and last offset, earliest time, count of tickers; and A."""
    return b"\1" + long(version) + string(timeframe) + b"".join(map(long, numbers)) + b"\1A"


GROUP = b"\0ga"
GOOD: dict[bytes, bytes | None] = {
    b"\0sa": strategy_row(0),
    b"\0sb": strategy_row(3, NOON_MS, NOON_MS - 1),
    b"A": bucket_row({0: NOON_MS, 3: NOON_MS - 60_000}),
    GROUP: group_row(),
    b"\0position": b"\1" + long_map(POSITION),
}


def restored(last_bucket: dict[bytes, bytes | None], last_update: dict[bytes, bytes | None] | None = None) -> Shard:
    logs, shard = Changelogs(), Shard(CONDITIONS)
    for log, rows in ((logs.last_update, last_update or {}), (logs.last_bucket, last_bucket)):
        for key, value in rows.items():
            log.add(key, value)
    logs.restore(shard, seeded(1))
    return shard


def position(**fields: int) -> bytes:
    return b"\1" + long_map(POSITION | fields)


def test_good_rows_are_taken() -> None:
    assert remembered(restored(GOOD, {b"A": update_row(5)})) == {"A": {"a": NOON_MS, "b": NOON_MS - 60_000}}


def test_a_row_that_is_deleted_is_forgotten() -> None:
    shard = restored(GOOD | {b"A": None, b"\0sb": None, GROUP: None})
    assert remembered(shard) == {}
    assert shard.next_due_ms == FOREVER


def test_what_was_gathered_is_there_again() -> None:
    shard = restored(GOOD)
    assert (shard.gathered.count, shard.gathered.due_ms) == (1, NOON_MS + 900)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"A", b"", "version"),
        (b"A", b"\2" + bucket_row({0: 5})[1:], "version"),
        (b"A", bucket_row({0: 5, 3: 7})[:-1], "impossible count"),
        (b"A", bucket_row({0: 5, 3: 7})[:-2], "cut short"),
        (b"A", b"\1\1\2\1\x80", "cut short"),
        (b"A", b"\1", "cut short"),
        (b"A", b"\1\1" + b"\x80" * 9 + b"\1\1\0", "too long"),
        (b"A", b"\1" + b"\xff" * 8 + b"\x7f", "cut short"),
        (b"A", bucket_row({0: 5}) + b"\0", "left behind"),
        (b"A", bucket_row({0: MAX_TS_MS}), "out of bounds"),
        (b"A", b"\1\1" + number((1 << 63) - 1) + b"\1\0", "out of bounds"),
        (b"A", b"\1\2\2\1\0\0\1\2", "out of order"),
        (b"A", b"\1\2\2\1\0" + number((1 << 63) - 1) + b"\1\2", "out of bounds"),
        (b"A", b"\1\1\2\0", "impossible count"),
        (b"A", b"\1\1\2\2\0", "impossible count"),
        (b"A", b"\1\1\2" + number((1 << 63) - 1) + b"\0", "impossible count"),
        (b"A", bucket_row({1: 5}), "no row"),
        (b"A", bucket_row({4: 5}), "no row"),
        (b"A", b"\1\1\2\1" + number((1 << 63) - 1), "no row"),
        (b"A", b"\1\1\2\2\3" + number((1 << 63) - 1), "no row"),
        (b"A", b"\1\2\4\1\0\1\1\0", "a strategy twice"),
        (b"\0sb", None, "no row"),
        (b"\0sb", strategy_row(0), "its log number is that of 'a' too"),
        (b"\0sb", strategy_row(MAX_STRATEGIES), "log number"),
        (b"\0sb", strategy_row(3, MAX_TS_MS), "out of bounds"),
        (b"\0sb", strategy_row(3) + b"\0", "left behind"),
        (b"\0sb", strategy_row(3)[:-1], "cut short"),
        (b"\0sb", b"\1" + b"\xff" * 10, "longer than 64"),
        (b"\0sb", b"\2" + strategy_row(3)[1:], "version"),
        (b"\0s", strategy_row(1), "neither"),
        (b"\0s" + b"x" * 257, strategy_row(1), "neither"),
        (b"\0s\xff", strategy_row(1), "not UTF-8"),
        (b"\0x", strategy_row(1), "neither"),
        (b"\0", strategy_row(1), "neither"),
        (b"", bucket_row({0: 5}), "0 bytes"),
        (b"x" * 65, bucket_row({0: 5}), "65 bytes"),
        (b"\xff", bucket_row({0: 5}), "not UTF-8"),
        (b"\0tA", bucket_row({0: 5}), "escaped"),
        (b"\0t", bucket_row({0: 5}), "escaped"),
        (GROUP, b"", "version"),
        (GROUP, b"\2" + group_row()[1:], "version"),
        (GROUP, group_row()[:-1], "impossible length"),
        (GROUP, group_row()[:-2], "states 1 tickers and has 0"),
        (GROUP, group_row()[:9], "cut short"),
        (GROUP, group_row() + b"\1A", "states 1 tickers and has 2"),
        (GROUP, group_row()[:-1] + b"\xff", "not UTF-8"),
        (GROUP, group_row()[:-1] + b"B", "'B' in it has no row"),
        (GROUP, group_row() + b"\0", "impossible length"),
        (GROUP, group_row(numbers=(NOON_MS, NOON_MS, 4, 9, NOON_MS, 2)) + b"\1A", "one twice"),
        (GROUP, group_row(numbers=(NOON_MS, NOON_MS, 4, 9, NOON_MS, 0))[:-2], "states 0 tickers"),
        (GROUP, group_row(numbers=(NOON_MS, NOON_MS, 4, 3, NOON_MS, 1)), "out of order"),
        (GROUP, group_row(numbers=(NOON_MS, NOON_MS, -1, 3, NOON_MS, 1)), "offsets are out of bounds"),
        (GROUP, group_row(numbers=(MAX_TS_MS, NOON_MS, 4, 9, NOON_MS, 1)), "a time in it"),
        (GROUP, group_row(numbers=(NOON_MS, 0, 4, 9, NOON_MS, 1)), "a time in it"),
        (GROUP, group_row(numbers=(NOON_MS, NOON_MS, 4, 9, -1, 1)), "a time in it"),
        (GROUP, group_row(version=0), "version in it is out of bounds"),
        (GROUP, group_row(timeframe="5 minutes"), "timeframe"),
        (b"\0gx", group_row(), "its strategy has no row"),
        (b"\0g\xff", group_row(), "not UTF-8"),
        (b"\0position", b"", "version"),
        (b"\0position", b"\1\0", "missing"),
        (b"\0position", position()[:-1], "cut short"),
        (b"\0position", position() + b"\0", "left behind"),
        (b"\0position", position(next_offset=-1), "out of bounds"),
        (b"\0position", position(log_numbers=MAX_STRATEGIES + 1), "out of bounds"),
        (b"\0position", position(stream_ms=MAX_TS_MS), "out of bounds"),
        (b"\0position", position(stream_ms=NEVER + 1), "out of bounds"),
        (b"\0position", b"\1" + long(1) + long(-1), "impossible length"),
        (b"\0position", b"\1" + long(1) + long(1) + b"\xff\0\0", "not UTF-8"),
        (b"\0position", b"\1" + long(-1), "impossible count"),
        (b"\0position", b"\1" + long(2) + (long(1) + b"a\0") * 2 + b"\0", "a name twice"),
    ],
)
def test_a_corrupt_row_is_refused_by_its_key_and_offset(key: bytes, value: bytes | None, reason: str) -> None:
    rows = GOOD | {key: value}
    with pytest.raises(CorruptRowError, match=reason) as raised:
        restored(rows)
    named = key if value is not None else b"A"
    assert (raised.value.log, raised.value.key) == ("last_bucket", named)
    assert raised.value.offset == 3 * list(rows).index(named)
    assert f"offset {raised.value.offset}," in str(raised.value)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"A", b"", "version"),
        (b"A", b"\2\2", "version"),
        (b"A", b"\1", "cut short"),
        (b"A", b"\1\x80", "cut short"),
        (b"A", update_row(5) + b"\0", "left behind"),
        (b"A", update_row(-1), "out of bounds"),
        (b"A", update_row(MAX_TS_MS), "out of bounds"),
        (b"\0sa", strategy_row(0), "no ticker"),
        (b"\xff", update_row(5), "not UTF-8"),
    ],
)
def test_a_corrupt_row_of_updates_is_refused_by_its_key_and_offset(key: bytes, value: bytes, reason: str) -> None:
    with pytest.raises(CorruptRowError, match=reason) as raised:
        restored({}, {b"before": update_row(5), key: value})
    assert (raised.value.log, raised.value.key, raised.value.offset) == ("last_update", key, 3)


@given(st.sampled_from(list(GOOD)), st.data())
def test_a_row_with_wrong_bytes_is_refused_or_taken_and_nothing_else_happens(key: bytes, data: st.DataObject) -> None:
    value = bytearray(GOOD[key] or b"")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(value) - 1))
        value[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
        if not value:
            break
    with contextlib.suppress(CorruptRowError):
        restored(GOOD | {key: bytes(value)})


@st.composite
def spoilt_rows(draw: st.DrawFn) -> bytes:
    """A row that was good before some of its bytes were written over."""
    row = bucket_row(draw(st.dictionaries(st.integers(0, 9), st.integers(0, 1 << 41), max_size=8)))
    at, new = draw(st.integers(0, len(row))), draw(st.binary(max_size=4))
    return row[:at] + new + row[at + len(new) :]


@given(st.one_of(st.binary(max_size=40), st.binary(max_size=40).map(b"\1".__add__), spoilt_rows()))
def test_no_byte_behind_a_row_is_read(row: bytes) -> None:
    """Where one were, the process would be killed."""
    data = guarded(np.frombuffer(row, np.uint8))
    ends = np.array([len(row)])
    restore_kernel.read_updates(data, ends - ends, ends, np.empty(1, np.int64))
    strategy_of, seen = guarded(np.arange(10, dtype=np.int32)), guarded(np.full(10, -1, np.int32))
    counts = np.zeros(1, np.int32)
    rows = (data, ends - ends, ends, strategy_of)
    _, fault = restore_kernel.count_pairs(*rows, seen, pair_columns(0), counts)
    if fault == FAULT.NONE:
        into = pair_columns(int(counts[0]))
        pairs = PairColumns(guarded(into.strategy), guarded(into.rule), guarded(into.last_bucket))
        seen.fill(-1)
        restore_kernel.read_rows(*rows, seen, pairs, np.zeros(1, np.int64))
        assert NEVER not in pairs.last_bucket


def test_rows_go_into_a_new_shard_only() -> None:
    shard = Shard(CONDITIONS)
    shard.index.tickers.number("A")
    with pytest.raises(ValueError, match="new shard"):
        Recovery().finish(shard)


def test_a_total_that_is_not_known_here_is_passed_over() -> None:
    shard = restored(
        GOOD | {b"\0position": b"\1" + long_map(POSITION | {"count.size": 7, "count.ticks": 3, "later": 1})}
    )
    assert shard.counts["ticks"] == 3


def test_a_bad_row_that_a_good_one_has_replaced_does_not_count() -> None:
    recovery = Recovery()
    recovery.last_bucket.take(run_of([Record(1, b"A", b"bad"), Record(2, b"A", None), Record(3, b"\0sa", b"bad")]))
    recovery.last_bucket.take(run_of([Record(4, b"\0sa", strategy_row(0)), Record(5, b"A", bucket_row({0: 60_000}))]))
    shard = Shard(CONDITIONS)
    recovery.finish(shard)
    assert remembered(shard) == {"A": {"a": 60_000}}
