"""Explained is what was decided: a thousand questions, against the executions of the replay and the rules, plainly."""

import random
from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import pytest

from streams.core.events import Mode, Status, Strategy, Tick
from streams.core.journal import Entry
from streams.core.oracle import Oracle
from streams.recorded.as_one import all_gathered
from streams.recorded.beside import Beside, Stands, of_strategies
from streams.recorded.deciding import ByShard
from streams.recorded.explain import FIRED, WORDS, Answer, explain
from streams.recorded.parted import all_split
from streams.recorded.telling import Question, bucket_at
from streams.replay.results import Batch
from tests.recorded.day_oracles import oracles
from tests.recorded.made import BLOCKED, DAY_MINUTES, MINUTE_MS, START_MS, TICKERS, MadeDay

Key = tuple[str, str, int]
"""Strategy, ticker, bucket."""


class Fired(NamedTuple):
    """A row of the executions, and the version that it is of."""

    ts_ms: int
    mode: str
    version: Strategy


def fired(day: MadeDay) -> dict[Key, Fired]:
    """What a replay fires, tick by tick."""
    deciding, found = ByShard(day.beside, day.conditions), dict[Key, Fired]()
    for ticks, _ in day.runs(1):
        assert ticks is not None
        batch, _ = deciding.step(ticks)
        entries = deciding.shards[int(ticks.partition[0])].shard.index.entries
        for key, ts_ms, mode in rows(batch):
            assert key not in found
            strategy = entries[key[0]].strategy
            found[key] = Fired(ts_ms, mode, strategy)
    return found


def is_mid_day(each: Fired) -> bool:
    """Whether the day had gone on for a while: what fires late in its bucket then, was changed in it."""
    return each.ts_ms > START_MS + MINUTE_MS


def rows(b: Batch) -> list[tuple[Key, int, str]]:
    """The rows of a batch, with their names."""
    return [
        (
            (
                b.strategy_names[b.strategy[row]],
                b.ticker_names[b.ticker[row]] if b.ticker[row] >= 0 else "",
                int(b.bucket_ms[row]),
            ),
            int(b.ts_ms[row]),
            b.mode_names[b.mode[row]],
        )
        for row in range(len(b.ts_ms))
    ]


def held_against(
    question: Question, answer: Answer, ran: dict[Key, Fired], universes: dict[Key, frozenset[str]]
) -> None:
    """An answer says what ran in the bucket that holds the time, and nothing else."""
    wanted = [
        (key, each)
        for key, each in ran.items()
        if key[0] == question.strategy_id
        and key[1] in {question.ticker, ""}
        and bucket_at(each.version, question.at_ms)[0] == key[2]
        and (key[1] or each.mode == Mode.GLOBAL or question.ticker in universes[key])
    ]
    if answer.ran is None:
        assert wanted == [], (question, answer)
        return
    fire = answer.ran.fire
    assert (fire[:3], fire.ts_ms, str(fire.mode)) in [(key, each.ts_ms, each.mode) for key, each in wanted]
    assert answer.word == FIRED


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_thousand_questions_are_answered_as_it_was_decided(seed: int, *, turned: bool) -> None:
    day, draw, words = MadeDay(seed, turned=turned), random.Random(seed), Counter[str]()
    ran = fired(day)
    universes = {key: day.universe(each.version) for key, each in ran.items()}
    strategies = [each.strategy_id for each in day.strategies]
    questions = [
        Question(draw.choice(strategies), draw.choice(TICKERS), START_MS + draw.randrange(DAY_MINUTES * MINUTE_MS))
        for _ in range(150)
    ]
    whole = sorted(key for key in ran if not key[1])
    known = draw.sample(sorted(ran), 60) + draw.choices(whole, k=20)
    known += sorted((key for key in whole if is_mid_day(ran[key])), key=lambda key: key[2] - ran[key].ts_ms)[:20]
    questions += [Question(sid, ticker or draw.choice(TICKERS), bucket_ms) for sid, ticker, bucket_ms in known]
    for question in questions:
        answer = explain(day, question)
        words[answer.word] += 1
        held_against(question, answer, ran, universes)
    for question in questions[::10]:
        stood = oracles(day, question.at_ms, clocks_end_it=True).values()
        versions = [each.strategies.get(question.strategy_id) for each in stood]
        assert explain(day, question).version in [each and each.version for each in versions]
    assert words[FIRED] > 80
    assert len(words) > 5
    assert words.keys() <= WORDS.keys()


def test_a_whole_strategy_that_goes_on_in_mid_bucket_runs_with_the_next_tick_whoever_brings_it() -> None:
    day, bucket_ms = MadeDay(0, ticks=1), START_MS - START_MS % (5 * MINUTE_MS) + 5 * MINUTE_MS
    day.ts_ms = [bucket_ms + 1_000 * second for second in (-10, -5, 10, 20, 30, 40, 50)]
    day.names, day.blocked, day.partition = ["T1"] * 7, [False] * 7, [0] * 7
    day.offset = [*range(7)]
    first = Strategy("s", "5m", frozenset({"T0"}), mode=Mode.LEGACY)
    changes = [(0, Stands(replace(first, version=2, status=Status.PAUSED))), (1, Stands(replace(first, version=3)))]
    place = ("strategy-changes", 0)
    entries = {0: [Entry(2, {place: 1}), Entry(4, {place: 2})]}
    day.beside = Beside(1, Mode.PER_TICKER, [Stands(first)], [], {}, {}, {place: changes}, entries)
    answer = explain(day, Question("s", "T0", bucket_ms + 15_000))
    assert (answer.word, answer.version, answer.place) == (FIRED, 2, "ticks, partition 0, offset 4")
    assert answer.steps[0].endswith("version 2 stood, paused, 5m; T0 is in its universe of 1")
    assert answer.steps[-1].startswith("it ran on its whole universe, at ")
    assert [(key, at.ts_ms) for key, at in fired(day).items()] == [
        (("s", "", bucket_ms - 5 * MINUTE_MS), bucket_ms - 10_000),
        (("s", "", bucket_ms), bucket_ms + 30_000),
    ]


def test_fires_of_one_tick_stand_in_the_order_of_the_strategies_ids() -> None:
    day = MadeDay(5)
    oracle, wanted = Oracle(day.conditions), list[Key]()
    active = [each for each in reversed(day.strategies) if each.timeframe != "7x"]
    for each in active:
        oracle.change(each)
    for name, ts_ms, blocked in zip(day.names, day.ts_ms, day.blocked, strict=True):
        fires = oracle.tick(Tick(name, ts_ms, conditions=BLOCKED if blocked else ()))
        wanted += [(fire.strategy_id, fire.ticker, fire.bucket_ms) for fire in fires]
    deciding = ByShard(of_strategies(active, Mode.PER_TICKER), day.conditions)
    runs = all_gathered(all_split(day.runs(), day.conditions))
    batches = [deciding.step_parts(run)[0] for run, _ in runs if run is not None]
    assert [key for batch in batches for key, *_ in rows(batch)] == wanted


def test_what_fires_hangs_on_no_batch() -> None:
    for seed in range(3):
        day = MadeDay(seed, turned=bool(seed % 2))
        found = []
        for size in (1, 37, 3_000):
            deciding = ByShard(day.beside, day.conditions)
            batches = [deciding.step(ticks)[0] for ticks, _ in day.runs(size) if ticks is not None]
            found.append([row for batch in [*batches, deciding.rest()] for row in rows(batch)])
        assert found[0] == found[1] == found[2]
        assert {mode for _, _, mode in found[0]} >= {"per_ticker", "legacy"}
