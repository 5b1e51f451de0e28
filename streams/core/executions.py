"""From what fired to executions on the wire: one for each strategy and bucket of a checkpoint, as its schema has it.

executions = Executions(shard, "ticks", partition, schema_id)
records = executions.encode(fires, offsets)       # the fires of a step, and the offset of each of its ticks
records = executions.encode(*joined(several))     # of several steps
records = executions.encode_gathered(sent)        # of groups that have closed, see `gathered`

The order, the ids and the bytes are functions of the input and of where it is cut into checkpoints, never of the
order that the kernel leaves fires in: executions stand by the first record that caused them, then by strategy id;
tickers by the record that fired them. `ts` is the earliest event time among the fires, as the schema says.

A strategy is encoded as it stands, so fires are encoded before the next change is taken, or the next turn.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

import numpy as np

from streams.core import execution_kernel as kernel
from streams.core.avro import NO_COUNTS, long, long_map, string
from streams.core.columns import Int32s, Int64s, Places, grown
from streams.core.events import Mode, Strategy
from streams.core.execution_kernel import Groups, Heads, Wire
from streams.core.gathered import Sent
from streams.core.limits import MAX_TICKER_BYTES
from streams.core.order import order_of
from streams.core.records import NO_RECORDS, EncodedRecords, append_all, by_partition, partitions_of, section
from streams.core.shard import NO_FIRES, Fires, Shard

MAX_EXECUTION_BYTES: Final = 800_000
"""One encoded execution. What fires beyond goes into another one of the same strategy and bucket.

A broker takes a batch of one MiB unless told otherwise, and a batch holds a record whole."""

MOST_BYTES_BESIDE_TICKERS: Final = 2048
"""An execution without its tickers and metadata: an id of 256 bytes twice, a topic of 249 twice, and numbers."""

MOST_BYTES_OF_NUMBERS: Final = 128
"""The numbers of an execution, those of its id included."""

MOST_BYTES_BEHIND_ID: Final = 32
"""A strategy's version, mode and timeframe."""

STALE: Final = -1
"""Stands for the changes of a strategy whose head must be encoded anew."""


