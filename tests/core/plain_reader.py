"""A slow reader of one encoded tick, from the format's own rules: it says what the decoder must say, fault by fault.

It walks the schema itself, as `fastavro` parses it, and knows nothing of plans.
"""

from typing import Any, Final, NamedTuple

import fastavro

from streams.core.conditions import ConditionTable
from streams.core.decode import FAULT
from streams.core.limits import MAX_CONDITIONS, MAX_TICKER_BYTES, MAX_TS_MS, MAX_VALUE_BYTES, MIN_TS_MS

SIZES: Final = {"null": 0, "boolean": 1, "float": 4, "double": 8}


class Outcome(NamedTuple):
    """What becomes of one value. A fault says all; and what must not move the price needs no ticker."""

    fault: int
    ticker: bytes = b""
    ts_ms: int = 0
    moves_price: bool = False


class FaultError(Exception):
    """The value is no tick."""

    def __init__(self, fault: int) -> None:
        super().__init__(FAULT._fields[fault])
        self.fault = fault


class PlainReader:
    """Reads values of one schema."""

    def __init__(self, schema: Any, conditions: ConditionTable, schema_id: int | None = 1) -> None:
        self.conditions, self.schema_id = conditions, schema_id
        self.named: dict[str, Any] = {}
        self.schema: Any = fastavro.parse_schema(schema, self.named)
        self.value, self.at = b"", 0
        self.found: dict[str, Any] = {}

    def read(self, value: bytes) -> Outcome:
        """What the decoder must make of this value."""
        self.value, self.at, self.found = value, 0, {"conditions": []}
        try:
            self.framing()
            for field in self.schema["fields"]:
                self.field(field["name"], field["type"])
            self.must(self.at == len(value), FAULT.TRAILING)
            moves = self.conditions.moves_price(self.found["conditions"])
            self.must(not moves or is_utf8(self.found["ticker"]), FAULT.TICKER_NOT_UTF8)
        except FaultError as error:
            return Outcome(error.fault)
        return Outcome(FAULT.NONE, self.found["ticker"] if moves else b"", self.found["ts"], moves)

    def must(self, holds: bool, fault: int) -> None:
        """Stop here where it does not hold."""
        if not holds:
            raise FaultError(fault)

    def framing(self) -> None:
        """Magic 0 and the schema id."""
        self.must(len(self.value) <= MAX_VALUE_BYTES, FAULT.TOO_LONG)
        if self.schema_id is not None:
            head = self.take(5, FAULT.TRUNCATED)
            self.must(head[0] == 0, FAULT.MAGIC)
            self.must(int.from_bytes(head[1:], "big") == self.schema_id, FAULT.OTHER_SCHEMA)

    def take(self, size: int, fault: int) -> bytes:
        """The next bytes."""
        self.must(0 <= size <= len(self.value) - self.at, fault)
        self.at += size
        return self.value[self.at - size : self.at]

    def number(self) -> int:
        """A zigzag number of 64 bits: ten bytes at the most, with one bit in the last."""
        bits = 0
        for k in range(10):
            byte = self.take(1, FAULT.TRUNCATED)[0]
            self.must(k < 9 or byte <= 1, FAULT.VARINT)
            bits |= (byte & 0x7F) << 7 * k
            if byte < 0x80:
                break
        return bits >> 1 if bits % 2 == 0 else -(bits >> 1) - 1

    def count(self) -> int:
        """The number of items of the next block; each takes a byte or more."""
        count = self.number()
        if count < 0:
            count = -count
            self.number()
        self.must(count <= len(self.value) - self.at, FAULT.ITEMS)
        return count

    def field(self, name: str, schema: Any) -> None:
        """One field of the tick."""
        if name not in {"ticker", "ts", "conditions"}:
            self.skip(schema)
        elif isinstance(schema, list):
            self.field(name, schema[self.branch(schema)])
        elif schema in ("null", {"type": "null"}):
            self.must(name == "conditions", FAULT.MISSING)
        else:
            self.found[name] = {"ticker": self.ticker, "ts": self.ts, "conditions": self.codes}[name]()

    def ticker(self) -> bytes:
        """The ticker, as it is written."""
        name = self.take(self.number(), FAULT.LENGTH)
        self.must(name != b"", FAULT.TICKER_EMPTY)
        self.must(len(name) <= MAX_TICKER_BYTES, FAULT.TICKER_TOO_LONG)
        return name

    def ts(self) -> int:
        """The time."""
        ts_ms = self.number()
        self.must(MIN_TS_MS <= ts_ms < MAX_TS_MS, FAULT.TS)
        return ts_ms

    def codes(self) -> list[int]:
        """The condition codes."""
        found: list[int] = []
        while count := self.count():
            self.must(len(found) + count <= MAX_CONDITIONS, FAULT.CONDITIONS)
            found += [self.number() for _ in range(count)]
        return found

    def branch(self, branches: list[Any]) -> int:
        """The branch of a union."""
        branch = self.number()
        self.must(0 <= branch < len(branches), FAULT.BRANCH)
        return branch

    def skip(self, schema: Any) -> None:
        """Step over a value of any type."""
        if isinstance(schema, list):
            self.skip(schema[self.branch(schema)])
            return
        parts = schema if isinstance(schema, dict) else self.named.get(schema, {"type": schema})
        kind = parts["type"]
        if kind in SIZES:
            self.take(SIZES[kind], FAULT.TRUNCATED)
        elif kind == "fixed":
            self.take(parts["size"], FAULT.TRUNCATED)
        elif kind in {"int", "long", "enum"}:
            self.number()
        elif kind in {"string", "bytes"}:
            self.take(self.number(), FAULT.LENGTH)
        elif kind in {"array", "map"}:
            self.skip_items(["string", parts["values"]] if kind == "map" else [parts["items"]])
        else:
            for field in parts["fields"]:
                self.skip(field["type"])

    def skip_items(self, item: list[Any]) -> None:
        """Step over an array or a map."""
        while count := self.count():
            for _ in range(count):
                for part in item:
                    self.skip(part)


def is_utf8(name: bytes) -> bool:
    """Whether the bytes are text."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
