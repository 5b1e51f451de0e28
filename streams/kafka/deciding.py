"""From runs of ticks to what a checkpoint makes true: decode, decide, encode. All state of one shard is here.

The strategies change between two emissions only, so all decisions of one checkpoint stand on the same ones; the
position row says on which.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from streams.core.asked import NOBODY, Asked
from streams.core.columns import Counters, Int64s
from streams.core.events import Strategy, Tombstone
from streams.core.executions import Executions, joined
from streams.core.gathered import Step
from streams.core.index import LimitError
from streams.core.records import NO_RECORDS, EncodedRecords, concatenated
from streams.core.shard import Fires, Shard, Ticks
from streams.core.special_rows import Inputs
from streams.core.state_rows import StateRows
from streams.core.tickers import TooManyTickersError
from streams.instruments import Done
from streams.kafka.bad_values import Reason
from streams.kafka.checkpoint import Emission
from streams.kafka.codec import Encoder
from streams.kafka.dead_letters import Letter, Refused, dead_letter, dead_letter_topic
from streams.kafka.decision_records import DecisionRecords, Place
from streams.kafka.fetch import RawRun
from streams.kafka.partitions import partition_of
from streams.kafka.producing import Keyed, Letters, Outgoing
from streams.kafka.strategy_book import Refusal
from streams.kafka.tick_values import TickValues
from streams.kafka.tracking_log import TrackingLog
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


class Deciding:
    """One shard at work."""

    def __init__(self, partition: int, shard: Shard, rows: StateRows, tools: Tools) -> None:
        self.partition, self.shard = partition, shard
        self._rows, self._layout, self._values, self._encoder, asked = rows, *tools
        self._decisions = DecisionRecords(shard, asked, self._encoder) if asked.anything else None
        self._step = shard.step if self._decisions is None else self._decisions.step
        topics = self._layout.topics
        self._executions = Executions(shard, topics.ticks, partition, self._encoder.schema_id("execution"))
        self._told, self._tracking = shard.totals, TrackingLog(partition)

    def all_stand(self) -> None:
        """All strategies that stand have been put in force."""
        self.shard.all_stand()

    @property
    def has_closed(self) -> bool:
        """Whether changes of strategies have closed groups, which go out though no tick comes."""
        return self.shard.gathered.has_closed

    def stand(self, stands: Strategy | Tombstone) -> str:
        """Take what stands of a strategy, as it was settled for all shards; says why not, where a bound forbids it."""
        try:
            if isinstance(stands, Tombstone):
                self.shard.forget(stands.strategy_id)
            else:
                self.shard.stand(stands)
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

        Rows hold all that has changed since there were some last.
        """
        decoded = [await self._values.ticks(self.shard, run.columns) for run in runs]
        flushed = self._closed()
        steps: list[tuple[Fires, Int64s]] = []
        letters = [self._letter_of_change(each) for each in refusals]
        reasons: dict[str, int] = {}
        for run, (ticks, bad) in zip(runs, decoded, strict=True):
            steps.append((self._take(ticks, run.columns.offset), run.columns.offset))
            letters += [self._letter(refused_record(run, each.row), each.reason) for each in bad]
            for each in bad:
                reasons[each.reason.word] = reasons.get(each.reason.word, 0) + 1
        more = self._more()
        executions = self._keyed([flushed, self._due(), self._at_once(steps, more)])
        rows = self._outgoing_rows(position, inputs) if with_rows else []
        told = grouped(letters, self._layout.dead_letters)
        emission = Emission([*executions, *self._told_decisions(runs)], told, rows, position)
        taken = sum(len(run.columns) for run in runs)
        done = done_of(more, taken, sum(each.records.count for each in executions))
        self._tracking.tell(done)
        return Decided(emission, taken, done, reasons)

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

    def _take(self, ticks: Ticks, offsets: Int64s) -> Fires:
        """Take a run; returns what fires at once. The rest is gathered."""
        shard, before_ms = self.shard, self.shard.stream_ms
        fires = self._step(ticks)
        self._rows.note(fires)
        return shard.gathered.take(fires, Step(ticks, offsets, before_ms), shard.rank(), self._executions.room)

    def _due(self) -> EncodedRecords:
        """What is gathered and due by now, also where a clock has brought the time."""
        self.shard.gathered.close_due(self.shard.stream_ms)
        return self._closed()

    def _closed(self) -> EncodedRecords:
        """What has closed. It says nothing of steps, as that would hang on where checkpoints are cut."""
        return self._executions.encode_gathered(self.shard.gathered.take_closed(self.shard.rank()))

    def _at_once(self, steps: Sequence[tuple[Fires, Int64s]], more: Sequence[int]) -> EncodedRecords:
        return self._executions.encode(*joined(steps), metadata_of(more)) if steps else NO_RECORDS

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

    def _outgoing_rows(self, position: int, inputs: Inputs) -> list[Outgoing]:
        rows, topics = self._rows.encode(position, inputs), self._layout.topics
        return [
            Outgoing(topics.changelog(table), self.partition, records)
            for table, records in zip(rows._fields, rows, strict=True)
            if records.count
        ]

    def _letter_of_change(self, refusal: Refusal) -> tuple[str, Letter, int]:
        record, topic = refusal.record, self._layout.topics.strategy_changes
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