class Executions:
    """Encodes what a shard fires."""

    def __init__(
        self, shard: Shard, topic: str, partition: int, schema_id: int, max_bytes: int = MAX_EXECUTION_BYTES
    ) -> None:
        self._shard = shard
        self._max_bytes = max_bytes
        self._prefix = b"\0" + schema_id.to_bytes(4)
        self._place = f"{topic}-{partition}@".encode()
        self._cause = string(topic) + long(partition)
        self._encoded: Int64s = np.zeros(0, np.int64)
        """By number, what the strategy's `changes` were when its head was put in `_heads`."""
        self._heads = Heads(np.zeros(0, np.uint8), *np.zeros((4, 0), np.int64))
        self._used = 0
        self._made: Int64s = np.zeros(0, np.int64)
        """By number, how many executions."""

    def encode(self, fires: Fires, offsets: Int64s, metadata: Mapping[str, int] = NO_COUNTS) -> EncodedRecords:
        """Executions for fires, in any order; `offsets` has one entry a tick, rising. The key is the strategy's id."""
        if not len(fires.tick):
            return NO_RECORDS
        wire = self._wire(metadata)
        groups, members = self._grouped(fires, len(offsets), self._room(wire))
        self._encode_heads(groups.strategy)
        return self._put(groups, members, offsets, wire)

    def encode_gathered(self, sent: Sent | None, metadata: Mapping[str, int] = NO_COUNTS) -> EncodedRecords:
        """Executions for groups, in their order; each under the version that fired it."""
        if sent is None:
            return NO_RECORDS
        offsets = np.column_stack((sent.first_offset, sent.last_offset)).ravel()
        first = np.arange(0, len(offsets), 2, dtype=np.int32)
        spans = (sent.tickers, sent.bucket_ms, sent.ts_ms, sent.used_bytes, sent.ends)
        self._encode_heads_of_gathered(sent.strategy, sent.fired_under)
        groups = Groups(sent.strategy, first, first + np.int32(1), *spans)
        return self._put(groups, sent.members, offsets, self._wire(metadata))

    @cached_property
    def room(self) -> int:
        """What the tickers of one execution may take, where it has no metadata. Asked for with each run of ticks."""
        return self._room(self._wire(NO_COUNTS))

    def _put(self, groups: Groups, members: Int32s, offsets: Int64s, wire: Wire) -> EncodedRecords:
        """Write executions whose heads are encoded."""
        self._made = grown(self._made, len(self._shard.strategy_ids), 0)
        self._made += np.bincount(groups.strategy, minlength=len(self._made))
        beside = sum(part.nbytes for part in wire) + MOST_BYTES_OF_NUMBERS
        heads = self._heads.end[groups.strategy] - self._heads.start[groups.strategy]
        count = len(groups.strategy)
        size = count * beside + 2 * int(heads.sum()) + int(groups.ticker_bytes.sum())
        out, places = np.empty(size, np.uint8), Places(*np.empty((4, count), np.int64))
        names = self._shard.index.tickers.names
        used = kernel.put_executions(groups, members, names, self._heads, wire, offsets, out, places)
        ts_ms = groups.ts_ms.copy()  # else it holds on to room for all that fired, which is many times as much
        return EncodedRecords(out[:used], *places, ts_ms)

    def made(self, strategy_id: str) -> int:
        """How many executions of a strategy there were."""
        entry = self._shard.index.entries.get(strategy_id)
        return 0 if entry is None or entry.number >= len(self._made) else int(self._made[entry.number])

    def _room(self, wire: Wire) -> int:
        """What the tickers of one execution may take."""
        room = self._max_bytes - MOST_BYTES_BESIDE_TICKERS - wire.tail.nbytes
        if room < MAX_TICKER_BYTES + 1:
            raise ValueError(f"an execution of {self._max_bytes} bytes may have no room for a ticker; allow more")
        return room

    def _wire(self, metadata: Mapping[str, int]) -> Wire:
        """What is the same in all executions."""
        tail = long_map(metadata) + string("")
        parts = (self._prefix, self._place, self._cause, string("tickers"), string("universe"), tail)
        return Wire(*(np.frombuffer(bytearray(part), np.uint8) for part in parts))

    def _grouped(self, fires: Fires, ticks: int, room: int) -> tuple[Groups, Int32s]:
        """The executions, and their tickers one execution behind the other."""
        count, names = len(fires.tick), self._shard.index.tickers.names
        order = order_of(fires.tick, fires.strategy, self._shard.rank(), ticks)
        group_of, members = np.empty((2, count), np.int32)
        groups = Groups(*np.empty((4, count), np.int32), *np.empty((4, count), np.int64))
        slots = np.full(1 << (2 * count).bit_length(), -1, np.int32)
        found = kernel.group(fires, order, names, room, slots, group_of, groups)
        kernel.gather_members(fires.ticker, order, group_of, found, groups, members)
        return Groups._make(column[:found] for column in groups), members

    def _encode_heads(self, numbers: Int32s) -> None:
        """Encode those that have changed since they were encoded, as they stand."""
        index = self._shard.index
        changes = index.columns.strategies.changes
        self._encoded = grown(self._encoded, len(changes), STALE)
        stale = numbers[self._encoded[numbers] != changes[numbers]]
        for number in set(stale.tolist()):
            entry = index.entries[index.ids[number]]
            self._encode_head(number, entry.strategy, entry.mode)
        self._encoded[stale] = changes[stale]

    def _encode_heads_of_gathered(self, numbers: Int32s, fired_under: Mapping[int, Strategy]) -> None:
        """Encode them as they fired: by their pairs, as what runs as a whole is not gathered."""
        self._encode_heads(numbers)
        entries, ids = self._shard.index.entries, self._shard.strategy_ids
        for number in numbers.tolist():
            stands = entries[ids[number]]
            fired = fired_under.get(number, stands.strategy)
            if fired is not stands.strategy or stands.mode is not Mode.PER_TICKER:
                self._encode_head(number, fired, Mode.PER_TICKER)
                self._encoded[number] = STALE

    def _encode_head(self, number: int, strategy: Strategy, mode: Mode) -> None:
        """Put a strategy's head where the one before was; each keeps its place, which the longest would fit."""
        name = string(strategy.strategy_id)
        head = name + long(strategy.version) + string(mode) + string(strategy.timeframe)
        start, end, id_start, id_end = columns = [grown(column, number + 1, 0) for column in self._heads[1:]]
        if not end[number]:
            start[number], self._used = self._used, self._used + len(name) + MOST_BYTES_BEHIND_ID
        at = int(start[number])
        assert len(head) <= len(name) + MOST_BYTES_BEHIND_ID, "what fires has a timeframe, and those are short"
        end[number], id_end[number] = at + len(head), at + len(name)
        id_start[number] = at + len(name) - len(strategy.strategy_id.encode())
        self._heads = Heads(grown(self._heads.arena, self._used, 0), *columns)
        self._heads.arena[at : at + len(head)] = np.frombuffer(head, np.uint8)


def joined(steps: Sequence[tuple[Fires, Int64s]]) -> tuple[Fires, Int64s]:
    """The fires of several steps, and the offsets of their ticks, as if it had been one step."""
    if len(steps) == 1:
        return steps[0]
    parts, ticks = [NO_FIRES], 0
    offsets = [np.zeros(0, np.int64)]
    for fires, of_step in steps:
        parts.append(fires._replace(tick=fires.tick + np.int32(ticks)))
        offsets.append(of_step)
        ticks += len(of_step)
    return Fires._make(map(np.concatenate, zip(*parts, strict=True))), np.concatenate(offsets)


__all__ = ["EncodedRecords", "Executions", "append_all", "by_partition", "joined", "partitions_of", "section"]
