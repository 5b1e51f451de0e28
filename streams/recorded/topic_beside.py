"""What a range of ticks was decided by, out of the topics: strategies, flags, turns, clock, and the workers' journal.

The journal says from which tick on each shard had taken how much of the other inputs. A shard that no worker has
written of is decided by all that stands now, from its first tick on: as a worker would that begins with it.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from streams.core.events import Clock, Mode, Strategy, Tombstone
from streams.core.flags import Control
from streams.core.journal import Entry
from streams.core.journal import Placed as Standing
from streams.core.limits import FOREVER, NEVER
from streams.core.special_rows import Inputs
from streams.core.turns import universe_before
from streams.kafka import control_records
from streams.kafka.bad_values import BadValueError, Reason
from streams.kafka.clock_values import MAX_CLOCK_BYTES
from streams.kafka.codec import Decoder
from streams.kafka.control_topic import read_turns
from streams.kafka.registry import Schemas
from streams.kafka.schema_source import registry_told
from streams.kafka.strategy_fold import put, read
from streams.kafka.strategy_topic import RECORD as STRATEGY_CHANGE
from streams.kafka.topic_spans import Span
from streams.kafka.whole_topic import Record, read_whole
from streams.recorded.beside import TAKEN, Beside, Event, Stands, Start
from streams.recorded.rows_then import RowsThen
from streams.recorded.side_by_side import Begun, side_by_side
from streams.topic_names import CLOCK, CONTROLS, JOURNAL, STRATEGY_CHANGES, TopicNames

NAMED: Final = 5
"""Strategies, or shards, in one warning."""

Place = tuple[str, int]
"""Topic, its name without the prefix, and partition."""
Events = list[Standing[Event]]


class Source(NamedTuple):
    """Where the topics are."""

    bootstrap: str
    names: TopicNames
    schemas: Schemas
    security: Mapping[str, str]
    default_mode: Mode
    begun: Begun = MappingProxyType({})

    def records(self, topic: str) -> Iterator[Record]:
        """All that is committed of a topic; raises `InputError`."""
        return self.begun[topic] if topic in self.begun else read_whole(self.bootstrap, topic, self.security)


class Range(NamedTuple):
    """Which ticks, by partition, and which times of the clock."""

    spans: Mapping[int, Span]
    from_ms: int = NEVER
    to_ms: int = FOREVER
    """Of clock records."""
    rows: Mapping[int, RowsThen] = {}
    """What each shard begins with, where it begins with its changelogs: see `warm_up.py`. The spans begin there."""


def read_beside(source: Source, asked: Range) -> tuple[Beside, list[str]]:
    """Read it all, and say what is odd about it; raises `InputError`."""
    topics = [source.names.prefix + name for name in (*TAKEN, JOURNAL)]
    with registry_told(), side_by_side(source.records, topics) as begun:
        return _Reading(source._replace(begun=begun), asked).read()


class _Reading:
    """Reads topic by topic."""

    def __init__(self, source: Source, asked: Range) -> None:
        self._source, self._asked = source, asked
        self._ends: dict[Place, int] = {}
        """Behind the last record of each partition."""
        self._warnings: list[str] = []

    def read(self) -> tuple[Beside, list[str]]:
        source = self._source
        changes, controls = self._changes(), self._controls()
        others: dict[Place, Events] = {**changes, **controls, **self._clock()}
        entries = self._entries()
        starts = {
            shard: Start(rows.recovery, rows.position, [], [], rows.tick, self._asked.from_ms)
            for shard, rows in self._asked.rows.items()
        }
        known = _known_to_all(starts) if starts else self._known(entries)
        self._look_at_compaction(changes, known)
        self._look_at_clocks(starts, entries)
        beside = Beside(
            shards=len(self._asked.spans),
            default_mode=source.default_mode,
            strategies=_standing(changes, known),
            controls=_set(controls, known),
            turns=read_turns(source.bootstrap, source.names.turns, source.schemas, source.security),
            known=known,
            others={place: _from(events, known.get(place, 0)) for place, events in others.items()},
            entries={
                shard: [_lifted(each, starts[shard].known if starts else known) for each in some]
                for shard, some in entries.items()
            },
            starts={
                shard: start._replace(strategies=_standing(changes, start.known), controls=_set(controls, start.known))
                for shard, start in starts.items()
            },
        )
        return beside, self._warnings

    def _records(self, name: str) -> Iterator[Record]:
        """The records of a topic, each partition in order."""
        for record in self._source.records(self._source.names.prefix + name):
            self._ends[name, record.partition] = record.offset + 1
            yield record

    def _changes(self) -> dict[Place, Events]:
        """The versions of strategies that count, as every worker settles them."""
        found: dict[Place, Events] = {}
        strategies, befores = dict[str, Strategy](), dict[str, frozenset[str]]()
        decoder = Decoder(self._source.schemas, STRATEGY_CHANGE)
        for record in self._records(STRATEGY_CHANGES):
            change = read(record, decoder)
            old = None if isinstance(change, Reason) else strategies.get(change.strategy_id)
            counts = put(strategies, change)
            if isinstance(counts, Strategy | Tombstone):
                before = befores.pop(counts.strategy_id, frozenset())
                if isinstance(counts, Strategy):
                    befores[counts.strategy_id] = before = universe_before(old, before, counts)
                stands = Stands(counts, before if isinstance(counts, Strategy) else frozenset())
                found.setdefault((STRATEGY_CHANGES, record.partition), []).append((record.offset, stands))
        return found

    def _controls(self) -> dict[Place, Events]:
        found: dict[Place, Events] = {}
        decoder = Decoder(self._source.schemas, control_records.RECORD)
        for record in self._records(CONTROLS):
            control = control_records.read(record, decoder)
            if isinstance(control, Control):
                found.setdefault((CONTROLS, record.partition), []).append((record.offset, control))
        return found

    def _clock(self) -> dict[Place, Events]:
        """The clock records of the range's time."""
        found: dict[Place, Events] = {}
        decoder = Decoder(self._source.schemas, CLOCK, MAX_CLOCK_BYTES)
        for record in self._records(CLOCK):
            try:
                ts_ms: int = decoder.decode(record.value, record.headers)["ts"]
            except BadValueError:
                continue
            if (self._asked.rows or self._asked.from_ms <= ts_ms) and ts_ms < self._asked.to_ms:
                found.setdefault((CLOCK, record.partition), []).append((record.offset, Clock(ts_ms)))
        return found

    def _entries(self) -> dict[int, list[Entry]]:
        """Of each shard, what its worker says of the range; and of what was in force when it began."""
        written: dict[int, list[Entry]] = {}
        decoder = Decoder(self._source.schemas, JOURNAL)
        for record in self._records(JOURNAL):
            told = decoder.decode(record.value, record.headers)
            shard = told["shard"]
            span = self._asked.spans.get(shard, Span(0, 0))
            if told["app_id"] != self._source.names.app_id or told["next_offset"] > span.end:
                continue
            inputs = {(each["topic"], each["partition"]): each["next_offset"] for each in told["inputs"]}
            of_shard = written.setdefault(shard, [])
            if len(of_shard) > 1 and of_shard[1].next_offset < span.first:
                del of_shard[0]  # the last that lies before the range says all that those before it did
            of_shard.append(Entry(told["next_offset"], inputs))
        return self._with_shards_untold(written)

    def _with_shards_untold(self, written: Mapping[int, list[Entry]]) -> dict[int, list[Entry]]:
        """The same, and those shards of which no worker has written."""
        entries = dict(written)
        untold = [p for p, span in self._asked.spans.items() if p not in written and span.first < span.end]
        stands = {place: end for place, end in self._ends.items() if place[0] in {STRATEGY_CHANGES, CONTROLS}}
        for partition in untold:
            entries[partition] = [Entry(self._asked.spans[partition].first, stands)]
        if untold:
            words = "no worker has decided partitions" if written else "no worker has decided any tick"
            named = f" {_named(map(str, untold))}" if written else ""
            self._warnings.append(f"{words}{named}: they are decided by the strategies and flags that stand now")
        return entries

    def _known(self, entries: Mapping[int, list[Entry]]) -> dict[Place, int]:
        """Up to where inputs are in the start: on every shard, or, of its own clock, on the shard."""
        at_start, clocks = list[Inputs](), dict[Place, int]()
        for shard, of_shard in entries.items():
            first = self._asked.spans[shard].first
            told = [entry.inputs for entry in of_shard if entry.next_offset <= first]
            at_start.append(told[-1] if told else {})
            before = [entry.inputs for entry in of_shard if entry.next_offset < first]
            clocks[CLOCK, shard] = before[-1].get((CLOCK, shard), 0) if before else 0
        places = {place for inputs in at_start for place in inputs if place[0] in {STRATEGY_CHANGES, CONTROLS}}
        return {place: min(inputs.get(place, 0) for inputs in at_start) for place in sorted(places)} | clocks

    def _look_at_clocks(self, starts: Mapping[int, Start], entries: Mapping[int, list[Entry]]) -> None:
        """Warn of shards whose state has clock records that the range begins with; the rows before are gone."""
        taken = []
        for shard, start in starts.items():
            told = [
                each.inputs.get((CLOCK, shard), 0)
                for each in entries.get(shard, ())
                if each.next_offset < start.tells_from
            ]
            if (
                start.tells_from
                and start.from_ms == NEVER
                and start.known.get((CLOCK, shard), 0) > max(told, default=0)
            ):
                taken.append(str(shard))
        if taken:
            words = "clock records at the start are in their state, and what they fired is not told"
            remedy = "the rows before are compacted away: begin earlier or later"
            self._warnings.append(f"partitions {_named(taken)}: {words}; {remedy}")

    def _look_at_compaction(self, changes: Mapping[Place, Events], known: Mapping[Place, int]) -> None:
        """Warn of strategies whose version at the start may be gone from the topic."""
        first: dict[str, tuple[Place, int, Event]] = {}
        for place, events in changes.items():
            for offset, event in events:
                if isinstance(event, Stands):
                    first.setdefault(event.strategy_id, (place, offset, event))
        lost = [
            sid
            for sid, (place, offset, event) in sorted(first.items())
            if offset >= known.get(place, 0)
            and isinstance(event, Stands)
            and isinstance(event.stands, Strategy)
            and event.stands.version > 1
        ]
        if lost:
            words = f"of {len(lost)} strategies the first version that is left came within the range"
            remedy = "what stood before was compacted away, and decides nothing here; record days while it is there"
            self._warnings.append(f"{self._source.names.strategy_changes}: {words} ({_named(lost)}); {remedy}")


