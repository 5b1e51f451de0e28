"""A schema that no tick can be read from is refused, with the place and the remedy, whatever stands in it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.limits import MAX_SCHEMA_DEPTH, MAX_SCHEMA_STEPS
from streams.core.plan import (
    END,
    ITEMS,
    JUMP,
    OPEN,
    STEP_SIZE,
    UNION,
    SchemaRefusedError,
)
from tests.core.avro_bytes import TICK
from tests.core.hand_schemas import TICKER_FIELD, TS_FIELD, nested, refused, schema_of, steps, tick_with, with_extra

MICROS = {"type": "long", "logicalType": "timestamp-micros"}
NO_TICKS: list[tuple[str, Any, str]] = [
    ("not a record", {"type": "array", "items": TICK}, "top"),
    ("a string", "string", "top"),
    ("a list", [TICK], "top"),
    ("no ticker", schema_of(TS_FIELD), "top"),
    ("no ts", schema_of(TICKER_FIELD), "top"),
    ("no fields at all", schema_of(), "top"),
    ("the ticker twice", schema_of(TICKER_FIELD, TS_FIELD, TICKER_FIELD), "top"),
    ("ts in microseconds", tick_with("ts", MICROS), "ts"),
    ("ts a date", tick_with("ts", {"type": "int", "logicalType": "date"}), "ts"),
    ("ts a string", tick_with("ts", "string"), "ts"),
    ("ts a double", tick_with("ts", "double"), "ts"),
    ("ts a long or a string", tick_with("ts", ["long", "string"]), "ts[1]"),
    ("ticker an int", tick_with("ticker", "int"), "ticker"),
    ("ticker a fixed", tick_with("ticker", {"type": "fixed", "name": "F", "size": 4}), "ticker"),
    ("ticker null", tick_with("ticker", "null"), "ticker"),
    ("ticker wrapped", tick_with("ticker", {"type": {"type": "string"}}), "ticker"),
    ("conditions a string", tick_with("conditions", "string"), "conditions"),
    ("conditions strings", tick_with("conditions", {"type": "array", "items": "string"}), "conditions"),
    ("conditions a map", tick_with("conditions", {"type": "map", "values": "int"}), "conditions"),
]


@pytest.mark.parametrize(("schema", "place"), [each[1:] for each in NO_TICKS], ids=[each[0] for each in NO_TICKS])
def test_a_schema_that_no_tick_can_be_read_from_is_refused(schema: Any, place: str) -> None:
    assert refused(schema).place == place


RECURSIONS: list[tuple[str, Any]] = [
    ("direct", "Tick"),
    ("through an array", {"type": "array", "items": "Tick"}),
    ("through a map", {"type": "map", "values": "Tick"}),
    ("through a union", ["null", "Tick"]),
    ("through another record", schema_of({"name": "t", "type": ["null", "Tick"]}, name="Other")),
    ("of another record", schema_of({"name": "o", "type": ["null", "Other"]}, name="Other")),
]


@pytest.mark.parametrize("kind", [each[1] for each in RECURSIONS], ids=[each[0] for each in RECURSIONS])
def test_recursion_is_refused(kind: Any) -> None:
    assert "holds itself" in refused(with_extra(kind)).problem


def test_recursion_is_found_where_it_begins() -> None:
    assert refused(with_extra("Tick")).place == "extra"


def test_two_records_that_hold_each_other_are_refused() -> None:
    inner = schema_of({"name": "up", "type": {"type": "array", "items": "Outer"}}, name="Inner")
    outer = schema_of({"name": "down", "type": inner}, name="Outer")
    assert "'Outer' holds itself" in refused(with_extra(outer)).problem


def test_a_type_defined_twice_is_refused() -> None:
    schema = with_extra({"type": "fixed", "name": "X", "size": 1})
    schema["fields"].append({"name": "more", "type": {"type": "fixed", "name": "X", "size": 2}})
    assert "'X' is defined twice" in refused(schema).problem


def test_a_type_is_not_known_before_its_definition() -> None:
    schema = with_extra("X")
    schema["fields"].append({"name": "more", "type": {"type": "fixed", "name": "X", "size": 2}})
    assert "unknown type 'X'" in refused(schema).problem


def test_types_nest_so_deep_and_no_deeper() -> None:
    deepest = with_extra(nested("int", MAX_SCHEMA_DEPTH - 1))
    assert [argument for step, argument in steps(deepest) if step == OPEN] == list(range(MAX_SCHEMA_DEPTH - 1))
    assert "nests deeper" in refused(with_extra(nested("int", MAX_SCHEMA_DEPTH))).problem


@pytest.mark.parametrize("name", ["ticker", "ts", "conditions", "extra"])
def test_unions_within_unions_are_refused_before_they_exhaust_the_stack(name: str) -> None:
    kind: Any = "int"
    for _ in range(5000):
        kind = [kind]
    schema = tick_with(name, kind)
    assert "nests deeper" in refused(schema).problem


def test_a_plan_takes_so_many_steps_and_no_more() -> None:
    fields = [{"name": f"f{k}", "type": "int"} for k in range(MAX_SCHEMA_STEPS - 3)]
    assert len(steps(schema_of(TICKER_FIELD, TS_FIELD, *fields))) == MAX_SCHEMA_STEPS
    more = {"name": "more", "type": "int"}
    assert f"more than {MAX_SCHEMA_STEPS} steps" in refused(schema_of(TICKER_FIELD, TS_FIELD, *fields, more)).problem


@pytest.mark.parametrize("leaf", ["int", "null"])
def test_types_that_multiply_are_refused_at_once(leaf: str) -> None:
    kind: Any = {"type": "record", "name": "R0", "fields": [{"name": "x", "type": leaf}]}
    for level in range(1, 14):
        fields = [{"name": "f0", "type": kind}, *({"name": f"f{k}", "type": f"R{level - 1}"} for k in range(1, 50))]
        kind = {"type": "record", "name": f"R{level}", "fields": fields}
    assert f"more than {MAX_SCHEMA_STEPS} steps" in refused(with_extra(kind)).problem


@pytest.mark.parametrize(
    "kind",
    [
        ["int"] * 1_000_000,
        schema_of(*({"name": f"f{k}", "type": "null"} for k in range(100_000)), name="Wide"),
    ],
    ids=["union", "record"],
)
def test_a_huge_type_is_refused(kind: Any) -> None:
    assert f"more than {MAX_SCHEMA_STEPS} steps" in refused(with_extra(kind)).problem


NOTHING: list[Any] = [
    "null",
    schema_of(name="Empty"),
    {"type": "fixed", "name": "F", "size": 0},
    schema_of({"name": "n", "type": "null"}, name="N"),
]


@pytest.mark.parametrize("item", NOTHING)
def test_an_array_of_items_without_bytes_is_refused_for_three_bytes_could_be_a_billion_items(item: Any) -> None:
    assert "take no bytes" in refused(with_extra({"type": "array", "items": item})).problem


cyclic_object: dict[str, Any] = {"logicalType": "x"}
cyclic_object["type"] = cyclic_object
cyclic_list: list[Any] = ["null"]
cyclic_list.append(cyclic_list)
cyclic_array: dict[str, Any] = {"type": "array"}
cyclic_array["items"] = cyclic_array
cyclic_record: dict[str, Any] = {"type": "record", "name": "Round", "fields": []}
cyclic_record["fields"].append({"name": "r", "type": cyclic_record})


def fixed_of(size: Any = 1, **more: Any) -> dict[str, Any]:
    """A fixed, to be spoilt."""
    return {"type": "fixed", "name": "F", "size": size, **more}


def record_of(fields: Any) -> dict[str, Any]:
    """A record, to be spoilt."""
    return {"type": "record", "name": "R", "fields": fields}


NO_STRINGS: list[Any] = [None, 5, False, [], {}]
NO_TYPES: list[Any] = [None, 5, False, {}]

MALFORMED: list[Any] = [
    *(None, True, 5, -1.5, float("nan"), 10**5000, b"int", bytearray(b"int"), object(), set(), {}, "", "record"),
    *("array", "Tick.", "\ud800", "x" * 1_000_000, "new\nline", ["null", 5], [None], [[["null"]] * 3, {}], ("int", 7)),
    *({"type": None}, {"type": 5}, {"type": {}}, {"type": {"type": {"type": {}}}}, {"type": {"type": "nothing"}}),
    *({"type": [{}]}, {"type": ["int", {"type": 5}]}, {"type": {"type": ["null", object()]}}, {"type": 10**5000}),
    *({"type": "array"}, {"type": "array", "items": None}, {"type": "array", "items": 5}, {"type": "map"}),
    *({"type": "map", "values": {}}, {"type": "fixed"}, {"type": "fixed", "name": "F"}, {"type": "enum"}),
    *map(fixed_of, [-1, 1 << 31, "4", 4.0, True, None, [], 10**5000]),
    *(fixed_of(name=name) for name in ["", b"F", *NO_STRINGS]),
    *(fixed_of(namespace=space) for space in NO_STRINGS if space is not None),
    *map(record_of, [None, 5, "int", {}, b"int", {"a": "int"}]),
    *(record_of([field]) for field in [*NO_STRINGS, "int", {"name": "x"}, {"type": "int"}]),
    *(record_of([{"name": name, "type": "int"}]) for name in [b"x", *NO_STRINGS]),
    *(record_of([{"name": "x", "type": kind}]) for kind in ["nothing", *NO_TYPES]),
    *(cyclic_object, cyclic_list, cyclic_array, cyclic_record, nested("int", 50_000)),
]
"""What stands where a type should."""


@pytest.mark.parametrize("kind", MALFORMED, ids=range(len(MALFORMED)))
@pytest.mark.parametrize("name", ["ticker", "ts", "conditions", "extra"])
def test_malformed_types_are_refused_wherever_they_stand(name: str, kind: Any) -> None:
    assert refused(tick_with(name, kind)).place != "top"


@pytest.mark.parametrize("name", ["ticker", "ts", "conditions", "extra"])
def test_a_union_of_nothing_harms_nobody_for_there_is_no_value_of_it(name: str) -> None:
    assert (UNION, 0) in steps(tick_with(name, []))


@pytest.mark.parametrize("schema", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_schemas_are_refused(schema: Any) -> None:
    refused(schema)


@pytest.mark.parametrize(
    "fields", [None, 5, "ticker", {}, b"x", [5], [None], [[]], [{}], [{"name": "ticker"}], [{"name": []}]]
)
def test_malformed_fields_are_refused(fields: Any) -> None:
    assert refused({"type": "record", "name": "Tick", "fields": fields}).place == "top"


@pytest.mark.parametrize("name", [None, "", 5, [], {}])
def test_a_tick_without_a_name_is_refused(name: Any) -> None:
    assert "without a name" in refused(schema_of(TICKER_FIELD, TS_FIELD, name=name)).problem


def test_the_place_is_told_down_to_the_field() -> None:
    kind = {"type": "array", "items": ["null", schema_of({"name": "bad", "type": "nothing"}, name="In")]}
    assert refused(with_extra(kind)).place == "extra[][1].bad"
    assert refused(with_extra(kind)).problem == "names the unknown type 'nothing'"


WORDS = ["type", "name", "namespace", "fields", "items", "values", "size", "symbols", "logicalType"]
KINDS = ["record", "array", "map", "enum", "fixed", "union", "null", "int", "long", "string", "bytes", "X", "Tick", ""]
LEAVES = st.none() | st.booleans() | st.integers(-2, 5) | st.floats() | st.sampled_from(KINDS)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
)


@given(kind=JSON, name=st.sampled_from(["ticker", "ts", "conditions", "extra"]))
def test_any_json_is_either_read_or_refused(kind: Any, name: str) -> None:
    schema = tick_with(name, kind)
    try:
        plan = steps(schema)
    except SchemaRefusedError:
        return
    assert plan[-1] == (END, 0)
    assert json.dumps(schema)
    jumps = [argument for step, argument in plan if step == JUMP]
    assert all(0 <= to < len(plan) * STEP_SIZE and to % STEP_SIZE == 0 for to in jumps)
    assert [step for step, _ in plan].count(END) == 1
    assert all(argument < MAX_SCHEMA_DEPTH for step, argument in plan if step in {OPEN, ITEMS})
