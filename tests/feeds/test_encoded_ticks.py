"""Encoded ticks: what fastavro reads out of them is what was put in, and it is what the reference workload writes."""

import io
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import workload
from streams.core.limits import MAX_TICKER_BYTES
from streams.core.plan import decode_plan
from streams.core.shard import Shard
from streams.feeds.encoded_ticks import SCHEMA_ID, TickEncoder, long_field
from streams.feeds.synthetic import CONDITIONS, Ticks
from streams.kafka.registry import newest, own_schemas
from streams.reference_data import load_conditions

SCHEMA: Any = next(each.schema for each in own_schemas() if each.schema_id == SCHEMA_ID)
LONGS = st.integers(-(1 << 63), (1 << 63) - 1)
ROWS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 4_102_444_800_000),
        st.floats(allow_nan=False),
        st.integers(-(1 << 31), (1 << 31) - 1),
        st.integers(0, len(CONDITIONS) - 1),
    ),
    max_size=20,
)
NAMES = st.lists(st.text(min_size=1, max_size=16), min_size=3, max_size=3, unique=True)


def columns(rows: list[tuple[int, int, float, int, int]]) -> Ticks:
    kinds = (np.int32, np.int64, np.float64, np.int32, np.uint8)
    each = list(zip(*rows, strict=True)) if rows else [()] * 5
    return Ticks._make(np.array(column, kind) for column, kind in zip(each, kinds, strict=True))


@given(NAMES, ROWS)
def test_fastavro_reads_what_was_encoded(names: list[str], rows: list[tuple[int, int, float, int, int]]) -> None:
    records = TickEncoder(names).records(columns(rows))
    assert records.count == len(rows)
    for i, (ticker, ts_ms, price, size, conditions) in enumerate(rows):
        value = records.value(i)
        assert value is not None
        assert value[:5] == b"\0\0\0\0\1"
        rest = io.BytesIO(value[5:])
        read: Any = fastavro.schemaless_reader(rest, SCHEMA, None)
        expected = (names[ticker], ts_ms, price, size, list(CONDITIONS[conditions]))
        assert tuple(read.values()) == expected
        assert not rest.read()
        assert records.key(i) == names[ticker].encode()
        assert records.ts_ms[i] == ts_ms


@given(st.lists(LONGS))
def test_a_column_of_numbers_is_written_as_the_reference_writes_each(numbers: list[int]) -> None:
    field = long_field(np.array(numbers, np.int64))
    rows = [bytes(row[there]) for row, there in zip(field.data, field.counts, strict=True)]
    written = []
    for number in numbers:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, {"type": "long"}, number)
        written.append(out.getvalue())
    assert rows == written


def test_a_tick_is_byte_for_byte_that_of_the_reference_workload() -> None:
    assert CONDITIONS[0] == (0, 14)
    records = TickEncoder(["T0000", "T0001"]).records(columns([(1, workload.START_MS, 101.5, 100, 0)]))
    assert records.value(0) == workload.encode("T0001", workload.START_MS, 101.5)


def test_the_file_is_the_newest_schema_of_ticks() -> None:
    assert newest("tick").schema_id == SCHEMA_ID


def test_another_registry_may_call_the_schema_something_else() -> None:
    value = TickEncoder(["A"], 70_000).records(columns([(0, 1, 1.0, 1, 0)])).value(0)
    assert value is not None
    assert value[:5] == b"\0" + (70_000).to_bytes(4, "big")


def test_a_worker_judges_the_conditions_as_they_were_meant() -> None:
    rows = [(0, 1, 1.0, 1, at) for at in range(len(CONDITIONS))]
    records, shard = TickEncoder(["A"]).records(columns(rows)), Shard(load_conditions())
    ticks, faults = shard.from_values(records.data, records.value_start, records.value_end, decode_plan(SCHEMA), 1)
    assert not faults.any()
    assert ticks.moves_price.tolist() == [1] * 4 + [0] * 5


def test_a_name_that_is_too_long_is_refused() -> None:
    TickEncoder(["A" * MAX_TICKER_BYTES])
    with pytest.raises(AssertionError, match="65 bytes"):
        TickEncoder(["A" * (MAX_TICKER_BYTES + 1)])


CODES = st.lists(st.integers(-(1 << 31), (1 << 31) - 1), max_size=100).map(tuple)


@given(st.lists(st.tuples(st.text(min_size=1, max_size=16), CODES), min_size=1, max_size=20))
def test_names_and_conditions_get_their_numbers_as_they_come(rows: list[tuple[str, tuple[int, ...]]]) -> None:
    encoder = TickEncoder((), 1, ())
    ticks = columns([(encoder.names[name], 1, 1.0, 1, encoder.conditions[codes]) for name, codes in rows])
    records = encoder.records(ticks)
    for i, (name, codes) in enumerate(rows):
        value = records.value(i)
        assert value is not None
        read: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), SCHEMA, None)
        assert (read["ticker"], tuple(read["conditions"]), records.key(i)) == (name, codes, name.encode())


def test_more_names_than_there_was_room_for_at_first_keep_their_bytes() -> None:
    names = [f"{number}" * (1 + number % 20) for number in range(10, 3_000)]
    names = [name[:64] for name in names]
    encoder = TickEncoder((), 1, ())
    numbers = [encoder.names[name] for name in names]
    records = encoder.records(columns([(number, 1, 1.0, 1, encoder.conditions[()]) for number in numbers]))
    assert [records.key(i).decode() for i in range(len(names))] == names
