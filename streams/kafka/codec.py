"""Values on the wire: the Confluent framing, and Avro for the records that come one by one.

The schema's id stands in front of the value, or in a header, which wins. Before `fastavro` reads a value, the kernel
of `streams/core/decode.py` has walked it from end to end with the writer's schema: fastavro by itself takes a branch
of a union that is negative, numbers of any length, and any count of items that need no bytes.
"""

import io
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import fastavro
import numpy as np
from fastavro.read import SchemaResolutionError

from streams.core.columns import Int32s
from streams.core.decode import FAULT, NO_PREFIX, PREFIX_BYTES, decode, decoded_columns
from streams.core.limits import MAX_CONDITION_CODE, MAX_VALUE_BYTES
from streams.core.plan import Schema, SchemaRefusedError, walk_plan
from streams.core.tickers import Tickers
from streams.errors import shortened
from streams.kafka import bad_values
from streams.kafka.bad_values import BadValueError, Reason, schema_refused, unknown_schema
from streams.kafka.kept import Kept
from streams.kafka.registry import SchemaRef, Schemas, UnknownSchemaError, UnusableSchemaError, newest, own_schemas

Record = dict[str, Any]
Headers = Iterable[tuple[str, bytes | None]]

PREFIX: Final = struct.Struct(">BI")
MAGIC: Final = 0
GUID_MAGIC: Final = 1
SCHEMA_HEADER: Final = "__value_schema_id"
GUID_HEADER_BYTES: Final = 17

MAX_READS: Final = 400_000
"""Reads that fastavro may make for one value: one for a byte of a number, two for a text. So many bound what is made
of it: a universe of 100,000 tickers takes half of them."""

WRITERS_KEPT: Final = 50

TOO_MANY_ITEMS: Final = Reason(
    "too_many_items", f"the value holds more than {MAX_READS} pieces", "send less in one record"
)
NOT_UTF8: Final = Reason("not_utf8", "a text is not UTF-8", "write texts in UTF-8")


def frame(schema_id: int, payload: bytes) -> bytes:
    """Put the framing in front of a record in Avro's binary form."""
    return PREFIX.pack(MAGIC, schema_id) + payload


def read_id(value: bytes | None, headers: Headers = ()) -> tuple[SchemaRef, int]:
    """What the value names its schema by, and where its Avro begins."""
    if value is None:
        raise BadValueError(bad_values.NULL_VALUE)
    named = [text for name, text in headers if name == SCHEMA_HEADER and text is not None]
    if named:
        return read_header(named[-1]), 0
    if len(value) < PREFIX_BYTES:
        raise BadValueError(bad_values.NO_PREFIX)
    magic, schema_id = PREFIX.unpack_from(value)
    if magic != MAGIC:
        raise BadValueError(bad_values.WRONG_MAGIC)
    return schema_id, PREFIX_BYTES


def read_header(text: bytes) -> SchemaRef:
    """The schema that a header names."""
    if len(text) == PREFIX_BYTES and text[0] == MAGIC:
        return int.from_bytes(text[1:], "big")
    if len(text) == GUID_HEADER_BYTES and text[0] == GUID_MAGIC:
        return UUID(bytes=text[1:])
    raise BadValueError(bad_values.BAD_HEADER)


