"""From runs of ticks to what a checkpoint makes true: decode, decide, encode. All state of one shard is here.

The strategies change, and turn, between two emissions only, so all decisions of one checkpoint stand on the same ones;
the position row says on which. So an emission ends where strategies turn, or wait for other shards to agree on a turn:
what comes behind that is left to the next.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from streams.core.agreement import Told
from streams.core.asked import NOBODY, Asked
from streams.core.columns import Int64s
from streams.core.events import Strategy, Tombstone
from streams.core.executions import Executions, joined
from streams.core.gathered import Step
from streams.core.index import LimitError
from streams.core.journal import Journal
from streams.core.lead import Lead
from streams.core.limits import NEVER
from streams.core.promise import Promise
from streams.core.records import NO_RECORDS, EncodedRecords, concatenated, records_of
from streams.core.shard import Fires
from streams.core.special_rows import Inputs, Position
from streams.core.state_rows import StateRows
from streams.core.tickers import TooManyTickersError
from streams.core.turning import Turning
from streams.instruments import Done
from streams.kafka.bad_values import Reason
from streams.kafka.book import Refusal
from streams.kafka.checkpoint import Emission
from streams.kafka.clock_values import ClockValues
from streams.kafka.codec import Encoder
from streams.kafka.dead_letters import Letter, Refused, dead_letter, dead_letter_topic
from streams.kafka.decision_records import DecisionRecords, Place
from streams.kafka.emission_counts import done_of, metadata_of
from streams.kafka.fetch import RawRun
from streams.kafka.free_runs import Clocked, FreeRuns
from streams.kafka.partitions import partition_of
from streams.kafka.producing import Keyed, Letters, Outgoing
from streams.kafka.tick_values import BadTick, TickRun, TickValues
from streams.kafka.tracking_log import TrackingLog
from streams.kafka.turn_records import pair_of
from streams.topic_names import CLOCK, TopicNames

Fired = tuple[Fires, Int64s]
"""What fired, and the offset of each record that may have caused it."""


class Layout(NamedTuple):
    """The topics, and how many partitions those have that are written by key."""

    topics: TopicNames
    executions: int
    dead_letters: Mapping[str, int]
    """By the topic of the letters."""
    decisions: int = 0
    """None where nobody asks for any."""


class Between(NamedTuple):
    """What a shard takes beside the ticks of a checkpoint, and before them."""

    refusals: Sequence[Refusal] = ()
    """Of changes: they get their dead letters."""
    clock: Sequence[RawRun] = ()
    end: int = 0
    """Of the ticks that are known."""


NOTHING: Final = Between()


class Tools(NamedTuple):
    """What all shards share."""

    layout: Layout
    values: TickValues
    encoder: Encoder
    clock: ClockValues
    asked: Asked = NOBODY
    shadow: bool = False
    """Whether both throttles are compared."""
    sends_ahead: bool = False
    """Whether executions go out before the rows that know of them."""


class Decided(NamedTuple):
    """An emission, and what there is to tell of it once it is true."""

    emission: Emission
    ticks: int
    done: Done
    """Its duration is not known yet."""
    refused: Mapping[tuple[str, str], int]
    """Bad ticks and clock records: by topic, and the word for why."""
    free: FreeRuns
    """Says what was left."""


class Deciding:
    """One shard at work."""

    def __init__(
        self, partition: int, turning: Turning, rows: StateRows, tools: Tools, position: Position | None = None
    ) -> None:
        self.partition, self.turning, self.shard = partition, turning, turning.shard
        self.promise = Promise(position.promised_ms if position else NEVER, needed=tools.sends_ahead)
        self._rows, self._layout, self._values, self._encoder, self._clock = rows, *tools[:4]
        asked = tools.asked
        self._decisions = DecisionRecords(self.shard, asked, self._encoder) if asked.anything else None
        self.shard.compare(on=tools.shadow)
        self._step = self.shard.step if self._decisions is None else self._decisions.step
        topics, schema_id = self._layout.topics, self._encoder.schema_id("execution")
        self._executions = Executions(self.shard, topics.ticks, partition, schema_id)
        self._clocked = Executions(self.shard, topics.clock, partition, schema_id)
        self._told, self._tracking, self._journal = self.shard.totals, TrackingLog(partition), Journal(position)
        self._lead = Lead()

    def all_stand(self) -> None:
        """All strategies that stand have been put in force."""
        self.shard.all_stand()

    @property
    def has_closed(self) -> bool:
        """Whether changes of strategies have closed groups, which go out though no tick comes."""
        return self.shard.gathered.has_closed

    @property
    def has_more(self) -> bool:
        """Whether there is something to make true, though no tick comes."""
        return self.has_closed or self.turning.has_to_tell

    def stand(self, stands: Strategy | Tombstone, before: frozenset[str] = frozenset()) -> str:
        """Take what stands of a strategy, as it was settled for all shards; says why not, where a bound forbids it."""
        try:
            if isinstance(stands, Tombstone):
                self.shard.forget(stands.strategy_id)
            else:
                self.shard.stand(stands, before)
        except (LimitError, TooManyTickersError) as error:
            return str(error)
        return ""

    async def decide(
        self,
        runs: Sequence[RawRun],
        position: int,
        inputs: Inputs,
        between: Between = NOTHING,
        *,
        with_rows: bool = True,
    ) -> Decided:
        """Take the clock records, then the runs. Raises `RegistryDownError` before anything has changed.

        Rows hold all that has changed since there were some last.
        """
        decoded = [await self._values.ticks(self.shard, run.columns) for run in runs]
        times = [await self._clock.read(run.columns) for run in between.clock]
        at = runs[0].start if runs else position
        turns = self.turning.tell(self._lead.at(self.shard.stream_ms, at, between.end)) if with_rows else []
        flushed, bad = self._closed(), list[tuple[RawRun, BadTick]]()
        free = FreeRuns(self.turning, self.promise)
        clocked = [self._take_clock(run, each, bad) for run, each in free.clock(between.clock, times)]
        due_by_clock = self._due() if clocked else NO_RECORDS
        taken, steps = list[RawRun](), list[Fired]()
        for run, ticks in free.ticks(runs, decoded):
            steps.append(self._take(run, ticks, bad))
            taken.append(run)
        if free.left_clock:
            inputs = {**inputs, (CLOCK, self.partition): free.left_clock[0].start}
        position = free.left_ticks[0].start if free.left_ticks else position
        letters = [self._letter_of_change(each) for each in between.refusals]
        letters += [self._letter(refused_record(run, each.row), each.reason) for run, each in bad]
        more = self._more()
        by_clock = (flushed, due_by_clock, at_once(self._clocked, clocked, more))
        executions = self._keyed([*by_clock, self._due(), at_once(self._executions, steps, more)])
        rows = self._outgoing_rows(position, inputs, turns) if with_rows else []
        told = grouped(letters, self._layout.dead_letters)
        emission = Emission([*executions, *self._told_decisions(taken)], told, rows, position, dict(inputs))
        done = done_of(more, sum(len(run.columns) for run in taken), sum(each.records.count for each in executions))
        self._tracking.tell(done)
        words = Counter((run.topic, each.reason.word) for run, each in bad)
        return Decided(emission, done.ticks, done, words, free)

    def _outgoing_turns(self, told: Sequence[Told]) -> list[Outgoing]:
        pairs = [pair_of(each, self._encoder) for each in told]
        ts_ms = max(self.shard.stream_ms, 0)
        return [Outgoing(self._layout.topics.turns, 0, records_of(pairs, ts_ms))] if pairs else []

    def counts_of(self, strategy_id: str) -> dict[str, int]:
        """What happened to a strategy in this shard since the shard was made; nothing where it was never met."""
        counts = self.shard.counts_of(strategy_id)
        if counts is None:
            return {}
        made = self._executions.made(strategy_id) + self._clocked.made(strategy_id)
        return {**counts._asdict(), "executions": made}

    def _more(self) -> list[int]:
        """What the totals have grown by since this was last asked."""
        before, self._told = self._told, self.shard.totals
        grown_by: list[int] = (self._told - before).tolist()
        return grown_by

    def _take(self, run: RawRun, decoded: TickRun, bad: list[tuple[RawRun, BadTick]]) -> Fired:
        """Take a run; returns what fires at once. The rest is gathered."""
        shard, before_ms, offsets = self.shard, self.shard.stream_ms, run.columns.offset
        fires = self._step(decoded.ticks)
        self._rows.note(fires)
        bad += [(run, each) for each in decoded.bad]
        step = Step(decoded.ticks, offsets, before_ms)
        return shard.gathered.take(fires, step, shard.rank(), self._executions.room), offsets

    def _take_clock(self, run: RawRun, clocked: Clocked, bad: list[tuple[RawRun, BadTick]]) -> Fired:
        """Move stream time on by each of the records that may; whole strategies alone fire by that."""
        bad += [(run, each) for each in clocked.bad]
        fires = self.shard.clock(*clocked.times_ms.values())
        self._rows.note(fires)
        return fires, run.columns.offset[list(clocked.times_ms)]

    def _due(self) -> EncodedRecords:
        """What is gathered and due by now."""
        self.shard.gathered.close_due(self.shard.stream_ms)
        return self._closed()

    def _closed(self) -> EncodedRecords:
        """What has closed. It says nothing of steps, as that would hang on where checkpoints are cut."""
        return self._executions.encode_gathered(self.shard.gathered.take_closed(self.shard.rank()))

    def _keyed(self, parts: Sequence[EncodedRecords]) -> list[Keyed]:
        """The executions, in the order in which they go out."""
        layout, some = self._layout, [part for part in parts if part.count]
        records = [some[0] if len(some) == 1 else concatenated(some)] if some else []
        return [Keyed(layout.topics.alert_executions, layout.executions, each) for each in records]

    def _told_decisions(self, runs: Sequence[RawRun]) -> list[Keyed]:
        """Why the strategies that were asked for fired or did not."""
        filled = [run.columns.offset for run in runs if len(run.columns)]
        if self._decisions is None or not filled:
            return []
        topics = self._layout.topics
        place = Place(topics.ticks, self.partition, int(filled[0][0]), int(filled[-1][-1]))
        records = self._decisions.take(place)
        return [Keyed(topics.decisions, self._layout.decisions, records)] if records.count else []

    def _outgoing_rows(self, position: int, inputs: Inputs, turns: Sequence[Told]) -> list[Outgoing]:
        promised_ms = self.promise.tell(self.shard.stream_ms)
        rows, topics = self._rows.encode(position, inputs, promised_ms), self._layout.topics
        return (
            self._outgoing_turns(turns)
            + self._journal_record(position, inputs)
            + [
                Outgoing(topics.changelog(table), self.partition, records)
                for table, records in zip(rows._fields, rows, strict=True)
                if records.count
            ]
        )

    def _journal_record(self, position: int, inputs: Inputs) -> list[Outgoing]:
        """What a replay needs to know of this checkpoint, where it took anything but ticks."""
        entry, topics = self._journal.entry(position, inputs), self._layout.topics
        if entry is None:
            return []
        told = [{"topic": t, "partition": p, "next_offset": offset} for (t, p), offset in sorted(inputs.items())]
        record = {"shard": self.partition, "next_offset": entry.next_offset, "inputs": told, "app_id": topics.app_id}
        value = self._encoder.encode("journal", record)
        records = records_of([(b"%d" % self.partition, value)], max(self.shard.stream_ms, 0))
        return [Outgoing(topics.journal, self.partition, records)]

    def _letter_of_change(self, refusal: Refusal) -> tuple[str, Letter, int]:
        record, topic = refusal.record, self._layout.topics.prefix + refusal.topic
        told = Refused(topic, record.partition, record.offset, -1, record.key, record.value, record.headers)
        return self._letter(told, refusal.reason)

    def _letter(self, record: Refused, reason: Reason) -> tuple[str, Letter, int]:
        return dead_letter_topic(record.topic), dead_letter(self._encoder, record, reason), max(record.ts_ms, 0)


def at_once(executions: Executions, steps: Sequence[Fired], more: Sequence[int]) -> EncodedRecords:
    """What is not gathered."""
    return executions.encode(*joined(steps), metadata_of(more)) if steps else NO_RECORDS


def refused_record(run: RawRun, row: int) -> Refused:
    """A record of a run as dead letters tell of it."""
    columns = run.columns
    offset, ts_ms = int(columns.offset[row]), int(columns.ts_ms[row])
    return Refused(run.topic, run.partition, offset, ts_ms, columns.key(row), columns.value(row), columns.headers(row))


def grouped(letters: Sequence[tuple[str, Letter, int]], partitions: Mapping[str, int]) -> list[Letters]:
    """Dead letters by topic and partition, each in its order."""
    found: dict[tuple[str, int], list[tuple[Letter, int]]] = {}
    for topic, letter, ts_ms in letters:
        place = (topic, partition_of(letter.key, partitions[topic]))
        found.setdefault(place, []).append((letter, ts_ms))
    return [Letters(topic, partition, told) for (topic, partition), told in found.items()]
