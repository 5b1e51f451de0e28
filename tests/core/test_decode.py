"""Encoded ticks are read as `fastavro` reads them, whatever else the writer puts around them."""

import io
import random
from typing import Any

import fastavro
import numpy as np
import pytest
from fastavro.utils import generate_one
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.conditions import ConditionTable
from streams.core.decode import FAULT, NO_PREFIX, UNKNOWN
from streams.core.limits import MAX_TS_MS
from streams.core.plan import decode_plan
from streams.core.shard import Shard
from tests.core.avro_bytes import TICK, TS_MS, array, block, codes, framed, joined, number, text, tick
from tests.core.hand_schemas import TICKER_FIELD, TS_FIELD, schema_of
from tests.core.histories import BLOCKS, CONDITIONS, OUT_OF_SEQUENCE
from tests.core.outcomes import outcomes
from tests.core.plain_reader import Outcome, PlainReader
from tests.core.tick_schemas import SchemaMaker, ValueMaker, layout

PLAN = decode_plan(TICK)
TABLES = [ConditionTable(BLOCKS, unlisted_blocks=unlisted, names={}) for unlisted in (False, True)]
TICKERS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=16)
TIMES = st.integers(0, MAX_TS_MS - 1) | st.just(TS_MS)
CODES = st.lists(st.sampled_from([0, 14, OUT_OF_SEQUENCE, 255, 256, -1]), max_size=5)