def bare(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """The same schema with only what its bytes depend on: no logical types, which cost whatever the writer likes.

    Only for a schema that `walk_plan` has taken: it is small and flat.
    """
    if isinstance(schema, str):
        return schema
    if isinstance(schema, Sequence):
        return [bare(branch) for branch in schema]
    kind = schema["type"]
    told = ("type", "name", "namespace", "symbols", "size")
    kept = {key: schema[key] for key in told if schema.get(key) is not None}
    if kind in {"record", "error"}:
        fields = [{"name": field["name"], "type": bare(field["type"])} for field in schema["fields"]]
        return {**kept, "type": "record", "fields": fields}
    if kind == "array":
        return {"type": kind, "items": bare(schema["items"])}
    if kind == "map":
        return {"type": kind, "values": bare(schema["values"])}
    return kept if kind in {"enum", "fixed"} else bare(kind)


def for_fastavro(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Check a schema, once, in place of at every record."""
    return fastavro.parse_schema(schema)


@dataclass(frozen=True, slots=True)
class Writer:
    """A writer's schema, ready to be read with."""

    plan: Int32s
    schema: Any
    is_own: bool
    """Whether it is one of our own schemas, word by word."""


def writer_of(schema: Schema) -> Writer | Reason:
    """Make a writer's schema ready, or say why it cannot be."""
    try:
        is_own = any(schema == own.schema for own in own_schemas())
        return Writer(walk_plan(schema), for_fastavro(bare(schema)), is_own)
    except SchemaRefusedError as error:
        return schema_refused(f"{error.place}: {error.problem}", error.remedy)
    except Exception as error:  # noqa: BLE001 - whatever a strange schema makes fastavro trip over
        return schema_refused(f"fastavro does not take it: {shortened(str(error), 200)}", "register a proper schema")


def unreadable(detail: str) -> Reason:
    """For a value that is sound by its schema, and yet not to be read."""
    return Reason("unreadable", f"fastavro cannot read it: {detail}", bad_values.CHECK_WRITER)


class BoundedReader(io.BytesIO):
    """A value that can be read only so often."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read on."""
        self.reads += 1
        if self.reads > MAX_READS:
            raise BadValueError(TOO_MANY_ITEMS)
        return super().read(size)


class Decoder:
    """Reads records of one kind, whatever version they were written with."""

    def __init__(self, schemas: Schemas, name: str, max_bytes: int = MAX_VALUE_BYTES) -> None:
        """Take the name of a file in `schemas/`: what is read comes out as its newest version has it."""
        self._schemas, self._max_bytes = schemas, min(max_bytes, MAX_VALUE_BYTES)
        self._newest = newest(name).schema
        self._reader = for_fastavro(self._newest)
        self._writers: Kept[SchemaRef, Writer | Reason] = Kept(WRITERS_KEPT)
        self._names = Tickers().names
        self._blocks = np.zeros(MAX_CONDITION_CODE + 1, np.uint8)
        self._out = decoded_columns(1)

    def decode(self, value: bytes | None, headers: Headers = ()) -> Record:
        """Read a value. May wait for a registry: not for the event loop."""
        ref, start = read_id(value, headers)
        assert value is not None
        writer = self._writers.get(ref)
        if writer is None:
            try:
                writer = self._learned(ref, self._schemas.schema(ref))
            except (UnknownSchemaError, UnusableSchemaError) as error:
                raise refused(error) from error
        return self._read(value, start, writer)

    async def adecode(self, value: bytes | None, headers: Headers = ()) -> Record:
        """The same for the event loop, which goes on while a registry is asked."""
        ref, start = read_id(value, headers)
        assert value is not None
        writer = self._writers.get(ref)
        if writer is None:
            try:
                writer = self._learned(ref, await self._schemas.aschema(ref))
            except (UnknownSchemaError, UnusableSchemaError) as error:
                raise refused(error) from error
        return self._read(value, start, writer)

    def _learned(self, ref: SchemaRef, schema: Schema) -> Writer | Reason:
        writer = writer_of(schema)
        if isinstance(writer, Writer) and schema == self._newest:
            writer = replace(writer, schema=self._reader)  # fastavro then has nothing to resolve, text by text
        self._writers.put(ref, writer)
        return writer

    def _read(self, value: bytes, start: int, writer: Writer | Reason) -> Record:
        if isinstance(writer, Reason):
            raise BadValueError(writer)
        if len(value) > self._max_bytes:
            too_large = bad_values.FAULT_REASONS[FAULT.TOO_LONG]
            raise BadValueError(too_large._replace(detail=f"the value has more than {self._max_bytes} bytes"))
        fault = self._walk(value, start, writer.plan)
        if fault != FAULT.NONE:
            raise BadValueError(bad_values.FAULT_REASONS[fault])
        return self._read_walked(value, start, writer)

    def _walk(self, value: bytes, start: int, plan: Int32s) -> int:
        """Hold every length, branch and number of the value against its bytes; returns the fault."""
        data = np.frombuffer(value, np.uint8)
        starts, ends = np.array([start]), np.array([len(value)])
        decode(data, starts, ends, NO_PREFIX, plan, self._names, self._blocks, False, self._out)  # noqa: FBT003 - compiled
        return int(self._out.fault[0])

    def _read_walked(self, value: bytes, start: int, writer: Writer) -> Record:
        """Let fastavro read, and bring the record to our version."""
        # Our own schemas hold no items without bytes, so what the walk has held against its bytes is bounded by them.
        stream = io.BytesIO(value) if writer.is_own else BoundedReader(value)
        stream.seek(start)
        try:
            record = fastavro.schemaless_reader(stream, writer.schema, self._reader)
        except BadValueError:
            raise
        except UnicodeDecodeError as error:
            raise BadValueError(NOT_UTF8) from error
        except SchemaResolutionError as error:
            detail = f"the writer's schema does not fit ours: {shortened(str(error), 200)}"
            remedy = "write with a version of our schema; it may only grow by fields with defaults"
            raise BadValueError(Reason("schema_mismatch", detail, remedy)) from error
        except Exception as error:  # whatever else it trips over
            raise BadValueError(unreadable(f"{type(error).__name__}: {shortened(str(error), 200)}")) from error
        if stream.tell() != len(value):  # a block that lies about its size, which only fastavro believes
            raise BadValueError(unreadable("it ends before the value does"))
        assert isinstance(record, dict)
        return record


def refused(error: UnknownSchemaError | UnusableSchemaError) -> BadValueError:
    """What a schema that is not to be had means for the record that names it."""
    say = unknown_schema if isinstance(error, UnknownSchemaError) else schema_refused
    return BadValueError(say(error.problem, error.remedy))


class Encoder:
    """Writes records by name."""

    def __init__(self, schemas: Schemas, names: Iterable[str] | None = None) -> None:
        """Get all ids at once. May wait for a registry: make it before the event loop, or in a thread."""
        wanted = {own.name for own in own_schemas()} if names is None else set(names)
        self._ids = {name: schemas.id_of(name) for name in sorted(wanted)}
        self._schemas = {name: for_fastavro(newest(name).schema) for name in wanted}

    def schema_id(self, name: str) -> int:
        """The id that stands in front of records of that name."""
        return self._ids[name]

    def encode(self, name: str, record: Mapping[str, Any]) -> bytes:
        """The value of a record; fields with defaults may be left out, and no others added."""
        out = io.BytesIO()
        out.write(PREFIX.pack(MAGIC, self._ids[name]))
        fastavro.schemaless_writer(out, self._schemas[name], dict(record), strict_allow_default=True)
        return out.getvalue()
