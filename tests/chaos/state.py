"""The state that the changelogs restore, against the oracle's, and against what was sent."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from streams.core.events import Mode
from streams.core.limits import NEVER
from streams.core.restore import CorruptRowError, Recovery
from streams.core.shard import Shard
from streams.core.special_rows import Position
from streams.core.turns import UNTURNED, last_old_bucket
from tests.chaos.expected import Expected, ShardOracle, all_versions
from tests.chaos.journal import Journal
from tests.core.changelogs import Record, remembered, run_of
from tests.core.histories import CONDITIONS


class Finding(NamedTuple):
    """One thing that is not as it must be."""

    kind: str
    """lost, repeated, unfounded, fields, position, state, fold or letter."""
    where: str
    what: str

    def __str__(self) -> str:
        """Print it on one line."""
        return f"{self.kind}: {self.where}: {self.what}"


class State(NamedTuple):
    """What one shard goes on from."""

    updates: dict[str, int]
    pairs: dict[tuple[str, str], int]
    """By strategy and ticker, the last bucket."""
    floors: dict[str, int]
    """By strategy, the last bucket in which every ticker ran."""
    triggers: dict[str, int]
    position: Position | None

    def ran(self, strategy_id: str, ticker: str) -> int:
        """The newest bucket of a pair."""
        return max(self.pairs.get((strategy_id, ticker), NEVER), self.floors.get(strategy_id, NEVER))


def restored(journal: Journal, shard: int) -> State:
    """Recover one shard, as a worker does. Conditions say nothing of state, so any will do."""
    recovery, into, rows = Recovery(), Shard(CONDITIONS), journal.rows[shard]
    for latest, records in ((recovery.last_update, rows.last_update), (recovery.last_bucket, rows.last_bucket)):
        latest.take(run_of([Record(each.offset, each.key, each.value) for each in records]))
    position = recovery.finish(into).position
    last_update = into.index.columns.tickers.last_update
    named = enumerate(into.index.tickers.all_names())
    entries = into.index.entries
    return State(
        {name: int(last_update[t]) for t, name in named if last_update[t] > NEVER},
        {(sid, name): bucket_ms for name, row in remembered(into).items() for sid, bucket_ms in row.items()},
        {sid: entry.floor_ms for sid, entry in entries.items() if entry.floor_ms > NEVER},
        {sid: entry.last_run_ms for sid, entry in entries.items() if entry.last_run_ms > NEVER},
        position,
    )


def state_findings(journal: Journal, shards: Sequence[Expected], overtaken: Collection[str]) -> Iterator[Finding]:
    """Every difference. Of strategies that were overtaken, more may have been sent than is remembered."""
    for shard, expected in enumerate(shards):
        if expected.misplaced:
            continue  # the oracle has stopped there, so nothing is to be compared with it
        place = f"state of {journal.names.ticks}-{shard}"
        try:
            state = restored(journal, shard)
        except CorruptRowError as error:
            yield Finding("state", place, str(error))
            continue
        yield from against_oracle(place, state, expected)
        yield from against_sent(place, state, journal, expected.oracle, overtaken)


def against_oracle(place: str, state: State, expected: Expected) -> Iterator[Finding]:
    """Last updates, last buckets, runs as a whole, stream time."""
    oracle = expected.oracle
    if state.position is not None and state.position.stream_ms != oracle.stream_ms:
        yield Finding("state", place, f"stream time is {state.position.stream_ms}, must be {oracle.stream_ms}")
    for ticker in sorted(state.updates.keys() | oracle.last_update.keys()):
        is_ms, must_ms = state.updates.get(ticker), oracle.last_update.get(ticker)
        if is_ms != must_ms:
            yield Finding("state", place, f"last update of {ticker} is {is_ms}, must be {must_ms}")
    mine = {(sid, ticker) for sid, ran in oracle.last_bucket.items() for ticker in ran if oracle.owns(ticker)}
    for sid, ticker in sorted(mine | state.pairs.keys()):
        is_ms, must_ms = state.ran(sid, ticker), oracle.ran(sid, ticker)
        if is_ms != must_ms:
            yield Finding("state", place, f"last bucket of {sid} on {ticker} is {is_ms}, must be {must_ms}")
    for name, is_of, must_of in (
        ("run of every ticker", state.floors, oracle.every_ticker_ran),
        ("run as a whole", state.triggers, oracle.last_trigger),
    ):
        for sid in sorted(is_of.keys() | must_of.keys()):
            if is_of.get(sid) != must_of.get(sid):
                yield Finding("state", place, f"last {name} of {sid} is {is_of.get(sid)}, must be {must_of.get(sid)}")


def against_sent(
    place: str, state: State, journal: Journal, oracle: ShardOracle, overtaken: Collection[str]
) -> Iterator[Finding]:
    """What is remembered of each pair is the newest that was sent for it."""
    pairs, floors = folded(journal, oracle)
    for sid, ticker in sorted(pairs.keys() | state.pairs.keys()):
        floor = floors.get(sid, NEVER)
        is_ms, sent_ms = state.ran(sid, ticker), max(pairs.get((sid, ticker), NEVER), floor)
        if is_ms in {last_old_bucket(turn) for turn in journal.turns.get(sid, UNTURNED)} and is_ms >= sent_ms:
            continue  # no pair decides what lies before a turn
        if is_ms > sent_ms or (is_ms < sent_ms and sid not in overtaken):
            yield Finding("fold", place, f"last bucket of {sid} on {ticker} is {is_ms}, the last one sent {sent_ms}")
    for sid in sorted(floors.keys() | state.floors.keys()):
        is_ms, sent_ms = state.floors.get(sid, NEVER), floors.get(sid, NEVER)
        if is_ms > sent_ms or (is_ms < sent_ms and sid not in overtaken):
            yield Finding("fold", place, f"last run of every ticker of {sid} is {is_ms}, the last one sent {sent_ms}")


def folded(journal: Journal, oracle: ShardOracle) -> tuple[dict[tuple[str, str], int], dict[str, int]]:
    """From the executions of one shard: the newest bucket of each pair, and of every ticker by strategy."""
    versions = all_versions(journal)
    pairs: dict[tuple[str, str], int] = defaultdict(lambda: NEVER)
    floors: dict[str, int] = defaultdict(lambda: NEVER)
    for each in journal.executions:
        if each.partition != oracle.shard:
            continue
        fields, sid = each.fields, each.strategy_id
        if fields["mode"] == Mode.GLOBAL:
            floors[sid] = max(floors[sid], fields["bucket_ms"])
        version = versions.get((sid, fields["strategy_version"]))
        universe = version.universe if version and fields["scope"] == "universe" else ()
        for ticker in fields["tickers"] or filter(oracle.owns, universe):
            pairs[sid, ticker] = max(pairs[sid, ticker], fields["bucket_ms"])
    return dict(pairs), dict(floors)
