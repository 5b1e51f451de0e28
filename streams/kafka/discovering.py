"""Discovery for one partition of `alert-results`: from runs of results to changed strategies and dead letters.

A slice of results is decided, what follows from it is sent and acknowledged, and every change is seen in the book of
strategies; only then does the position move. Whoever begins anew at a position meets results that were used already:
what they report stands, and nothing comes of them. A result whose report is held keeps the position that is committed,
so it comes again to whoever is the next owner.

Somebody may edit a strategy at the same time. The version decides: the book takes the first, and the other is a dead
letter of `strategy-changes`. Where ours was the other, the report is held against what stands now. And since the log
may be compacted down to what it got last, what stands is written behind ours once more.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from streams.core.discovery import NO_HISTORY, Answer, History, Outcome, Report, Standing, decide, due_ms, release
from streams.core.events import Strategy
from streams.core.limits import MAX_STRATEGY_HISTORIES, MAX_TS_MS
from streams.core.records import records_of
from streams.instruments import Instruments
from streams.kafka import strategy_topic
from streams.kafka.announcer import Announcer
from streams.kafka.bad_values import Reason
from streams.kafka.book import record_at
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.dead_letters import Refused, dead_letter
from streams.kafka.deciding import grouped, refused_record
from streams.kafka.fetch import RawRun
from streams.kafka.producing import Keyed
from streams.kafka.registry_wait import patiently
from streams.kafka.result_records import OK, Result, read_result
from streams.kafka.strategy_book import Place, StrategyBook
from streams.kafka.strategy_records import DISCOVERY, record_of
from streams.kafka.whole_topic import Record

log = logging.getLogger(__name__)

DECODED_AT_ONCE: Final = 200
"""Results whose symbols are sets at the same time, and whose changes are sent together."""

TRIES: Final = 3
"""How often a change is made anew where others edit the strategy at the same time; then it is held."""

AT_ONCE_MS: Final = 0


class Tools(NamedTuple):
    """What all partitions share."""

    topic: str
    sizes: Mapping[str, int]
    """Of each topic, the number of its partitions."""
    book: StrategyBook
    catch_up: Callable[[], Awaitable[None]]
    """Bring the book up to where its topic ends now."""
    decoder: Decoder
    encoder: Encoder
    announcer: Announcer
    instruments: Instruments
    interval_ms: int
    discovered: Callable[[Strategy], None] = lambda _: None
    """Told of each universe that was changed, once it stands."""


class Made(NamedTuple):
    """A change on its way, and the report that it was made of."""

    change: Strategy | None
    report: Report
    ts_ms: int
    offset: int


class Held(NamedTuple):
    """A report that waits."""

    due_ms: int
    offset: int
    """Where the first result stands that it was made of."""


class Discovering:
    """One partition."""

    def __init__(self, tools: Tools, partition: int, at: int) -> None:
        self.partition, self.at = partition, at
        self._tools = tools
        self._histories: dict[str, History] = {}
        """Those touched last stand last."""
        self._weight = 0
        self._held: dict[str, Held] = {}
        self._next_due_ms = MAX_TS_MS
        self._made: dict[str, Made] = {}
        self._again: list[Standing] = []
        self._letters: list[tuple[Refused, Reason]] = []

    @property
    def committed(self) -> int:
        """Up to where results are done with."""
        return min([self.at, *(held.offset for held in self._held.values())])

    async def take(self, run: RawRun) -> None:
        """Work a run off."""
        columns = run.columns
        rows = [i for i in range(len(columns)) if columns.offset[i] >= self.at]
        for first in range(0, len(rows), DECODED_AT_ONCE):
            await self._take_slice(run, rows[first : first + DECODED_AT_ONCE])
        self.at = run.position

    async def _take_slice(self, run: RawRun, rows: Sequence[int]) -> None:
        found = await self._read([record_at(run, i) for i in rows])
        await self._know_strategies(found)
        for i, each in zip(rows, found, strict=True):
            if isinstance(each, Reason):
                self._letters.append((refused_record(run, i), each))
            else:
                await self._take_result(run, i, each)
        await self._flush()
        self.at = int(run.columns.offset[rows[-1]]) + 1

    async def _read(self, records: Sequence[Record]) -> list[Result | Reason]:
        decoder, size = self._tools.decoder, self._tools.sizes[self._tools.topic]
        return await patiently(lambda: [read_result(each, decoder, size) for each in records], self._tools.topic)

    async def _know_strategies(self, found: Sequence[Result | Reason]) -> None:
        """A worker that has just learned of a strategy may run it, and report, before this one has heard of it."""
        known = self._tools.book.strategies.version
        if any(isinstance(each, Result) and each.report.version > known(each.strategy_id) for each in found):
            await self._tools.catch_up()

    async def _take_result(self, run: RawRun, row: int, result: Result) -> None:
        """Let one result count."""
        strategy_id, status, report = result
        self._tools.instruments.results(status, 1)
        if status == OK:
            if strategy_id in self._made:
                await self._flush()  # what is decided next stands on it
            standing = self._tools.book.standing(strategy_id)
            answer = decide(standing, report, self._histories.get(strategy_id), self._tools.interval_ms)
            offset = int(run.columns.offset[row])
            self._follow(strategy_id, standing, answer, Made(answer.change, report, report.ts_ms, offset))
            if answer.refusal is not None:
                self._letters.append((refused_record(run, row), Reason(*answer.refusal)))
        self._release_due(report.ts_ms)
        self._make_room()

    def _follow(self, strategy_id: str, standing: Standing | None, answer: Answer, made: Made) -> None:
        """Do what an answer says."""
        self._tools.instruments.discovery(answer.outcome, 1)
        if answer.damped_now:
            self._tools.instruments.discovery("damped", 1)
            log.warning("strategy %r: reports go to and fro; tickers are only added until they are calm", strategy_id)
        if answer.outcome not in {Outcome.CHANGED, Outcome.SAME, Outcome.HELD} or standing is None:
            return  # what is held, if anything, stays
        self._remember(strategy_id, standing, answer)
        held = self._held.pop(strategy_id, None)
        if answer.outcome is Outcome.HELD:
            self._hold(strategy_id, due_ms(standing, self._tools.interval_ms), held.offset if held else made.offset)
        elif answer.outcome is Outcome.CHANGED:
            self._made[strategy_id] = made

    def _hold(self, strategy_id: str, due_at_ms: int, offset: int) -> None:
        self._held[strategy_id] = Held(due_at_ms, offset)
        self._next_due_ms = min(self._next_due_ms, due_at_ms)

    def _remember(self, strategy_id: str, standing: Standing, answer: Answer) -> None:
        """Keep what the next report is held against; a strategy whose reports never changed anything costs nothing."""
        self._forget(strategy_id)
        changed = answer.outcome is not Outcome.SAME or standing.origin.discovered_ms is not None
        if changed or answer.history.damped or answer.history.dropped:
            self._histories[strategy_id] = answer.history
            self._weight += answer.history.weight

    def _make_room(self) -> None:
        """Forget what has rested longest; what is held of it counts at once, and is not lost."""
        while self._weight > MAX_STRATEGY_HISTORIES and len(self._histories) > 1:
            oldest = next(iter(self._histories))
            if oldest in self._held:
                self._release(oldest, MAX_TS_MS)
            self._forget(oldest)

    def _forget(self, strategy_id: str) -> None:
        history = self._histories.pop(strategy_id, None)
        self._weight -= history.weight if history else 0

    def _release_due(self, now_ms: int) -> None:
        """Let what is held count where it is time."""
        if now_ms < self._next_due_ms:
            return
        for strategy_id, held in list(self._held.items()):
            if held.due_ms <= now_ms:
                self._release(strategy_id, now_ms)
        self._next_due_ms = min((held.due_ms for held in self._held.values()), default=MAX_TS_MS)

    def _release(self, strategy_id: str, now_ms: int) -> None:
        held, history = self._held.pop(strategy_id), self._histories[strategy_id]
        assert history.held is not None, "its history holds it"
        standing = self._tools.book.standing(strategy_id)
        answer = release(standing, history, now_ms, self._tools.interval_ms)
        ts_ms = history.held.ts_ms if now_ms == MAX_TS_MS else now_ms
        self._forget(strategy_id)  # kept again, unless somebody has edited the universe meanwhile
        self._follow(strategy_id, standing, answer, Made(answer.change, history.held, ts_ms, held.offset))

    async def _flush(self) -> None:
        """Send what has been decided, and see what came of it."""
        for _ in range(TRIES):
            if not (self._made or self._letters or self._again):
                return
            made, self._made = self._made, {}
            await self._send(made)
            for strategy_id, each in made.items():
                self._see(strategy_id, each)
        for strategy_id, each in self._made.items():
            log.warning("strategy %r: others edit it; what is reported waits for the next result", strategy_id)
            history = self._histories.get(strategy_id, NO_HISTORY)
            self._forget(strategy_id)
            self._histories[strategy_id] = replace(history, held=each.report)
            self._weight += self._histories[strategy_id].weight
            self._hold(strategy_id, AT_ONCE_MS, each.offset)
            standing = self._tools.book.standing(strategy_id)
            self._again += [standing] if standing is not None else []
        self._made = {}
        await self._send({})

    async def _send(self, made: Mapping[str, Made]) -> None:
        """Send changes and dead letters, and wait until the book has read the changes."""
        tools, again, letters = self._tools, self._again, self._letters
        changes = [(each.change, each.ts_ms, DISCOVERY) for each in made.values() if each.change]
        for strategy, origin in again:
            written = origin.discovered_ms is None
            changes.append((strategy, origin.discovered_ms or 0, "" if written else DISCOVERY))
        told = [(dead_letter(tools.encoder, record, reason), record.ts_ms) for record, reason in letters]
        ends = await tools.announcer.send(
            [self._keyed(*each) for each in changes],
            grouped([(letter.topic, letter, ts_ms) for letter, ts_ms in told], tools.sizes),
        )
        for (_, partition), end in ends.items():
            await tools.book.reached(Place(partition, end - 1))
        for _, reason in letters:
            tools.instruments.dead_letters(tools.topic, reason.word, 1)
        del again[:], letters[:]

    def _keyed(self, strategy: Strategy, ts_ms: int, source: str) -> Keyed:
        """A version as a record of `strategy-changes`."""
        topic = self._tools.book.topic
        value = self._tools.encoder.encode(strategy_topic.RECORD, record_of(strategy, ts_ms, source=source))
        return Keyed(topic, self._tools.sizes[topic], records_of([(strategy.strategy_id.encode(), value)], ts_ms))

    def _see(self, strategy_id: str, made: Made) -> None:
        """Whether a change stands; where another was first, hold what was reported against that."""
        standing = self._tools.book.standing(strategy_id)
        assert made.change is not None, "only changes are sent"
        if standing is not None and standing.strategy.universe == made.change.universe:
            log.info("strategy %r version %d watches the %d tickers that were reported", *described(made.change))
            self._tools.instruments.universe_discoveries(1)
            self._tools.discovered(standing.strategy)
            return
        history = replace(self._histories.get(strategy_id, NO_HISTORY), held=made.report)
        self._forget(strategy_id)
        answer = release(standing, history, made.ts_ms, self._tools.interval_ms)
        self._follow(strategy_id, standing, answer, made._replace(change=answer.change))
        if strategy_id not in self._made and standing is not None:
            self._again.append(standing)


def described(strategy: Strategy) -> tuple[str, int, int]:
    """What a line of the log says of it."""
    return strategy.strategy_id, strategy.version, len(strategy.universe)
