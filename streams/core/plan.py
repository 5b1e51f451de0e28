"""Compiles a writer's Avro schema into a decode plan: a short program of numbers that `decode` runs.

The plan reads the ticker, the time and the condition codes wherever the writer put them and steps over
the rest, so a newer writer costs nothing. What can't be a tick is refused here, once a schema, with the
place and the remedy; so are recursive schemas and such as nest or branch without end.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from streams.core.columns import Int32s
from streams.core.limits import MAX_SCHEMA_DEPTH, MAX_SCHEMA_STEPS

Schema = str | Mapping[str, Any] | Sequence[Any]

END: Final = 0
SKIP_VARINT: Final = 1
SKIP_BYTES: Final = 2
SKIP_FIXED: Final = 3
"""Followed by the number of bytes."""
TICKER: Final = 4
TS: Final = 5
CODES: Final = 6
UNION: Final = 7
"""Followed by the number of branches and where each goes on."""
JUMP: Final = 8
"""Followed by where to go on."""
BLOCKS: Final = 9
"""Starts the items of an array or a map; followed by where to go on when there are none."""
NEXT: Final = 10
"""Ends an item; followed by where an item begins."""
MISSING: Final = 11
"""A value that a tick must have is null."""

PRIMITIVE_STEPS: Final[Mapping[str, tuple[int, ...]]] = {
    "null": (),
    "boolean": (SKIP_FIXED, 1),
    "int": (SKIP_VARINT,),
    "long": (SKIP_VARINT,),
    "float": (SKIP_FIXED, 4),
    "double": (SKIP_FIXED, 8),
    "bytes": (SKIP_BYTES,),
    "string": (SKIP_BYTES,),
}

MILLIS: Final = (None, "timestamp-millis", "local-timestamp-millis")


class SchemaRefusedError(ValueError):
    """A writer's schema that no tick can be read from."""

    def __init__(self, place: str, problem: str, remedy: str) -> None:
        super().__init__(f"schema, {place}: {problem}; {remedy}")
        self.place, self.problem, self.remedy = place, problem, remedy


