"""The audit finds what it is there to find: right topics pass, and each way to spoil them is found and named."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from operator import itemgetter

import pytest

from streams.core.events import Mode, Strategy
from streams.core.gathered_rows import GROUP_KEY
from streams.core.gathering import Group
from streams.core.limits import MAX_COALESCE_MS, NEVER
from streams.core.special_rows import put_position
from streams.core.timeframes import bucket_start, parse_timeframe
from streams.kafka.whole_topic import Record
from streams.reference_data import load_conditions
from streams.settings import Settings
from streams.topic_names import STRATEGY_CHANGES
from tests.chaos.audit import Report, assert_exact, audit, judge, triples
from tests.chaos.expected import Rules, all_versions, clock_end, clock_fires, expect, fields_of, take_changes
from tests.chaos.hand_worker import work
from tests.chaos.journal import Execution, Journal, read_journal
from tests.chaos.market import Market
from tests.chaos.plan import MOST_AHEAD
from tests.chaos.rig import Out, Sender, inputs, make_topics
from tests.kafka.shared_broker import SharedBroker

SHARDS = 2
TICKS = 3_000
TICKS_AT_ONCE = 190
CONDITIONS = load_conditions()


class Run:
    """Topics of a run that went well, and the settings it had."""

    def __init__(self, bootstrap: str) -> None:
        self.settings = Settings(broker=bootstrap, topic_prefix=f"{uuid.uuid4().hex[:8]}.")
        names = self.settings.topics
        make_topics(bootstrap, names, SHARDS)
        self.sender, market = Sender(bootstrap), Market(seed=4, tickers=60, strategies=24)
        gathers = Strategy("gathers", "1m", frozenset(market.tickers), coalesce_ms=MAX_COALESCE_MS)
        self.send(inputs(names, [*market.opening(), market._sent(gathers), *market.ticks(TICKS)]))
        self.send(work(self.settings, self.read(), ticks_at_once=TICKS_AT_ONCE))

    def send(self, records: Iterable[Out]) -> None:
        self.sender.send(records)
        self.sender.flush()

    def read(self) -> Journal:
        return read_journal(self.settings.broker, self.settings.topics, CONDITIONS)


@pytest.fixture(scope="module")
def run(session_broker: SharedBroker) -> Run:
    return Run(session_broker.bootstrap)


@pytest.fixture(scope="module")
def good(run: Run) -> Journal:
    return run.read()


def judged(journal: Journal, *, exactly_once: bool = True) -> Report:
    return judge(journal, Rules(CONDITIONS, Mode.PER_TICKER, exactly_once))


def found(journal: Journal, kind: str, *, exactly_once: bool = True) -> str:
    """The first finding, which must be of this kind."""
    with pytest.raises(AssertionError) as raised:
        assert_exact(judged(journal, exactly_once=exactly_once))
    assert str(raised.value).startswith(f"{kind}: ")
    return str(raised.value)


def of_tickers(journal: Journal) -> int:
    """Where an execution for several tickers stands, somewhere in the middle."""
    middle = len(journal.executions) // 2
    return next(at for at in range(middle, 2 * middle) if len(journal.executions[at].fields["tickers"]) > 1)


def place(journal: Journal, at: int) -> str:
    record = journal.executions[at].record
    return f"alert-executions-{record.partition}, offset {record.offset}: "


def with_fields(journal: Journal, at: int, **fields: object) -> Journal:
    changed = journal.executions[at]._replace(fields={**journal.executions[at].fields, **fields})
    return journal._replace(executions=[*journal.executions[:at], changed, *journal.executions[at + 1 :]])


def with_rows(journal: Journal, change: Callable[[list[Record]], list[Record]], shard: int = 0) -> Journal:
    rows = journal.rows[shard]
    return journal._replace(rows={**journal.rows, shard: rows._replace(last_bucket=change(rows.last_bucket))})


def test_a_run_that_went_well_is_exact_and_has_everything_in_it(run: Run, good: Journal) -> None:
    report = audit(run.settings)
    assert_exact(report)
    assert report.ticks == sum(map(len, good.ticks.values())) > TICKS
    assert report.checkpoints > 10
    assert report.pairs > 1_000
    assert (report.repeats, report.overtaken, report.left) == (0, 0, 0)
    assert {each.fields["mode"] for each in good.executions} == {"per_ticker", "legacy", "global"}
    reasons = {each.fields["reason"] for each in good.letters}
    assert {"null_value", "null_key", "truncated", "wrong_magic", "unknown_schema_id", "bad_key"} <= reasons
    assert {"wrong_partition", "other_key", "change_conflict", "trailing_bytes"} <= reasons


def test_it_is_exact_too_where_repeats_are_allowed(good: Journal) -> None:
    assert_exact(judged(good, exactly_once=False))


def test_it_reads_what_was_sent_twice_from_the_topic(session_broker: SharedBroker) -> None:
    run = Run(session_broker.bootstrap)
    record = run.read().executions[0].record
    run.send([Out(run.settings.topics.alert_executions, record.key, record.value)])
    assert audit(run.settings).count("repeated") > 0


@pytest.mark.parametrize("exactly_once", [True, False])
def test_an_execution_that_is_missing_is_lost(good: Journal, exactly_once: bool) -> None:
    at = of_tickers(good)
    fields = good.executions[at].fields
    without = good._replace(executions=[*good.executions[:at], *good.executions[at + 1 :]])
    message = found(without, "lost", exactly_once=exactly_once)
    assert f"ticks-{fields['cause']['partition']}, offsets {fields['cause']['first_offset']} to" in message
    assert f"{fields['strategy_id']} on {fields['tickers'][0]} in bucket {fields['bucket_ms']}" in message


@pytest.mark.parametrize("exactly_once", [True, False])
def test_a_ticker_that_is_missing_is_lost(good: Journal, exactly_once: bool) -> None:
    at = of_tickers(good)
    tickers = good.executions[at].fields["tickers"]
    message = found(with_fields(good, at, tickers=tickers[1:]), "lost", exactly_once=exactly_once)
    assert f" on {tickers[0]} in bucket " in message


def test_an_execution_that_is_there_twice_is_repeated(good: Journal) -> None:
    at = of_tickers(good)
    again = good.executions[at]._replace(record=good.executions[at].record._replace(offset=10**6))
    journal = good._replace(executions=[*good.executions, again])
    assert "offset 1000000: " in found(journal, "repeated")
    report = judged(journal, exactly_once=False)
    assert_exact(report)
    assert report.repeats == len(again.fields["tickers"])


def test_a_wrong_bucket_is_a_loss_and_something_unfounded(good: Journal) -> None:
    at = of_tickers(good)
    journal = with_fields(good, at, bucket_ms=good.executions[at].fields["bucket_ms"] + 60_000_000)
    found(journal, "lost")
    report = judged(journal)
    assert (report.count("lost"), report.count("unfounded")) == (len(good.executions[at].fields["tickers"]),) * 2


@pytest.mark.parametrize("exactly_once", [True, False])
def test_an_execution_too_many_is_unfounded(good: Journal, exactly_once: bool) -> None:
    at = of_tickers(good)
    journal = good._replace(executions=[*good.executions, good.executions[at]])
    journal = with_fields(journal, len(good.executions), bucket_ms=60_000)
    assert place(good, at) in found(journal, "unfounded", exactly_once=exactly_once)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("execution_id", "x"),
        ("strategy_version", 99),
        ("mode", "legacy"),
        ("timeframe", "2m"),
        ("ts", 1),
        ("run_id", "x"),
        ("cause", {"topic": "other", "partition": 0, "first_offset": 0, "last_offset": 1}),
    ],
)
def test_a_field_that_is_wrong_is_named(good: Journal, name: str, value: object) -> None:
    at = next(at for at, each in enumerate(good.executions) if each.partition == 0 and len(each.fields["tickers"]) > 1)
    message = found(with_fields(good, at, **{name: value}), "fields")
    assert place(good, at) in message
    assert f"{name} is {value!r}, must be " in message


def test_tickers_in_another_order_are_named(good: Journal) -> None:
    at = of_tickers(good)
    tickers = good.executions[at].fields["tickers"]
    assert "tickers is " in found(with_fields(good, at, tickers=tickers[::-1]), "fields")


def test_executions_in_another_order_are_named(good: Journal) -> None:
    assert "execution_id is " in found(good._replace(executions=good.executions[::-1]), "fields")


def test_a_state_row_that_is_missing_is_found(good: Journal) -> None:
    keys = [row.key for row in good.rows[0].last_bucket]
    key = next(key for key in keys if key and key.startswith(b"T") and keys.count(key) > 1)
    last = len(keys) - 1 - keys[::-1].index(key)
    journal = with_rows(good, lambda rows: [*rows[:last], *rows[last + 1 :]])
    assert f" on {key.decode()} is " in found(journal, "state")
    assert judged(journal).count("fold") > 0
    found(journal, "state", exactly_once=False)


def test_a_row_of_last_updates_that_is_missing_is_found(good: Journal) -> None:
    rows = good.rows[1]
    journal = good._replace(rows={**good.rows, 1: rows._replace(last_update=rows.last_update[:-1])})
    ticker = (rows.last_update[-1].key or b"").decode()
    assert f"ticks-1: last update of {ticker} is " in found(journal, "state")


def test_a_strategys_row_that_is_missing_is_found(good: Journal) -> None:
    journal = with_rows(good, lambda rows: [row for row in rows if not (row.key or b"").startswith(b"\0s")])
    assert "names a strategy that has no row" in found(journal, "state")


def test_a_row_of_what_is_gathered_that_is_missing_or_stayed_is_found(good: Journal) -> None:
    key = GROUP_KEY + b"gathers"
    gone = with_rows(good, lambda rows: [row for row in rows if row.key != key])
    assert "what is gathered of gathers is None" in found(gone, "state")
    stayed = with_rows(good, lambda rows: [row for row in rows if row.value is not None])
    assert ", must be None" in found(stayed, "state")


def moved(good: Journal, which: int, by: int) -> Journal:
    """The journal with one position changed."""
    row = good.rows[0].cuts[which]
    position = row.position._replace(next_offset=row.position.next_offset + by)
    value = put_position(position)[1]
    return with_rows(good, lambda rows: [r._replace(value=value) if r.offset == row.offset else r for r in rows])


def test_a_position_too_far_is_a_loss_or_past_the_end(good: Journal) -> None:
    offset = good.rows[0].cuts[-1].offset
    message = found(moved(good, -1, 1), "position")
    assert f"last_bucket-changelog-0, offset {offset}: " in message
    assert "past the end" in message


def test_ticks_that_a_position_skips_are_lost(good: Journal) -> None:
    """As if the ticks of one checkpoint had not been decided: its executions are not there, and its position is."""
    before, after = good.rows[0].cuts[3], good.rows[0].cuts[4]
    skipped = range(before.position.next_offset, after.position.next_offset)
    kept = [e for e in good.executions if e.partition != 0 or e.fields["cause"]["first_offset"] not in skipped]
    message = found(good._replace(executions=kept), "lost")
    assert f"checkpoint of {good.names.changelog('last_bucket')}-0, offset {after.offset}" in message


def test_a_position_that_stands_elsewhere_than_its_executions_is_found(good: Journal) -> None:
    """An edit between the two places makes other fires of the same ticks."""
    assert any(judged(moved(good, which, -150)).count("unfounded") for which in range(2, 8))


@pytest.mark.parametrize("exactly_once", [True, False])
def test_a_position_that_goes_back_is_found(good: Journal, exactly_once: bool) -> None:
    assert "it goes back from " in found(moved(good, 4, -400), "position", exactly_once=exactly_once)


def test_a_position_that_knows_less_of_the_strategies_is_found(good: Journal) -> None:
    row = good.rows[0].cuts[-1]
    value = put_position(row.position._replace(inputs={("strategy-changes", 0): 1}))[1]
    journal = with_rows(good, lambda rows: [r._replace(value=value) if r.offset == row.offset else r for r in rows])
    assert "knows less of strategy-changes-0" in found(journal, "position")


def test_a_journal_that_leaves_something_out_or_goes_back_is_found(good: Journal) -> None:
    """Without it nobody could decide the topics again; nothing else is amiss by that."""
    entries = good.entries[0]
    without = [each._replace(inputs={at: to for at, to in each.inputs.items() if at[0] != "clock"}) for each in entries]
    assert "when the topics are decided again" in found(good._replace(entries={**good.entries, 0: without}), "journal")
    back = [*entries[:-1], entries[-1]._replace(next_offset=0)]
    assert "the journal goes back at tick 0" in found(good._replace(entries={**good.entries, 0: back}), "journal")


def test_clock_records_are_part_of_a_run_that_went_well(good: Journal) -> None:
    causes = {each.fields["cause"]["topic"] for each in good.executions}
    assert causes == {good.names.ticks, good.names.clock}
    assert "clock_too_far_ahead" in {each.fields["reason"] for each in good.letters}


def test_a_dead_letter_that_is_missing_repeated_or_wrong_is_found(good: Journal) -> None:
    letter = good.letters[-1]
    where = f"{letter.fields['topic']}-{letter.fields['partition']}, offset {letter.fields['offset']}: "
    assert f"{where}has no dead letter" in found(good._replace(letters=good.letters[:-1]), "letter")
    twice = good._replace(letters=[*good.letters, letter])
    assert f"{where}has 2 dead letters" in found(twice, "letter")
    assert f"{where}has 2 dead letters" in found(twice, "letter", exactly_once=False)
    for name, value in (("reason", "x"), ("offset", 10**6), ("value", b"x"), ("key", b"x")):
        other = letter._replace(fields={**letter.fields, name: value})
        found(good._replace(letters=[*good.letters[:-1], other]), "letter")


def test_what_an_older_version_ran_in_an_attempt_that_was_cut_off_is_allowed_at_least_once(good: Journal) -> None:
    """An execution under the version before, whose tick the newer version no longer watches."""
    shards = [expect(good, shard, Rules(CONDITIONS, Mode.PER_TICKER, exactly_once=False)) for shard in range(SHARDS)]
    versions = all_versions(good)
    at, older = next(
        (at, shards[each.partition].versions[each.strategy_id][0][1])
        for at, each in enumerate(good.executions)
        if each.fields["scope"] == "universe"
        and each.fields["cause"]["topic"] == good.names.ticks
        and each.fields["strategy_version"] > (first := shards[each.partition].versions[each.strategy_id][0][1])
        and (was := versions.get((each.strategy_id, first))) is not None
        and was.timeframe == each.fields["timeframe"]
    )
    orphan = good.executions[at]._replace(fields={**good.executions[at].fields, "strategy_version": older})
    journal = good._replace(executions=[*good.executions, orphan])
    report = judged(journal, exactly_once=False)
    assert_exact(report)
    assert report.overtaken == 1
    found(journal, "repeated")


def attempts(good: Journal, rules: Rules) -> Iterator[Execution]:
    """What workers may have sent that stood at a position, met ticks before any news, and were cut off."""
    for shard, rows in good.rows.items():
        waiting = expect(good, shard, rules).gathering.open
        for cut in rows.cuts[::2]:
            part = rows._replace(last_bucket=[row for row in rows.last_bucket if row.offset <= cut.offset])
            found = expect(good._replace(rows={**good.rows, shard: part}), shard, rules)
            place = {"topic": good.names.ticks, "partition": shard}
            for each in good.ticks[shard][found.end : found.end + TICKS_AT_ONCE]:
                for fire in found.oracle.tick(each.tick) if each.tick else ():
                    strategy, at = found.oracle.strategies[fire.strategy_id], each.record.offset
                    tickers = [fire.ticker] if fire.ticker else []
                    if strategy.strategy_id not in waiting:  # its pairs may have fired, and be gathered
                        group = Group(strategy, fire.bucket_ms, NEVER, at, at, fire.ts_ms, tickers)
                        scope = "tickers" if tickers else "universe"
                        yield good.executions[0]._replace(fields=fields_of(group, place, scope, str(fire.mode)))


def test_what_attempts_ran_that_met_ticks_before_news_is_allowed_at_least_once(good: Journal) -> None:
    """Before an edit; and before clock records by which a strategy turns, so that a late tick fires nothing more."""
    rules = Rules(CONDITIONS, Mode.PER_TICKER, exactly_once=False)
    sent = [*good.executions, *attempts(good, rules)]
    report = judge(good._replace(executions=sent), rules)
    assert_exact(report)
    assert report.overtaken > 5


def attempts_by_clock(good: Journal, rules: Rules) -> Iterator[Execution]:
    """What workers may have sent that met ticks first, then changes, and then clock records that were late by that."""
    for shard, rows in good.rows.items():
        for cut, then in pairwise(rows.cuts[::4]):
            part = rows._replace(last_bucket=[row for row in rows.last_bucket if row.offset <= cut.offset])
            found = expect(good._replace(rows={**good.rows, shard: part}), shard, rules)
            for each in good.ticks[shard][found.end : found.end + MOST_AHEAD]:
                if each.tick:
                    found.oracle.tick(each.tick)
            stood, comes = cut.position.of(STRATEGY_CHANGES), then.position.of(STRATEGY_CHANGES)
            for partition, changes in good.changes.items():
                news = changes[stood.get(partition, 0) : comes.get(partition, 0)]
                take_changes(found, good, news, found.end)
            place, timed = {"topic": good.names.clock, "partition": shard}, clock_end(cut.position, shard)
            for offset, fires in clock_fires(found, good, good.clock[shard][timed : timed + 3]):
                for fire in fires:
                    group = Group(
                        found.oracle.strategies[fire.strategy_id], fire.bucket_ms, NEVER, offset, offset, fire.ts_ms
                    )
                    fields = fields_of(group, place, "universe", str(fire.mode))
                    yield good.executions[0]._replace(fields=fields)


def test_what_late_clock_records_made_edited_strategies_run_in_attempts_is_allowed_at_least_once(good: Journal) -> None:
    rules = Rules(CONDITIONS, Mode.PER_TICKER, exactly_once=False)
    sent = list(attempts_by_clock(good, rules))
    times_ms = {each.record.offset: each.ts_ms for part in good.clock.values() for each in part}
    assert any(each.fields["ts"] > times_ms[each.fields["cause"]["first_offset"]] for each in sent)
    assert_exact(judge(good._replace(executions=[*good.executions, *sent]), rules))


def late_fires(good: Journal) -> Iterator[tuple[int, Execution]]:
    """Executions for late ticks, which none should have; with each, how many ticks ago its strategy was edited."""
    shards = [expect(good, shard, Rules(CONDITIONS, Mode.PER_TICKER, exactly_once=False)) for shard in range(SHARDS)]
    versions, has_run = all_versions(good), {triple for each in good.executions for triple in triples(each)}
    for each in good.executions:
        strategy = versions[each.strategy_id, each.fields["strategy_version"]]
        for tick in good.ticks[each.partition] if each.fields["mode"] == "per_ticker" else ():
            at, edits = tick.record.offset, shards[each.partition].versions[each.strategy_id]
            since = [(0, 0), *(edit for edit in edits if edit[0] <= at)][-1]
            if tick.tick is None or tick.tick.ticker not in strategy.universe or since[1] != strategy.version:
                continue
            if since == edits[0] and at - since[0] <= MOST_AHEAD:
                continue  # nothing was edited
            timeframe = parse_timeframe(strategy.timeframe)
            bucket_ms = bucket_start(tick.tick.ts_ms, timeframe, strategy.time_zone, strategy.session)
            if has_run.isdisjoint((each.strategy_id, ticker, bucket_ms) for ticker in (tick.tick.ticker, "")):
                cause = {**each.fields["cause"], "first_offset": at, "last_offset": at}
                fields = {"execution_id": "x", "bucket_ms": bucket_ms, "tickers": [tick.tick.ticker], "cause": cause}
                yield at - since[0], each._replace(fields={**each.fields, **fields})


def test_what_fired_while_the_version_before_stood_for_longer_is_allowed_at_least_once(good: Journal) -> None:
    """Where a strategy has just been edited, an attempt may have met the edit later, and not know what ran by then."""
    strays = sorted(late_fires(good), key=itemgetter(0))
    (soon, early), (long, late) = strays[0], strays[-1]
    assert soon < MOST_AHEAD < long
    report = judged(good._replace(executions=[*good.executions, early]), exactly_once=False)
    assert_exact(report)
    assert report.overtaken == 1
    message = found(good._replace(executions=[*good.executions, late]), "unfounded", exactly_once=False)
    assert "should not have fired" in message
