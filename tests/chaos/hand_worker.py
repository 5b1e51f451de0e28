"""A worker by hand, in one thread: decides, encodes and hands out what the real one should send, cut as it is told to.

The audit is tested on what it leaves.
"""

from collections.abc import Generator, Iterable, Iterator
from itertools import accumulate

import numpy as np

from streams.core.agreement import Agreement, Told
from streams.core.clock import is_too_far_ahead
from streams.core.events import Tick, Tombstone
from streams.core.executions import Executions
from streams.core.gathered import Step
from streams.core.journal import Journal
from streams.core.records import EncodedRecords
from streams.core.shard import Shard, Ticks
from streams.core.state_rows import StateRows
from streams.core.tick_columns import clock_ticks
from streams.core.turning import Turning
from streams.kafka.bad_values import Reason
from streams.kafka.codec import Encoder
from streams.kafka.dead_letters import Refused, dead_letter
from streams.kafka.registry import FileSchemas
from streams.kafka.turn_records import pair_of
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
        self.shard = Shard(load_conditions(), owns=mine, is_home=mine, alone=False)
        self.turning = Turning(self.shard, Agreement(shard, shards, mine))
        self.executions = Executions(self.shard, self.names.ticks, shard, EXECUTION_SCHEMA)
        self.clocked = Executions(self.shard, self.names.clock, shard, EXECUTION_SCHEMA)
        self.rows, self.journal = StateRows(self.shard), Journal(None)
        self.encoder = Encoder(FileSchemas(), ["dead_letter", "journal", "turn"])
        self.taken = self.timed = self.next_offset = self.heard = 0
        self.known: dict[int, int] = {}

    def goes_on(self, journal: RunJournal, told: list[Told], ticks_at_once: int) -> Iterator[Out]:
        """One checkpoint: so many ticks, if they may be decided yet, with as large a share of all else."""
        ticks = journal.ticks[self.number]
        part = ticks[self.taken : self.taken + ticks_at_once]
        share = (self.taken + len(part)) / len(ticks) if ticks else 1
        ends = {p: max(self.known.get(p, 0), int(len(all_of) * share)) for p, all_of in journal.changes.items()}
        changes = [each for p, end in ends.items() for each in journal.changes[p][self.known.get(p, 0) : end]]
        self.known = ends
        clock = journal.clock[self.number][self.timed : int(len(journal.clock[self.number]) * share)]
        for each in told[self.heard :]:
            self.turning.take(each)
        self.heard = len(told)
        yield from self.checkpoint(changes, clock, part, told)

    def is_done(self, journal: RunJournal) -> bool:
        """Whether it has nothing to decide and nothing to tell."""
        return self.taken == len(journal.ticks[self.number]) and not self.turning.has_to_tell

    def _free(self, ticks: list[InputTick], *, begun: bool) -> list[InputTick]:
        """Those that may be decided as strategies are now."""
        good = [(at, each.tick) for at, each in enumerate(ticks) if each.tick is not None]
        free = self.turning.free(columns_of(self.shard, [tick for _, tick in good]), begun=begun).ticks
        return ticks[: good[free][0]] if free < len(good) else ticks

    def checkpoint(
        self, changes: list[InputChange], clock: list[InputClock], waiting: list[InputTick], told: list[Told]
    ) -> Iterator[Out]:
        """What one checkpoint sends."""
        for change in changes:
            if isinstance(change.change, Tombstone):
                self.shard.forget(change.change.strategy_id)
            elif change.change is not None:
                self.shard.change(change.change)
            if change.refused and self.number == 0:
                yield self._letter(self.names.strategy_changes, change)
        yield from self._tell(told)
        gathered, rank = self.shard.gathered, self.shard.rank()
        yield from self._sent(self.executions.encode_gathered(gathered.take_closed(rank)))
        is_free = yield from self._clock(clock)
        gathered.close_due(self.shard.stream_ms)
        yield from self._sent(self.executions.encode_gathered(gathered.take_closed(rank)))
        ticks = self._free(waiting, begun=bool(clock)) if is_free else []
        self.taken += len(ticks)
        self.next_offset = ticks[-1].record.offset + 1 if ticks else self.next_offset
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
        inputs = {(STRATEGY_CHANGES, partition): offset for partition, offset in self.known.items()}
        inputs[CLOCK, self.number] = self.timed
        entry = self.journal.entry(self.next_offset, inputs)
        if entry is not None:
            stood = [{"topic": t, "partition": p, "next_offset": end} for (t, p), end in inputs.items()]
            record = {"shard": self.number, "next_offset": entry.next_offset, "inputs": stood}
            yield Out(self.names.journal, None, self.encoder.encode("journal", record), self.number)
        for topic, records in zip(self.names.changelogs, self.rows.encode(self.next_offset, inputs), strict=True):
            yield from outputs(topic, records, self.number)

    def _sent(self, records: EncodedRecords) -> Iterable[Out]:
        return outputs(self.names.alert_executions, records)

    def _tell(self, told: list[Told]) -> Iterator[Out]:
        """What it tells the others."""
        tells = self.turning.tell()
        told += tells
        for each in tells:
            key, value = pair_of(each, self.encoder)
            yield Out(self.names.turns, key, value, 0)

    def _clock(self, clock: list[InputClock]) -> Generator[Out, None, bool]:
        """What clock records make fire, and the letters of those that are none; False where one must wait."""
        for at, each in enumerate(clock):
            ahead = not each.refused and is_too_far_ahead(self.shard.stream_ms, each.ts_ms)
            is_good = not each.refused and not ahead
            if is_good and not self.turning.free(clock_ticks([each.ts_ms]), begun=at > 0).ticks:
                return False
            self.timed = each.record.offset + 1
            if not is_good:
                yield self._letter(self.names.clock, each._replace(refused=each.refused or "clock_too_far_ahead"))
                continue
            fires = self.shard.clock(each.ts_ms)
            self.rows.note(fires)
            yield from self._sent(self.clocked.encode(fires, np.array([each.record.offset])))
        return True

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
    """Work up a run's input, the shards in turns: they wait for each other where strategies turn."""
    shards = [HandShard(settings, number, journal.shards) for number in range(journal.shards)]
    told: list[Told] = []
    while not all(shard.is_done(journal) for shard in shards):
        for shard in shards:
            if not shard.is_done(journal) or shard.heard < len(told):
                yield from shard.goes_on(journal, told, ticks_at_once)
