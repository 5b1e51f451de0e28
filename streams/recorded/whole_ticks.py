"""Runs of ticks with all that a recording keeps of them: what deciding reads, and price, size and condition codes.

What deciding reads comes from `known_ticks.py`. Here the rest is read of those that are ticks: by compiled code, where
the schema begins as `schemas/tick.avsc` does, else one by one.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import fastavro
import numpy as np

from streams.core.columns import Int32s, Int64s
from streams.core.conditions import ConditionTable
from streams.core.decode import NO_PREFIX, PREFIX_BYTES
from streams.core.limits import MAX_CONDITION_CODE
from streams.core.plan import Schema, kind_of
from streams.kafka.bad_values import BadValueError
from streams.kafka.codec import BoundedReader, Writer, for_fastavro, read_header, read_id, unreadable, writer_of
from streams.kafka.kept import Kept
from streams.kafka.record_batch import RecordColumns
from streams.kafka.registry import SchemaRef, Schemas, newest
from streams.kafka.schema_headers import named_in_headers
from streams.kafka.tick_values import BadTick, Group, in_front
from streams.recorded.known_ticks import KnownTickValues
from streams.recorded.placed import NO_SIZE, Floats
from streams.recorded.rest_kernel import MAX_CODE, rest_of

READERS_KEPT: Final = 200
NO_CONDITIONS: Final = ConditionTable(np.zeros(MAX_CONDITION_CODE + 1, np.uint8), unlisted_blocks=False, names={})
_FIELDS: Final = ("ticker", "ts", "price", "size", "conditions")
_KERNEL: Final = Writer(np.zeros(0, np.int32), None, is_own=True)
"""Stands for what reads values that begin as ours do."""


class Rest(NamedTuple):
    """What deciding does not read, a row a tick."""

    price: Floats
    size: Int64s
    code_counts: Int64s
    codes: Int32s


class WholeTicks(NamedTuple):
    """The ticks of a run, and what is none."""

    rows: Int64s
    """Which of the run's records they are."""
    names: list[str]
    """All that were met so far: a list that grows."""
    name_of: Int32s
    ts_ms: Int64s
    rest: Rest
    bad: list[BadTick]


class WholeTickValues:
    """Decodes runs of ticks of a topic with so many partitions."""

    def __init__(self, schemas: Schemas, partitions: int) -> None:
        self._schemas = schemas
        self._known = KnownTickValues(schemas, partitions, NO_CONDITIONS)
        self._readers: Kept[SchemaRef, Writer] = Kept(READERS_KEPT)

    async def read(self, partition: int, run: RecordColumns) -> WholeTicks:
        """A run of one partition. Waits for schemas that are new; raises `RegistryDownError`."""
        known = await self._known.read(partition, run)
        rows = np.arange(len(run))[known.rows]
        rest, unread = await self._rest(run, rows, known.only_id)
        columns = (rows, known.name_of, known.ts_ms)
        if unread:
            is_read = ~np.isin(rows, [each.row for each in unread])
            columns = (rows[is_read], known.name_of[is_read], known.ts_ms[is_read])
        bad = sorted([*known.bad, *unread], key=lambda each: each.row)
        return WholeTicks(columns[0], known.names, columns[1], columns[2], rest, bad)

    async def _rest(self, run: RecordColumns, rows: Int64s, only_id: int | None) -> tuple[Rest, list[BadTick]]:
        """The rest of these records, but for those that it cannot be read of."""
        if only_id is None or not len(run):
            groups = await self._groups(run, rows)
        else:
            group = Group(only_id, only_id, rows)
            groups = [(group, await self._reader(group.ref))]
        parts: list[tuple[Int64s, Rest]] = []
        unread: list[BadTick] = []
        for group, reader in groups:
            if reader is _KERNEL:
                parts.append((group.rows, rest_by_kernel(run, group)))
            else:
                parts.append(rest_one_by_one(run, group, reader, unread))
        if len(parts) == 1:
            return parts[0][1], unread
        return in_their_order(parts), unread

    async def _groups(self, run: RecordColumns, rows: Int64s) -> list[tuple[Group, Writer]]:
        """Records of one schema each, and what reads them."""
        headed = [(text, np.intersect1d(with_it, rows)) for text, with_it in named_in_headers(run)]
        others = np.setdiff1d(rows, np.concatenate([rows[:0], *(part for _, part in headed)]))
        groups = [Group(read_header(text), NO_PREFIX, part) for text, part in headed if len(part)]
        groups += in_front(run, others) if len(others) else []
        return [(group, await self._reader(group.ref)) for group in groups]

    async def _reader(self, ref: SchemaRef) -> Writer:
        reader = self._readers.get(ref)
        if reader is None:
            schema = await self._schemas.aschema(ref)
            reader = _KERNEL if begins_as_ours(schema) else reader_of(schema)
            self._readers.put(ref, reader)
        return reader


