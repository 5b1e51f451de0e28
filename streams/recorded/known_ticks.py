"""Runs of ticks with what deciding reads of them, and no more. Other threads run while one is decoded.

What a value is, is judged as a worker judges it: `tick_values.py` decodes it, by the writer's schema.
"""

from typing import NamedTuple

import numpy as np

from streams.core.columns import Bytes, Int32s, Int64s
from streams.core.conditions import ConditionTable
from streams.core.decode import FAULT, decoded_columns, long_decode
from streams.core.new_names import number_new_names
from streams.core.shard import Shard, Ticks
from streams.kafka.bad_values import FAULT_REASONS
from streams.kafka.partitions import Homes
from streams.kafka.record_batch import RecordColumns
from streams.kafka.registry import Schemas
from streams.kafka.tick_values import BadTick, TickValues


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
        """As every shard does it, but for the names."""
        out, table, names = decoded_columns(len(starts)), self.conditions, self.index.tickers.names
        if long_decode(data, starts, ends, schema_id, plan, names, table.blocks, table.unlisted_blocks, out):
            number_new_names(self.index, data, out, every=True)
        return Ticks(out.ticker, out.ts_ms, out.moves_price), out.fault


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
        return Known(rows, self._names, *(column[rows] for column in ticks), bad, only_id)

    def _homes_now(self) -> Int32s:
        """The partition that each ticker belongs in."""
        tickers = self._naming.index.tickers
        if tickers.count > len(self._names):
            new = tickers.all_names()[len(self._names) :]
            self._names += new
            homes = np.array([self._homes[name] for name in new], np.int32)
            self._home_of = np.concatenate((self._home_of, homes))
        return self._home_of
