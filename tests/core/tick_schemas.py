"""Made-up schemas of writers, and values written with them: everything that Avro has, around a tick."""

import random
import struct
from collections.abc import Callable
from typing import Any, Final

from tests.core.avro_bytes import TS_MS, block, number, text

PRIMITIVES: Final = ["boolean", "int", "long", "float", "double", "bytes", "string"]
LOGICAL: Final = [
    {"type": "int", "logicalType": "date"},
    {"type": "int", "logicalType": "time-millis"},
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "string", "logicalType": "uuid"},
    {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
    {"type": "double", "logicalType": "none that anyone knows"},
]
TICKER_TYPES: Final = ["string", "string", {"type": "string"}, "bytes", ["null", "string"], ["string", "bytes", "null"]]
TS_TYPES: Final = [
    "long",
    "int",
    {"type": "long", "logicalType": "timestamp-millis"},
    ["null", "long"],
    ["int", "null", {"type": "long", "logicalType": "local-timestamp-millis"}],
]
CODES: Final = {"type": "array", "items": "int"}
CODES_TYPES: Final = [
    CODES,
    {"type": "array", "items": "long"},
    {"type": "array", "items": {"type": "int"}},
    ["null", CODES],
    [CODES, "null"],
]
MAX_DEPTH: Final = 3
TICKERS: Final = [b"A", b"AAPL", b"BRK.B", b"T000001", b"T0000012", b"T00000123", "ÄÖÜ".encode(), b"L" * 63, b"L" * 64]
NUMBERS: Final = [0, 1, -1, 63, 64, -65, 1 << 31, -(1 << 31), (1 << 63) - 1, -(1 << 63)]