def begins_as_ours(schema: Schema) -> bool:
    """Whether values begin with the five fields of a tick, as our own do."""
    own = newest("tick").schema
    return _kinds(schema)[: len(_FIELDS)] == _kinds(own)[: len(_FIELDS)]


def _kinds(schema: Schema) -> list[tuple[str, object, object]]:
    """The name and type of each field, as far as bytes depend on it."""
    assert isinstance(schema, Mapping), "`decode_plan` takes records alone"
    fields = [(field["name"], field["type"]) for field in schema["fields"]]
    items = (kind_of(kind["items"]) if isinstance(kind, Mapping) and "items" in kind else "" for _, kind in fields)
    return [(name, kind_of(kind), item) for (name, kind), item in zip(fields, items, strict=True)]


def reader_of(schema: Schema) -> Writer:
    """What reads values one by one; texts stay bytes, as what is no text need not be UTF-8 to be stepped over."""
    writer = writer_of(schema)
    assert isinstance(writer, Writer), "`decode_plan` has taken the schema, and it refuses no less"
    return Writer(writer.plan, for_fastavro(_without_texts(schema)), is_own=False)


def _without_texts(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """The same schema, its texts bytes."""
    if isinstance(schema, str):
        return "bytes" if schema == "string" else schema
    if isinstance(schema, list | tuple):
        return [_without_texts(branch) for branch in schema]
    told = ("type", "name", "namespace", "symbols", "size", "items", "values")
    kept = {key: schema[key] for key in told if schema.get(key) is not None}
    if kept["type"] in {"record", "error"}:
        return {**kept, "fields": [{"name": f["name"], "type": _without_texts(f["type"])} for f in schema["fields"]]}
    return {**kept, **{key: _without_texts(kept[key]) for key in ("type", "items", "values") if key in kept}}


def rest_by_kernel(run: RecordColumns, group: Group) -> Rest:
    """The rest of values that begin as ours do."""
    starts, ends = run.value_start[group.rows], run.value_end[group.rows]
    count, prefix_bytes = len(starts), 0 if group.prefix == NO_PREFIX else PREFIX_BYTES
    price, size, counts = np.empty(8 * count, np.uint8), np.empty(count, np.int64), np.empty(count, np.int64)
    codes = np.empty(int((ends - starts).sum()), np.int32)  # a code takes a byte or more
    total = rest_of(run.buffer, starts, prefix_bytes, price, size, counts, codes)
    return Rest(price.view("<f8").astype(np.float64), size, counts, codes[:total].copy())


def rest_one_by_one(run: RecordColumns, group: Group, reader: Writer, unread: list[BadTick]) -> tuple[Int64s, Rest]:
    """The rest of values of another layout, and which rows those are that it could be read of."""
    rows, price, size, counts, codes = list[int](), list[float](), list[int](), list[int](), list[int]()
    for row in group.rows.tolist():
        try:
            record = _read(run, row, reader)
        except BadValueError as error:
            unread.append(BadTick(row, error.reason))
            continue
        told = [max(min(code, MAX_CODE), -MAX_CODE - 1) for code in record.get("conditions") or ()]
        rows.append(row)
        price.append(_number(record.get("price"), float("nan")))
        size.append(int(_number(record.get("size"), NO_SIZE)))
        counts.append(len(told))
        codes += told
    wide = np.int64
    rest = Rest(np.array(price, np.float64), np.array(size, wide), np.array(counts, wide), np.array(codes, np.int32))
    return np.array(rows, wide), rest


def _read(run: RecordColumns, row: int, reader: Writer) -> dict[str, Any]:
    value = run.value(row) or b""
    stream = BoundedReader(value)
    stream.seek(read_id(value, run.headers(row))[1])
    try:
        record: Any = fastavro.schemaless_reader(stream, reader.schema, None)
    except BadValueError:
        raise
    except Exception as error:  # whatever it trips over
        raise BadValueError(unreadable(type(error).__name__)) from error
    if stream.tell() != len(value):  # a block that lies about its size, which only fastavro believes
        raise BadValueError(unreadable("it ends before the value does"))
    return dict(record)


def _number(found: object, missing: float) -> float:
    return found if isinstance(found, int | float) and not isinstance(found, bool) else missing


def in_their_order(parts: list[tuple[Int64s, Rest]]) -> Rest:
    """Several groups as one, by the rows that they are of."""
    nothing = Rest(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int32))
    rest = Rest._make(np.concatenate(column) for column in zip(nothing, *(part for _, part in parts), strict=True))
    order = np.argsort(np.concatenate([np.zeros(0, np.int64), *(rows for rows, _ in parts)]), kind="stable")
    starts, lengths = (np.cumsum(rest.code_counts) - rest.code_counts)[order], rest.code_counts[order]
    places = np.arange(lengths.sum()) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    return Rest(rest.price[order], rest.size[order], lengths, rest.codes[places])
