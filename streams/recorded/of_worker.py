"""What a running worker has of a ticker or a strategy, and why a strategy ran there, or did not, by now.

State is asked of the worker, which knows nothing of yesterday; the reasons are found in the topics, up to where its
checkpoints have come. The two are held against each other.
"""

import asyncio
import json
from typing import Any, Final, NamedTuple

from streams.core.events import Mode
from streams.errors import InputError
from streams.kafka import told_state
from streams.kafka.partitions import partition_of
from streams.kafka.topic_spans import Asked as Range
from streams.recorded.explain import FIRED, Answer, explain
from streams.recorded.source import open_topics
from streams.recorded.telling import Question
from streams.settings import Settings
from streams.times import shown_time
from streams.views.everywhere import Gathered
from streams.views.owner import Owner
from streams.views.state import LIMITS, Asked, address, read_answer

Told = dict[str, Any]

NAME_ONE: Final = "name a worker that runs, such as http://HOST:6066"
STANDING: Final = ("shard", "position", "end", "stream_time")
"""Of each shard that was asked: how far it has come."""


class Known(NamedTuple):
    """What all workers know, as one of them tells it."""

    url: str
    app_id: str
    partitions: int
    found: Gathered[Told]

    def shard(self, partition: int) -> Told:
        """What one shard knows; raises `InputError` where it cannot be asked now."""
        if partition not in self.found.shards:
            why = self.found.silent.get(partition, "nobody answers for it; ask again")
            problem, _, remedy = why.rpartition("; ")
            raise InputError(f"shard {partition}, by {self.url}", problem or why, remedy if problem else "ask again")
        return self.found.shards[partition]


def ticker_now(url: str, ticker: str) -> Told:
    """What stands of a ticker."""
    known = ask(url, Asked("ticker", ticker))
    told = known.shard(partition_of(ticker.encode(), known.partitions))
    return {**{name: told[name] for name in ("ticker", "last_update", "last_bucket")}, "shards": [_standing(told)]}


def strategy_now(url: str, strategy_id: str) -> Told:
    """What stands of a strategy, over all shards."""
    known = ask(url, Asked("strategy", strategy_id))
    parts = {partition: known.shard(partition) for partition in range(known.partitions)}
    told = told_state.together(partition_of(strategy_id.encode(), known.partitions), parts)
    shown = {name: value for name, value in told.items() if name not in {*STANDING[:-1], "topic"}}
    return {**shown, "shards": [_standing(each) for each in parts.values()]}


def explain_now(settings: Settings, url: str, question: Question, from_ms: int | None) -> tuple[Answer, list[str]]:
    """Why did a strategy run on a ticker, by what a worker has decided? At a negative time: now, in stream time.

    Also what is odd about the topics.
    """
    known = ask(url, Asked("strategy", question.strategy_id))
    by_pairs, home = (partition_of(key.encode(), known.partitions) for key in (question.ticker, question.strategy_id))
    pair, whole = known.shard(by_pairs), known.shard(home)
    _refuse_another_environment(settings, known, pair)
    if question.at_ms < 0:
        if pair["stream_time"] is None:
            raise InputError(f"shard {by_pairs}, by {url}", "it has seen no tick", "send some, or say --at")
        question = question._replace(at_ms=pair["stream_time"])
    until = {by_pairs: pair["position"], home: whole["position"]}
    day = open_topics(settings, Range(from_ms, until=until))
    answer = explain(day, question)
    steps = [*answer.steps, *(_come_to(each) for _, each in sorted({by_pairs: pair, home: whole}.items()))]
    return _held_against(answer._replace(steps=steps), question.ticker, pair["last_bucket"]), day.warnings


def ask(url: str, asked: Asked) -> Known:
    """Ask a worker; raises `InputError`."""
    size = len(asked.name.encode())
    if not 0 < size <= LIMITS[asked.what]:
        problem = f"it has {size} bytes, the limit is {LIMITS[asked.what]}"
        raise InputError(f"the {asked.what}", problem, "name one that can be")
    url = url.rstrip("/")
    body = asyncio.run(_asked(url, asked))
    try:
        return Known(url, str(body["app_id"]), int(body["partitions"]), read_answer(body))
    except (KeyError, TypeError, ValueError):
        told = body if isinstance(body, dict) else {}
        problem = str(told.get("problem", "it is no answer of a worker about its state"))
        raise InputError(f"the worker at {url}", problem, NAME_ONE) from None


async def _asked(url: str, asked: Asked) -> Any:  # noqa: ANN401 - JSON
    async with Owner() as owner:
        got = await owner.get(url, address(url, asked), {})
    try:
        return json.loads(got.body)
    except ValueError:
        return None


def _refuse_another_environment(settings: Settings, known: Known, pair: Told) -> None:
    """The topics that are read must be those that the worker reads."""
    ours, theirs = (settings.topics.ticks, settings.app_id), (pair["topic"], known.app_id)
    if ours != theirs:
        problem = f"it decides {theirs[0]} as {theirs[1]}, and here the settings say {ours[0]} and {ours[1]}"
        remedy = "set TICKGATE_TOPIC_PREFIX and TICKGATE_APP_ID as the worker has them"
        raise InputError(f"the worker at {known.url}", problem, remedy)


def _standing(told: Told) -> Told:
    return {name: told[name] for name in STANDING}


def _come_to(told: Told) -> str:
    """How far a shard has come, in words."""
    left = told["end"] - told["position"]
    waiting = f"; {left} wait" if left > 0 else ""
    time = "no tick yet" if told["stream_time"] is None else f"stream time {shown_time(told['stream_time'])}"
    return f"the worker has decided partition {told['shard']} up to offset {told['position']}{waiting}; {time}"


def _held_against(answer: Answer, ticker: str, buckets: dict[str, int]) -> Answer:
    """What the worker's own table says of it; where the two differ, that is said."""
    last_ms, by_pair = buckets.get(ticker), answer.ran is None or answer.ran.fire.mode is Mode.PER_TICKER
    if last_ms is None:
        step = f"its table has no bucket of {ticker}"
    else:
        step = f"in its table the last bucket of {ticker} is {shown_time(last_ms)}"
    bucket_ms, word = answer.bucket_ms, answer.word
    if bucket_ms is not None and word == FIRED and by_pair and (last_ms is None or last_ms < bucket_ms):
        step += ": it does not know of this run, and should; see its log, and /readyz"
    elif word != FIRED and bucket_ms is not None and last_ms == bucket_ms:
        step, word = f"{step}: it ran, by a tick that is not in the range that was read", FIRED
    return answer._replace(word=word, steps=[*answer.steps, step])
