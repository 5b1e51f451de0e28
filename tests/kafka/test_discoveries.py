"""Discovery on runs of results: nothing is lost by a crash, a race, a rebalance or a bound."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from streams.core.events import Strategy
from streams.core.lifecycle import Verdict
from streams.instruments import Unheard
from streams.kafka import discovering
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.discoveries import Discoveries
from streams.kafka.discovering import Tools
from streams.kafka.producing import Keyed, Letters
from streams.kafka.registry import FileSchemas
from streams.kafka.strategy_book import StrategyBook
from streams.kafka.strategy_records import record_of
from tests.kafka.batches import Row
from tests.kafka.shard_stage import run_of, until
from tests.worker.reports import INTERVAL_MS, START_MS, value

TOPIC, CHANGES = "h.alert-results", "h.strategy-changes"
ENCODER = Encoder(FileSchemas(), ("strategy_change", "dead_letter"))
A, B, C = ["A"], ["B"], ["C"]
S = Strategy("s", "5m", frozenset(A))
HANGS_S = 30


def change(strategy: Strategy) -> tuple[bytes, bytes | None]:
    return strategy.strategy_id.encode(), ENCODER.encode("strategy_change", record_of(strategy, START_MS))


def report(symbols: list[str], *, strategy_id: str = "s", **more: Any) -> Row:
    return Row(0, key=strategy_id.encode(), value=value(strategy_id, symbols, **more))


class Counted(Unheard):
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def discovery(self, outcome: str, count: int) -> None:
        self.heard += [str(outcome)] * count

    def lost(self, topic: str, partition: int, count: int) -> None:
        self.heard.append((topic, partition, count))


class Log:
    """Stands where the broker stands: what is sent comes to the book, behind what others write."""

    def __init__(self, book: StrategyBook) -> None:
        self.book, self.end, self.letters, self.sent = book, 0, list[Letters](), list[int]()
        self.before: Callable[[], None] = lambda: None
        self.answers = asyncio.Event()
        self.answers.set()

    def write(self, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        run = run_of([Row(0, key=key, value=value) for key, value in records], self.end, topic=CHANGES)
        self.book.take("strategies", run)
        self.end, self.last = run.position, records[-1]

    async def send(self, keyed: Sequence[Keyed], letters: Sequence[Letters]) -> dict[tuple[str, int], int]:
        await self.answers.wait()
        self.before()
        self.letters += letters
        self.sent.append(len(keyed))
        for each in keyed:
            self.write([(each.records.key(0), each.records.value(0))])
        return {(CHANGES, 0): self.end} if keyed else {}

    async def close(self) -> None:
        """Nothing to end."""


class Stage:
    """Discoveries on a book at work, with a broker beside."""

    def __init__(self) -> None:
        self.book = StrategyBook(CHANGES, 1, Decoder(FileSchemas(), "strategy_change"))
        self.log, self.counted, self.begins_at = Log(self.book), Counted(), 0
        self.late: list[tuple[bytes, bytes | None]] = []
        self.working = asyncio.create_task(self.book.work())
        self.found = list[Strategy]()
        self.owner = self.make()

    def make(self, at: int = 0) -> Discoveries:
        """An owner of the partition that begins there."""

        async def catch_up() -> None:
            late, self.late = self.late, []
            if late:
                self.log.write(late)
            await self.book.caught_up()

        async def earliest(partition: int) -> int:
            assert partition == 0
            return self.begins_at

        sizes = {TOPIC: 1, CHANGES: 1, f"{TOPIC}.dlq": 1}
        decoder, log = Decoder(FileSchemas(), "result"), cast("Any", self.log)
        made = Tools(
            TOPIC, sizes, self.book, catch_up, decoder, ENCODER, log, self.counted, INTERVAL_MS, self.found.append
        )
        owner = Discoveries(made, earliest)
        owner.seeked({0: at})
        return owner

    async def stand(self, *strategies: Strategy) -> None:
        self.log.write([change(each) for each in strategies])
        await self.book.caught_up()

    async def take(self, *rows: Row, start: int | None = None) -> None:
        at = self.owner.idle_at()[0] if start is None else start
        await asyncio.wait_for(self.owner.take(run_of(rows, at, topic=TOPIC)), HANGS_S)

    def universe(self, strategy_id: str = "s") -> tuple[int, list[str]]:
        stands = self.book.strategies[strategy_id]
        return stands.version, sorted(stands.universe)

    @property
    def refused(self) -> list[tuple[bytes | None, bytes]]:
        """Of each dead letter, the key and the word."""
        return [(letter.key, letter.headers[3][1]) for each in self.log.letters for letter, _ in each.letters]


def staged(story: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        stage = Stage()
        await stage.stand(S)
        async with asyncio.timeout(HANGS_S):
            await story(stage)
        stage.working.cancel()
        await asyncio.gather(stage.working, return_exceptions=True)

    asyncio.run(main())


def test_reports_of_one_run_stand_on_each_other_and_the_last_is_held_until_another_strategy_says_it_is_due() -> None:
    async def story(stage: Stage) -> None:
        await stage.stand(replace(S, strategy_id="other"))
        await stage.take(report(B), report(C), report(B, strategy_id="nobody"), report(B), report(C))
        assert stage.universe() == (2, B)
        assert stage.counted.heard == ["changed", "held", "refused", "same", "held"]
        assert stage.owner.committed() == {0: 4}
        await stage.take(report([], strategy_id="other", ts_ms=START_MS + INTERVAL_MS))
        assert stage.universe() == (3, C)
        assert stage.owner.committed() == {0: 6}
        assert stage.refused == [(b"nobody", b"unknown_strategy")]
        assert [each.version for each in stage.found] == [2, 3]

    staged(story)


def test_the_position_stays_until_all_is_acknowledged_and_the_next_owner_begins_there() -> None:
    async def story(stage: Stage) -> None:
        stage.log.answers.clear()
        taking = asyncio.create_task(stage.take(report(B), report(C, strategy_id="nobody")))
        await until(lambda: not stage.owner.idle_at())
        assert stage.owner.committed() == {0: 0}
        await stage.owner.let_go()
        await taking
        assert stage.owner.committed() == {0: 0}
        assert not stage.owner.wants_more(0)
        stage.log.answers.set()
        stage.owner = stage.make()
        await stage.take(report(B), report(C, strategy_id="nobody"))
        assert (stage.universe(), stage.owner.committed()) == ((2, B), {0: 2})
        assert len(stage.refused) == 1

    staged(story)


def test_what_was_held_when_its_owner_ended_comes_again_to_the_next_and_counts_when_it_is_due() -> None:
    async def story(stage: Stage) -> None:
        rows = [report(B), report(["B", "C"], ts_ms=START_MS + 1), report([])]
        await stage.take(*rows)
        at = stage.owner.committed()[0]
        assert at == 1
        stage.owner = stage.make(at)
        await stage.take(*rows[at:], report([], ts_ms=START_MS + INTERVAL_MS))
        assert stage.universe() == (3, ["B", "C"])

    staged(story)


def test_all_that_a_held_union_was_made_of_comes_again() -> None:
    async def story(stage: Stage) -> None:
        rows = [report(B), report(A, ts_ms=START_MS + 1), report(C, ts_ms=START_MS + 2)]
        await stage.take(*rows)
        assert stage.owner.committed() == {0: 1}
        stage.owner = stage.make(1)
        await stage.take(*rows[1:], report([], ts_ms=START_MS + INTERVAL_MS))
        assert stage.universe() == (3, ["A", "B", "C"])

    staged(story)


def test_what_is_held_is_void_and_forgotten_once_somebody_has_written_a_universe() -> None:
    async def story(stage: Stage) -> None:
        await stage.take(report(B), report(C))
        await stage.stand(replace(S, version=3, universe=frozenset("Z")))
        await stage.take(report([], ts_ms=START_MS + INTERVAL_MS))
        assert (stage.universe(), stage.owner.committed()) == ((3, ["Z"]), {0: 3})
        (owned,) = stage.owner._owned.values()
        assert (owned._histories, owned._weight) == ({}, 0)

    staged(story)


@pytest.mark.parametrize(
    ("edit", "then"),
    [
        (replace(S, version=2, timeframe="1h"), (3, B)),
        (replace(S, version=2, universe=frozenset(C)), (2, C)),
    ],
)
def test_where_somebody_edits_at_the_same_time_the_first_stands_and_the_log_ends_with_it(
    edit: Strategy, then: tuple[int, list[str]]
) -> None:
    """A report that still holds is written as the next version; one of an older universe does not count."""

    async def story(stage: Stage) -> None:
        def first() -> None:
            stage.log.before = lambda: None
            stage.log.write([change(edit)])

        stage.log.before = first
        await stage.take(report(B))
        assert stage.universe() == then
        assert [each.reason.word for each in stage.book.refusals] == [f"change_{Verdict.CONFLICT}"]
        late = Stage()
        late.log.write([stage.log.last])  # all that compaction leaves
        await late.book.caught_up()
        assert late.universe() == then
        late.working.cancel()

    staged(story)


def test_who_loses_again_and_again_holds_the_report_for_the_next_result() -> None:
    async def story(stage: Stage) -> None:
        versions = iter(range(2, 9))

        def first() -> None:
            stage.log.write([change(replace(S, version=next(versions), timeframe="1h"))])

        stage.log.before = first
        await stage.take(report(B))
        stage.log.before = lambda: None
        version, tickers = stage.universe()
        assert tickers == A
        assert stage.owner.committed() == {0: 0}
        await stage.take(report([]))
        assert stage.universe() == (version + 1, B)
        assert stage.owner.committed() == {0: 2}

    staged(story)


def test_a_strategy_and_a_version_that_have_just_been_written_are_looked_for_before_they_are_refused() -> None:
    async def story(stage: Stage) -> None:
        stage.late = [change(replace(S, strategy_id="new")), change(replace(S, version=2, timeframe="1h"))]
        await stage.take(report(B, strategy_id="new"), report(C, version=2))
        assert (stage.universe("new"), stage.universe()) == ((2, B), (3, C))
        assert stage.refused == []

    staged(story)


def test_a_run_that_does_not_follow_is_left_to_be_read_again_and_one_that_overlaps_counts_from_here() -> None:
    async def story(stage: Stage) -> None:
        await stage.take(report(B), start=3)
        assert (stage.universe(), stage.owner.committed()) == ((1, A), {0: 0})
        stage.owner.fetched(0, 4)
        assert not stage.owner.wants_more(0)
        stage.owner.sought(0, 0)
        assert stage.owner.wants_more(0)
        await stage.take(report([]), report([]))
        await stage.take(report(C), report(C), report(B), start=0)
        assert (stage.universe(), stage.owner.committed()) == ((2, B), {0: 3})

    staged(story)


def test_what_the_broker_has_deleted_is_stepped_over_and_counted() -> None:
    async def story(stage: Stage) -> None:
        stage.begins_at = 3
        await stage.take(report(B), start=3)
        assert (stage.universe(), stage.owner.committed()) == ((2, B), {0: 4})
        assert (TOPIC, 0, 3) in stage.counted.heard

    staged(story)


def test_a_fault_of_ours_keeps_the_position_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async def story(stage: Stage) -> None:
        def fault() -> None:
            raise ZeroDivisionError

        stage.log.before = fault
        await stage.take(report(B))
        assert stage.owner.committed() == {0: 0}
        stage.log.before = lambda: None
        await stage.take(report(B))
        assert stage.universe() == (2, B)

    staged(story)
    assert "tried again" in caplog.text


def test_what_is_remembered_is_bounded_and_what_is_held_of_it_counts_before_it_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(discovering, "MAX_STRATEGY_HISTORIES", 40)
    names = [f"n{k}" for k in range(60)]

    async def story(stage: Stage) -> None:
        await stage.stand(*(replace(S, strategy_id=name) for name in names))
        for name in names:
            await stage.take(report(B, strategy_id=name), report(C, strategy_id=name))
        (owned,) = stage.owner._owned.values()
        assert owned._weight <= 40 + 10
        assert owned._weight == sum(each.weight for each in owned._histories.values())
        assert set(owned._held) <= set(owned._histories)
        assert stage.universe(names[0]) == (3, C)
        assert stage.universe(names[-1]) == (2, B)
        late = report([], ts_ms=START_MS + INTERVAL_MS)
        await stage.take(late, late)
        assert {stage.universe(name)[1][-1] for name in names} == {"C"}

    staged(story)


def test_reports_that_change_nothing_are_not_remembered() -> None:
    async def story(stage: Stage) -> None:
        await stage.take(report(A), report(A), report([]))
        (owned,) = stage.owner._owned.values()
        assert (owned._histories, owned._weight) == ({}, 0)

    staged(story)


def test_a_worker_that_goes_to_and_fro_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    async def story(stage: Stage) -> None:
        for k in range(20):
            await stage.take(report((B, A)[k % 2], ts_ms=START_MS + k * INTERVAL_MS))
        assert stage.universe() == (3, ["A", "B"])
        assert stage.counted.heard.count("damped") == 1

    staged(story)
    assert caplog.text.count("to and fro") == 1
