"""Whether the schemas may stand as they are: the registry whole, every version readable by every other.

Run it by hand with `python tests/schemas/evolution.py`; it prints what is wrong and where, and exits with 1.

Two judges, and both must agree. The reference is Avro's own checker, asked in both directions for every
pair of versions (FULL_TRANSITIVE). The house is stricter, because that checker lets some harm pass: a
field with a default may vanish, or come back under another name, and its data is silently lost.
"""

import json
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any, Final, NamedTuple

import avro.schema
import fastavro
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from fastavro.schema import SchemaParseException, UnknownType

SCHEMAS: Final = Path(__file__).parents[2] / "schemas"
NAMESPACE: Final = "tickgate"
MAX_ID: Final = (1 << 31) - 1
"""What the four bytes of the framing hold, as the registries count."""

Json = Any
"""A parsed schema, or a part of one. Avro lets it be a string, a list or an object."""


class Entry(NamedTuple):
    """One line of the registry."""

    id: int
    subject: str
    version: int
    file: str


def load_registry(folder: Path = SCHEMAS) -> list[Entry]:
    """Read `registry.json`."""
    rows = json.loads((folder / "registry.json").read_bytes())["schemas"]
    return [Entry(**row) for row in rows]


def load_schema(entry: Entry, folder: Path = SCHEMAS) -> Json:
    """Read the schema an entry names."""
    return json.loads((folder / entry.file).read_bytes())


def folder_problems(folder: Path = SCHEMAS) -> list[str]:
    """Everything that is wrong with a folder of schemas."""
    entries = load_registry(folder)
    missing = [entry.file for entry in entries if not (folder / entry.file).is_file()]
    if missing:
        return [f"{name}: named in registry.json, not in the folder" for name in missing]
    problems = registry_problems(entries, {path.name for path in folder.glob("*.avsc")})
    for entry in entries:
        schema = load_schema(entry, folder)
        problems += [f"{entry.file}: {problem}" for problem in schema_problems(schema)]
    for subject in sorted({entry.subject for entry in entries}):
        versions = sorted((entry for entry in entries if entry.subject == subject), key=lambda entry: entry.version)
        for older, newer in combinations(versions, 2):
            found = change_problems(load_schema(older, folder), load_schema(newer, folder))
            problems += [f"{older.file} to {newer.file}: {problem}" for problem in found]
    return problems


def registry_problems(entries: list[Entry], files: set[str]) -> list[str]:
    """Ids given twice, gaps between versions, files without an entry."""
    problems = []
    for column in ("id", "file"):
        counts = Counter(getattr(entry, column) for entry in entries)
        problems += [f"registry.json: {column} {value} is given twice" for value, n in counts.items() if n > 1]
    wild = [entry.id for entry in entries if not 0 < entry.id <= MAX_ID]
    problems += [f"registry.json: id {number} is not from 1 to {MAX_ID}" for number in wild]
    unlisted = files - {entry.file for entry in entries}
    problems += [f"{name}: not in registry.json, give it a new id" for name in sorted(unlisted)]
    for subject in sorted({entry.subject for entry in entries}):
        versions = sorted(entry.version for entry in entries if entry.subject == subject)
        if versions != list(range(1, len(versions) + 1)):
            problems.append(f"registry.json: {subject} has versions {versions}, they must count up from 1")
    return problems


def schema_problems(schema: Json) -> list[str]:
    """What one schema lacks by itself: parsers that take it, the namespace, docs, an end to its nesting."""
    try:
        avro.schema.parse(json.dumps(schema))
        fastavro.parse_schema(schema)  # the only one of the two that checks defaults
    except (AvroException, SchemaParseException, UnknownType) as error:
        return [f"a parser of Avro refuses it: {error}"]
    if not isinstance(schema, dict) or schema.get("type") != "record":
        return ["a value must be a record"]
    problems = [] if schema.get("namespace") == NAMESPACE else [f"its namespace must be {NAMESPACE}"]
    return problems + _doc_problems(schema, schema["name"]) + _recursion(schema, schema["name"], ())


def change_problems(older: Json, newer: Json) -> list[str]:
    """Why the newer schema may not follow the older one; empty where it may."""
    return house_problems(older, newer, newer["name"]) + avro_problems(older, newer)


