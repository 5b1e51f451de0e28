"""Runs of ticks with what deciding reads of them, and no more. Other threads run while one is decoded.

What a value is, is judged as a worker judges it: `tick_values.py` decodes it, by the writer's schema.
"""

from typing import Final, NamedTuple

import numpy as np

from streams.core.columns import Bytes, Int32s, Int64s
from streams.core.conditions import ConditionTable
from streams.core.decode import FAULT, NO_PREFIX, Decoded, decoded_columns, long_decode
from streams.core.new_names import number_new_names
from streams.core.plan import decode_plan
from streams.core.shard import Shard, Ticks
from streams.kafka.bad_values import FAULT_REASONS
from streams.kafka.partitions import Homes
from streams.kafka.record_batch import RecordColumns
from streams.kafka.registry import Schemas, newest
from streams.kafka.tick_values import BadTick, TickValues
from streams.recorded.usual_ticks_kernel import decode_usual

OWN_PLAN: Final = decode_plan(newest("tick").schema)


class Known(NamedTuple):
    """The ticks of a run, and what is none."""

    rows: Int64s | slice
    """Which of the run's records they are."""
    names: list[str]
    """All that were met so far: a list that grows."""
    name_of: Int32s
    ts_ms: Int64s
    moves_price: Bytes
    bad: list[BadTick]
    only_id: int | None
    """The id in front of every value of the run, where that is clear."""


class Naming(Shard):
    """Knows the tickers, also of ticks that move no price, and decides nothing."""

    def from_values(
        self, data: Bytes, starts: Int64s, ends: Int64s, plan: Int32s, schema_id: int
    ) -> tuple[Ticks, Bytes]:
        """As every shard does it, but for the names; what is as usual, at less cost."""
        out, others, unknown = decoded_columns(len(starts)), np.arange(len(starts)), 0
        names, table = self.index.tickers.names, self.conditions
        if schema_id != NO_PREFIX and np.array_equal(plan, OWN_PLAN):
            count, unknown = decode_usual(data, starts, ends, schema_id, names, table.blocks, out, others)
            others = others[:count]
        if len(others):
            part = decoded_columns(len(others))
            spans = (starts[others], ends[others], schema_id, plan, names, table.blocks, table.unlisted_blocks)
            unknown += long_decode(data, *spans, part)
            _put(out, others, part)
        if unknown:
            number_new_names(self.index, data, out, every=True)
        return Ticks(out.ticker, out.ts_ms, out.moves_price), out.fault


def _put(out: Decoded, rows: Int64s, part: Decoded) -> None:
    """Put what some values have become where they stand."""
    out.ticker[rows], out.ts_ms[rows], out.moves_price[rows] = part.ticker, part.ts_ms, part.moves_price
    out.fault[rows], out.name_start[rows], out.name_length[rows] = part.fault, part.name_start, part.name_length


class KnownTickValues:
    """Decodes runs of ticks of a topic with so many partitions."""

    def __init__(self, schemas: Schemas, partitions: int, conditions: ConditionTable) -> None:
        self._values, self._naming = TickValues(schemas), Naming(conditions)
        self._names: list[str] = []
        self._homes, self._home_of = Homes(partitions), np.zeros(0, np.int32)

    async def read(self, partition: int, run: RecordColumns) -> Known:
        """A run of one partition. Waits for schemas that are new; raises `RegistryDownError`."""
        ticks, bad, only_id = await self._values.ticks(self._naming, run)
        home_of = self._homes_now()
        if only_id is not None and not np.count_nonzero(home_of[ticks.ticker] != partition):
            return Known(slice(None), self._names, *ticks, bad, only_id)
        is_tick = ticks.ticker >= 0
        elsewhere = np.flatnonzero(is_tick)[home_of[ticks.ticker[is_tick]] != partition]
        is_tick[elsewhere] = False
        strays = [BadTick(row, FAULT_REASONS[FAULT.WRONG_PARTITION]) for row in elsewhere.tolist()]
        rows = np.flatnonzero(is_tick)
        bad = sorted([*bad, *strays], key=lambda each: each.row)
        columns = (ticks.ticker[rows], ticks.ts_ms[rows], ticks.moves_price[rows])
        return Known(rows, self._names, *columns, bad, only_id)

    def _homes_now(self) -> Int32s:
        """The partition that each ticker belongs in."""
        tickers = self._naming.index.tickers
        if tickers.count > len(self._names):
            new = tickers.all_names()[len(self._names) :]
            self._names += new
            homes = np.array([self._homes[name] for name in new], np.int32)
            self._home_of = np.concatenate((self._home_of, homes))
        return self._home_of
