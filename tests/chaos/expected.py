"""What the oracle makes of a run's input, shard by shard and checkpoint by checkpoint: executions, letters, state."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from streams.core.clock import is_too_far_ahead
from streams.core.conditions import ConditionTable
from streams.core.events import Clock, Fire, Mode, Status, Strategy, Tombstone
from streams.core.executions import MAX_EXECUTION_BYTES
from streams.core.gathering import Gathering, Group
from streams.core.journal import in_order
from streams.core.lifecycle import Verdict
from streams.core.limits import NEVER
from streams.core.oracle import Oracle
from streams.core.special_rows import Position
from streams.core.turns import Turn, Turns
from streams.topic_names import CLOCK, CONTROLS, STRATEGY_CHANGES
from tests.chaos.journal import Cut, InputChange, InputClock, InputTick, Journal, shard_of

Versions = Mapping[tuple[str, int], Strategy]
Input = TypeVar("Input", InputTick, InputClock)


class ShardOracle(Oracle):
    """The oracle over one partition: only tickers of its own, and whole strategies only where they are at home."""

    def __init__(
        self, conditions: ConditionTable, default_mode: Mode, shard: int, shards: int, turns: Mapping[str, Turns]
    ) -> None:
        """Make it with all turns that are decided in the end: of a bucket's way nothing else is ever true."""
        super().__init__(conditions, default_mode)
        self.shard, self.shards = shard, shards
        self.turns |= turns
        self.alone = not turns

    def owns(self, key: str) -> bool:
        """Whether a ticker, or a whole strategy, belongs here."""
        return shard_of(key, self.shards) == self.shard

    def _turn_if_wanted(self, sid: str) -> None:
        if self.alone:
            super()._turn_if_wanted(sid)

    def _decide(self, sid: str, turn: Turn | None) -> None:
        super()._decide(sid, turn)
        if not self.owns(sid):
            self.whole.discard(sid)

    def start_pairs(self, sid: str, tickers: Iterable[str]) -> None:
        """Only those that belong here."""
        super().start_pairs(sid, filter(self.owns, tickers))

    def ran(self, strategy_id: str, ticker: str) -> int:
        """The newest bucket in which the ticker ran for the strategy here."""
        last = self.last_bucket.get(strategy_id, {}).get(ticker, NEVER)
        return max(last, self.every_ticker_ran.get(strategy_id, NEVER))


class Wanted(NamedTuple):
    """An execution that must be there."""

    shard: int
    row: int
    """The offset of the position row of its checkpoint."""
    fields: Mapping[str, Any]

    @property
    def strategy_id(self) -> str:
        """Who is to run."""
        found: str = self.fields["strategy_id"]
        return found


class Refused(NamedTuple):
    """A record that must have a dead letter."""

    topic: str
    partition: int
    offset: int
    reason: str


class Misplaced(NamedTuple):
    """A position that cannot be."""

    shard: int
    row: int
    problem: str


class Expected(NamedTuple):
    """What one shard must have left."""

    oracle: ShardOracle
    gathering: Gathering
    executions: list[Wanted]
    letters: list[Refused]
    misplaced: list[Misplaced]
    cuts: list[Cut]
    versions: dict[str, list[tuple[int, int]]]
    """By strategy, in order: from which tick on, which version; 0 behind a tombstone."""
    clocked: list[tuple[int, int]]
    """In order: before which tick a clock record was taken, and the time that it brought."""
    ticks: int

    @property
    def end(self) -> int:
        """How far the shard has come."""
        return self.cuts[-1].position.next_offset if self.cuts else 0

    def version_at(self, strategy_id: str, offset: int) -> int:
        """The version that decided a tick; 0 if none did."""
        found = [version for start, version in self.versions.get(strategy_id, ()) if start <= offset]
        return found[-1] if found else 0

    def was_edited(self, strategy_id: str, first: int, last: int) -> bool:
        """Whether a version took the place of another before one of these ticks."""
        return any(first <= offset <= last for offset, _ in self.versions.get(strategy_id, ())[1:])

    def clock_ms(self, offset: int) -> int:
        """The newest time that clock records had brought before a tick."""
        return max((ts_ms for before, ts_ms in self.clocked if before <= offset), default=NEVER)


class Rules(NamedTuple):
    """What a run was held to."""

    conditions: ConditionTable
    default_mode: Mode
    exactly_once: bool
    coalesce_ms: int = 0