def avro_problems(older: Json, newer: Json) -> list[str]:
    """What Avro's own checker says, reading each with the other."""
    problems = []
    old, new = (avro.schema.parse(json.dumps(schema)) for schema in (older, newer))
    forth = (new, old, "the new schema cannot read old data")
    back = (old, new, "the old schema cannot read new data")
    for reader, writer, words in (forth, back):
        checker = ReaderWriterCompatibilityChecker()
        result = checker.get_compatibility(reader, writer)
        if result.compatibility is not SchemaCompatibilityType.compatible:
            what, where = (", ".join(sorted(part)) for part in (result.messages, result.locations))
            problems.append(f"{words}: {what} at {where}")
    return problems


def house_problems(older: Json, newer: Json, path: str) -> list[str]:
    """What stood must stand, all but its doc; a record may grow at its end, by fields with defaults."""
    if not (_is_record(older) and _is_record(newer)):
        return _shape_problems(older, newer, path)
    problems = [
        f"{path}: {key} was {older.get(key)!r} and is {newer.get(key)!r}; keep it, or begin a new subject"
        for key in sorted((older.keys() | newer.keys()) - {"doc", "fields"})
        if older.get(key) != newer.get(key)
    ]
    was, now = older["fields"], newer["fields"]
    for old, new in zip(was, now, strict=False):
        at = f"{path}.{old['name']}"
        if old["name"] != new["name"]:
            return [*problems, f"{at}: removed, renamed or moved ({new['name']} stands in its place); put it back"]
        problems += _field_problems(old, new, at)
    problems += [f"{path}.{old['name']}: removed; put it back, and leave it unused" for old in was[len(now) :]]
    problems += [
        f"{path}.{new['name']}: new, and has no default; give it one" for new in now[len(was) :] if "default" not in new
    ]
    return problems


def _field_problems(old: Json, new: Json, at: str) -> list[str]:
    problems = [
        f"{at}: {key} was {old.get(key)!r} and is {new.get(key)!r}; put it back"
        for key in sorted((old.keys() | new.keys()) - {"doc", "type", "name"})
        if old.get(key) != new.get(key) or (key in old) != (key in new)
    ]
    return problems + house_problems(old["type"], new["type"], at)


def _shape_problems(older: Json, newer: Json, path: str) -> list[str]:
    """The same for what is no record: look inside arrays, maps and unions, compare the rest whole."""
    if isinstance(older, list) and isinstance(newer, list) and len(older) == len(newer):
        inside = [house_problems(old, new, path) for old, new in zip(older, newer, strict=True)]
        return [problem for problems in inside for problem in problems]
    if isinstance(older, dict) and isinstance(newer, dict) and older.get("type") == newer.get("type"):
        for key in ("items", "values"):
            if key in older and key in newer:
                return house_problems(older[key], newer[key], path)
        older, newer = ({key: value for key, value in part.items() if key != "doc"} for part in (older, newer))
    if older == newer:
        return []
    return [f"{path}: type was {json.dumps(older)} and is {json.dumps(newer)}; add a field of the new type instead"]


def _is_record(part: Json) -> bool:
    return isinstance(part, dict) and part.get("type") == "record"


def _parts(part: Json) -> list[tuple[str, Json]]:
    """What a part of a schema is made of, each with the name of the field it stands in."""
    if isinstance(part, list):
        return [("", branch) for branch in part]
    if not isinstance(part, dict):
        return []
    if part["type"] == "record":
        return [(field["name"], field["type"]) for field in part["fields"]]
    return [("", part[key]) for key in ("items", "values") if key in part]


def _doc_problems(part: Json, path: str) -> list[str]:
    problems = []
    if _is_record(part):
        problems += [] if part.get("doc") else [f"{path}: the record has no doc"]
        problems += [f"{path}.{field['name']}: no doc" for field in part["fields"] if not field.get("doc")]
    for name, inner in _parts(part):
        problems += _doc_problems(inner, f"{path}.{name}" if name else path)
    return problems


def _recursion(part: Json, path: str, around: tuple[str, ...]) -> list[str]:
    if isinstance(part, str):
        name = part.rpartition(".")[2]
        return [f"{path}: {name} holds itself; a decode plan has no end for it"] if name in around else []
    inside = (*around, part["name"].rpartition(".")[2]) if _is_record(part) else around
    found = [_recursion(inner, f"{path}.{name}" if name else path, inside) for name, inner in _parts(part)]
    return [problem for problems in found for problem in problems]


def main() -> int:
    """Print every problem of the schemas this file stands beside."""
    problems = folder_problems()
    lines = [*problems, f"{len(load_registry())} schemas, {len(problems)} problems"]
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
