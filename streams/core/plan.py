"""Compiles a writer's Avro schema into a decode plan: a short program of numbers that `decode` runs.

A tick's plan reads the ticker, the time and the condition codes wherever the writer put them and steps over
the rest, so a newer writer costs nothing. What can't be a tick is refused here, once a schema, with the
place and the remedy; so are recursive schemas and such as nest or branch without end.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from streams.core.columns import Int32s
from streams.core.limits import MAX_SCHEMA_DEPTH, MAX_SCHEMA_STEPS

Schema = str | Mapping[str, Any] | Sequence[Any]

STEP_SIZE: Final = 2
"""A step is two numbers: what to do, and its argument, 0 where it needs none."""

SKIP_VARINT: Final = 0
SKIP_BYTES: Final = 1
SKIP_FIXED: Final = 2
"""The argument is the number of bytes."""
TICKER: Final = 3
TS: Final = 4
CODES: Final = 5
END: Final = 6
UNION: Final = 7
"""The argument is the number of branches. As many jumps follow; the value says which one to take."""
JUMP: Final = 8
"""The argument is where to go on."""
OPEN: Final = 9
"""An array or a map begins. The argument is how many others it stands in."""
ITEMS: Final = 10
"""Goes past the next step, a jump out, while there are items; the argument is that of `OPEN`."""
MISSING: Final = 11
"""A value that a tick must have is null."""

PRIMITIVE_STEPS: Final[Mapping[str, tuple[tuple[int, int], ...]]] = {
    "null": (),
    "boolean": ((SKIP_FIXED, 1),),
    "int": ((SKIP_VARINT, 0),),
    "long": ((SKIP_VARINT, 0),),
    "float": ((SKIP_FIXED, 4),),
    "double": ((SKIP_FIXED, 8),),
    "bytes": ((SKIP_BYTES, 0),),
    "string": ((SKIP_BYTES, 0),),
}

WANTED: Final = {"ticker": TICKER, "ts": TS, "conditions": CODES}
REMEDY: Final = {
    TICKER: "write it as a string",
    TS: "write it as a long, in ms",
    CODES: "write them as an array of int",
}
MILLIS: Final = (None, "timestamp-millis", "local-timestamp-millis")
MAX_FIXED_BYTES: Final = (1 << 31) - 1
SHOWN_CHARACTERS: Final = 100
"""A message quotes no more of a name than this."""


class SchemaRefusedError(ValueError):
    """A writer's schema that no tick can be read from."""

    def __init__(self, place: str, problem: str, remedy: str) -> None:
        super().__init__(f"schema, {place}: {problem}; {remedy}")
        self.place, self.problem, self.remedy = place, problem, remedy


class _Named(NamedTuple):
    """A type with a name, and the name space that the names within it are looked up in."""

    schema: Mapping[str, Any]
    space: str


