"""Explained is what was decided: a thousand questions, against the executions of the replay and the rules, plainly."""

import random
from collections import Counter
from typing import NamedTuple

import pytest

from streams.core.events import Mode, Strategy
from streams.recorded.deciding import ByShard
from streams.recorded.explain import FIRED, WORDS, Answer, explain
from streams.recorded.telling import Question, bucket_at
from streams.replay.results import Batch
from tests.recorded.made import DAY_MINUTES, MINUTE_MS, START_MS, TICKERS, MadeDay

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
    known = draw.sample(sorted(ran), 100)
    questions += [Question(sid, ticker or draw.choice(TICKERS), bucket_ms) for sid, ticker, bucket_ms in known]
    for question in questions:
        answer = explain(day, question)
        words[answer.word] += 1
        held_against(question, answer, ran, universes)
    assert words[FIRED] > 80
    assert len(words) > 5
    assert words.keys() <= WORDS.keys()


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
