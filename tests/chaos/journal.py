"""All that a run has left on its topics, read as any other program would read it, and decoded record by record."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from confluent_kafka.admin import AdminClient

from streams.core.agreement import Decision
from streams.core.conditions import ConditionTable
from streams.core.events import Strategy, Tick, Tombstone
from streams.core.journal import Entry
from streams.core.lifecycle import Verdict, settle
from streams.core.limits import MAX_TS_MS, MIN_TS_MS
from streams.core.records import EncodedRecords, partitions_of
from streams.core.shard import Shard
from streams.core.special_rows import POSITION_KEY, Position, read_position
from streams.core.turns import Turns
from streams.kafka import control_records
from streams.kafka.bad_values import BadValueError, Reason
from streams.kafka.codec import Decoder
from streams.kafka.record_batch import RecordColumns
from streams.kafka.registry import FileSchemas
from streams.kafka.strategy_records import strategy_of
from streams.kafka.tick_values import TickRun, TickValues
from streams.kafka.turn_records import told_of
from streams.kafka.whole_topic import Record, read_whole
from streams.topic_names import TopicNames


class InputTick(NamedTuple):
    """A record of `ticks`: what it says, or the word for why it is refused."""

    record: Record
    tick: Tick | None
    refused: str


class InputChange(NamedTuple):
    """A record of `strategy-changes`: the version that it brings, a deletion, or the word for why it is refused.

    Neither: it changes nothing.
    """

    record: Record
    change: Strategy | Tombstone | None
    refused: str


class InputClock(NamedTuple):
    """A record of `clock`: the time that it brings, or the word for why it is refused whenever it comes."""

    record: Record
    ts_ms: int
    refused: str


class InputControl(NamedTuple):
    """A record of `controls`, and the word for why it is refused, if it is."""

    record: Record
    refused: str


class Execution(NamedTuple):
    """A record of `alert-executions`."""

    record: Record
    fields: Mapping[str, Any]

    @property
    def strategy_id(self) -> str:
        """Who is to run."""
        found: str = self.fields["strategy_id"]
        return found

    @property
    def partition(self) -> int:
        """The shard that it comes from."""
        found: int = self.fields["cause"]["partition"]
        return found


class Cut(NamedTuple):
    """A checkpoint: the row of the position that ended it."""

    offset: int
    """Of the row."""
    position: Position


class Rows(NamedTuple):
    """The changelogs of one shard."""

    last_update: list[Record]
    last_bucket: list[Record]

    @property
    def cuts(self) -> list[Cut]:
        """Every checkpoint."""
        rows = ((row.offset, row.value) for row in self.last_bucket if row.key == POSITION_KEY)
        return [Cut(offset, read_position(value)) for offset, value in rows if value is not None]


class Letter(NamedTuple):
    """A dead letter."""

    record: Record
    fields: Mapping[str, Any]


class Journal(NamedTuple):
    """One run."""

    names: TopicNames
    shards: int
    ticks: Mapping[int, list[InputTick]]
    changes: Mapping[int, list[InputChange]]
    clock: Mapping[int, list[InputClock]]
    controls: list[InputControl]
    turns: Mapping[str, Turns]
    """Of each strategy that has turned, as all shards know them in the end."""
    entries: Mapping[int, list[Entry]]
    """What each shard says of when it took what."""
    executions: list[Execution]
    rows: Mapping[int, Rows]
    letters: list[Letter]


def read_journal(bootstrap: str, names: TopicNames, conditions: ConditionTable) -> Journal:
    """Read everything that is committed."""
    shards = len(AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=10).topics[names.ticks].partitions)
    inputs = (names.ticks, names.strategy_changes, names.clock, names.controls)
    own = (names.turns, names.journal)
    topics = [*inputs, *own, names.alert_executions, *names.changelogs, *map(names.dead_letters, inputs)]
    with ThreadPoolExecutor() as readers:  # they wait for the broker, mostly
        read = readers.map(lambda topic: list(read_whole(bootstrap, topic)), topics)
        ticks, changes, clock, controls, turns, entries, executions, updates, buckets, *letters = map(
            by_partition, read
        )
    execution, letter = Decoder(FileSchemas(), "execution"), Decoder(FileSchemas(), "dead_letter")
    return Journal(
        names,
        shards,
        {p: read_ticks(ticks.get(p, []), p, shards, conditions) for p in range(shards)},
        {p: read_changes(records) for p, records in changes.items()},
        {p: read_clock(clock.get(p, [])) for p in range(shards)},
        [read_control(each) for each in controls.get(0, [])],
        read_turns(turns.get(0, [])),
        {p: read_entries(entries.get(p, [])) for p in range(shards)},
        [Execution(each, execution.decode(each.value)) for part in executions.values() for each in part],
        {p: Rows(updates.get(p, []), buckets.get(p, [])) for p in range(shards)},
        [Letter(each, letter.decode(each.value)) for topic in letters for part in topic.values() for each in part],
    )


def by_partition(records: Iterable[Record]) -> dict[int, list[Record]]:
    """The records of each partition that has any, in order."""
    found: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        found[record.partition].append(record)
    return found


def read_ticks(records: list[Record], shard: int, shards: int, conditions: ConditionTable) -> list[InputTick]:
    """Each record of one partition. What is refused, the worker's own decoder says; what is not, another one reads."""
    refused = refused_ticks(records, shard, shards, conditions) if records else {}
    reader = Decoder(FileSchemas(), "tick")
    return [
        InputTick(record, None, refused[i]) if i in refused else InputTick(record, tick_of(reader, record), "")
        for i, record in enumerate(records)
    ]


