"""The schemas stand as their README says, and the check that says so can say no."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import avro.schema
import fastavro
import pytest

from tests.schemas.evolution import (
    NAMESPACE,
    SCHEMAS,
    Entry,
    Json,
    change_problems,
    folder_problems,
    load_registry,
    load_schema,
    main,
    registry_problems,
    schema_problems,
)

ENTRIES = load_registry()
EACH = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.file)


def example() -> dict[str, Any]:
    """A schema with one of everything that can go wrong."""
    cause = {"type": "record", "name": "Inner", "doc": "d", "fields": [{"name": "offset", "type": "long", "doc": "d"}]}
    colour = {"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}
    return {
        "type": "record",
        "name": "Example",
        "namespace": NAMESPACE,
        "doc": "d",
        "fields": [
            {"name": "id", "type": "string", "doc": "d"},
            {"name": "count", "type": "int", "default": 0, "doc": "d"},
            {"name": "limit", "type": ["null", "int"], "default": None, "doc": "d"},
            {"name": "cause", "type": cause, "doc": "d"},
            {"name": "colour", "type": colour, "doc": "d"},
            {"name": "tags", "type": {"type": "array", "items": "string"}, "doc": "d"},
            {"name": "skips", "type": {"type": "map", "values": "int"}, "doc": "d"},
        ],
    }


def field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """The field of that name, to be changed in place."""
    return next(part for part in schema["fields"] if part["name"] == name)


def test_the_schemas_have_no_problem() -> None:
    assert folder_problems() == []


def test_the_check_can_be_run_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0
    assert capsys.readouterr().out == f"{len(ENTRIES)} schemas, 0 problems\n"


def test_every_value_of_the_design_has_a_schema_and_the_tick_is_id_1() -> None:
    subjects = {entry.id: entry.subject for entry in ENTRIES}
    assert subjects == {
        1: "ticks-value",
        2: "strategy-changes-value",
        3: "alert-executions-value",
        4: "alert-results-value",
        5: "proposals-value",
        6: "controls-value",
        7: "clock-value",
        8: "dlq-value",
        9: "decisions-value",
        10: "journal-value",
        11: "turns-value",
        12: "conviction-value",
        13: "conviction-state-value",
    }


@EACH
def test_both_avro_libraries_take_the_file(entry: Entry) -> None:
    schema = load_schema(entry)
    assert avro.schema.parse(json.dumps(schema)).type == "record"
    assert isinstance(fastavro.parse_schema(schema), dict)


@EACH
def test_no_schema_uses_an_enum(entry: Entry) -> None:
    assert '"enum"' not in (SCHEMAS / entry.file).read_text(), "an enum can never grow: use a string"


def test_no_record_name_is_used_twice() -> None:
    names = [named for entry in ENTRIES if entry.version == 1 for named in record_names(load_schema(entry))]
    assert len(names) == len(set(names))


def record_names(part: Json) -> list[str]:
    """Every record defined in a part of a schema."""
    if isinstance(part, list):
        return [name for inner in part for name in record_names(inner)]
    if not isinstance(part, dict):
        return []
    own = [part["name"]] if part.get("type") == "record" else []
    return own + [name for inner in part.values() if isinstance(inner, dict | list) for name in record_names(inner)]


Edit = Callable[[dict[str, Any]], object]

REFUSED: dict[str, tuple[Edit, str]] = {
    "a field removed": (lambda s: s["fields"].remove(field(s, "id")), "Example.id"),
    "a field with a default removed": (lambda s: s["fields"].remove(field(s, "count")), "Example.count"),
    "the last field removed": (lambda s: s["fields"].pop(), "Example.skips"),
    "a field renamed": (lambda s: field(s, "id").update(name="ident"), "Example.id"),
    "a field with a default renamed": (lambda s: field(s, "count").update(name="number"), "Example.count"),
    "a field moved": (lambda s: s["fields"].append(s["fields"].pop(1)), "Example.count"),
    "a type changed": (lambda s: field(s, "id").update(type="long"), "Example.id"),
    "a type promoted": (lambda s: field(s, "count").update(type="long"), "Example.count"),
    "a default changed": (lambda s: field(s, "count").update(default=1), "Example.count"),
    "a default taken away": (lambda s: field(s, "count").pop("default"), "Example.count"),
    "a null default taken away": (lambda s: field(s, "limit").pop("default"), "Example.limit"),
    "a union widened": (lambda s: field(s, "limit")["type"].append("string"), "Example.limit"),
    "a union's branch changed": (lambda s: field(s, "limit").update(type=["null", "string"]), "Example.limit"),
    "an array's items changed": (lambda s: field(s, "tags")["type"].update(items="bytes"), "Example.tags"),
    "a map's values changed": (lambda s: field(s, "skips")["type"].update(values="long"), "Example.skips"),
    "an enum's symbol removed": (lambda s: field(s, "colour")["type"]["symbols"].pop(), "Example.colour"),
    "an enum's symbol added": (lambda s: field(s, "colour")["type"]["symbols"].append("GREEN"), "Example.colour"),
    "an inner field changed": (lambda s: field(s, "cause")["type"]["fields"][0].update(type="int"), "cause.offset"),
    "an inner field removed": (lambda s: field(s, "cause")["type"]["fields"].clear(), "Example.cause.offset"),
    "a new field without default": (
        lambda s: s["fields"].append({"name": "extra", "type": "int", "doc": "d"}),
        "Example.extra",
    ),
    "a new field not at the end": (
        lambda s: s["fields"].insert(0, {"name": "extra", "type": "int", "default": 0, "doc": "d"}),
        "extra stands in its place",
    ),
    "the record renamed": (lambda s: s.update(name="Other"), "Other: name was 'Example'"),
}

ALLOWED: dict[str, Edit] = {
    "nothing": lambda _: None,
    "a doc reworded": lambda s: field(s, "id").update(doc="better"),
    "an inner doc reworded": lambda s: field(s, "cause")["type"].update(doc="better"),
    "an enum's doc added": lambda s: field(s, "colour")["type"].update(doc="better"),
    "a new field with a default": lambda s: s["fields"].append(
        {"name": "extra", "type": "int", "default": 0, "doc": "d"}
    ),
    "a new field that may be null": lambda s: s["fields"].append(
        {"name": "extra", "type": ["null", "int"], "default": None, "doc": "d"}
    ),
    "a new inner field with a default": lambda s: field(s, "cause")["type"]["fields"].append(
        {"name": "extra", "type": "string", "default": "", "doc": "d"}
    ),
}


@pytest.mark.parametrize("change", REFUSED)
def test_a_change_that_breaks_a_reader_is_refused_and_the_field_named(change: str) -> None:
    edit, named = REFUSED[change]
    newer = copy.deepcopy(example())
    edit(newer)
    problems = change_problems(example(), newer)
    assert any(named in problem for problem in problems), problems


@pytest.mark.parametrize(("kind", "inside"), [("array", "items"), ("map", "values")])
def test_a_record_inside_an_array_or_a_map_may_grow_and_may_not_shrink(kind: str, inside: str) -> None:
    small = {"type": "record", "name": "Item", "doc": "d", "fields": [{"name": "x", "type": "int", "doc": "d"}]}
    older, newer = example(), example()
    field(older, "tags")["type"] = {"type": kind, inside: small}
    extra = {"name": "y", "type": "int", "default": 0, "doc": "d"}
    field(newer, "tags")["type"] = {"type": kind, inside: {**small, "fields": [*small["fields"], extra]}}
    assert change_problems(older, newer) == []
    assert change_problems(newer, older)[0].startswith("Example.tags.y: removed")


@pytest.mark.parametrize("change", ALLOWED)
def test_a_change_that_every_reader_survives_passes(change: str) -> None:
    newer = copy.deepcopy(example())
    ALLOWED[change](newer)
    assert change_problems(example(), newer) == []


def test_avros_own_checker_is_asked_in_both_directions() -> None:
    newer = copy.deepcopy(example())
    field(newer, "count")["type"] = "long"
    problems = change_problems(example(), newer)
    assert any("old schema cannot read new data" in problem for problem in problems)
    assert any("new schema cannot read old data" in problem for problem in change_problems(newer, example()))


@EACH
def test_every_schema_of_ours_may_grow_and_may_not_shrink(entry: Entry) -> None:
    schema = load_schema(entry)
    grown = copy.deepcopy(schema)
    grown["fields"].append({"name": "extra", "type": "string", "default": "", "doc": "d"})
    assert change_problems(schema, grown) == []
    assert change_problems(grown, schema) != []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the schemas, to spoil."""
    return Path(shutil.copytree(SCHEMAS, tmp_path / "schemas"))


