"""A value that is no tick gets a fault that says why, and its neighbours are read all the same."""

import io
from collections.abc import Sequence
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.decode import FAULT, NO_PREFIX, Faults
from streams.core.kernel import NO_TICK
from streams.core.limits import MAX_CONDITIONS, MAX_TICKER_BYTES, MAX_TS_MS, MAX_VALUE_BYTES
from streams.core.plan import decode_plan
from streams.core.shard import Shard
from streams.core.tickers import Tickers
from tests.core.avro_bytes import TICK, TS_MS, array, block, codes, framed, joined, number, text, tick
from tests.core.hand_schemas import TICKER_FIELD, TS_FIELD, schema_of
from tests.core.histories import CONDITIONS, OUT_OF_SEQUENCE
from tests.core.outcomes import outcomes
from tests.core.plain_reader import Outcome, PlainReader

PLAN = decode_plan(TICK)
GOOD = [tick(b"LEFT", 1), tick(b"RIGHT", 2)]
READ = [Outcome(FAULT.NONE, b"LEFT", 1, moves_price=True), Outcome(FAULT.NONE, b"RIGHT", 2, moves_price=True)]

POINT = {"type": "record", "name": "P", "fields": [{"name": "x", "type": "int"}, {"name": "y", "type": "bytes"}]}
ALL_KINDS = [
    *("null", "boolean", "int", "long", "float", "double", "bytes", "string", ["null", "int"], POINT),
    {"type": "array", "items": "P"},
    {"type": "map", "values": ["null", {"type": "array", "items": "long"}]},
    {"type": "enum", "name": "E", "symbols": ["A", "B"]},
    {"type": "fixed", "name": "F", "size": 5},
]
RICH = schema_of(
    {"name": "ts", "type": ["null", "long"]},
    *({"name": f"f{k}", "type": kind} for k, kind in enumerate(ALL_KINDS)),
    {"name": "conditions", "type": ["null", {"type": "array", "items": "int"}]},
    {"name": "ticker", "type": ["null", "string"]},
)
A_POINT = {"x": -300, "y": b"y" * 70}
VALUES = [None, True, 300, -(1 << 40), 1.5, 2.5, b"bytes", "string", 7, A_POINT, [A_POINT, A_POINT]]
RICH_RECORD = {
    **{f"f{k}": value for k, value in enumerate([*VALUES, {"a": None, "b": [1, 2, 3]}, "B", b"fixed"])},
    "ts": TS_MS,
    "conditions": [14, 0],
    "ticker": "AAPL",
}


