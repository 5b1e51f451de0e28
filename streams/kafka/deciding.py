"""From runs of ticks to what a checkpoint makes true: decode, decide, encode. All state of one shard is here.

The strategies change between two emissions only, so all decisions of one checkpoint stand on the same ones; the
position row says on which.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streams.core.agreement import Agreement, Told
from streams.core.asked import NOBODY, Asked
from streams.core.columns import Counters, Int64s
from streams.core.events import Strategy, Tombstone
from streams.core.executions import Executions, joined
from streams.core.index import LimitError
from streams.core.records import NO_RECORDS, records_of
from streams.core.shard import Fires, Shard, part_of
from streams.core.special_rows import Inputs
from streams.core.state_rows import StateRows
from streams.core.tickers import TooManyTickersError
from streams.core.turning import Turning
from streams.instruments import Done
from streams.kafka.bad_values import Reason
from streams.kafka.book import Refusal
from streams.kafka.checkpoint import Emission
from streams.kafka.codec import Encoder
from streams.kafka.dead_letters import Letter, Refused, dead_letter, dead_letter_topic
from streams.kafka.decision_records import DecisionRecords, Place
from streams.kafka.fetch import RawRun
from streams.kafka.partitions import partition_of
from streams.kafka.producing import Keyed, Letters, Outgoing
from streams.kafka.tick_values import TickRun, TickValues
from streams.kafka.tracking_log import TrackingLog
from streams.kafka.turn_records import pair_of
from streams.topic_names import TopicNames


class Layout(NamedTuple):
    """The topics, and how many partitions those have that are written by key."""

    topics: TopicNames
    executions: int
    dead_letters: Mapping[str, int]
    """By the topic of the letters."""
    decisions: int = 0
    """None where nobody asks for any."""


class Tools(NamedTuple):
    """What all shards share."""

    layout: Layout
    values: TickValues
    encoder: Encoder
    asked: Asked = NOBODY


class Decided(NamedTuple):
    """An emission, and what there is to tell of it once it is true."""

    emission: Emission
    ticks: int
    done: Done
    """Its duration is not known yet."""
    refused: Mapping[str, int]
    """Bad ticks by the word for why."""
    left: Sequence[RawRun] = ()
    """What may not be decided yet."""
    waits_for: str = ""
    """What the rest waits for; empty where it may be decided next."""


class Deciding:
    """One shard at work."""

    def __init__(
        self, partition: int, shard: Shard, rows: StateRows, tools: Tools, agreement: Agreement | None = None
    ) -> None:
        self.partition, self.shard = partition, shard
        self.turning = Turning(shard, agreement or Agreement(0, 1, lambda _: True))
        self._rows, self._layout, self._values, self._encoder, asked = rows, *tools
        self._decisions = DecisionRecords(shard, asked, self._encoder) if asked.anything else None
        self._step = shard.step if self._decisions is None else self._decisions.step
        topics = self._layout.topics
        self._executions = Executions(shard, topics.ticks, partition, self._encoder.schema_id("execution"))
        self._told, self._tracking = shard.totals, TrackingLog(partition)

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
        refusals: Sequence[Refusal] = (),
        *,
        with_rows: bool = True,
    ) -> Decided:
        """Take the runs, in order. Raises `RegistryDownError` before the first of them has changed anything.

        Rows hold all that has changed since there were some last. What comes behind a tick that may not be decided
        yet is left: it waits for other shards, or strategies turn there and the next emission begins with it.
        """
        decoded = [await self._values.ticks(self.shard, run.columns) for run in runs]
        turns = self.turning.tell() if with_rows else []
        steps: list[tuple[Fires, Int64s]] = []
        left, taken = Left([], ""), list[RawRun]()
        letters = [self._letter_of_change(each) for each in refusals]
        reasons: dict[str, int] = {}
        for run, (ticks, bad) in self._free_parts(runs, decoded, left):
            fires = self._step(ticks)
            self._rows.note(fires)
            steps.append((fires, run.columns.offset))
            letters += [self._letter(refused_record(run, each.row), each.reason) for each in bad]
            for each in bad:
                reasons[each.reason.word] = reasons.get(each.reason.word, 0) + 1
            taken.append(run)
        position = left.runs[0].start if left.runs else position
        rows = [*self._outgoing_turns(turns), *self._outgoing_rows(position, inputs)] if with_rows else []
        more = self._more()
        executions = self._keyed(steps, more)
        told = grouped(letters, self._layout.dead_letters)
        emission = Emission([*executions, *self._told_decisions(taken)], told, rows, position)
        done = done_of(more, sum(len(run.columns) for run in taken), sum(each.records.count for each in executions))
        self._tracking.tell(done)
        return Decided(emission, done.ticks, done, reasons, left.runs, left.waits_for)

    def _free_parts(
        self, runs: Sequence[RawRun], decoded: Sequence[TickRun], left: "Left"
    ) -> Iterator[tuple[RawRun, TickRun]]:
        """The runs up to where they may be decided, each to be stepped before the next; the rest goes to `left`."""
        for at, (run, ticks) in enumerate(zip(runs, decoded, strict=True)):
            free = self.turning.free(ticks.ticks, begun=at > 0)
            if free.ticks == len(run.columns):
                yield run, ticks
                continue
            first, rest = cut(run, free.ticks)
            left.runs.extend([rest, *runs[at + 1 :]])
            left.waits_for = self.turning.told_why() if free.halted else ""
            yield (
                first,
                TickRun(part_of(ticks.ticks, 0, free.ticks), [bad for bad in ticks.bad if bad.row < free.ticks]),
            )
            return

    def _outgoing_turns(self, told: Sequence[Told]) -> list[Outgoing]:
        pairs = [pair_of(each, self._encoder) for each in told]
        ts_ms = max(self.shard.stream_ms, 0)
        return [Outgoing(self._layout.topics.turns, 0, records_of(pairs, ts_ms))] if pairs else []

    def counts_of(self, strategy_id: str) -> dict[str, int]:
        """What happened to a strategy in this shard since the shard was made; nothing where it was never met."""
        counts = self.shard.counts_of(strategy_id)
        if counts is None:
            return {}
        return {**counts._asdict(), "executions": self._executions.made(strategy_id)}

    def _more(self) -> list[int]:
        """What the totals have grown by since this was last asked."""
        before, self._told = self._told, self.shard.totals
        grown_by: list[int] = (self._told - before).tolist()
        return grown_by

    def _keyed(self, steps: Sequence[tuple[Fires, Int64s]], more: Sequence[int]) -> list[Keyed]:
        executions = self._executions.encode(*joined(steps), metadata_of(more)) if steps else NO_RECORDS
        layout = self._layout
        return [Keyed(layout.topics.alert_executions, layout.executions, executions)] if executions.count else []

    def _told_decisions(self, runs: Sequence[RawRun]) -> list[Keyed]:
        """Why the strategies that were asked for fired or did not."""
        filled = [run.columns.offset for run in runs if len(run.columns)]
        if self._decisions is None or not filled:
            return []
        topics = self._layout.topics
        place = Place(topics.ticks, self.partition, int(filled[0][0]), int(filled[-1][-1]))
        records = self._decisions.take(place)
        return [Keyed(topics.decisions, self._layout.decisions, records)] if records.count else []

    def _outgoing_rows(self, position: int, inputs: Inputs) -> list[Outgoing]:
        rows, topics = self._rows.encode(position, inputs), self._layout.topics
        return [
            Outgoing(topics.changelog(table), self.partition, records)
            for table, records in zip(rows._fields, rows, strict=True)
            if records.count
        ]

    def _letter_of_change(self, refusal: Refusal) -> tuple[str, Letter, int]:
        record, topic = refusal.record, self._layout.topics.prefix + refusal.topic
        told = Refused(topic, record.partition, record.offset, -1, record.key, record.value, record.headers)
        return self._letter(told, refusal.reason)

    def _letter(self, record: Refused, reason: Reason) -> tuple[str, Letter, int]:
        return dead_letter_topic(record.topic), dead_letter(self._encoder, record, reason), max(record.ts_ms, 0)


def done_of(more: Sequence[int], ticks: int, executions: int) -> Done:
    """What an emission did, of what the totals have grown by."""
    return Done(
        0.0,
        ticks=ticks,
        irrelevant=more[Counters.IRRELEVANT],
        updates=more[Counters.UPDATES],
        late=more[Counters.LATE],
        bucket_dup=more[Counters.BUCKET_DUP],
        no_update=more[Counters.NO_UPDATE],
        fired_pairs=more[Counters.FIRED] + more[Counters.TRIGGERED],
        executions=executions,
        corruptions=more[Counters.CORRUPTIONS],
        no_bucket=more[Counters.NO_BUCKET],
        looks=more[Counters.LOOKS],
        checks=more[Counters.CHECKS],
        processed=more[Counters.PROCESSED],
        skipped=more[Counters.SKIPPED],
    )


def metadata_of(more: Sequence[int]) -> dict[str, int]:
    """What executions say of the steps that made them: tickers checked and skipped, pairs by what came of them."""
    told = {
        "checked": more[Counters.PROCESSED],
        "skipped": more[Counters.SKIPPED],
        "fired": more[Counters.FIRED] + more[Counters.TRIGGERED],
        "bucket_dup": more[Counters.BUCKET_DUP],
        "late": more[Counters.LATE],
        "no_bucket": more[Counters.NO_BUCKET],
    }
    return {name: count for name, count in told.items() if count}


@dataclass(slots=True)
class Left:
    """What may not be decided yet, and what it waits for; nothing, where it is only another emission's."""

    runs: list[RawRun]
    waits_for: str


def cut(run: RawRun, row: int) -> tuple[RawRun, RawRun]:
    """Two runs of one: the records before a row, and those from it on."""
    at = int(run.columns.offset[row]) if row else run.start
    first = run._replace(position=at, columns=run.columns.part(0, row))
    return first, run._replace(start=at, columns=run.columns.part(row, len(run.columns)))


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