def load(path: Path) -> Json:
    """The JSON of a file."""
    return json.loads(path.read_bytes())


def add_version(folder: Path, version: int, new_id: int, **new_field: object) -> None:
    """Give the tick one more version."""
    newest = max(folder.glob("tick*.avsc"), key=lambda path: len(load(path)["fields"]))
    schema = load(newest)
    schema["fields"].append({"doc": "d", **new_field})
    (folder / f"tick.v{version}.avsc").write_text(json.dumps(schema))
    registry = load(folder / "registry.json")
    row = {"id": new_id, "subject": "ticks-value", "version": version, "file": f"tick.v{version}.avsc"}
    registry["schemas"].append(row)
    (folder / "registry.json").write_text(json.dumps(registry))


def test_a_good_second_version_passes(folder: Path) -> None:
    add_version(folder, 2, 90, name="venue", type="string", default="")
    assert folder_problems(folder) == []


def test_a_version_is_held_against_every_earlier_one_not_only_the_last(folder: Path) -> None:
    add_version(folder, 2, 90, name="venue", type="string", default="")
    add_version(folder, 3, 10, name="tape", type="int")
    problems = folder_problems(folder)
    assert "tick.avsc to tick.v3.avsc: Tick.tape: new, and has no default; give it one" in problems
    assert "tick.v2.avsc to tick.v3.avsc: Tick.tape: new, and has no default; give it one" in problems