class SchemaMaker:
    """Makes types; one maker for each schema, for it knows the names that are taken."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.names = 0
        self.complete: list[str] = []

    def any_type(self, depth: int, space: str) -> Any:
        """A type; it takes a byte or more."""
        deeper: list[Callable[[int, str], Any]] = [self.array, self.map, self.record, self.union]
        flat: list[Callable[[int, str], Any]] = [self.primitive, self.enum, self.fixed, self.reference]
        return self.rng.choice(flat + deeper * (depth < MAX_DEPTH))(depth + 1, space)

    def type_or_null(self, depth: int, space: str) -> Any:
        """Any type, also one that takes no bytes."""
        return "null" if self.rng.random() < 0.3 else self.any_type(depth, space)

    def bare(self, _: int, __: str) -> Any:
        """A primitive type by its name."""
        return self.rng.choice(PRIMITIVES)

    def primitive(self, depth: int, space: str) -> Any:
        """A primitive type, bare or as an object."""
        bare = self.bare(depth, space)
        return self.rng.choice([bare, {"type": bare}, *LOGICAL])

    def array(self, depth: int, space: str) -> Any:
        """An array."""
        return {"type": "array", "items": self.any_type(depth, space)}

    def map(self, depth: int, space: str) -> Any:
        """A map. It has keys, so its values may be null."""
        return {"type": "map", "values": self.type_or_null(depth, space)}

    def union(self, depth: int, space: str) -> Any:
        """A union of different types."""
        branches: list[Callable[[int, str], Any]] = [self.bare, self.fixed, self.record, lambda *_: "null"]
        return [make(depth, space) for make in self.rng.sample(branches, self.rng.randint(1, len(branches)))]

    def named(self, space: str) -> tuple[dict[str, Any], str]:
        """The name of a new type, told in one of three ways; and its full name."""
        self.names += 1
        name, own_space = f"N{self.names}", self.rng.choice(["", "a", "a.b", "c"])
        told = self.rng.choice(["inherited", "apart", "in one"])
        if told == "inherited":
            return {"name": name}, f"{space}.{name}" if space else name
        full = f"{own_space}.{name}" if own_space else name
        if told == "in one" and own_space:
            return {"name": full}, full
        return {"name": name, "namespace": own_space}, full

    def enum(self, _: int, space: str) -> Any:
        """An enum."""
        name, full = self.named(space)
        self.complete.append(full)
        return {"type": "enum", **name, "symbols": [f"S{k}" for k in range(self.rng.choice([1, 3, 100]))]}

    def fixed(self, _: int, space: str) -> Any:
        """A fixed."""
        name, full = self.named(space)
        self.complete.append(full)
        return {"type": "fixed", **name, "size": self.rng.choice([1, 2, 16, 70])}

    def record(self, depth: int, space: str) -> Any:
        """A record, with a first field that takes a byte or more."""
        name, full = self.named(space)
        inner = full.rpartition(".")[0]
        kinds = [self.any_type(depth, inner)]
        kinds += [self.type_or_null(depth, inner) for _ in range(self.rng.randint(0, 2))]
        self.complete.append(full)
        return {"type": "record", **name, "fields": [{"name": f"f{k}", "type": kind} for k, kind in enumerate(kinds)]}

    def reference(self, depth: int, space: str) -> Any:
        """A type that stands further up, by its name: in full, or in short from within its name space."""
        reachable = [full for full in self.complete if "." in full or not space]
        if not reachable:
            return self.primitive(depth, space)
        full = self.rng.choice(reachable)
        home, _, name = full.rpartition(".")
        return name if home == space and self.rng.random() < 0.5 else full

    def tick(self) -> Any:
        """A record that a tick can be read from."""
        name, full = self.named("")
        space = full.rpartition(".")[0]
        fields: list[tuple[str, Any]]
        fields = [("ticker", self.rng.choice(TICKER_TYPES)), ("ts", self.rng.choice(TS_TYPES))]
        if self.rng.random() < 0.8:
            fields.append(("conditions", self.rng.choice(CODES_TYPES)))
        self.rng.shuffle(fields)
        for k in range(self.rng.randint(0, 4)):
            # In the order of the schema, for a name stands before its first use.
            at = self.rng.randint(0, len(fields)) if k == 0 else len(fields)
            fields.insert(at, (f"extra{k}", self.any_type(0, space)))
        return {"type": "record", **name, "fields": [{"name": field, "type": kind} for field, kind in fields]}


class ValueMaker:
    """Writes made-up values of one schema, as `fastavro` parses it, byte by byte; without the framing."""

    def __init__(self, schema: Any, named: dict[str, Any], rng: random.Random) -> None:
        self.schema, self.named, self.rng = schema, named, rng

    def value(self) -> bytes:
        """One tick. A few lack a ticker or a time, or go past a limit."""
        return b"".join(self.field(field["name"], field["type"]) for field in self.schema["fields"])

    def field(self, name: str, schema: Any) -> bytes:
        """One field of the tick."""
        rng = self.rng
        if name not in {"ticker", "ts", "conditions"}:
            return self.any(schema)
        if isinstance(schema, list):
            k = rng.choice([k for k, branch in enumerate(schema) if branch != "null" or rng.random() < 0.2] or [0])
            return number(k) + self.field(name, schema[k])
        if schema == "null":
            return b""
        if name == "ticker":
            return text(rng.choice(TICKERS) if rng.random() < 0.9 else rng.randbytes(rng.randint(1, 64)))
        if name == "ts":
            return number(TS_MS + rng.randint(0, 1 << 30) if rng.random() < 0.9 else rng.choice(NUMBERS))
        count = rng.choice([0, 0, 1, 2, 5]) if rng.random() < 0.95 else rng.choice([256, 257])
        return self.blocks([number(rng.choice([0, 14, 33, 255, 256, -1])) for _ in range(count)])

    def blocks(self, items: list[bytes]) -> bytes:
        """An array or a map in a few blocks, with their sizes or without."""
        out = b""
        while items:
            cut = self.rng.randint(1, len(items))
            out += block(items[:cut], sized=self.rng.random() < 0.3)
            items = items[cut:]
        return out + b"\0"

    def any(self, schema: Any) -> bytes:
        """A value of any type."""
        rng = self.rng
        if isinstance(schema, list):
            k = rng.randrange(len(schema))
            return number(k) + self.any(schema[k])
        parts = schema if isinstance(schema, dict) else self.named.get(schema, {"type": schema})
        kind = parts["type"]
        if kind == "record":
            return b"".join(self.any(field["type"]) for field in parts["fields"])
        if kind == "array":
            return self.blocks([self.any(parts["items"]) for _ in range(rng.choice([0, 1, 2, 3]))])
        if kind == "map":
            return self.blocks(
                [text(b"key%d" % k) + self.any(parts["values"]) for k in range(rng.choice([0, 1, 2, 3]))]
            )
        return self.flat(kind, parts)

    def flat(self, kind: str, parts: dict[str, Any]) -> bytes:
        """A value that holds no others."""
        rng = self.rng
        if kind == "enum":
            return number(rng.randrange(len(parts["symbols"])))
        if kind in {"int", "long"}:
            return number(rng.choice([*NUMBERS, rng.randint(-(1 << 40), 1 << 40)]))
        if kind in {"string", "bytes"}:
            return text(b"x" * rng.choice([0, 1, 7, 63, 64, 200]))
        sizes = {"null": 0, "boolean": 1, "float": 4, "double": 8}
        if kind == "double":
            return struct.pack("<d", rng.random())
        return rng.randbytes(parts["size"] if kind == "fixed" else sizes[kind])


def layout(schema: Any) -> Any:
    """A schema of the same bytes that `fastavro` reads without judging them: no logical types, no symbols."""
    if isinstance(schema, list):
        return [layout(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "enum":
        name = {key: schema[key] for key in ("name", "namespace") if key in schema}
        return {"type": "record", **name, "fields": [{"name": "index", "type": "int"}]}
    return {
        key: [{**field, "type": layout(field["type"])} for field in part] if key == "fields" else layout(part)
        for key, part in schema.items()
        if key != "logicalType"
    }