def expect(journal: Journal, shard: int, rules: Rules) -> Expected:
    """Run the oracle over one shard's checkpoints. It ends at the first position that cannot be."""
    oracle = ShardOracle(rules.conditions, rules.default_mode, shard, journal.shards, journal.turns)
    found = Expected(oracle, Gathering(MAX_EXECUTION_BYTES, rules.coalesce_ms), [], [], [], [], {}, [], 0)
    before, known = 0, dict.fromkeys(journal.changes, 0)
    taken = timed = controls = 0
    for cut in journal.rows[shard].cuts:
        problem = misplaced(journal, shard, before, known, cut)
        if problem:
            found.misplaced.append(Misplaced(shard, cut.offset, problem))
            break
        position, stands, closed = cut.position, cut.position.of(STRATEGY_CHANGES), []
        for partition, start in known.items():
            changes = journal.changes[partition][start : stands.get(partition, start)]
            closed += take_changes(found, journal, changes, before)
        known |= {p: end for p, end in stands.items() if p in known}
        controls_end = position.of(CONTROLS).get(0, controls)
        found.letters.extend(refused_controls(journal, shard, range(controls, controls_end)))
        controls = controls_end
        ticks = between(journal.ticks[shard], before, position.next_offset)
        clock = between(journal.clock[shard], timed, clock_end(position, shard))
        by_clock = list(clocked(found, journal, cut.offset, before, clock))
        closed += found.gathering.moved(
            oracle.stream_ms
        )  # before what the clock fires: it may have turned to the whole
        found.executions.extend([*executions(found, journal, closed, cut.offset, []), *by_clock])
        found.executions.extend(executions(found, journal, [], cut.offset, ticks))
        found.letters.extend(refused_ticks(journal, ticks))
        found.cuts.append(cut)
        before, taken, timed = position.next_offset, taken + len(ticks), clock_end(position, shard)
    return found._replace(ticks=taken)


def between(records: list[Input], start: int, end: int) -> list[Input]:
    """Those from one offset up to another; they stand in the order of their offsets."""
    first, last = (bisect_left(records, offset, key=lambda each: each.record.offset) for offset in (start, end))
    return records[first:last]


def clock_end(position: Position, shard: int) -> int:
    """How many clock records a shard has taken."""
    return position.inputs.get((CLOCK, shard), 0)


def clock_fires(
    found: Expected, journal: Journal, clock: list[InputClock], before: int = 0
) -> Iterator[tuple[int, list[Fire]]]:
    """Let the clock move on, before a tick; what is refused gets its letter."""
    for each in clock:
        reason = each.refused
        if not reason and is_too_far_ahead(found.oracle.stream_ms, each.ts_ms):
            reason = "clock_too_far_ahead"
        if reason:
            found.letters.append(Refused(journal.names.clock, found.oracle.shard, each.record.offset, reason))
        else:
            found.clocked.append((before, each.ts_ms))
            yield each.record.offset, found.oracle.clock(Clock(each.ts_ms))


def clocked(found: Expected, journal: Journal, row: int, before: int, clock: list[InputClock]) -> Iterator[Wanted]:
    """What whole strategies fire as the clock moves on, before a tick: each is one execution."""
    oracle, place = found.oracle, {"topic": journal.names.clock, "partition": found.oracle.shard}
    for offset, fires in clock_fires(found, journal, clock, before):
        for fire in fires:
            group = Group(oracle.strategies[fire.strategy_id], fire.bucket_ms, NEVER, offset, offset, fire.ts_ms)
            yield Wanted(oracle.shard, row, fields_of(group, place, "universe", str(fire.mode)))


def replayed(journal: Journal, shard: int, rules: Rules) -> set[tuple[str, str, int]]:
    """What fires when the topics alone are decided again, in the order that the journal says."""
    oracle = ShardOracle(rules.conditions, rules.default_mode, shard, journal.shards, journal.turns)
    found = Expected(oracle, Gathering(MAX_EXECUTION_BYTES, rules.coalesce_ms), [], [], [], [], {}, [], 0)
    fires: list[Fire] = []
    others: dict[tuple[str, int], list[tuple[int, InputTick | InputChange | InputClock]]] = {
        (STRATEGY_CHANGES, p): [(each.record.offset, each) for each in part] for p, part in journal.changes.items()
    }
    others[CLOCK, shard] = [(each.record.offset, each) for each in journal.clock[shard]]
    ticks = [(each.record.offset, each) for each in journal.ticks[shard]]
    for event in in_order(ticks, journal.entries[shard], others):
        if isinstance(event, InputChange):
            take_changes(found, journal, [event], 0)
        elif isinstance(event, InputClock):
            fires += [fire for _, fired in clock_fires(found, journal, [event]) for fire in fired]
        elif event.tick is not None:
            fires += oracle.tick(event.tick)
    return {fire[:3] for fire in fires}


