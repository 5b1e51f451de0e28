"""A compacted log is what a dictionary would hold of it, whatever the runs it comes in."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.latest import BadRecordError, Latest
from tests.core.changelogs import Record, run_of
from tests.core.histories import seeded

KEYS = st.one_of(st.binary(max_size=3), st.sampled_from([b"AAPL", b"MSFT", b"a longer key than most"]))
VALUES = st.one_of(st.none(), st.binary(max_size=40))
MANY = 20_000


def held(latest: Latest) -> dict[bytes, tuple[bytes, int]]:
    starts, ends, offsets = (column.tolist() for column in latest.spans())
    rows = zip(latest.keys(), starts, ends, offsets, strict=True)
    return {key: (latest.arena[start:end].tobytes(), offset) for key, start, end, offset in rows}


def plain(records: Sequence[Record]) -> dict[bytes, tuple[bytes, int]]:
    last = {record.key or b"": record for record in records}
    return {key: (record.value, record.offset) for key, record in last.items() if record.value is not None}


@given(st.lists(st.tuples(KEYS, VALUES), max_size=80), st.integers(1, 30))
def test_the_last_value_of_each_key_is_held_and_where_it_stood(
    pairs: list[tuple[bytes, bytes | None]], size: int
) -> None:
    records = [Record(5 * at, key, value) for at, (key, value) in enumerate(pairs)]
    latest = Latest("log")
    for at in range(0, len(records), size):
        latest.take(run_of(records[at : at + size]))
        assert held(latest) == plain(records[: at + size])


def test_tens_of_thousands_of_keys_in_one_run_are_held() -> None:
    pick = seeded(1)
    keys = [b"key %d" % k for k in range(MANY)]
    records = [Record(at, pick(keys), bytes(pick(range(60)))) for at in range(3 * MANY)]
    latest = Latest("log")
    latest.take(run_of(records))
    assert held(latest) == plain(records)


def test_a_log_that_repeats_itself_takes_no_more_room() -> None:
    latest = Latest("log")
    records = [Record(at, b"key %d" % (at % 100), bytes(100 + at % 20)) for at in range(1000)]
    for _ in range(50):
        latest.take(run_of(records))
    assert len(latest.arena) < 10 * 100 * 120


@pytest.mark.parametrize(
    "wrong",
    [
        {"key_start": -1, "key_end": -1},
        {"key_start": 5, "key_end": 4},
        {"key_end": 1000},
        {"key_start": -3},
        {"value_start": -1},
        {"value_end": -1},
        {"value_end": 1000},
        {"value_start": 9, "value_end": 8},
    ],
)
def test_a_record_without_a_key_or_out_of_its_buffer_is_refused_by_its_offset(wrong: dict[str, int]) -> None:
    run = run_of([Record(7, b"k", b"v"), Record(12, b"k", b"v"), Record(13, b"k", b"v")])
    columns = {name: np.where(run.offset == 12, value, getattr(run, name)) for name, value in wrong.items()}
    latest = Latest("last_bucket")
    with pytest.raises(BadRecordError, match="last_bucket, offset 12:"):
        latest.take(run._replace(**columns))
    assert held(latest) == {}
