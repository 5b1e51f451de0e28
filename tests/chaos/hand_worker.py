"""A worker by hand, in one thread: decides, encodes and hands out what the real one should send, cut as it is told to.

The audit is tested on what it leaves.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

import numpy as np

from streams.core.clock import is_too_far_ahead
from streams.core.events import Tick, Tombstone
from streams.core.executions import Executions
from streams.core.gathered import Step
from streams.core.journal import Journal
from streams.core.records import EncodedRecords
from streams.core.shard import Shard, Ticks
from streams.core.state_rows import StateRows
from streams.kafka.bad_values import Reason
from streams.kafka.codec import Encoder
from streams.kafka.dead_letters import Refused, dead_letter
from streams.kafka.registry import FileSchemas
from streams.reference_data import load_conditions
from streams.settings import Settings
from streams.topic_names import CLOCK, STRATEGY_CHANGES
from tests.chaos.journal import InputChange, InputClock, InputTick, shard_of
from tests.chaos.journal import Journal as RunJournal
from tests.chaos.rig import Out, outputs

EXECUTION_SCHEMA = 3


class HandShard:
    """One shard of it."""

    def __init__(self, settings: Settings, shard: int, shards: int) -> None:
        def mine(key: str) -> bool:
            return shard_of(key, shards) == shard

        self.names, self.number = settings.topics, shard
        self.shard = Shard(load_conditions(), owns=mine, is_home=mine)
        self.executions = Executions(self.shard, self.names.ticks, shard, EXECUTION_SCHEMA)
        self.clocked = Executions(self.shard, self.names.clock, shard, EXECUTION_SCHEMA)
        self.rows, self.journal, self.timed = StateRows(self.shard), Journal(None), 0
        self.encoder = Encoder(FileSchemas(), ["dead_letter", "journal"])

    def checkpoint(
        self, changes: list[InputChange], clock: list[InputClock], ticks: list[InputTick], known: Mapping[int, int]
    ) -> Iterator[Out]:
        """What one checkpoint sends."""
        next_offset = ticks[-1].record.offset + 1
        for change in changes:
            if isinstance(change.change, Tombstone):
                self.shard.forget(change.change.strategy_id)
            elif change.change is not None:
                self.shard.change(change.change)
            if change.refused and self.number == 0:
                yield self._letter(self.names.strategy_changes, change)
        gathered, rank = self.shard.gathered, self.shard.rank()
        yield from self._sent(self.executions.encode_gathered(gathered.take_closed(rank)))
        yield from self._clock(clock)
        gathered.close_due(self.shard.stream_ms)
        yield from self._sent(self.executions.encode_gathered(gathered.take_closed(rank)))
        good = [(each.record.offset, each.tick) for each in ticks if each.tick is not None]
        offsets = np.array([offset for offset, _ in good], np.int64)
        step = Step(columns_of(self.shard, [tick for _, tick in good]), offsets, self.shard.stream_ms)
        fires = self.shard.step(step.ticks)
        self.rows.note(fires)
        at_once = gathered.take(fires, step, rank, self.executions.room)
        gathered.close_due(self.shard.stream_ms)
        yield from self._sent(self.executions.encode_gathered(gathered.take_closed(rank)))
        yield from self._sent(self.executions.encode(at_once, offsets))
        for tick in ticks:
            if tick.refused:
                yield self._letter(self.names.ticks, tick)
        inputs = {(STRATEGY_CHANGES, partition): offset for partition, offset in known.items()}
        inputs[CLOCK, self.number] = self.timed
        entry = self.journal.entry(next_offset, inputs)
        if entry is not None:
            told = [{"topic": t, "partition": p, "next_offset": end} for (t, p), end in inputs.items()]
            record = {"shard": self.number, "next_offset": entry.next_offset, "inputs": told}
            yield Out(self.names.journal, None, self.encoder.encode("journal", record), self.number)
        for topic, records in zip(self.names.changelogs, self.rows.encode(next_offset, inputs), strict=True):
            yield from outputs(topic, records, self.number)

    def _sent(self, records: EncodedRecords) -> Iterable[Out]:
        return outputs(self.names.alert_executions, records)

    def _clock(self, clock: list[InputClock]) -> Iterator[Out]:
        """What clock records make fire, and the letters of those that are none."""
        for each in clock:
            self.timed = each.record.offset + 1
            ahead = not each.refused and is_too_far_ahead(self.shard.stream_ms, each.ts_ms)
            if each.refused or ahead:
                yield self._letter(self.names.clock, each._replace(refused=each.refused or "clock_too_far_ahead"))
                continue
            fires = self.shard.clock(each.ts_ms)
            self.rows.note(fires)
            yield from self._sent(self.clocked.encode(fires, np.array([each.record.offset])))

    def _letter(self, topic: str, refused: InputTick | InputChange | InputClock) -> Out:
        record = refused.record
        stood = Refused(topic, record.partition, record.offset, 0, record.key, record.value)
        letter = dead_letter(self.encoder, stood, Reason(refused.refused, "", ""))
        return Out(letter.topic, letter.key, letter.value)


def columns_of(shard: Shard, ticks: list[Tick]) -> Ticks:
    """Ticks as the shard takes them."""
    names = sorted({tick.ticker for tick in ticks})
    number = {name: at for at, name in enumerate(names)}
    name_of = np.array([number[tick.ticker] for tick in ticks], np.int32)
    times = np.array([tick.ts_ms for tick in ticks], np.int64)
    codes = np.array([code for tick in ticks for code in tick.conditions], np.int32)
    ends = np.array(list(accumulate(len(tick.conditions) for tick in ticks)), np.int64)
    return shard.from_columns(names, name_of, times, codes, ends)[0]


def work(settings: Settings, journal: RunJournal, ticks_at_once: int) -> Iterator[Out]:
    """Work up a run's input: in each checkpoint so many ticks, with as large a share of the changes."""
    for number in range(journal.shards):
        shard, ticks = HandShard(settings, number, journal.shards), journal.ticks[number]
        known = dict.fromkeys(journal.changes, 0)
        for start in range(0, len(ticks), ticks_at_once):
            part = ticks[start : start + ticks_at_once]
            share = (start + len(part)) / len(ticks)
            ends = {p: max(known[p], int(len(all_of) * share)) for p, all_of in journal.changes.items()}
            changes = [each for p, end in ends.items() for each in journal.changes[p][known[p] : end]]
            clock = journal.clock[number][shard.timed : int(len(journal.clock[number]) * share)]
            yield from shard.checkpoint(changes, clock, part, ends)
            known = ends