def _known_to_all(starts: Mapping[int, Start]) -> dict[Place, int]:
    """Up to where every shard knows the inputs; and of its own clock, the shard."""
    places = {place for start in starts.values() for place in start.known}
    known = {place: min(start.known.get(place, 0) for start in starts.values()) for place in places}
    return known | {place: starts[place[1]].known.get(place, 0) for place in places if place[0] == CLOCK}


def _standing(changes: Mapping[Place, Events], known: Mapping[Place, int]) -> list[Stands]:
    """The strategies that stood at the start."""
    found: dict[str, Stands] = {}
    for place, events in changes.items():
        for offset, event in events:
            if offset < known.get(place, 0) and isinstance(event, Stands):
                found[event.strategy_id] = event
    return [each for _, each in sorted(found.items()) if isinstance(each.stands, Strategy)]


def _set(controls: Mapping[Place, Events], known: Mapping[Place, int]) -> list[Control]:
    """The flags that were set at the start."""
    found: dict[bytes, Control] = {}
    for place, events in controls.items():
        for offset, event in events:
            if offset < known.get(place, 0) and isinstance(event, Control):
                found[control_records.key_of(event)] = event
    return [each for _, each in sorted(found.items()) if each.value is not None]


def _from(events: Events, offset: int) -> Events:
    return [each for each in events if each[0] >= offset]


def _lifted(entry: Entry, known: Inputs) -> Entry:
    """The same, knowing what is in the start; of other inputs nothing has to be known."""
    told = {place: max(end, known.get(place, 0)) for place, end in entry.inputs.items() if place[0] in TAKEN}
    return entry._replace(inputs=told)


def _named(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - NAMED} more" if len(every) > NAMED else ""
    return f"{', '.join(every[:NAMED])}{more}"