def refused_ticks(records: list[Record], shard: int, shards: int, conditions: ConditionTable) -> dict[int, str]:
    """Which records the worker's decoder refuses, and the word for why."""
    owner = Shard(conditions, owns=lambda ticker: shard_of(ticker, shards) == shard)
    run, values = columns_of(records), TickValues(FileSchemas())
    waiting = values.ticks(owner, run)
    try:
        waiting.send(None)
    except StopIteration as done:
        found: TickRun = done.value
        return {bad.row: bad.reason.word for bad in found.bad}
    raise AssertionError("schemas from files are there at once")


def tick_of(reader: Decoder, record: Record) -> Tick:
    """A tick, by fastavro."""
    fields = reader.decode(record.value, record.headers)
    return Tick(fields["ticker"], fields["ts"], fields["price"], fields["size"], tuple(fields["conditions"]))


def read_changes(records: Iterable[Record]) -> list[InputChange]:
    """What each record of one partition does to what stands before it."""
    standing: dict[str, Strategy] = {}
    decoder, found = Decoder(FileSchemas(), "strategy_change"), []
    for at, record in enumerate(records):
        assert record.offset == at, f"strategy-changes-{record.partition}: offset {at} is gone; nothing can be audited"
        found.append(_change(standing, record, decoder))
    return found


def read_clock(records: Iterable[Record]) -> list[InputClock]:
    """Each record of one partition."""
    decoder, found = Decoder(FileSchemas(), "clock"), []
    for record in records:
        try:
            ts_ms = decoder.decode(record.value, record.headers)["ts"]
        except BadValueError as error:
            found.append(InputClock(record, 0, error.reason.word))
        else:
            in_range = MIN_TS_MS <= ts_ms < MAX_TS_MS
            found.append(InputClock(record, ts_ms, "" if in_range else "ts_out_of_range"))
    return found


def read_entries(records: Iterable[Record]) -> list[Entry]:
    """What one shard says."""
    decoder = Decoder(FileSchemas(), "journal")
    told = [decoder.decode(record.value, record.headers) for record in records]
    return [
        Entry(each["next_offset"], {(at["topic"], at["partition"]): at["next_offset"] for at in each["inputs"]})
        for each in told
    ]


def _change(standing: dict[str, Strategy], record: Record, decoder: Decoder) -> InputChange:
    try:
        strategy_id = (record.key or b"").decode()
    except UnicodeDecodeError:
        strategy_id = ""
    if not strategy_id:
        return InputChange(record, None, "bad_key")
    now = standing.get(strategy_id)
    try:
        change = strategy_of(decoder.decode(record.value, record.headers)) if record.value is not None else None
    except BadValueError as error:
        return InputChange(record, None, error.reason.word)
    if change is None:  # a tombstone deletes what stands
        return InputChange(record, Tombstone(strategy_id) if standing.pop(strategy_id, None) else None, "")
    if change.strategy_id != strategy_id:
        return InputChange(record, None, "other_key")
    verdict = settle(now, change).verdict
    if verdict is Verdict.ACCEPTED:
        standing[strategy_id] = change
        return InputChange(record, change, "")
    return InputChange(record, None, f"change_{verdict}" if verdict.is_refusal else "")


def read_control(record: Record) -> InputControl:
    """Whether a control counts."""
    found = control_records.read(record, Decoder(FileSchemas(), "control"))
    return InputControl(record, found.word if isinstance(found, Reason) else "")


def read_turns(records: Iterable[Record]) -> dict[str, Turns]:
    """Every turn that was decided, also those that a later decision no longer names."""
    decoder, found = Decoder(FileSchemas(), "turn"), dict[str, Turns]()
    for record in records:
        told = told_of(decoder.decode(record.value, record.headers))
        if isinstance(told, Decision):
            before = found.get(told.strategy_id)
            found[told.strategy_id] = told.turns if before is None else (*before, told.turns[-1])
    return found


def columns_of(records: list[Record]) -> RecordColumns:
    """Records as one run; those with headers are not among a test's ticks."""
    buffer, spans = bytearray(), []
    for record in records:
        assert not record.headers, "ticks of a run that is audited name their schema in front of the value"
        for part in (record.key, record.value):
            spans.append((-1, -1) if part is None else (len(buffer), len(buffer) + len(part)))
            buffer += part or b""
    starts, ends = np.array(spans, np.int64).reshape(-1, 2).T.copy()
    offset, none = np.array([record.offset for record in records], np.int64), np.zeros(len(records), np.int64)
    keys, values = (starts[::2], ends[::2]), (starts[1::2], ends[1::2])
    return RecordColumns(np.frombuffer(buffer, np.uint8), offset, none, *keys, *values, none, none)


@cache
def shard_of(key: str, shards: int) -> int:
    """The partition that a key is sent to."""
    raw = key.encode()
    span = [np.array([at], np.int64) for at in (0, len(raw), 0, 0, 0)]
    return int(partitions_of(EncodedRecords(np.frombuffer(raw or b"\0", np.uint8), *span), shards)[0])
