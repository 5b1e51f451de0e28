"""Rows of a shard as they come back: without a gap, or not counted as read."""

from hypothesis import given
from hypothesis import strategies as st

from streams.core.latest import Latest
from streams.kafka.fetch import Bounds, RawRun
from streams.kafka.shard_rows import ShardRows
from tests.kafka.batches import Row
from tests.kafka.shard_stage import run_of

TABLE = "last_bucket"


def key_at(offset: int) -> bytes:
    """Keys come again and again."""
    return b"%d" % (offset % 3)


def rows_from(start: int, position: int) -> RawRun:
    """A run of the log; every record's value is its offset."""
    rows = [Row(0, key=key_at(offset), value=b"%d" % offset) for offset in range(start, position)]
    return run_of(rows, start, position=position)


def values(rows: ShardRows, table: str = TABLE) -> dict[bytes, bytes]:
    """What is there of one table."""
    latest: Latest = getattr(rows.recovery, table)
    starts, ends, _ = latest.spans()
    spans = zip(starts.tolist(), ends.tolist(), strict=True)
    return dict(zip(latest.keys(), (latest.arena[start:end].tobytes() for start, end in spans), strict=True))


def folded(end: int) -> dict[bytes, bytes]:
    """What is there of a log that was read from 0 to here."""
    return {key_at(offset): b"%d" % offset for offset in range(end)}


def test_runs_that_follow_each_other_are_taken() -> None:
    rows = ShardRows()
    assert rows.position(TABLE) is None
    for start, position in ((0, 2), (2, 7)):
        rows.take(TABLE, rows_from(start, position))
    assert values(rows) == folded(7)
    assert rows.position(TABLE) == 7
    assert rows.is_whole(TABLE, 0, Bounds(0, 7))
    assert not rows.is_whole(TABLE, 0, Bounds(0, 8))


def test_each_table_has_its_own() -> None:
    rows = ShardRows()
    rows.take("last_update", rows_from(0, 2))
    assert values(rows, "last_update") == folded(2)
    assert values(rows) == {}
    assert rows.position("last_update") == 2
    assert rows.position(TABLE) is None


def test_a_run_behind_a_gap_is_left_out_and_what_is_missing_is_read_from_where_it_stands() -> None:
    rows = ShardRows()
    rows.take(TABLE, rows_from(0, 2))
    rows.take(TABLE, rows_from(4, 7))
    assert values(rows) == folded(2)
    assert not rows.is_whole(TABLE, 0, Bounds(0, 7))
    assert rows.goes_on_at(TABLE, 0, Bounds(0, 7)) == 2
    rows.take(TABLE, rows_from(2, 7))
    assert values(rows) == folded(7)
    assert rows.is_whole(TABLE, 0, Bounds(0, 7))


def test_a_run_that_was_taken_is_not_taken_again() -> None:
    rows = ShardRows()
    rows.take(TABLE, rows_from(0, 7))
    rows.take(TABLE, rows_from(0, 3))
    assert values(rows) == folded(7)
    assert rows.position(TABLE) == 7


def test_a_run_that_begins_earlier_and_goes_further_is_taken() -> None:
    rows = ShardRows()
    rows.take(TABLE, rows_from(0, 5))
    rows.take(TABLE, rows_from(4, 8))
    assert values(rows) == folded(8)
    assert rows.position(TABLE) == 8


def test_what_begins_in_the_middle_of_a_log_is_not_whole_and_is_thrown_away() -> None:
    rows = ShardRows()
    rows.take(TABLE, rows_from(3, 7))
    assert not rows.is_whole(TABLE, 0, Bounds(0, 7))
    assert rows.goes_on_at(TABLE, 0, Bounds(0, 7)) == 0
    assert values(rows) == {}
    assert rows.position(TABLE) is None
    rows.take(TABLE, rows_from(0, 7))
    assert rows.is_whole(TABLE, 0, Bounds(0, 7))
    assert values(rows) == folded(7)


def test_a_log_whose_beginning_the_broker_has_deleted_is_whole_from_there() -> None:
    rows = ShardRows()
    rows.take(TABLE, rows_from(3, 7))
    assert rows.is_whole(TABLE, 0, Bounds(3, 7))
    assert rows.goes_on_at(TABLE, 0, Bounds(5, 9)) == 7
    assert rows.goes_on_at(TABLE, 0, Bounds(8, 9)) == 8  # what was here is not there any more


def test_an_empty_log_is_whole_and_one_that_nothing_was_read_of_is_not() -> None:
    rows = ShardRows()
    assert rows.is_whole(TABLE, 0, Bounds(0, 0))
    assert rows.is_whole(TABLE, 0, Bounds(4, 4))
    assert not rows.is_whole(TABLE, 0, Bounds(0, 1))
    assert rows.goes_on_at(TABLE, 0, Bounds(2, 9)) == 2


def test_markers_at_the_end_are_passed() -> None:
    rows = ShardRows()
    rows.take(TABLE, rows_from(0, 2))
    rows.take(TABLE, run_of([], 2))
    assert rows.position(TABLE) == 3
    assert rows.is_whole(TABLE, 0, Bounds(0, 3))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5)), max_size=12))
def test_whatever_runs_come_the_log_can_be_completed(runs: list[tuple[int, int]]) -> None:
    rows, bounds = ShardRows(), Bounds(0, 14)
    for start, length in runs:
        rows.take(TABLE, rows_from(start, start + length))
    if not rows.is_whole(TABLE, 0, bounds):
        rows.take(TABLE, rows_from(rows.goes_on_at(TABLE, 0, bounds), bounds.end))
    assert rows.is_whole(TABLE, 0, bounds)
    assert values(rows) == folded(bounds.end)