class _Compiler:
    """Walks the schema once; `steps` is the plan so far."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.named: dict[str, Mapping[str, Any]] = {}
        self.open: set[str] = set()
        self.loops = 0

    def emit(self, *steps: int) -> int:
        """Add steps; returns where the first one stands."""
        if len(self.steps) + len(steps) > MAX_SCHEMA_STEPS:
            raise SchemaRefusedError("as a whole", f"needs more than {MAX_SCHEMA_STEPS} steps", "make it smaller")
        self.steps.extend(steps)
        return len(self.steps) - len(steps)

    def skip(self, schema: Schema, space: str, place: str, depth: int) -> None:
        """Step over a value of any type."""
        if depth > MAX_SCHEMA_DEPTH:
            raise SchemaRefusedError(place, f"nests deeper than {MAX_SCHEMA_DEPTH}", "flatten it")
        if isinstance(schema, str):
            if schema in PRIMITIVE_STEPS:
                self.emit(*PRIMITIVE_STEPS[schema])
                return
            self.skip_named(self.resolve(schema, space, place), space, place, depth)
        elif isinstance(schema, Mapping):
            self.skip_complex(schema, space, place, depth)
        else:
            self.union(schema, space, place, depth, None)

    def resolve(self, name: str, space: str, place: str) -> str:
        """The full name of a named type that stands further up."""
        for full in (name, f"{space}.{name}"):
            if full in self.named:
                return full
        raise SchemaRefusedError(place, f"names the unknown type {name!r}", "define it before its first use")

    def skip_named(self, full: str, space: str, place: str, depth: int) -> None:
        """Step over a value of a type that was defined further up."""
        if full in self.open:
            raise SchemaRefusedError(place, f"type {full!r} holds itself", "ticks are flat: take the recursion out")
        self.skip_complex(self.named[full], space, place, depth)

    def skip_complex(self, schema: Mapping[str, Any], space: str, place: str, depth: int) -> None:
        """Step over a record, an array, a map, an enum, a fixed, or a primitive written as an object."""
        kind = schema.get("type")
        if isinstance(kind, str) and kind in {"array", "map"}:
            items = schema.get("items" if kind == "array" else "values")
            if items is None:
                raise SchemaRefusedError(place, f"this {kind} does not say what it holds", "name its items")
            start = self.emit(BLOCKS, 0)
            body = self.emit(SKIP_BYTES) if kind == "map" else len(self.steps)
            self.skip(items, space, f"{place}[]", depth + 1)
            self.emit(NEXT, body)
            self.steps[start + 1] = len(self.steps)
        elif isinstance(kind, str) and kind in {"record", "error", "enum", "fixed"}:
            self.skip_definition(schema, kind, space, place, depth)
        elif kind is None:
            raise SchemaRefusedError(place, "has no type", "give it one")
        else:
            self.skip(kind, space, place, depth + 1)

    def skip_definition(self, schema: Mapping[str, Any], kind: str, space: str, place: str, depth: int) -> None:
        """Step over a value of a type that is defined right here."""
        full, space = self.define(schema, space, place)
        if kind == "enum":
            self.emit(SKIP_VARINT)
        elif kind == "fixed":
            size = schema.get("size")
            if not isinstance(size, int) or not 0 <= size < 1 << 31:
                raise SchemaRefusedError(place, f"fixed of size {size!r}", "give a size in bytes")
            self.emit(SKIP_FIXED, size)
        else:
            self.open.add(full)
            for field in fields_of(schema, place):
                self.skip(field["type"], space, f"{place}.{field['name']}", depth + 1)
            self.open.discard(full)

    def define(self, schema: Mapping[str, Any], space: str, place: str) -> tuple[str, str]:
        """Remember a named type; returns its full name and its name space."""
        name = schema.get("name")
        if not isinstance(name, str) or not name:
            raise SchemaRefusedError(place, "a type without a name", "name it")
        space = str(schema.get("namespace", space))
        full = name if "." in name or not space else f"{space}.{name}"
        self.named[full] = schema
        return full, full.rpartition(".")[0]

    def union(self, branches: Sequence[Any], space: str, place: str, depth: int, wanted: int | None) -> None:
        """Branch by the index written; with `wanted`, each branch must be that value, or null."""
        start = self.emit(UNION, len(branches), *[0] * len(branches))
        ends: list[int] = []
        for k, branch in enumerate(branches):
            self.steps[start + 2 + k] = len(self.steps)
            if wanted is None:
                self.skip(branch, space, f"{place}[{k}]", depth + 1)
            elif branch == "null":
                self.emit(*(() if wanted == CODES else (MISSING,)))
            else:
                self.want(wanted, branch, space, place, depth + 1)
            ends.append(self.emit(JUMP, 0))
        for end in ends:
            self.steps[end + 1] = len(self.steps)

    def want(self, wanted: int, schema: Schema, space: str, place: str, depth: int = 0) -> None:
        """Read a value that the tick needs."""
        if isinstance(schema, Sequence) and not isinstance(schema, str):
            self.union(schema, space, place, depth, wanted)
            return
        kind = schema.get("type") if isinstance(schema, Mapping) else schema
        logical = schema.get("logicalType") if isinstance(schema, Mapping) else None
        if wanted == TICKER:
            fits, remedy = kind in ("string", "bytes"), "write it as a string"
        elif wanted == TS:
            fits, remedy = kind in ("int", "long") and logical in MILLIS, "write it as a long, in ms"
        else:
            items = schema.get("items") if isinstance(schema, Mapping) else None
            fits, remedy = kind == "array" and items in ("int", "long"), "write them as an array of int"
        if not fits:
            raise SchemaRefusedError(place, f"can't be read from {schema!r}", remedy)
        self.emit(wanted)


def fields_of(schema: Mapping[str, Any], place: str) -> Sequence[Mapping[str, Any]]:
    """The fields of a record, each with a name and a type."""
    fields = schema.get("fields")
    if not isinstance(fields, Sequence) or isinstance(fields, str):
        raise SchemaRefusedError(place, "a record without fields", "list its fields")
    for field in fields:
        if not isinstance(field, Mapping) or not isinstance(field.get("name"), str) or "type" not in field:
            raise SchemaRefusedError(place, f"the field {field!r}", "give each field a name and a type")
    return fields


def decode_plan(schema: Schema) -> Int32s:
    """The plan that reads ticks written with this schema (parsed JSON)."""
    if not isinstance(schema, Mapping) or schema.get("type") != "record":
        raise SchemaRefusedError("top", "not a record", "a tick is a record")
    compiler = _Compiler()
    full, space = compiler.define(schema, "", "top")
    compiler.open.add(full)
    wanted = {"ticker": TICKER, "ts": TS, "conditions": CODES}
    for field in fields_of(schema, "top"):
        name = field["name"]
        what = wanted.pop(name, None)
        if what is None:
            compiler.skip(field["type"], space, name, 1)
        else:
            compiler.want(what, field["type"], space, name)
    for name in ("ticker", "ts"):
        if name in wanted:
            raise SchemaRefusedError("top", f"no field {name!r}", "a tick has ticker, ts, price, size, conditions")
    compiler.emit(END)
    return np.array(compiler.steps, np.int32)
