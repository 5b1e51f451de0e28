"""The audit that ends a run: what is on the topics against what the oracle makes of the input, record by record.

State, positions and dead letters must be equal in both guarantees: they are written in transactions. With exactly_once
so must the executions be: in all their fields, each once. With at_least_once none may be missing; but a checkpoint that
was cut off is decided again, so they may repeat; and where the strategy was edited in between, the first attempt may
have run what the second no longer would. Such a strategy is counted as overtaken.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from streams.core.events import Mode, Strategy
from streams.core.limits import NEVER
from streams.core.timeframes import bucket_start, parse_timeframe
from streams.core.turns import turn_at
from streams.reference_data import load_conditions
from streams.settings import Settings
from tests.chaos.expected import Expected, Rules, Versions, Wanted, all_versions, between, expect, replayed
from tests.chaos.journal import Execution, Journal, read_journal
from tests.chaos.letters import letter_findings
from tests.chaos.plan import MOST_AHEAD
from tests.chaos.state import Finding, state_findings

Triple = tuple[str, str, int]


class Report(NamedTuple):
    """What the audit has seen, and what it has found amiss."""

    ticks: int
    checkpoints: int
    executions: int
    pairs: int
    """Strategies, tickers and buckets that had to run."""
    repeats: int
    """Pairs that ran once more, which at_least_once may do."""
    overtaken: int
    """Strategies of which an attempt saw other versions than the one that counts."""
    letters: int
    left: int
    """Ticks behind the last positions."""
    findings: tuple[Finding, ...]

    def count(self, kind: str) -> int:
        """How many findings of a kind there are."""
        return sum(finding.kind == kind for finding in self.findings)


def audit(settings: Settings) -> Report:
    """Read the topics of a run that worked by these settings, and judge them."""
    conditions = load_conditions(settings.conditions)
    journal = read_journal(settings.broker, settings.topics, conditions)
    mode = Mode.PER_TICKER if settings.per_ticker_throttle else Mode.LEGACY
    return judge(journal, Rules(conditions, mode, settings.exactly_once, settings.coalesce_ms))


def assert_exact(report: Report) -> None:
    """Raise for the first difference, with its place."""
    if report.findings:
        first, more = report.findings[0], len(report.findings) - 1
        raise AssertionError(f"{first}" + (f" (and {more} more)" if more else ""))


def judge(journal: Journal, rules: Rules) -> Report:
    """Hold a run against the oracle."""
    shards = [expect(journal, shard, rules) for shard in range(journal.shards)]
    case = Case(journal, shards, exactly_once=rules.exactly_once)
    found = [
        *case.positions(),
        *case.executions(),
        *case.two_ways(),
        *state_findings(journal, shards, case.overtaken),
        *letter_findings(journal, shards),
        *replay_findings(journal, shards, rules),
    ]
    left = sum(each.record.offset >= shards[p].end for p, ticks in journal.ticks.items() for each in ticks)
    return Report(
        sum(shard.ticks for shard in shards),
        sum(len(shard.cuts) for shard in shards),
        len(journal.executions),
        len(case.wanted),
        sum((case.ran - Counter(set(case.ran))).values()),
        len(case.overtaken),
        len(journal.letters),
        left,
        tuple(found),
    )


def replay_findings(journal: Journal, shards: Sequence[Expected], rules: Rules) -> Iterator[Finding]:
    """The topics alone, decided again in the order that the journal says, must give the same pairs."""
    for shard in shards:
        number = shard.oracle.shard
        if shard.misplaced or shard.end < len(journal.ticks[number]):
            continue  # what stands behind has not been decided
        try:
            again = replayed(journal, number, rules)
        except ValueError as error:
            yield Finding("journal", f"{journal.names.journal}-{number}", str(error))
            continue
        wanted = {triple for each in shard.executions for triple in triples(each)}
        waiting = shard.gathering.open.values()
        wanted |= {(each.strategy.strategy_id, ticker, each.bucket_ms) for each in waiting for ticker in each.tickers}
        for triple in sorted(again ^ wanted)[:1]:
            what = f"{shown(triple)} is {'more' if triple in again else 'missing'} when the topics are decided again"
            yield Finding("journal", f"{journal.names.journal}-{number}", what)


class Case:
    """One run's executions and letters against those it must have."""

    def __init__(self, journal: Journal, shards: Sequence[Expected], *, exactly_once: bool) -> None:
        self.journal, self.shards, self.exactly_once = journal, shards, exactly_once
        self.expected = [wanted for shard in shards for wanted in shard.executions]
        self.versions: Versions = all_versions(journal)
        self.wanted = {triple: each for each in self.expected for triple in triples(each)}
        self.ran = Counter(triple for each in journal.executions for triple in triples(each))

    def positions(self) -> Iterator[Finding]:
        """Positions that cannot be; what stands behind one is not looked at."""
        for shard in self.shards:
            for each in shard.misplaced:
                yield Finding("position", self.row(each.shard, each.row), each.problem)

    def row(self, shard: int, offset: int) -> str:
        """Name a position row."""
        return f"{self.journal.names.changelog('last_bucket')}-{shard}, offset {offset}"

    def place(self, execution: Execution) -> str:
        """Name an execution."""
        record = execution.record
        return f"{self.journal.names.alert_executions}-{record.partition}, offset {record.offset}"

    @cached_property
    def overtaken(self) -> frozenset[str]:
        """Strategies of which there are executions of attempts that saw other versions than the one that counts."""
        if self.exactly_once:
            return frozenset()
        return frozenset(each.strategy_id for each in self.cut_off if self._saw_other_versions(each))

    @cached_property
    def cut_off(self) -> list[Execution]:
        """Executions that are of no checkpoint that counts."""
        whole = {what_ran(each) for each in self.expected}
        return [each for each in self.journal.executions if what_ran(each) not in whole]

    def _saw_other_versions(self, execution: Execution) -> bool:
        """Whether an attempt may have.

        One that was cut off goes on from a position, at most `MOST_AHEAD` ticks back, and so does the next. The next
        takes an edit that came meanwhile at once. So the attempt saw the version before for longer, if not at its end.
        """
        cause, shard, sid = execution.fields["cause"], self.shards[execution.partition], execution.strategy_id
        if execution.fields["scope"] == "universe" and self._was_outrun(execution):
            return True
        if cause["topic"] == self.journal.names.clock:  # its offsets say nothing of where it stood among the ticks
            return len(shard.versions.get(sid, ())) > 1
        first, last = cause["first_offset"], cause["last_offset"]
        saw = {shard.version_at(sid, first), shard.version_at(sid, last)}
        if saw != {execution.fields["strategy_version"]} or shard.was_edited(sid, first - MOST_AHEAD, last):
            return True
        return self._was_turned_by_the_clock(execution, first) or self._was_turned_by_the_clock(execution, last)

    def _was_turned_by_the_clock(self, execution: Execution, offset: int) -> bool:
        """Whether the strategy had turned at a tick by clock records alone that an attempt need not have met.

        One that met the tick first decided its bucket in the way before; behind the turn it fires nothing any more.
        """
        fields, shard = execution.fields, self.shards[execution.partition]
        strategy = self.versions.get((execution.strategy_id, fields["strategy_version"]))
        turns = self.journal.turns.get(execution.strategy_id)
        if strategy is None or turns is None:
            return False
        ticks_ms = self._newest_tick_ms(execution.partition, offset)
        under = []
        for clock_ms in (shard.clock_ms(offset - MOST_AHEAD), shard.clock_ms(offset)):
            now_ms = max(ticks_ms, clock_ms)
            start_ms = bucket_in(strategy, now_ms)
            under.append(turn_at(turns, now_ms if start_ms is None else start_ms))
        return under[0] != under[1]

    def _newest_tick_ms(self, shard: int, offset: int) -> int:
        """Stream time at a tick, but for the clock."""
        conditions = self.shards[shard].oracle.conditions
        ticks = (each.tick for each in self.journal.ticks[shard] if each.record.offset <= offset)
        return max((tick.ts_ms for tick in ticks if tick and conditions.moves_price(tick.conditions)), default=NEVER)

    def _was_outrun(self, execution: Execution) -> bool:
        """Whether the attempt that counts took a clock record before what had caused this one, and went past it."""
        clock, fields = self.journal.names.clock, execution.fields
        return any(
            each.fields["cause"]["topic"] == clock and each.fields["bucket_ms"] > fields["bucket_ms"]
            for each in self.expected
            if (each.strategy_id, each.shard) == (execution.strategy_id, execution.partition)
        )

    def executions(self) -> Iterator[Finding]:
        """Lost, repeated, unfounded; and where all are there, whether each is as it must be."""
        if not self.exactly_once:
            yield from self._lost()
            yield from self._unfounded()
            return
        found = [*self._lost(), *self._too_many()]
        yield from found or self._fields()

    def two_ways(self) -> Iterator[Finding]:
        """A bucket of a strategy that was decided by pairs and as a whole, in whichever shards."""
        wholes = {(sid, bucket_ms) for sid, ticker, bucket_ms in self.ran if not ticker}
        for sid, ticker, bucket_ms in self.ran:
            if ticker and (sid, bucket_ms) in wholes:
                what = f"{sid} ran as a whole and on {ticker} in bucket {bucket_ms}"
                yield Finding("two ways", self.journal.names.alert_executions, what)

    def _lost(self) -> Iterator[Finding]:
        for triple, wanted in self.wanted.items():
            if triple not in self.ran:
                cause = wanted.fields["cause"]
                offsets = f"offsets {cause['first_offset']} to {cause['last_offset']}"
                what = f"{shown(triple)} was never sent; checkpoint of {self.row(wanted.shard, wanted.row)}"
                yield Finding("lost", f"{cause['topic']}-{wanted.shard}, {offsets}", what)

    def _too_many(self) -> Iterator[Finding]:
        seen: dict[Triple, Execution] = {}
        for each in self.journal.executions:
            for triple in triples(each):
                if triple in seen:
                    yield Finding(
                        "repeated", self.place(each), f"{shown(triple)}, first sent {self.place(seen[triple])}"
                    )
                elif triple not in self.wanted:
                    yield Finding("unfounded", self.place(each), f"{shown(triple)} should not have fired")
                seen.setdefault(triple, each)

    def _unfounded(self) -> Iterator[Finding]:
        """Whatever the cuts: what the oracle would not have run was an attempt's, and its ticks are there."""
        for each in self.cut_off:
            of_ticks = each.fields["cause"]["topic"] == self.journal.names.ticks
            if of_ticks and each.fields["cause"]["last_offset"] >= self.shards[each.partition].end:
                continue  # its checkpoint has not been decided again yet
            problem = self._why_unfounded(each)
            strange = [triple for triple in triples(each) if triple not in self.wanted]
            if not problem and strange and not self._saw_other_versions(each):
                problem = f"{shown(strange[0])} should not have fired"
            if problem:
                yield Finding("unfounded", self.place(each), f"{each.fields['execution_id']}: {problem}")

    def _why_unfounded(self, execution: Execution) -> str:
        fields, cause = execution.fields, execution.fields["cause"]
        strategy = self.versions.get((execution.strategy_id, fields["strategy_version"]))
        if strategy is None:
            return f"there is no active version {fields['strategy_version']}"
        if fields["scope"] == "universe":
            return self._why_unfounded_whole(execution, strategy)
        brought = {
            each.tick.ticker
            for each in between(self.journal.ticks[cause["partition"]], cause["first_offset"], cause["last_offset"] + 1)
            if each.tick and bucket_in(strategy, each.tick.ts_ms) == fields["bucket_ms"]
        }
        tickers = set(fields["tickers"])
        strangers = sorted(tickers - strategy.universe) if strategy.universe else []
        if strangers:
            return f"{strangers[0]} is not in the universe of version {strategy.version}"
        absent = sorted(tickers - brought)
        return f"{absent[0]} has no tick in its cause that is in its bucket" if absent else ""

    def _why_unfounded_whole(self, execution: Execution, strategy: Strategy) -> str:
        """It fires in the bucket of stream time. What it is caused by may be late, where an edit has come before that.

        How clock records stood among the ticks, an attempt alone knows.
        """
        fields, cause = execution.fields, execution.fields["cause"]
        first, end = cause["first_offset"], cause["last_offset"] + 1
        ticks, clock = self.journal.ticks[cause["partition"]], self.journal.clock[cause["partition"]]
        if cause["topic"] == self.journal.names.clock:
            causes = {each.ts_ms for each in between(clock, first, end) if not each.refused}
            clock = between(clock, 0, end)
        else:
            causes = {each.tick.ts_ms for each in between(ticks, first, end) if each.tick}
            ticks = between(ticks, 0, end)
        met = {each.tick.ts_ms for each in ticks if each.tick} | {each.ts_ms for each in clock if not each.refused}
        if fields["tickers"] or not causes or min(causes) > fields["ts"] or fields["ts"] not in met:
            return "no record of its cause, or before it, brought its time"
        return "" if bucket_in(strategy, fields["ts"]) == fields["bucket_ms"] else "its time is not in its bucket"

    def _fields(self) -> Iterator[Finding]:
        """Of each strategy and shard, the executions are those expected, in their order and in all their fields."""
        wanted, sent = defaultdict(list), defaultdict(list)
        for each in self.expected:
            wanted[each.strategy_id, each.shard].append(each)
        for execution in self.journal.executions:
            sent[execution.strategy_id, execution.partition].append(execution)
        for key in sorted(wanted.keys() | sent.keys()):
            for one, other in zip(wanted[key], sent[key], strict=False):
                yield from self._compared(one, other)
            if len(wanted[key]) != len(sent[key]):
                what = f"{len(sent[key])} executions of {key[0]} where there should be {len(wanted[key])}"
                yield Finding("fields", f"{self.journal.names.ticks}-{key[1]}", what)

    def _compared(self, wanted: Wanted, sent: Execution) -> Iterator[Finding]:
        if (sent.record.key or b"").decode() != wanted.strategy_id:
            yield Finding("fields", self.place(sent), f"its key is {sent.record.key!r}")
        for name, value in wanted.fields.items():
            if sent.fields[name] != value:
                yield Finding("fields", self.place(sent), f"{name} is {sent.fields[name]!r}, must be {value!r}")
                return


def bucket_in(strategy: Strategy, ts_ms: int) -> int | None:
    """The bucket of a strategy that holds a time."""
    return bucket_start(ts_ms, parse_timeframe(strategy.timeframe), strategy.time_zone, strategy.session)


def triples(execution: Execution | Wanted) -> list[Triple]:
    """What runs; no ticker: the whole universe."""
    fields = execution.fields
    return [(fields["strategy_id"], ticker, fields["bucket_ms"]) for ticker in fields["tickers"] or [""]]


def what_ran(execution: Execution | Wanted) -> tuple[object, ...]:
    """All by which an execution is told from another, but not when it was cut."""
    return execution.fields["execution_id"], execution.fields["strategy_version"], *triples(execution)


def shown(triple: Triple) -> str:
    """Name what runs."""
    strategy_id, ticker, bucket_ms = triple
    return f"{strategy_id} on {ticker or 'its universe'} in bucket {bucket_ms}"