class _Compiler:
    """Walks the schema once; `steps` is the plan so far."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.named: dict[str, _Named] = {}
        self.walked = 0
        self.records_open: set[str] = set()
        self.loops_open = 0

    def emit(self, step: int, argument: int = 0) -> int:
        """Add a step; returns where it stands."""
        if len(self.steps) == MAX_SCHEMA_STEPS * STEP_SIZE:
            raise too_large()
        self.steps += (step, argument)
        return len(self.steps) - STEP_SIZE

    def land(self, jump: int) -> None:
        """Let a jump go on here."""
        self.steps[jump + 1] = len(self.steps)

    def enter(self, place: str, depth: int) -> None:
        """Count each type on the way: some make no step, and a name may stand for many."""
        self.walked += 1
        if self.walked > MAX_SCHEMA_STEPS:
            raise too_large()
        if depth > MAX_SCHEMA_DEPTH:
            raise SchemaRefusedError(place, f"nests deeper than {MAX_SCHEMA_DEPTH}", "flatten it")

    def skip(self, schema: object, space: str, place: str, depth: int) -> None:
        """Step over a value of any type."""
        self.enter(place, depth)
        if isinstance(schema, Mapping):
            self.skip_object(schema, space, place, depth)
        elif isinstance(schema, list | tuple):
            self.union(schema, space, place, depth, None)
        elif not isinstance(schema, str):
            raise SchemaRefusedError(place, f"{shown(schema)} where a type should be", "name a type")
        elif schema in PRIMITIVE_STEPS:
            for step, argument in PRIMITIVE_STEPS[schema]:
                self.emit(step, argument)
        else:
            self.skip_named(self.resolve(schema, space, place), place, depth)

    def skip_object(self, schema: Mapping[str, Any], space: str, place: str, depth: int) -> None:
        """Step over a value whose type is written as an object."""
        kind = schema.get("type")
        if kind == "array":
            self.loop(schema.get("items"), space, place, depth, keys=False)
        elif kind == "map":
            self.loop(schema.get("values"), space, place, depth, keys=True)
        elif kind in ("record", "error", "enum", "fixed"):
            self.skip_named(self.define(schema, space, place), place, depth)
        else:
            self.skip(kind, space, place, depth if isinstance(kind, str) else depth + 1)

    def loop(self, item: object, space: str, place: str, depth: int, *, keys: bool) -> None:
        """Step over the items of an array or a map."""
        self.emit(OPEN, self.loops_open)
        start = self.emit(ITEMS, self.loops_open)
        out = self.emit(JUMP)
        if keys:
            self.emit(SKIP_BYTES)
        self.loops_open += 1
        self.skip(item, space, f"{place}[]", depth + 1)
        self.loops_open -= 1
        if len(self.steps) == out + STEP_SIZE:
            problem = "the items take no bytes, so a few could stand for any number"
            raise SchemaRefusedError(place, problem, "leave it out")
        self.emit(JUMP, start)
        self.land(out)

    def define(self, schema: Mapping[str, Any], space: str, place: str) -> str:
        """Remember a named type; returns its full name."""
        name, own_space = schema.get("name"), schema.get("namespace")
        if not isinstance(name, str) or not name:
            raise SchemaRefusedError(place, "a type without a name", "name it")
        if own_space is None:
            own_space = space
        if not isinstance(own_space, str):
            raise SchemaRefusedError(place, f"the name space {shown(own_space)}", "write it as a string")
        full = name if "." in name or not own_space else f"{own_space}.{name}"
        if full in self.named and self.named[full].schema is not schema:
            raise SchemaRefusedError(place, f"type {shown(full)} is defined twice", "refer to the first by its name")
        self.named[full] = _Named(schema, full.rpartition(".")[0])
        return full

    def resolve(self, name: str, space: str, place: str) -> str:
        """The full name of a named type that stands further up."""
        near = name if "." in name or not space else f"{space}.{name}"
        for full in (near, name):
            if full in self.named:
                return full
        raise SchemaRefusedError(place, f"names the unknown type {shown(name)}", "define it before its first use")

    def skip_named(self, full: str, place: str, depth: int) -> None:
        """Step over a value of a named type, defined here or further up."""
        schema, space = self.named[full]
        if schema["type"] == "enum":
            self.emit(SKIP_VARINT)
        elif schema["type"] == "fixed":
            self.skip_fixed(schema.get("size"), place)
        elif full in self.records_open:
            problem = f"type {shown(full)} holds itself"
            raise SchemaRefusedError(place, problem, "take the recursion out: ticks are flat")
        else:
            self.records_open.add(full)
            for name, kind in fields_of(schema, place):
                self.skip(kind, space, f"{place}.{short(name)}", depth + 1)
            self.records_open.discard(full)

    def skip_fixed(self, size: object, place: str) -> None:
        """Step over so many bytes."""
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_FIXED_BYTES:
            raise SchemaRefusedError(place, "fixed without a size", f"give one of 0 to {MAX_FIXED_BYTES} bytes")
        if size:
            self.emit(SKIP_FIXED, size)

    def union(self, branches: Sequence[object], space: str, place: str, depth: int, wanted: int | None) -> None:
        """Branch by the index written; with `wanted`, each branch must be that value, or null."""
        self.emit(UNION, len(branches))
        starts = [self.emit(JUMP) for _ in branches]
        ends: list[int] = []
        for k, (start, branch) in enumerate(zip(starts, branches, strict=True)):
            self.land(start)
            if wanted is None:
                self.skip(branch, space, f"{place}[{k}]", depth + 1)
            elif kind_of(branch) != "null":
                self.want(wanted, branch, space, f"{place}[{k}]", depth + 1)
            elif wanted != CODES:
                self.emit(MISSING)
            ends.append(self.emit(JUMP))
        for end in ends:
            self.land(end)

    def want(self, wanted: int, schema: object, space: str, place: str, depth: int) -> None:
        """Read a value that the tick needs."""
        self.enter(place, depth)
        if isinstance(schema, list | tuple):
            self.union(schema, space, place, depth, wanted)
        elif fits(wanted, schema):
            self.emit(wanted)
        else:
            raise SchemaRefusedError(place, f"can't be read from {shown(schema)}", REMEDY[wanted])


def too_large() -> SchemaRefusedError:
    """For a schema that would take too many steps, or too long to walk."""
    return SchemaRefusedError("as a whole", f"needs more than {MAX_SCHEMA_STEPS} steps", "make it smaller")


def kind_of(schema: object) -> object:
    """The name of a type, also where it is written as an object."""
    return schema.get("type") if isinstance(schema, Mapping) else schema


def fits(wanted: int, schema: object) -> bool:
    """Whether what the tick needs can be read from such a value."""
    parts = schema if isinstance(schema, Mapping) else {}
    if wanted == TICKER:
        return kind_of(schema) in ("string", "bytes")
    if wanted == TS:
        return kind_of(schema) in ("int", "long") and parts.get("logicalType") in MILLIS
    return parts.get("type") == "array" and kind_of(parts.get("items")) in ("int", "long")


def short(name: str) -> str:
    """A name for a message, in plain letters: the schema is not ours."""
    return ascii(name)[1:-1][:SHOWN_CHARACTERS]


def shown(part: object) -> str:
    """A part of the schema for a message: names as they are, the rest by what it is, for it may have no end."""
    if isinstance(part, str):
        return f"'{short(part)}'"
    if isinstance(part, Mapping):
        names = [part.get(key) for key in ("type", "logicalType")]
        return " ".join(shown(name) for name in names if isinstance(name, str)) or "an object"
    return "nothing" if part is None else f"a value of type {type(part).__name__}"


def fields_of(schema: Mapping[str, Any], place: str) -> list[tuple[str, object]]:
    """The fields of a record: the name and the type of each."""
    fields = schema.get("fields")
    found: dict[str, object] = {}
    if not isinstance(fields, list | tuple):
        raise SchemaRefusedError(place, "a record without fields", "list its fields")
    for field in fields:
        if not isinstance(field, Mapping) or not isinstance(field.get("name"), str) or "type" not in field:
            raise SchemaRefusedError(place, f"a field is {shown(field)}", "give each field a name and a type")
        name = field["name"]
        if name in found:
            raise SchemaRefusedError(place, f"two fields {shown(name)}", "give each field a name of its own")
        found[name] = field["type"]
    return list(found.items())


def decode_plan(schema: Schema) -> Int32s:
    """The plan that reads ticks written with this schema (parsed JSON)."""
    if not isinstance(schema, Mapping) or schema.get("type") != "record":
        raise SchemaRefusedError("top", "not a record", "a tick is a record")
    compiler = _Compiler()
    full = compiler.define(schema, "", "top")
    compiler.records_open.add(full)
    fields, space = fields_of(schema, "top"), compiler.named[full].space
    for name, kind in fields:
        if name in WANTED:
            compiler.want(WANTED[name], kind, space, name, 1)
        else:
            compiler.skip(kind, space, short(name), 1)
    for name in ("ticker", "ts"):
        if name not in dict(fields):
            raise SchemaRefusedError("top", f"no field {name!r}", "a tick has ticker, ts, price, size, conditions")
    compiler.emit(END)
    return np.array(compiler.steps, np.int32)


def walk_plan(schema: Schema) -> Int32s:
    """The plan that steps over a whole value, whatever its type. Refuses what a tick's schema may not do either."""
    compiler = _Compiler()
    compiler.skip(schema, "", "top", 0)
    compiler.emit(END)
    return np.array(compiler.steps, np.int32)