def test_an_id_given_twice_is_refused(folder: Path) -> None:
    add_version(folder, 2, 1, name="venue", type="string", default="")
    assert folder_problems(folder) == ["registry.json: id 1 is given twice"]


def test_an_id_that_does_not_fit_the_framing_is_refused() -> None:
    entry = Entry(1 << 31, "a-value", 1, "a.avsc")
    assert registry_problems([entry], {"a.avsc"}) == ["registry.json: id 2147483648 is not from 1 to 2147483647"]


def test_a_gap_between_versions_is_refused() -> None:
    entries = [Entry(1, "a-value", 1, "a.avsc"), Entry(2, "a-value", 3, "a.v3.avsc")]
    assert registry_problems(entries, {"a.avsc", "a.v3.avsc"}) == [
        "registry.json: a-value has versions [1, 3], they must count up from 1"
    ]


def test_a_file_without_an_entry_and_an_entry_without_a_file_are_refused(folder: Path) -> None:
    shutil.copy(folder / "clock.avsc", folder / "stray.avsc")
    assert folder_problems(folder) == ["stray.avsc: not in registry.json, give it a new id"]
    (folder / "clock.avsc").unlink()
    assert folder_problems(folder) == ["clock.avsc: named in registry.json, not in the folder"]


def test_a_field_without_doc_is_refused_also_inside_arrays() -> None:
    schema = example()
    inner = {"type": "record", "name": "Item", "doc": "d", "fields": [{"name": "x", "type": "int"}]}
    field(schema, "tags")["type"]["items"] = inner
    assert schema_problems(schema) == ["Example.tags.x: no doc"]


def test_a_record_without_doc_is_refused() -> None:
    schema = example()
    del field(schema, "cause")["type"]["doc"]
    assert schema_problems(schema) == ["Example.cause: the record has no doc"]


@pytest.mark.parametrize("name", ["Example", f"{NAMESPACE}.Example"])
def test_a_record_that_holds_itself_is_refused(name: str) -> None:
    schema = example()
    schema["fields"].append({"name": "next", "type": ["null", name], "default": None, "doc": "d"})
    assert schema_problems(schema) == ["Example.next: Example holds itself; a decode plan has no end for it"]


def test_a_record_used_twice_is_no_recursion() -> None:
    schema = example()
    schema["fields"].append({"name": "again", "type": "Inner", "doc": "d"})
    assert schema_problems(schema) == []


def test_a_foreign_namespace_is_refused() -> None:
    assert schema_problems({**example(), "namespace": "elsewhere"}) == ["its namespace must be tickgate"]


def test_a_value_that_is_no_record_is_refused() -> None:
    assert schema_problems("string") == ["a value must be a record"]


def test_a_default_of_the_wrong_type_is_refused() -> None:
    schema = example()
    field(schema, "count")["default"] = "many"
    assert schema_problems(schema) == ["a parser of Avro refuses it: Default value <many> must match schema type: int"]
