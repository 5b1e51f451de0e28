"""Runs of tick values into columns: finds each value's schema, and has the shard decode the values of one in one go.

The usual run names one id throughout, in front of its values. It costs no look at the ids: all values are decoded as
if they named the id that most had before, and the kernel itself says which do not.

A schema that nobody has registered makes its values bad. A registry that is down raises before anything is handed
over: whoever called waits, and comes again with the same run.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from streams.core.columns import Bytes, Int32s, Int64s
from streams.core.conditions import ConditionTable
from streams.core.decode import FAULT, NO_PREFIX, PREFIX_BYTES
from streams.core.kernel import NO_TICK
from streams.core.plan import END, SchemaRefusedError, decode_plan
from streams.core.shard import Shard, Ticks
from streams.kafka.bad_values import (
    FAULT_REASONS,
    NULL_KEY,
    NULL_VALUE,
    BadValueError,
    Reason,
    schema_refused,
    unknown_schema,
)
from streams.kafka.codec import read_header
from streams.kafka.kept import Kept
from streams.kafka.record_batch import RecordColumns
from streams.kafka.registry import FileSchemas, SchemaRef, Schemas, UnknownSchemaError, UnusableSchemaError
from streams.kafka.schema_headers import named_in_headers, split

PLANS_KEPT: Final = 200
NO_ID: Final = -2
"""An id that no value names, with a plan that nothing is decoded by."""

Plan = Int32s | Reason
"""How values are decoded, or why they are not."""


class BadTick(NamedTuple):
    """A value that is no tick: its place in the run, and why."""

    row: int
    reason: Reason


class TickRun(NamedTuple):
    """A run of values as ticks, one each, in their order; the bad ones are none to the kernel."""

    ticks: Ticks
    bad: list[BadTick]
    only_id: int | None = None
    """The id that stands in front of every value, where that was clear without a look at them; none is bad then."""


class Group(NamedTuple):
    """Values of a run that name the same schema."""

    ref: SchemaRef
    prefix: int
    """The id that stands in front of them, or `NO_PREFIX`."""
    rows: Int64s


class Usual(NamedTuple):
    """The id that most values had lately."""

    schema_id: int
    plan: Int32s


class Decoding:
    """One run while it is decoded in parts."""

    def __init__(self, shard: Shard, run: RecordColumns) -> None:
        size = len(run)
        self.shard, self.run = shard, run
        self.ticks = Ticks(np.full(size, NO_TICK, np.int32), np.zeros(size, np.int64), np.zeros(size, np.uint8))
        self.fault: Bytes = np.zeros(size, np.uint8)
        self.refused: dict[int, Reason] = {}

    def take(self, rows: Int64s, plan: Int32s, prefix: int) -> None:
        """Decode some of the values."""
        starts, ends = self.run.value_start[rows], self.run.value_end[rows]
        ticks, fault = self.shard.from_values(self.run.buffer, starts, ends, plan, prefix)
        self.ticks.ticker[rows], self.ticks.ts_ms[rows], self.ticks.moves_price[rows] = ticks
        self.fault[rows] = fault

    def refuse(self, rows: Int64s, reason: Reason) -> None:
        """Leave some of the values out."""
        self.refused.update(dict.fromkeys(rows.tolist(), reason))

    def ended(self) -> TickRun:
        """All ticks, and what is none."""
        bad = {
            i: NULL_VALUE if self.run.value_start[i] < 0 else FAULT_REASONS[int(self.fault[i])]
            for i in np.flatnonzero(self.fault).tolist()
        }
        bad.update(self.refused)
        bad.update(dict.fromkeys(np.flatnonzero(self.run.key_start < 0).tolist(), NULL_KEY))
        self.ticks.ticker[list(bad)] = NO_TICK
        return TickRun(self.ticks, [BadTick(i, bad[i]) for i in sorted(bad)])


class TickValues:
    """Decodes runs of ticks, for any shard."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._plans: Kept[SchemaRef, Plan] = Kept(PLANS_KEPT)
        self._usual = Usual(NO_ID, np.array([END, 0], np.int32))

    async def ticks(self, shard: Shard, run: RecordColumns) -> TickRun:
        """A run's ticks. Waits for schemas that are new; raises `RegistryDownError`."""
        learned: dict[SchemaRef, Plan] = {}
        while True:
            found = self.decode(shard, run, learned)
            if isinstance(found, TickRun):
                return found
            for ref in found:
                learned[ref] = await self._learn(ref)

    def decode(self, shard: Shard, run: RecordColumns, learned: Mapping[SchemaRef, Plan]) -> TickRun | list[SchemaRef]:
        """A run's ticks; or the schemas that have to be learned first, and nothing is taken."""
        named = named_in_headers(run)
        decoding = Decoding(shard, run) if named else None
        if decoding is None:
            ticks, fault = shard.from_values(
                run.buffer, run.value_start, run.value_end, self._usual.plan, self._usual.schema_id
            )
            # `count_nonzero` costs a third of `any`, which counts where runs are short.
            if not np.count_nonzero(fault) and not np.count_nonzero(run.key_start < 0):
                return TickRun(ticks, [], self._usual.schema_id)
            decoding = Decoding(shard, run)
            decoding.ticks, decoding.fault = ticks, fault
        groups = self._headed(decoding, named) if named else []
        groups += in_front(run, np.flatnonzero(decoding.fault == FAULT.OTHER_SCHEMA))
        plans = [self._known(group.ref, learned) for group in groups]
        unknown = [group.ref for group, plan in zip(groups, plans, strict=True) if plan is None]
        if unknown:
            return unknown
        for group, plan in zip(groups, plans, strict=True):
            self._take(decoding, group, plan)
        return decoding.ended()

    def _headed(self, decoding: Decoding, named: list[tuple[bytes, Int64s]]) -> list[Group]:
        """The groups that headers name; the values without such a header are decoded as usual."""
        groups = []
        without = np.ones(len(decoding.run), bool)
        for text, rows in named:
            without[rows] = False
            try:
                groups.append(Group(read_header(text), NO_PREFIX, rows))
            except BadValueError as error:
                decoding.refuse(rows, error.reason)
        decoding.take(np.flatnonzero(without), self._usual.plan, self._usual.schema_id)
        return groups

    def _known(self, ref: SchemaRef, learned: Mapping[SchemaRef, Plan]) -> Plan | None:
        found = learned.get(ref)
        return self._plans.get(ref) if found is None else found

    def _take(self, decoding: Decoding, group: Group, plan: Plan | None) -> None:
        if isinstance(plan, Reason):
            decoding.refuse(group.rows, plan)
            return
        assert plan is not None
        decoding.take(group.rows, plan, group.prefix)
        if group.prefix != NO_PREFIX and 2 * len(group.rows) > len(decoding.run):
            self._usual = Usual(group.prefix, plan)

    async def _learn(self, ref: SchemaRef) -> Plan:
        """The plan for a schema. An answer that a registry may yet change is not kept here."""
        try:
            plan: Plan = decode_plan(await self._schemas.aschema(ref))
        except UnknownSchemaError as error:
            return unknown_schema(error.problem, error.remedy)
        except UnusableSchemaError as error:
            return schema_refused(error.problem, error.remedy)
        except SchemaRefusedError as error:
            plan = schema_refused(f"schema {ref}, {error.place}: {error.problem}", error.remedy)
        self._plans.put(ref, plan)
        return plan


def in_front(run: RecordColumns, rows: Int64s) -> list[Group]:
    """The groups by the id in front of the value; each of these values has one."""
    at, ids = run.value_start[rows], np.zeros(len(rows), np.int64)
    for k in range(1, PREFIX_BYTES):
        ids = ids << 8 | run.buffer[at + k]
    return [Group(schema_id, schema_id, part) for schema_id, part in split(ids, rows)]


def warm_up(conditions: ConditionTable) -> None:
    """Have everything compiled for buffers such as runs have, so that nobody waits for it later."""
    header = b"\x02\x22__value_schema_id\x0a" + bytes(5)
    buffer = np.frombuffer(bytearray(header + bytes(5)), np.uint8)
    spans = [np.array([at], np.int64) for at in (0, 0, -1, -1, len(header), len(buffer), 0, len(header))]
    TickValues(FileSchemas()).decode(Shard(conditions), RecordColumns(buffer, *spans), {})
