"""The oracle over one shard, asked about one strategy and one ticker: what became of each tick that could matter.

Of all other tickers only stream time matters, and of that only where it comes to another bucket, or comes first behind
a change. So a day is passed over in columns, and the oracle is asked about the few ticks that are left.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import numpy as np

from streams.core.clock import is_too_far_ahead
from streams.core.conditions import ConditionTable
from streams.core.decode import judge_codes
from streams.core.events import Clock, Fire, Status, Strategy, Tick
from streams.core.flags import Control
from streams.core.journal import Taking
from streams.core.limits import FOREVER, NEVER
from streams.core.oracle import Oracle
from streams.core.timeframes import BucketRule, bucket_of, bucket_rule, parse_timeframe
from streams.core.turns import Turn, Way
from streams.recorded.beside import Beside, Event, Stands
from streams.replay.tick_columns import Int64s, TickBatch

NOTES_KEPT: Final = 1_000
SOON_MS: Final = 60_000

IRRELEVANT, NO_STRATEGY, NOT_ACTIVE = "not_price_relevant", "no_strategy", "not_active"
NO_RULE, AS_WHOLE, NO_TURN, ELSEWHERE = "invalid_timeframe", "as_a_whole", "between_turns", "not_in_universe"


class Question(NamedTuple):
    """Why did the strategy run on the ticker in the bucket that holds this time, or not?"""

    strategy_id: str
    ticker: str
    at_ms: int


class Note(NamedTuple):
    """What became of one tick of the ticker."""

    offset: int
    ts_ms: int
    word: str
    codes: tuple[int, ...]


class Ran(NamedTuple):
    """A fire, and the record that brought it; a clock record has no offset here."""

    fire: Fire
    offset: int | None
    universe: frozenset[str]
    until_ms: int
    """Where its bucket ends."""


class Seen(NamedTuple):
    """How the strategy stood at a moment."""

    strategy: Strategy | None
    turn: Turn | None
    universe: frozenset[str]


class ShardOracle(Oracle):
    """The oracle over one shard among several, which knows the turns of a strategy from the start."""

    def __init__(
        self, conditions: ConditionTable, beside: Beside, owns: Callable[[str], bool], strategy_id: str
    ) -> None:
        super().__init__(conditions, beside.default_mode)
        self._owns, self._alone = owns, not beside.turns
        if strategy_id in beside.turns:
            self.turns[strategy_id] = beside.turns[strategy_id]

    def _turn_if_wanted(self, sid: str) -> None:
        if self._alone:
            super()._turn_if_wanted(sid)

    def _decide(self, sid: str, turn: Turn | None) -> None:
        super()._decide(sid, turn)
        if not self._owns(sid):
            self.whole.discard(sid)

    def start_pairs(self, sid: str, tickers: Iterable[str]) -> None:
        """Only those that belong here."""
        super().start_pairs(sid, filter(self._owns, tickers))


class Teller:
    """Goes through the ticks of one shard."""

    def __init__(self, oracle: ShardOracle, taking: Taking[Event], question: Question) -> None:
        self.oracle, self.question = oracle, question
        self.notes: dict[int, list[Note]] = {}
        """By bucket: of the ticker's ticks, those in the bucket that holds the time asked for."""
        self.words: dict[int, Counter[str]] = {}
        """The same, counted, those that are not kept too."""
        self.ran: dict[int, Ran] = {}
        """By bucket, as above."""
        self.seen: Seen | None = None
        """How the strategy stood before the first record later than the time asked for."""
        self.reached: set[int] = set()
        """The buckets, as above, that stream time came to."""
        self._taking, self._is_fresh = taking, True

    def start(self, events: Iterable[Event]) -> None:
        """Take what was in force when the range began."""
        for event in events:
            self._take(event)

    def step(self, batch: TickBatch) -> None:
        """Take ticks of the shard, whose rows are their offsets."""
        moves = np.empty(len(batch.ts_ms), np.uint8)
        table = self.oracle.conditions
        judge_codes(batch.codes, batch.code_ends, table.blocks, table.unlisted_blocks, moves)
        ticker = batch.names.index(self.question.ticker) if self.question.ticker in batch.names else -1
        mine = np.flatnonzero(batch.name_of == ticker)
        later = int(np.argmax(np.append(batch.ts_ms > self.question.at_ms, True)))
        done = 0
        while done < len(batch.rows):
            if done >= later:
                self._look()
            for event in self._taking.before(int(batch.rows[done])):
                self._take(event)
            end = int(np.searchsorted(batch.rows, self._taking.next_offset))
            end = min(end, later) if done < later else end
            for at in mine[np.searchsorted(mine, done) : np.searchsorted(mine, end)].tolist():
                self._pass_over(batch, moves, done, at)
                self._tell(batch, at, moves=bool(moves[at]))
                done = at + 1
            self._pass_over(batch, moves, done, end)
            done = end

    def end(self) -> None:
        """No tick comes any more."""
        for event in self._taking.rest():
            self._take(event)
        self._look()

    def bucket(self, strategy: Strategy | None) -> tuple[int | None, int]:
        """The bucket that holds the time asked for, under a version; and where it ends."""
        return bucket_at(strategy, self.question.at_ms)

    @property
    def _strategy(self) -> Strategy | None:
        return self.oracle.strategies.get(self.question.strategy_id)

    def _take(self, event: Event) -> None:
        """Let something else than a tick count."""
        match event:
            case Stands(Strategy() as strategy, before):
                if strategy.strategy_id == self.question.strategy_id:
                    self.oracle.stand(strategy, before)
            case Stands():
                if event.strategy_id == self.question.strategy_id:
                    self.oracle.forget(event.strategy_id)
            case Control():
                self.oracle.set_flags(self.oracle.flags.with_control(event))
            case Clock() if not is_too_far_ahead(self.oracle.stream_ms, event.ts_ms):
                if event.ts_ms > self.question.at_ms:
                    self._look()
                self._note(self.oracle.clock(event), None)
        self._is_fresh = True

    def _pass_over(
        self, batch: TickBatch, moves: "np.ndarray[tuple[int], np.dtype[np.uint8]]", start: int, end: int
    ) -> None:
        """Let stream time go on by ticks of other tickers."""
        places = start + np.flatnonzero(moves[start:end])
        if not len(places):
            return
        highs: Int64s = np.maximum.accumulate(np.maximum(batch.ts_ms[places], self.oracle.stream_ms))
        done = 0
        while done < len(places):
            next_ms = NEVER if self._is_fresh else self._next_ms()
            done += int(np.searchsorted(highs[done:], next_ms))
            if done < len(places):
                self._move(int(highs[done]), int(batch.rows[places[done]]))
                done += 1
        self._move(int(highs[-1]), int(batch.rows[places[-1]]))

    def _move(self, ts_ms: int, offset: int) -> None:
        self._is_fresh = False
        self._note(self.oracle.clock(Clock(ts_ms)), offset)

    def _next_ms(self) -> int:
        """When stream time comes to another bucket."""
        stream_ms = self.oracle.stream_ms
        return NEVER if stream_ms == NEVER else bucket_at(self._strategy, stream_ms)[1]

    def _look(self) -> None:
        """Keep how the strategy stands, before the first record that is later than the time asked for."""
        if self.seen is None:
            sid = self.question.strategy_id
            self.seen = Seen(self._strategy, self.oracle.under.get(sid), self.oracle.universes.get(sid, frozenset()))

    def _note(self, fires: Iterable[Fire], offset: int | None) -> None:
        """Keep what ran in the bucket that holds the time asked for."""
        bucket_ms, until_ms = self.bucket(self._strategy)
        if bucket_ms is None:
            return
        if bucket_ms <= self.oracle.stream_ms < until_ms:
            self.reached.add(bucket_ms)
        for fire in fires:
            if fire.bucket_ms == bucket_ms:
                universe = self.oracle.strategies[fire.strategy_id].universe
                self.ran.setdefault(bucket_ms, Ran(fire, offset, universe, until_ms))

    def _tell(self, batch: TickBatch, at: int, *, moves: bool) -> None:
        """Ask the oracle about a tick of the ticker."""
        offset, ts_ms = int(batch.rows[at]), int(batch.ts_ms[at])
        codes = tuple(batch.codes[int(batch.code_ends[at - 1]) if at else 0 : int(batch.code_ends[at])].tolist())
        if not moves:
            self._keep(Note(offset, ts_ms, IRRELEVANT, codes))
            return
        self._is_fresh = False
        before = Counter(self.oracle.counts_of[self.question.strategy_id])
        whole_before = self.oracle.counts["triggered"]
        fires = self.oracle.tick(Tick(self.question.ticker, ts_ms))
        self._note(fires, offset)
        more = self.oracle.counts_of[self.question.strategy_id] - before
        if self.oracle.counts["triggered"] > whole_before:
            more["fired"] -= self.oracle.counts["triggered"] - whole_before
        words = [word for word, count in more.items() if count > 0]
        self._keep(Note(offset, ts_ms, words[0] if words else self._why_not(), codes))

    def _why_not(self) -> str:
        """Why a tick that moves the price was nothing to a pair."""
        oracle, sid, strategy = self.oracle, self.question.strategy_id, self._strategy
        if strategy is None:
            return NO_STRATEGY
        if strategy.status is not Status.ACTIVE:
            return NOT_ACTIVE
        if sid not in oracle.timeframes:
            return NO_RULE
        turn = oracle.under.get(sid)
        if turn is None:
            return NO_TURN
        if turn.way is Way.WHOLE:
            return AS_WHOLE
        return ELSEWHERE

    def _keep(self, note: Note) -> None:
        """Keep a note, if its tick lies in the bucket that holds the time asked for; without one, soon behind it."""
        at_ms, (bucket_ms, _) = self.question.at_ms, self.bucket(self._strategy)
        if bucket_ms is None and not at_ms <= note.ts_ms < at_ms + SOON_MS:
            return
        if bucket_ms is not None and bucket_at(self._strategy, note.ts_ms)[0] != bucket_ms:
            return
        start_ms = at_ms if bucket_ms is None else bucket_ms
        kept = self.notes.setdefault(start_ms, [])
        if len(kept) < NOTES_KEPT:
            kept.append(note)
        self.words.setdefault(start_ms, Counter())[note.word] += 1


def rule_of(strategy: Strategy) -> BucketRule | None:
    """The buckets of a version; None where there are no such."""
    try:
        return bucket_rule(parse_timeframe(strategy.timeframe), strategy.time_zone, strategy.session)
    except ValueError:
        return None


def bucket_at(strategy: Strategy | None, ts_ms: int) -> tuple[int | None, int]:
    """The bucket of a time under a version, and where it ends; none where there is no version, or no such rule."""
    rule = rule_of(strategy) if strategy else None
    return (None, FOREVER) if rule is None else bucket_of(rule, ts_ms)