def encoded(schema: Any, record: Any) -> bytes:
    """A record as fastavro writes it."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()


def fitting(name: str, value: Any, kind: Any) -> Any:
    """A value as the type of its field wants it."""
    bare = kind if isinstance(kind, list) else [kind]
    if name == "ticker" and "string" not in bare and {"type": "string"} not in bare:
        return value.encode()
    return value % (1 << 31) if name == "ts" and bare == ["int"] else value


def read_by_fastavro(schema: Any, value: bytes, table: ConditionTable) -> Outcome:
    """What fastavro reads, as we tell it."""
    record: Any = fastavro.schemaless_reader(io.BytesIO(value), layout(schema), None)
    ticker = record["ticker"] if isinstance(record["ticker"], bytes) else record["ticker"].encode()
    moves = table.moves_price(record.get("conditions") or [])
    return Outcome(FAULT.NONE, ticker if moves else b"", record["ts"], moves)


@given(st.randoms(use_true_random=False), st.lists(st.tuples(TICKERS, TIMES, CODES), min_size=1, max_size=5), st.data())
def test_what_fastavro_writes_is_read_as_fastavro_reads_it(
    rng: random.Random, ticks: list[tuple[str, int, list[int]]], data: st.DataObject
) -> None:
    schema, table = SchemaMaker(rng).tick(), data.draw(st.sampled_from(TABLES))
    kinds = {field["name"]: field["type"] for field in schema["fields"]}
    values = []
    for tick_of_ours in ticks:
        record = generate_one(schema)
        for name, value in zip(("ticker", "ts", "conditions"), tick_of_ours, strict=True):
            record[name] = fitting(name, value, kinds.get(name))
        values.append(encoded(schema, record))
    read = [read_by_fastavro(schema, value, table) for value in values]
    assert [outcome.fault for outcome in read] == [FAULT.NONE] * len(ticks)
    plan = decode_plan(schema)
    assert outcomes(Shard(table), values, plan, NO_PREFIX) == read
    assert outcomes(Shard(table), [framed(value) for value in values], plan) == read


@given(st.randoms(use_true_random=False), st.sampled_from(TABLES))
def test_values_in_several_blocks_with_sizes_and_without_are_read(rng: random.Random, table: ConditionTable) -> None:
    schema = SchemaMaker(rng).tick()
    plain = PlainReader(schema, table)
    values = [framed(ValueMaker(plain.schema, plain.named, rng).value()) for _ in range(8)]
    assert outcomes(Shard(table), values, decode_plan(schema)) == [plain.read(value) for value in values]


ONE, TWO, THREE = number(1), number(2), number(OUT_OF_SEQUENCE)
CODES_IN_BLOCKS = {
    "none": (b"\0", True),
    "one block": (array([ONE, TWO]), True),
    "one block with its size": (block([ONE, TWO], sized=True) + b"\0", True),
    "three blocks": (block([ONE]) + block([TWO], sized=True) + block([ONE, TWO]) + b"\0", True),
    "blocked in the first of two blocks": (block([THREE]) + block([ONE]) + b"\0", False),
    "blocked in the last of two blocks": (block([ONE], sized=True) + block([TWO, THREE], sized=True) + b"\0", False),
    "a size that is wrong, and of no use": (number(-1) + number(99) + ONE + b"\0", True),
    "as many as there may be": (block([ONE] * 255) + block([TWO]) + b"\0", True),
}


@pytest.mark.parametrize("name", CODES_IN_BLOCKS)
def test_condition_codes_are_read_from_every_block(name: str) -> None:
    conditions, moves = CODES_IN_BLOCKS[name]
    [outcome] = outcomes(Shard(CONDITIONS), [tick(conditions=conditions)], PLAN)
    assert outcome == Outcome(FAULT.NONE, b"AAPL" if moves else b"", TS_MS, moves)


SKIPPED_BLOCKS = {
    "array": ({"type": "array", "items": "string"}, [text(b"a"), text(b""), text(b"c" * 70)]),
    "map": (
        {"type": "map", "values": "int"},
        [text(b"a") + number(1), text(b"") + number(-1), text(b"c") + number(70)],
    ),
    "map of null": ({"type": "map", "values": "null"}, [text(b"a"), text(b""), text(b"c" * 70)]),
    "array of arrays": (
        {"type": "array", "items": {"type": "array", "items": "long"}},
        [b"\0", codes(1, 2), codes(300)],
    ),
}


@pytest.mark.parametrize("name", SKIPPED_BLOCKS)
def test_blocks_are_stepped_over_however_they_are_cut(name: str) -> None:
    kind, items = SKIPPED_BLOCKS[name]
    plan = decode_plan(schema_of(TICKER_FIELD, {"name": "extra", "type": kind}, TS_FIELD))
    cuts = [[items], [items[:1], items[1:]], [items[:2], items[2:]], [[item] for item in items], []]
    extras = [b"".join(block(part, sized=sized) for part in parts) + b"\0" for parts in cuts for sized in (False, True)]
    values = [framed(text(b"A") + extra + number(TS_MS)) for extra in extras]
    assert set(outcomes(Shard(CONDITIONS), values, plan)) == {Outcome(FAULT.NONE, b"A", TS_MS, moves_price=True)}


def test_a_table_may_let_codes_that_it_does_not_list_block() -> None:
    values = [tick(conditions=codes(code)) for code in (0, 255, 256, -1, OUT_OF_SEQUENCE, 1 << 40)]
    moves = [[outcome.moves_price for outcome in outcomes(Shard(table), values, PLAN)] for table in TABLES]
    assert moves == [[True, True, True, True, False, True], [True, True, False, False, False, False]]


@settings(max_examples=30)
@given(
    st.lists(st.integers(-(1 << 63), (1 << 63) - 1) | st.sampled_from([0, -1, (1 << 63) - 1, -(1 << 63)]), max_size=9)
)
def test_numbers_of_64_bits_are_stepped_over_at_any_length(numbers: list[int]) -> None:
    extras = [{"name": f"n{k}", "type": "long"} for k in range(len(numbers))]
    value = framed(b"".join(map(number, numbers)) + text(b"A") + number(TS_MS))
    [outcome] = outcomes(Shard(CONDITIONS), [value], decode_plan(schema_of(*extras, TICKER_FIELD, TS_FIELD)))
    assert outcome == Outcome(FAULT.NONE, b"A", TS_MS, moves_price=True)


@pytest.mark.parametrize("name", ["É", "日本", "🂡", "a\0b", "\0", "Ü" * 32, "x" * 64, " "])
def test_a_ticker_is_any_text_of_1_to_64_bytes(name: str) -> None:
    assert outcomes(Shard(CONDITIONS), [tick(name.encode())], PLAN)[0].ticker == name.encode()


def test_the_first_and_the_last_time_are_taken() -> None:
    values = [tick(ts_ms=ts_ms) for ts_ms in (0, MAX_TS_MS - 1)]
    assert [outcome.ts_ms for outcome in outcomes(Shard(CONDITIONS), values, PLAN)] == [0, MAX_TS_MS - 1]


def test_new_tickers_are_numbered_as_they_come() -> None:
    shard = Shard(CONDITIONS)
    blocked = codes(OUT_OF_SEQUENCE)
    names = [b"B", b"A", b"a name that is long", b"B", b"A", b"C"]
    ticks, _ = shard.from_values(*joined([tick(b"needed later", conditions=blocked), *map(tick, names)]), PLAN, 1)
    assert ticks.ticker.tolist() == [UNKNOWN, 0, 1, 2, 0, 1, 3]
    values = [tick(b"D"), tick(b"C"), tick(b"A", conditions=blocked), tick(b"needed later")]
    ticks, _ = shard.from_values(*joined(values), PLAN, 1)
    assert ticks.ticker.tolist() == [4, 3, 1, 5]
    assert shard.index.tickers.all_names() == ["B", "A", "a name that is long", "C", "D", "needed later"]


def test_an_empty_batch_is_nothing() -> None:
    ticks, faults = Shard(CONDITIONS).from_values(*joined([]), PLAN, 1)
    assert [len(column) for column in (*ticks, faults)] == [0, 0, 0, 0]


def test_values_may_stand_anywhere_in_any_order_also_twice_or_within_each_other() -> None:
    data, starts, ends = joined([tick(b"A"), b"between", tick(b"B"), tick(b"C")])
    order = np.array([3, 0, 2, 0])
    ticks, faults = (shard := Shard(CONDITIONS)).from_values(data, starts[order], ends[order], PLAN, 1)
    assert [shard.index.tickers.all_names()[number] for number in ticks.ticker] == ["C", "A", "B", "A"]
    assert faults.tolist() == [FAULT.NONE] * 4
