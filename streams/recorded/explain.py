"""Why a strategy ran on a ticker in a bucket, or did not: the oracle's answer, told step by step.

By pairs the answer lies in the shard of the ticker, as a whole in the home shard of the strategy. Both are asked.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from streams.core.conditions import ConditionTable
from streams.core.events import Status
from streams.core.limits import FOREVER, NEVER
from streams.core.turns import Turn, Way, last_old_bucket
from streams.kafka.partitions import Here, Homes
from streams.recorded.beside import Beside, Event
from streams.recorded.source import Day
from streams.recorded.telling import (
    AS_WHOLE,
    ELSEWHERE,
    IRRELEVANT,
    NO_RULE,
    NO_STRATEGY,
    NO_TURN,
    NOT_ACTIVE,
    Note,
    Question,
    Ran,
    Seen,
    ShardOracle,
    Teller,
    rule_of,
)
from streams.replay.picked import picked
from streams.times import shown_time

FIRED, NO_TICK, NO_BUCKET = "fired", "no_tick", "no_bucket"
NOT_REACHED, RAN_BEFORE = "stream_time_not_there", "ran_before"
SHOWN: Final = 5
"""Ticks named one by one."""

WORDS: Final[Mapping[str, str]] = {
    IRRELEVANT: "must not move the price",
    NO_STRATEGY: "there was no such strategy",
    NOT_ACTIVE: "the strategy was not active",
    NO_RULE: "the strategy's timeframe does not exist, so it is skipped",
    NO_TURN: "the bucket belongs to a way of deciding that is no more",
    AS_WHOLE: "the strategy decided as a whole, not by pairs",
    ELSEWHERE: "the ticker was not in the universe",
    "bucket_dup": "the pair had run in this bucket",
    "late": "the bucket was over for this pair",
    NO_BUCKET: "no session is known for this time",
    NO_TICK: "no tick of the ticker came in the bucket",
    NOT_REACHED: "stream time of the strategy's home shard never came to the bucket",
    RAN_BEFORE: "a ticker of the strategy had run in this bucket, or in a later one, before it decided as a whole",
    FIRED: "it ran",
}


class Answer(NamedTuple):
    """What came of it."""

    word: str
    """`fired`, or the reason why not; the keys of `WORDS`."""
    bucket_ms: int | None
    until_ms: int
    ran: Ran | None
    place: str
    """Of the record that fired it."""
    steps: list[str]
    version: int | None
    """That stood at the time asked for."""

    def told(self) -> dict[str, Any]:
        """The same for a program."""
        fire = self.ran.fire if self.ran else None
        found = {"ts": fire.ts_ms, "mode": str(fire.mode), "place": self.place} if fire else None
        known = self.until_ms if self.until_ms != FOREVER else None
        return {
            "outcome": self.word,
            "version": self.version,
            "bucket_ms": self.bucket_ms,
            "until_ms": known,
            "fired": found,
            "steps": self.steps,
        }


def explain(day: Day, question: Question) -> Answer:
    """Go through the day, and tell."""
    asking = _Asking(day.beside, day.conditions, question)
    for ticks, _ in day.runs():
        if ticks is None:
            continue
        for partition, teller in asking.tellers.items():
            places = np.flatnonzero(ticks.partition == partition)
            if len(places):
                teller.step(ticks.batch if len(places) == len(ticks.partition) else picked(ticks.batch, places))
    for teller in asking.tellers.values():
        teller.end()
    return _Told(asking, question, day.place).answer()


class _Asking:
    """The shards that have to do with a question."""

    def __init__(self, beside: Beside, conditions: ConditionTable, question: Question) -> None:
        homes, self.shards = Homes(beside.shards), beside.shards
        self.by_pairs, self.home = homes[question.ticker], homes[question.strategy_id]
        self.tellers: dict[int, Teller] = {}
        start: list[Event] = [*beside.strategies, *beside.controls]
        for partition in {self.by_pairs, self.home}:
            owns = Here(partition, homes).__getitem__
            oracle = ShardOracle(conditions, beside, owns, question.strategy_id)
            self.tellers[partition] = Teller(oracle, beside.taking(partition), question)
            self.tellers[partition].start(start)


class _Told:
    """Puts the answer into words."""

    def __init__(self, asking: _Asking, question: Question, place: Callable[[int, int], str]) -> None:
        self._asking, self._question, self._place = asking, question, place
        self._pairs, self._home = asking.tellers[asking.by_pairs], asking.tellers[asking.home]
        self._steps: list[str] = []

    def answer(self) -> Answer:
        """The steps, and what comes of them."""
        ran, partition = self._ran()
        seen = self._seen(partition)
        bucket_ms, until_ms = self._pairs.bucket(seen.strategy)
        if ran is not None and ran.fire.bucket_ms != bucket_ms:  # by a version that came within the bucket
            bucket_ms, until_ms = ran.fire.bucket_ms, ran.until_ms
        self._tell_strategy(seen)
        self._tell_bucket(bucket_ms, until_ms)
        self._tell_way(seen)
        notes = self._pairs.notes.get(self._question.at_ms if bucket_ms is None else bucket_ms, [])
        self._tell_ticks(notes, bucket_ms)
        place, word = "", FIRED
        if ran is not None and partition is not None:
            place = self._place_of(ran, partition)
            what = f"{self._question.ticker} alone" if ran.fire.ticker else "its whole universe"
            self._steps.append(f"it ran on {what}, at {shown_time(ran.fire.ts_ms)}, by {place}")
        else:
            word = self._why_not(seen, bucket_ms, notes)
            self._steps.append(f"it did not run: {WORDS[word]}")
        version = seen.strategy.version if seen.strategy is not None else None
        return Answer(word, bucket_ms, until_ms, ran, place, self._steps, version)

    def _seen(self, partition: int | None) -> Seen:
        """How the strategy stood in the shard that it ran in; or else where it would have, by its way."""
        teller = self._pairs if partition is None else self._asking.tellers[partition]
        if partition is None and is_whole(self._home_turn()):
            teller = self._home
        assert teller.seen is not None, "the end of the day is behind any time"
        return teller.seen

    def _ran(self) -> tuple[Ran | None, int | None]:
        """The fire, and the shard that it is of."""
        for partition, teller in ((self._asking.by_pairs, self._pairs), (self._asking.home, self._home)):
            for ran in teller.ran.values():
                if ran.fire.ticker or not ran.universe or self._question.ticker in ran.universe:
                    return ran, partition
        return None, None

    def _place_of(self, ran: Ran, partition: int) -> str:
        return f"a clock record of partition {partition}" if ran.offset is None else self._place(partition, ran.offset)

    def _tell_strategy(self, seen: Seen) -> None:
        strategy, at = seen.strategy, shown_time(self._question.at_ms)
        if strategy is None:
            self._steps.append(f"at {at} there was no strategy {self._question.strategy_id!r}")
            return
        holds = "every ticker is in its universe"
        if seen.universe or strategy.universe:
            is_in = self._question.ticker in (seen.universe or strategy.universe)
            size = len(seen.universe or strategy.universe)
            holds = f"{self._question.ticker} {'is' if is_in else 'is not'} in its universe of {size}"
        self._steps.append(
            f"at {at} version {strategy.version} stood, {strategy.status}, {strategy.timeframe}; {holds}"
        )

    def _tell_bucket(self, bucket_ms: int | None, until_ms: int) -> None:
        if bucket_ms is not None:
            until = f"to {shown_time(until_ms)}" if until_ms != FOREVER else "on"
            self._steps.append(f"the bucket goes from {shown_time(bucket_ms)} {until}")
        else:
            self._steps.append("there is no bucket that holds this time")

    def _tell_way(self, seen: Seen) -> None:
        """By pairs, or as a whole, and since when."""
        turn = seen.turn
        if seen.strategy is None or seen.strategy.status is not Status.ACTIVE or turn is None:
            return
        since = "" if turn.turn_ms == NEVER else f", for buckets from {shown_time(turn.turn_ms)} on"
        if turn.way is Way.PAIRS:
            where = f", in partition {self._asking.by_pairs}" if self._asking.shards > 1 else ""
            self._steps.append(f"it decides by pairs{where}{since}")
        else:
            where = f", by the time of partition {self._asking.home}" if self._asking.shards > 1 else ""
            self._steps.append(f"it decides as a whole{where}{since}")

    def _tell_ticks(self, notes: list[Note], bucket_ms: int | None) -> None:
        """The ticks of the ticker, the first ones by name."""
        words = self._pairs.words.get(self._question.at_ms if bucket_ms is None else bucket_ms, Counter())
        total = sum(words.values())
        where = "in the bucket" if bucket_ms is not None else "in the minute from then on"
        if not total:
            self._steps.append(f"no tick of {self._question.ticker} came {where}")
            return
        counted = ", ".join(f"{word} {count}" for word, count in sorted(words.items()))
        ticks = "1 tick" if total == 1 else f"{total} ticks"
        self._steps.append(f"{ticks} of {self._question.ticker} came {where}: {counted}")
        for note in notes[:SHOWN]:
            codes = f" (conditions {' '.join(map(str, note.codes))})" if note.word == IRRELEVANT else ""
            place = self._place(self._asking.by_pairs, note.offset)
            self._steps.append(f"{place}, of {shown_time(note.ts_ms)}: {WORDS[note.word]}{codes}")

    def _why_not(self, seen: Seen, bucket_ms: int | None, notes: list[Note]) -> str:
        """The reason, where nothing ran."""
        strategy, ticker = seen.strategy, self._question.ticker
        told = [note.word for note in notes if note.word != IRRELEVANT]
        if strategy is None and not told:
            return NO_STRATEGY
        if told and told[-1] not in {AS_WHOLE, FIRED}:
            return told[-1]
        if strategy is None or strategy.status is not Status.ACTIVE:
            return NO_STRATEGY if strategy is None else NOT_ACTIVE
        if bucket_ms is None:
            return NO_RULE if rule_of(strategy) is None else NO_BUCKET
        if (seen.universe or strategy.universe) and ticker not in (seen.universe or strategy.universe):
            return ELSEWHERE
        return self._why_not_whole(bucket_ms) if is_whole(self._home_turn()) else IRRELEVANT if notes else NO_TICK

    def _home_turn(self) -> Turn | None:
        return self._home.seen.turn if self._home.seen is not None else None

    def _why_not_whole(self, bucket_ms: int) -> str:
        turn = self._home_turn()
        if turn is not None and bucket_ms <= last_old_bucket(turn):
            return NO_TURN
        return RAN_BEFORE if bucket_ms in self._home.reached else NOT_REACHED


def is_whole(turn: Turn | None) -> bool:
    """Whether a turn is to the whole."""
    return turn is not None and turn.way is Way.WHOLE
