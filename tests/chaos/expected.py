"""What the oracle makes of a run's input, shard by shard and checkpoint by checkpoint: executions, letters, state."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from streams.core.conditions import ConditionTable
from streams.core.events import Fire, Mode, Status, Strategy, Tombstone
from streams.core.limits import NEVER
from streams.core.oracle import Oracle
from streams.core.turns import Turn, Turns
from streams.topic_names import CONTROLS, STRATEGY_CHANGES
from tests.chaos.journal import Cut, InputChange, InputTick, Journal, shard_of

Versions = Mapping[tuple[str, int], Strategy]


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

    def start_pairs(self, sid: str, tickers: Iterable[str], floor_ms: int) -> None:
        """Only those that belong here."""
        super().start_pairs(sid, filter(self.owns, tickers), floor_ms)

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
    executions: list[Wanted]
    letters: list[Refused]
    misplaced: list[Misplaced]
    cuts: list[Cut]
    versions: dict[str, list[tuple[int, int]]]
    """By strategy, in order: from which tick on, which version; 0 behind a tombstone."""
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


class Rules(NamedTuple):
    """What a run was held to."""

    conditions: ConditionTable
    default_mode: Mode
    exactly_once: bool


def expect(journal: Journal, shard: int, rules: Rules) -> Expected:
    """Run the oracle over one shard's checkpoints. It ends at the first position that cannot be."""
    oracle = ShardOracle(rules.conditions, rules.default_mode, shard, journal.shards, journal.turns)
    found = Expected(oracle, [], [], [], [], {}, 0)
    before, known, controls = 0, dict.fromkeys(journal.changes, 0), 0
    taken = 0
    for cut in journal.rows[shard].cuts:
        problem = misplaced(journal, shard, before, known, cut)
        if problem:
            found.misplaced.append(Misplaced(shard, cut.offset, problem))
            break
        position, stands = cut.position, cut.position.of(STRATEGY_CHANGES)
        for partition, start in known.items():
            changes = journal.changes[partition][start : stands.get(partition, start)]
            take_changes(found, journal, changes, before)
        known |= {p: end for p, end in stands.items() if p in known}
        controls_end = position.of(CONTROLS).get(0, controls)
        found.letters.extend(refused_controls(journal, shard, range(controls, controls_end)))
        controls = controls_end
        ticks = [each for each in journal.ticks[shard] if before <= each.record.offset < position.next_offset]
        found.executions.extend(executions(found.oracle, journal, shard, cut.offset, ticks))
        found.letters.extend(refused_ticks(journal, ticks))
        found.cuts.append(cut)
        before, taken = position.next_offset, taken + len(ticks)
    return found._replace(ticks=taken)


def misplaced(journal: Journal, shard: int, before: int, known: Mapping[int, int], cut: Cut) -> str:
    """Why a position cannot follow the one before; empty if it can."""
    position, ticks = cut.position, journal.ticks[shard]
    end = ticks[-1].record.offset + 1 if ticks else 0
    if position.next_offset < before:
        return f"it goes back from {before} to {position.next_offset}"
    if position.next_offset > end:
        return f"it is {position.next_offset}, past the end of the ticks at {end}"
    for partition, offset in position.of(STRATEGY_CHANGES).items():
        if offset < known.get(partition, 0):
            return f"it knows less of strategy-changes-{partition} than the one before: {offset} < {known[partition]}"
        if offset > len(journal.changes.get(partition, ())):
            return f"it knows {offset} records of strategy-changes-{partition}, where there are fewer"
    return ""


def take_changes(found: Expected, journal: Journal, changes: list[InputChange], next_offset: int) -> None:
    """Let the strategies move on; the letters of those refused are the first shard's to write."""
    for each in changes:
        if isinstance(each.change, Tombstone):
            found.oracle.forget(each.change.strategy_id)
            found.versions.setdefault(each.change.strategy_id, []).append((next_offset, 0))
        elif each.change is not None:
            found.oracle.change(each.change)
            found.versions.setdefault(each.change.strategy_id, []).append((next_offset, each.change.version))
        if each.refused and found.oracle.shard == 0:
            topic, record = journal.names.strategy_changes, each.record
            found.letters.append(Refused(topic, record.partition, record.offset, each.refused))


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


def executions(oracle: ShardOracle, journal: Journal, shard: int, row: int, ticks: list[InputTick]) -> Iterator[Wanted]:
    """What fires in one checkpoint: of one strategy and bucket, one execution, at the place of its first fire."""
    gathered: dict[tuple[str, int, str], list[tuple[int, Fire]]] = defaultdict(list)
    for each in ticks:
        for fire in oracle.tick(each.tick) if each.tick else ():
            scope = "tickers" if fire.ticker else "universe"
            gathered[fire.strategy_id, fire.bucket_ms, scope].append((each.record.offset, fire))
    for (strategy_id, bucket_ms, scope), fires in gathered.items():
        strategy, offsets = oracle.strategies[strategy_id], [offset for offset, _ in fires]
        place = {"topic": journal.names.ticks, "partition": shard}
        fields = {
            "execution_id": f"{strategy_id}|{bucket_ms}|{journal.names.ticks}-{shard}@{offsets[0]}",
            "strategy_id": strategy_id,
            "strategy_version": strategy.version,
            "mode": str(fires[0][1].mode),
            "timeframe": strategy.timeframe,
            "bucket_ms": bucket_ms,
            "tickers": [fire.ticker for _, fire in fires if fire.ticker],
            "scope": scope,
            "ts": min(fire.ts_ms for _, fire in fires),
            "cause": {**place, "first_offset": offsets[0], "last_offset": offsets[-1]},
            "run_id": "",
        }
        yield Wanted(shard, row, fields)


def all_versions(journal: Journal) -> Versions:
    """Every version that ever counted, by strategy and number. The market gives no number twice, tombstone or not."""
    changes = (each.change for part in journal.changes.values() for each in part)
    found = [each for each in changes if isinstance(each, Strategy) and each.status is Status.ACTIVE]
    versions = {(each.strategy_id, each.version): each for each in found}
    assert len(versions) == len(found), "executions name a version, and nothing else tells two of one number apart"
    return versions