def misplaced(journal: Journal, shard: int, before: int, known: Mapping[int, int], cut: Cut) -> str:
    """Why a position cannot follow the one before; empty if it can."""
    position, ticks = cut.position, journal.ticks[shard]
    end = ticks[-1].record.offset + 1 if ticks else 0
    if position.next_offset < before:
        return f"it goes back from {before} to {position.next_offset}"
    if position.next_offset > end:
        return f"it is {position.next_offset}, past the end of the ticks at {end}"
    known_clock = len(journal.clock[shard])
    if clock_end(position, shard) > known_clock:
        return f"it knows {clock_end(position, shard)} records of clock-{shard}, where there are {known_clock}"
    for partition, offset in position.of(STRATEGY_CHANGES).items():
        if offset < known.get(partition, 0):
            return f"it knows less of strategy-changes-{partition} than the one before: {offset} < {known[partition]}"
        if offset > len(journal.changes.get(partition, ())):
            return f"it knows {offset} records of strategy-changes-{partition}, where there are fewer"
    return ""


def take_changes(found: Expected, journal: Journal, changes: list[InputChange], next_offset: int) -> list[Group]:
    """Let the strategies move on, and close what they have gathered; letters of refused ones are the first shard's."""
    closed = []
    for each in changes:
        if isinstance(each.change, Tombstone):
            found.oracle.forget(each.change.strategy_id)
            closed += found.gathering.change(each.change.strategy_id)
            found.versions.setdefault(each.change.strategy_id, []).append((next_offset, 0))
        elif each.change is not None:
            if found.oracle.change(each.change).verdict is Verdict.ACCEPTED:
                closed += found.gathering.change(each.change.strategy_id)
            found.versions.setdefault(each.change.strategy_id, []).append((next_offset, each.change.version))
        if each.refused and found.oracle.shard == 0:
            topic, record = journal.names.strategy_changes, each.record
            found.letters.append(Refused(topic, record.partition, record.offset, each.refused))
    return closed


def refused_controls(journal: Journal, shard: int, offsets: range) -> Iterator[Refused]:
    """The letters of controls that one checkpoint has taken; they too are the first shard's to write."""
    for each in journal.controls if shard == 0 else ():
        if each.refused and each.record.offset in offsets:
            yield Refused(journal.names.controls, each.record.partition, each.record.offset, each.refused)


def refused_ticks(journal: Journal, ticks: list[InputTick]) -> Iterator[Refused]:
    """The letters of one checkpoint."""
    for each in ticks:
        if each.refused:
            yield Refused(journal.names.ticks, each.record.partition, each.record.offset, each.refused)


def executions(
    found: Expected, journal: Journal, closed: list[Group], row: int, ticks: list[InputTick]
) -> Iterator[Wanted]:
    """What goes out with one checkpoint: what was gathered and is due; then, of a strategy and bucket, what is not."""
    oracle, place = found.oracle, {"topic": journal.names.ticks, "partition": found.oracle.shard}
    at_once: dict[tuple[str, int, str], Group] = {}
    modes: dict[tuple[str, int, str], str] = {}
    for each in ticks:
        if each.tick is None:
            continue
        offset, fires = each.record.offset, oracle.tick(each.tick)
        taken = found.gathering.take(fires, offset, oracle.stream_ms, oracle.strategies)
        closed += taken.closed
        for fire in taken.at_once:
            key = fire.strategy_id, fire.bucket_ms, "tickers" if fire.ticker else "universe"
            strategy = oracle.strategies[fire.strategy_id]
            group = at_once.setdefault(key, Group(strategy, fire.bucket_ms, NEVER, offset, offset, fire.ts_ms))
            group.tickers += [fire.ticker] if fire.ticker else []
            group.last_offset, group.ts_ms = offset, min(group.ts_ms, fire.ts_ms)
            modes[key] = str(fire.mode)
    for group in closed:
        yield Wanted(oracle.shard, row, fields_of(group, place, "tickers", str(Mode.PER_TICKER)))
    for key, group in at_once.items():
        yield Wanted(oracle.shard, row, fields_of(group, place, key[2], modes[key]))


def fields_of(group: Group, place: Mapping[str, Any], scope: str, mode: str) -> Mapping[str, Any]:
    """All that an execution says."""
    strategy = group.strategy
    where = f"{place['topic']}-{place['partition']}@{group.first_offset}"
    return {
        "execution_id": f"{strategy.strategy_id}|{group.bucket_ms}|{where}",
        "strategy_id": strategy.strategy_id,
        "strategy_version": strategy.version,
        "mode": mode,
        "timeframe": strategy.timeframe,
        "bucket_ms": group.bucket_ms,
        "tickers": group.tickers,
        "scope": scope,
        "ts": group.ts_ms,
        "cause": {**place, "first_offset": group.first_offset, "last_offset": group.last_offset},
        "run_id": "",
    }


def all_versions(journal: Journal) -> Versions:
    """Every version that ever counted, by strategy and number. The market gives no number twice, tombstone or not."""
    changes = (each.change for part in journal.changes.values() for each in part)
    found = [each for each in changes if isinstance(each, Strategy) and each.status is Status.ACTIVE]
    versions = {(each.strategy_id, each.version): each for each in found}
    assert len(versions) == len(found), "executions name a version, and nothing else tells two of one number apart"
    return versions
