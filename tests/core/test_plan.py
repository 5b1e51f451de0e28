"""What a writer's schema may be: read whatever it adds, refused with the place and the remedy where it is no tick."""

import io
from typing import Any

import fastavro
import pytest

from streams.core.decode import NO_PREFIX
from streams.core.plan import (
    CODES,
    END,
    ITEMS,
    JUMP,
    MISSING,
    OPEN,
    SKIP_BYTES,
    SKIP_FIXED,
    SKIP_VARINT,
    TICKER,
    TS,
    UNION,
    decode_plan,
)
from streams.core.shard import Shard
from tests.core.avro_bytes import TICK, TS_MS
from tests.core.hand_schemas import (
    CODES_TYPE,
    TICKER_FIELD,
    TS_FIELD,
    nested,
    refused,
    schema_of,
    steps,
    tick_with,
    with_extra,
)
from tests.core.histories import CONDITIONS
from tests.core.outcomes import outcomes
from tests.core.plain_reader import Outcome

POINT = {"type": "record", "name": "Point", "fields": [{"name": "x", "type": "int"}, {"name": "y", "type": "string"}]}


def read_back(schema: Any, record: dict[str, Any]) -> Outcome:
    """What a record becomes that fastavro wrote with the schema."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    [outcome] = outcomes(Shard(CONDITIONS), [out.getvalue()], decode_plan(schema), NO_PREFIX)
    return outcome


def test_the_first_schema_is_read_field_by_field() -> None:
    assert steps(TICK) == [(TICKER, 0), (TS, 0), (SKIP_FIXED, 8), (SKIP_VARINT, 0), (CODES, 0), (END, 0)]


def test_fields_are_read_wherever_they_stand() -> None:
    schema = schema_of(*reversed(TICK["fields"]))
    assert [step for step, _ in steps(schema)] == [CODES, SKIP_VARINT, SKIP_FIXED, TS, TICKER, END]


def test_fields_within_other_records_are_not_the_tick_s() -> None:
    other = schema_of(TICKER_FIELD, TS_FIELD, name="Other")
    assert [step for step, _ in steps(with_extra(other))] == [TICKER, SKIP_BYTES, SKIP_VARINT, TS, END]


def test_a_field_that_only_has_an_alias_of_ours_is_not_ours() -> None:
    field = {"name": "symbol", "type": "string", "aliases": ["ticker"]}
    assert refused(schema_of(field, TS_FIELD)).place == "top"


def test_an_array_takes_a_loop_and_a_union_takes_a_table() -> None:
    assert steps(with_extra({"type": "array", "items": "int"})) == [
        *((TICKER, 0), (OPEN, 0), (ITEMS, 0), (JUMP, 12), (SKIP_VARINT, 0), (JUMP, 4), (TS, 0), (END, 0))
    ]
    assert steps(with_extra(["null", "boolean"])) == [
        *((TICKER, 0), (UNION, 2), (JUMP, 8), (JUMP, 10), (JUMP, 14), (SKIP_FIXED, 1), (JUMP, 14), (TS, 0), (END, 0))
    ]


def test_loops_within_loops_count_apart() -> None:
    plan = steps(with_extra({"type": "map", "values": {"type": "array", "items": {"type": "map", "values": "null"}}}))
    assert [argument for step, argument in plan if step == OPEN] == [0, 1, 2]
    after = schema_of(
        TICKER_FIELD, TS_FIELD, *({"name": f"a{k}", "type": {"type": "array", "items": "int"}} for k in range(40))
    )
    assert {argument for step, argument in steps(after) if step == OPEN} == {0}


ADDED: list[tuple[str, Any, Any]] = [
    ("null", "null", None),
    ("boolean", "boolean", True),
    ("int", "int", -(1 << 31)),
    ("long", "long", -(1 << 63)),
    ("float", "float", 1.5),
    ("double", "double", 1.5),
    ("bytes", "bytes", b"\0" * 200),
    ("string", "string", "ü" * 100),
    ("a primitive as an object", {"type": "string", "avro.java.string": "String"}, "x"),
    ("record", POINT, {"x": 300, "y": "y"}),
    ("record of records", schema_of({"name": "p", "type": POINT}, {"name": "q", "type": "Point"}, name="Line"), None),
    ("empty record", schema_of(name="Empty"), {}),
    ("array", {"type": "array", "items": "string"}, ["a", "", "c" * 100]),
    ("empty array", {"type": "array", "items": "string"}, []),
    ("array of arrays", nested("long", 3), [[[1, 2], []], [], [[3]]]),
    ("array of records", {"type": "array", "items": POINT}, [{"x": 1, "y": ""}] * 3),
    ("map", {"type": "map", "values": "double"}, {"a": 1.0, "b": 2.0}),
    ("map of null", {"type": "map", "values": "null"}, {"a": None, "b": None}),
    ("map of maps", {"type": "map", "values": {"type": "map", "values": "int"}}, {"a": {}, "b": {"c": 1}}),
    ("enum", {"type": "enum", "name": "E", "symbols": [f"S{k}" for k in range(100)]}, "S99"),
    ("fixed", {"type": "fixed", "name": "F", "size": 70}, b"\xff" * 70),
    ("fixed of no bytes", {"type": "fixed", "name": "F", "size": 0}, b""),
    ("union with null", ["null", "string"], None),
    ("union", ["null", "int", "string", POINT], {"x": 1, "y": "y"}),
    ("array of unions", {"type": "array", "items": ["null", "int"]}, [None, 5, None]),
    ("error", {"type": "error", "name": "Err", "fields": [{"name": "why", "type": "string"}]}, {"why": "?"}),
    ("date", {"type": "int", "logicalType": "date"}, 20_000),
    ("timestamp-micros", {"type": "long", "logicalType": "timestamp-micros"}, 1),
    ("decimal", {"type": "bytes", "logicalType": "decimal", "precision": 4}, b"\1\2"),
    ("uuid", {"type": "string", "logicalType": "uuid"}, "x"),
    ("duration", {"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"}, b"\1" * 12),
    ("unknown logical type", {"type": "long", "logicalType": "moon phase"}, 1),
]


@pytest.mark.parametrize(("kind", "value"), [each[1:] for each in ADDED], ids=[each[0] for each in ADDED])
def test_a_field_of_any_type_is_stepped_over(kind: Any, value: Any) -> None:
    if isinstance(kind, dict) and kind.get("name") == "Line":
        value = {"p": {"x": 1, "y": "a"}, "q": {"x": -70, "y": "b" * 70}}
    record = {"ticker": "AAPL", "extra": value, "ts": TS_MS}
    assert read_back(with_extra(kind), record) == Outcome(0, b"AAPL", TS_MS, moves_price=True)


NAMESPACES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("inherited, in short", {"namespace": "a.b"}, {"name": "X"}, "X"),
    ("inherited, in full", {"namespace": "a.b"}, {"name": "X"}, "a.b.X"),
    ("its own", {"namespace": "a.b"}, {"name": "X", "namespace": "c"}, "c.X"),
    ("in one with the name", {"namespace": "a.b"}, {"name": "c.X", "namespace": "not this"}, "c.X"),
    ("of the tick's name", {"name": "a.b.Tick", "namespace": "not this"}, {"name": "X"}, "X"),
    ("none", {"namespace": ""}, {"name": "X"}, "X"),
    ("null", {"namespace": None}, {"name": "X", "namespace": None}, "X"),
]


@pytest.mark.parametrize(
    ("space", "name", "told"), [each[1:] for each in NAMESPACES], ids=[each[0] for each in NAMESPACES]
)
def test_a_type_is_found_by_its_name(space: dict[str, Any], name: dict[str, Any], told: str) -> None:
    schema = schema_of(
        {"name": "one", "type": {"type": "fixed", "size": 3, **name}},
        {"name": "two", "type": told},
        TICKER_FIELD,
        TS_FIELD,
        **space,
    )
    assert [step for step in steps(schema) if step[0] == SKIP_FIXED] == [(SKIP_FIXED, 3)] * 2


def test_the_nearer_of_two_types_of_one_name_is_meant() -> None:
    far, near = {"type": "fixed", "name": "X", "size": 1}, {"type": "fixed", "name": "a.X", "size": 2}
    inner = {"type": "record", "name": "a.In", "fields": [{"name": "x", "type": "X"}]}
    fields = [{"name": f"f{k}", "type": kind} for k, kind in enumerate([far, near, inner, "X"])]
    sizes = [argument for step, argument in steps(schema_of(TICKER_FIELD, TS_FIELD, *fields)) if step == SKIP_FIXED]
    assert sizes == [1, 2, 2, 1]


def test_a_type_without_a_name_space_is_reached_from_within_one() -> None:
    far = {"type": "fixed", "name": "X", "size": 1}
    inner = {"type": "record", "name": "a.In", "fields": [{"name": "x", "type": "X"}]}
    fields = [{"name": f"f{k}", "type": kind} for k, kind in enumerate([far, inner])]
    assert steps(schema_of(TICKER_FIELD, TS_FIELD, *fields)).count((SKIP_FIXED, 1)) == 2


def test_a_type_used_from_another_name_space_keeps_its_own() -> None:
    mark = {"type": "fixed", "name": "Mark", "size": 7}
    inner = {"type": "record", "name": "a.In", "fields": [{"name": "m", "type": mark}, {"name": "n", "type": "Mark"}]}
    outer = {"type": "record", "name": "b.Out", "fields": [{"name": "i", "type": "a.In"}]}
    schema = schema_of(TICKER_FIELD, TS_FIELD, {"name": "i", "type": inner}, {"name": "o", "type": outer})
    assert steps(schema).count((SKIP_FIXED, 7)) == 4
    schema["fields"].append({"name": "none", "type": "b.Mark"})
    assert "unknown type 'b.Mark'" in refused(schema).problem


def test_a_dotted_name_is_looked_for_nowhere_else() -> None:
    schema = with_extra({"type": "fixed", "name": "a.b.X", "size": 1}, namespace="a")
    schema["fields"].append({"name": "x", "type": "b.X"})
    assert "unknown type 'b.X'" in refused(schema).problem


WANTED: list[tuple[str, Any, Any]] = [
    ("ticker", "bytes", b"AAPL"),
    ("ticker", {"type": "string", "avro.java.string": "String"}, "AAPL"),
    ("ticker", ["null", "string"], "AAPL"),
    ("ticker", ["bytes", "null"], b"AAPL"),
    ("ts", "int", 1_700_000_000),
    ("ts", {"type": "long", "logicalType": "timestamp-millis"}, 1_700_000_000),
    ("ts", {"type": "long", "logicalType": "local-timestamp-millis"}, 1_700_000_000),
    ("ts", ["null", {"type": "long", "logicalType": "timestamp-millis"}], 1_700_000_000),
    ("conditions", {"type": "array", "items": "long"}, [33]),
    ("conditions", {"type": "array", "items": {"type": "int"}}, [33]),
    ("conditions", ["null", CODES_TYPE], [33]),
    ("conditions", [CODES_TYPE, {"type": "null"}], [33]),
]


@pytest.mark.parametrize(("name", "kind", "value"), WANTED)
def test_a_wanted_field_may_be_written_in_other_ways(name: str, kind: Any, value: Any) -> None:
    fields: dict[str, Any] = {"ticker": "string", "ts": "long", "conditions": CODES_TYPE, name: kind}
    record = {"ticker": "AAPL", "ts": 1_700_000_000, "conditions": [], name: value}
    schema = schema_of(*({"name": each, "type": told} for each, told in fields.items()))
    blocked = name == "conditions"
    expected = Outcome(0, b"" if blocked else b"AAPL", 1_700_000_000, moves_price=not blocked)
    assert read_back(schema, record) == expected


def test_conditions_may_be_null_or_missing_and_the_rest_may_not() -> None:
    schema = tick_with("conditions", ["null", CODES_TYPE])
    assert (MISSING, 0) not in steps(schema)
    record = {"ticker": "A", "ts": 1, "conditions": None}
    assert read_back(schema, record) == read_back(schema_of(TICKER_FIELD, TS_FIELD), record)
    assert steps(tick_with("ticker", ["null", "string"])).count((MISSING, 0)) == 1
    assert steps(tick_with("ts", ["null", "long"])).count((MISSING, 0)) == 1