def rich() -> bytes:
    """A value with something of everything."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, RICH, RICH_RECORD)
    return framed(out.getvalue())


def faults(values: Sequence[bytes], schema_id: int = 1) -> list[int]:
    """The fault of each value; two good neighbours of each are read all the same."""
    batch = [each for value in values for each in (GOOD[0], value, GOOD[1])]
    if schema_id == NO_PREFIX:
        batch = [each if at % 3 == 1 else each[5:] for at, each in enumerate(batch)]
    found = outcomes(Shard(CONDITIONS), batch, PLAN, schema_id)
    assert [found[0::3], found[2::3]] == [[READ[0]] * len(values), [READ[1]] * len(values)]
    return [outcome.fault for outcome in found[1::3]]


def test_every_fault_has_a_number_of_its_own() -> None:
    assert list(FAULT) == list(range(len(Faults._fields)))


def test_a_value_cut_short_anywhere_is_a_fault() -> None:
    whole = tick(b"AAPL", conditions=codes(14, 300))
    assert faults([whole]) == [FAULT.NONE]
    assert FAULT.NONE not in faults([whole[:end] for end in range(len(whole))])
    assert FAULT.NONE not in faults([whole[5:end] for end in range(5, len(whole))], NO_PREFIX)


def test_a_value_with_everything_cut_short_anywhere_is_a_fault() -> None:
    whole, plain = rich(), PlainReader(RICH, CONDITIONS)
    values = [whole, *(whole[:end] for end in range(len(whole))), whole]
    found = outcomes(Shard(CONDITIONS), values, decode_plan(RICH))
    assert found[0] == found[-1] == Outcome(FAULT.NONE, b"AAPL", TS_MS, moves_price=True)
    assert FAULT.NONE not in [outcome.fault for outcome in found[1:-1]]
    assert found == [plain.read(value) for value in values]


@pytest.mark.parametrize("kind", ["boolean", "float", "double", {"type": "fixed", "name": "F", "size": 8}])
def test_a_last_field_of_fixed_size_may_not_go_past_the_end(kind: Any) -> None:
    plan = decode_plan(schema_of(TICKER_FIELD, TS_FIELD, {"name": "extra", "type": kind}))
    head = framed(text(b"A") + number(1))
    found = [outcome.fault for outcome in outcomes(Shard(CONDITIONS), [head + b"x" * size for size in range(10)], plan)]
    size = {"boolean": 1, "float": 4}.get(str(kind), 8)
    assert found == [FAULT.TRUNCATED] * size + [FAULT.NONE] + [FAULT.TRAILING] * (9 - size)


def test_bytes_left_over_are_a_fault() -> None:
    assert faults([tick() + b"\0", tick() + tick()]) == [FAULT.TRAILING] * 2


def test_the_framing_must_be_that_of_the_schema() -> None:
    body = tick()[5:]
    assert faults([b"\1" + tick()[1:], b"\xff" * 31, body + body]) == [FAULT.MAGIC] * 3
    others = [framed(body, schema_id) for schema_id in (0, 2, 256, 257, 1 << 24, (1 << 32) - 1)]
    assert faults(others) == [FAULT.OTHER_SCHEMA] * len(others)
    assert faults([b"", b"\0", b"\0\0\0\0"]) == [FAULT.TRUNCATED] * 3
    assert faults([b"\0\0\0\0\1", b"\0\0\0\0\2"]) == [FAULT.TRUNCATED, FAULT.OTHER_SCHEMA]


def test_a_schema_id_takes_all_of_its_four_bytes() -> None:
    shard, body = Shard(CONDITIONS), tick()[5:]
    for schema_id in (0, 255, 256, 0x01020304, (1 << 31) + 5, (1 << 32) - 1):
        found = outcomes(shard, [framed(body, schema_id), framed(body, schema_id ^ 0x100)], PLAN, schema_id)
        assert [outcome.fault for outcome in found] == [FAULT.NONE, FAULT.OTHER_SCHEMA]


TICKERS_AND_FAULTS = [
    (b"", FAULT.TICKER_EMPTY),
    (b"x" * MAX_TICKER_BYTES, FAULT.NONE),
    (b"x" * (MAX_TICKER_BYTES + 1), FAULT.TICKER_TOO_LONG),
    (b"x" * 10_000, FAULT.TICKER_TOO_LONG),
    (b"\xff", FAULT.TICKER_NOT_UTF8),
    (b"AAPL\xc3", FAULT.TICKER_NOT_UTF8),
    (b"\xed\xa0\x80", FAULT.TICKER_NOT_UTF8),  # half of a surrogate pair
    (b"\xc0\x80", FAULT.TICKER_NOT_UTF8),  # a NUL in too many bytes
    ("É".encode(), FAULT.NONE),
]


@pytest.mark.parametrize(("name", "fault"), TICKERS_AND_FAULTS)
def test_a_ticker_is_text_within_its_limits(name: bytes, fault: int) -> None:
    assert faults([tick(name), tick(name)]) == [fault, fault]


def test_a_ticker_that_is_no_text_is_not_looked_at_where_the_price_does_not_move() -> None:
    assert faults([tick(b"\xff", conditions=codes(OUT_OF_SEQUENCE))]) == [FAULT.NONE]


def test_a_time_is_within_its_limits() -> None:
    times = [-1, MAX_TS_MS, TS_MS * 1000, TS_MS * 1_000_000, -(1 << 63), (1 << 63) - 1]
    assert faults([tick(ts_ms=ts_ms) for ts_ms in times]) == [FAULT.TS] * len(times)


def test_there_are_so_many_condition_codes_and_no_more() -> None:
    full, one = [number(14)] * MAX_CONDITIONS, [number(14)]
    conditions = [array(full), block(full[:100]) + block(full[100:], sized=True) + b"\0"]
    assert faults([tick(conditions=each) for each in conditions]) == [FAULT.NONE] * 2
    conditions = [array(full + one), block(full) + block(one) + b"\0", block(full) + block(full, sized=True) + b"\0"]
    assert faults([tick(conditions=each) for each in conditions]) == [FAULT.CONDITIONS] * 3


LONG_NUMBERS = {
    "ten bytes, one bit in the last": (b"\x80" * 9 + b"\x01", True),
    "ten bytes, none in the last": (b"\x80" * 9 + b"\x00", True),
    "ten bytes, two bits in the last": (b"\x80" * 9 + b"\x02", False),
    "eleven bytes": (b"\x80" * 10 + b"\x00", False),
    "eleven bytes that say more": (b"\xff" * 10 + b"\x01", False),
    "a hundred bytes": (b"\x80" * 100 + b"\x00", False),
}


@pytest.mark.parametrize("name", LONG_NUMBERS)
def test_a_number_has_64_bits_and_no_more(name: str) -> None:
    told, fits = LONG_NUMBERS[name]
    plan = decode_plan(schema_of({"name": "extra", "type": "long"}, TICKER_FIELD, TS_FIELD))
    [outcome] = outcomes(Shard(CONDITIONS), [framed(told + text(b"A") + number(1))], plan)
    assert outcome.fault == (FAULT.NONE if fits else FAULT.VARINT)


HOSTILE_LENGTHS = [-1, -5, -(1 << 31), -(1 << 63), 1000, 1 << 31, 1 << 40, (1 << 63) - 1]


@pytest.mark.parametrize("kind", ["string", "bytes"])
@pytest.mark.parametrize("length", HOSTILE_LENGTHS)
def test_a_length_that_is_negative_or_goes_past_the_end_is_a_fault(kind: str, length: int) -> None:
    plan = decode_plan(schema_of({"name": "extra", "type": kind}, TICKER_FIELD, TS_FIELD))
    body = text(b"A") + number(1)
    found = outcomes(Shard(CONDITIONS), [framed(number(length) + body), framed(text(b"") + body)], plan)
    assert [outcome.fault for outcome in found] == [FAULT.LENGTH, FAULT.NONE]
    assert faults([framed(number(length) + tick()[6:])]) == [FAULT.LENGTH]


def test_a_length_may_go_to_the_end_and_not_one_byte_further() -> None:
    plan = decode_plan(schema_of(TICKER_FIELD, TS_FIELD, {"name": "extra", "type": "bytes"}))
    head = text(b"A") + number(1)
    found = outcomes(Shard(CONDITIONS), [framed(head + number(length) + b"abc") for length in (2, 3, 4)], plan)
    assert [outcome.fault for outcome in found] == [FAULT.TRAILING, FAULT.NONE, FAULT.LENGTH]


HOSTILE_COUNTS = [1 << 31, 1 << 60, (1 << 63) - 1, -(1 << 60), -(1 << 63)]


@pytest.mark.parametrize("count", HOSTILE_COUNTS)
@pytest.mark.parametrize("kind", ["array", "map", "conditions"])
def test_a_count_of_items_beyond_all_bytes_is_a_fault_at_once(kind: str, count: int) -> None:
    told = number(count) + number(0) * (count < 0)
    if kind == "conditions":
        assert faults([tick(conditions=told + b"\0" * 50)]) == [FAULT.ITEMS]
        return
    extra = {"name": "extra", "type": {"type": kind, "items": ["null"], "values": "null"}}
    plan = decode_plan(schema_of(extra, TICKER_FIELD, TS_FIELD))
    [outcome] = outcomes(Shard(CONDITIONS), [framed(told + b"\0" * 50)], plan)
    assert outcome.fault == FAULT.ITEMS


def test_a_count_may_be_that_of_all_bytes_and_no_more() -> None:
    plan = decode_plan(schema_of(TICKER_FIELD, TS_FIELD, {"name": "extra", "type": {"type": "array", "items": "int"}}))
    head = text(b"A") + number(1)
    values = [framed(head + number(count) + b"\0" * 4) for count in (3, 4, 5)]
    found = outcomes(Shard(CONDITIONS), values, plan)
    assert [outcome.fault for outcome in found] == [FAULT.NONE, FAULT.TRUNCATED, FAULT.ITEMS]


@pytest.mark.parametrize("branch", [-1, -2, 2, 3, 1 << 31, 1 << 62, (1 << 63) - 1, -(1 << 63)])
def test_a_branch_that_a_union_does_not_have_is_a_fault(branch: int) -> None:
    extra = {"name": "extra", "type": ["null", "int"]}
    values = [framed(number(branch) + number(0) + text(b"A") + number(1))]
    found = outcomes(Shard(CONDITIONS), values, decode_plan(schema_of(extra, TICKER_FIELD, TS_FIELD)))
    assert found == [Outcome(FAULT.BRANCH)]


def test_a_union_of_nothing_has_no_branch() -> None:
    plan = decode_plan(schema_of({"name": "extra", "type": []}, TICKER_FIELD, TS_FIELD))
    assert outcomes(Shard(CONDITIONS), [framed(b"\0" * 9)], plan) == [Outcome(FAULT.BRANCH)]


def test_a_ticker_or_a_time_that_is_null_is_a_fault() -> None:
    schema = schema_of({"name": "ticker", "type": ["null", "string"]}, {"name": "ts", "type": ["long", "null"]})
    told = [number(0) + number(0) + number(1), number(1) + text(b"A") + number(1)]
    found = outcomes(Shard(CONDITIONS), list(map(framed, told)), decode_plan(schema))
    assert found == [Outcome(FAULT.MISSING)] * 2


def test_a_value_is_so_long_and_no_longer() -> None:
    plan = decode_plan(schema_of({"name": "extra", "type": "bytes"}, TICKER_FIELD, TS_FIELD))
    tail = text(b"A") + number(1)
    filling = MAX_VALUE_BYTES - len(framed(number(MAX_VALUE_BYTES // 2) + tail))
    values = [framed(text(b"x" * (filling + more)) + tail) for more in (0, 1, 1 << 20)]
    assert len(values[0]) == MAX_VALUE_BYTES
    found = outcomes(Shard(CONDITIONS), values, plan)
    assert [outcome.fault for outcome in found] == [FAULT.NONE, FAULT.TOO_LONG, FAULT.TOO_LONG]


def test_places_outside_of_the_bytes_are_a_fault() -> None:
    data, starts, ends = joined([GOOD[0], tick(), GOOD[1]])
    size, far = len(data), 1 << 62
    places = [(-1, 5), (-far, far), (0, size + 1), (size, size + 1), (size + 1, size + 1), (5, 4), (far, -far)]
    for start, end in [*places, (-(1 << 63), (1 << 63) - 1), ((1 << 63) - 1, -(1 << 63))]:
        starts[1], ends[1] = start, end
        ticks, told = (shard := Shard(CONDITIONS)).from_values(data, starts, ends, PLAN, 1)
        assert told.tolist() == [FAULT.NONE, FAULT.LENGTH, FAULT.NONE], (start, end)
        assert ticks.ticker.tolist() == [0, NO_TICK, 1]
        assert shard.index.tickers.all_names() == ["LEFT", "RIGHT"]


def test_a_fault_behind_a_known_ticker_leaves_no_tick() -> None:
    shard = Shard(CONDITIONS)
    assert outcomes(shard, GOOD, PLAN) == READ
    assert outcomes(shard, [GOOD[0] + b"\0"], PLAN) == [Outcome(FAULT.TRAILING)]
    assert outcomes(shard, [GOOD[0], GOOD[1][:-1]], PLAN) == [READ[0], Outcome(FAULT.TRUNCATED)]


def test_tickers_past_the_limit_are_a_fault_and_the_known_ones_go_on() -> None:
    shard = Shard(CONDITIONS)
    shard.index.tickers = Tickers(limit=2)
    values = [tick(name) for name in (b"A", b"B", b"C", b"A", b"D", b"C", b"B")]
    ticks, told = shard.from_values(*joined(values), PLAN, 1)
    over = FAULT.TOO_MANY_TICKERS
    assert told.tolist() == [FAULT.NONE, FAULT.NONE, over, FAULT.NONE, over, over, FAULT.NONE]
    assert ticks.ticker.tolist() == [0, 1, NO_TICK, 0, NO_TICK, NO_TICK, 1]
    ticks, told = shard.from_values(*joined([tick(b"C"), tick(b"B")]), PLAN, 1)
    assert told.tolist() == [over, FAULT.NONE]
    assert ticks.ticker.tolist() == [NO_TICK, 1]


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_any_bytes_are_read_or_refused_and_leave_no_trace(values: list[bytes]) -> None:
    shard = Shard(CONDITIONS)
    batch = [GOOD[0], *values, *map(framed, values), GOOD[1]]
    found = outcomes(shard, batch, PLAN)
    assert [found[0], found[-1]] == READ
    known = {outcome.ticker.decode() for outcome in found if outcome.fault == FAULT.NONE and outcome.moves_price}
    assert set(shard.index.tickers.all_names()) == known
    assert outcomes(shard, batch, PLAN) == found
