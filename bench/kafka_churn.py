"""Strategies that are edited, paused, made and deleted while the market runs: a hundred changes a second.

What is edited: two changes in ten give another timeframe, three exchange a tenth of the universe, one the mode, one the
session, one pauses or activates; one makes a strategy, and one deletes one that was made, with its tombstone.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Final, NamedTuple

import numpy as np
from confluent_kafka import KafkaError, Message, Producer

from bench import kafka_wide, reference
from streams.core.events import Mode, Status, Strategy
from streams.kafka.codec import Encoder
from streams.kafka.registry import FileSchemas
from streams.kafka.strategy_records import record_of

RATE: Final = 100.0
"""Changes a second."""

SWAPPED: Final = kafka_wide.TICKERS_OF_A_STRATEGY // 10
TIMEFRAMES: Final = tuple(reference.TIMEFRAMES.values())
KINDS: Final = (
    "timeframe",
    "universe",
    "make",
    "mode",
    "universe",
    "status",
    "timeframe",
    "session",
    "universe",
    "end",
)
RECORD: Final = "strategy_change"

Record = tuple[bytes, bytes | None]
"""Key and value; none is a tombstone."""


class SentChange(NamedTuple):
    """One record on `strategy-changes`, and when it was handed to the producer."""

    partition: int
    offset: int
    sent_s: float


class Churn:
    """Makes changes, each the next version of what stands; the same ones for a seed."""

    def __init__(self, seed: int, strategies: list[Strategy]) -> None:
        self.standing = {each.strategy_id: each for each in strategies}
        self._edited = [each.strategy_id for each in strategies]
        self._rng = np.random.default_rng(seed)
        self._made, self._number = list[str](), 0

    def next(self) -> Strategy:
        """One change; a deletion is to be followed by its tombstone."""
        kind = KINDS[self._number % len(KINDS)]
        self._number += 1
        if kind == "make":
            made = Strategy(f"made-{self._number}", self._timeframe(), frozenset(self._picked()))
            self._made.append(made.strategy_id)
            return self._stands(made)
        if kind == "end":
            now = self.standing[self._made.pop(0)]
            return self._stands(replace(now, status=Status.DELETED, version=now.version + 1))
        now = self.standing[self._edited[int(self._rng.integers(len(self._edited)))]]
        return self._stands(replace(self._edit(kind, now), version=now.version + 1))

    def _stands(self, change: Strategy) -> Strategy:
        self.standing[change.strategy_id] = change
        if change.status is Status.DELETED:
            del self.standing[change.strategy_id]
        return change

    def _edit(self, kind: str, now: Strategy) -> Strategy:
        match kind:
            case "timeframe":
                return replace(now, timeframe=self._timeframe())
            case "mode":
                return replace(now, mode=None if now.mode is Mode.LEGACY else Mode.LEGACY)
            case "session":
                return replace(now, session="" if now.session else "XNYS")
            case "status":
                return replace(now, status=Status.ACTIVE if now.status is Status.PAUSED else Status.PAUSED)
            case _:
                kept = self._rng.permutation(sorted(now.universe))[SWAPPED:].tolist()
                return replace(now, universe=frozenset(kept).union(self._picked()[:SWAPPED]))

    def _timeframe(self) -> str:
        return TIMEFRAMES[int(self._rng.integers(len(TIMEFRAMES)))]

    def _picked(self) -> list[str]:
        which = self._rng.choice(kafka_wide.TICKERS, kafka_wide.TICKERS_OF_A_STRATEGY, replace=False)
        return [kafka_wide.NAMES[at] for at in which.tolist()]


def records_of(encoder: Encoder, change: Strategy) -> Iterator[Record]:
    """The change, and its tombstone where it ends a strategy."""
    key = change.strategy_id.encode()
    yield key, encoder.encode(RECORD, record_of(change, kafka_wide.FIRST_MS, source="bench"))
    if change.status is Status.DELETED:
        yield key, None


class Plan(NamedTuple):
    """What the changer is to do: where to write, and what it begins with."""

    bootstrap: str
    topic: str
    seed: int
    strategies: list[Strategy]
    seconds: float
    """For so long it has changes."""


def change_on_schedule(plan: Plan, line: Connection) -> None:
    """The changer's process: at each word it begins, at the next it stops, and says what it has sent since.

    What it sends is made before: to make it takes as long as to put it in force, and is not what is measured.
    """
    churn, encoder = Churn(plan.seed, plan.strategies), Encoder(FileSchemas(), [RECORD])
    made = deque(list(records_of(encoder, churn.next())) for _ in range(math.ceil(plan.seconds * RATE)))
    to = Producer({"bootstrap.servers": plan.bootstrap, "linger.ms": 0, "partitioner": "murmur2_random"})
    to.list_topics(plan.topic)
    line.send("ready")
    while True:
        line.recv()
        sent = send_until_told(to, plan.topic, made, line)
        line.recv()
        line.send(sent)


def send_until_told(to: Producer, topic: str, made: deque[list[Record]], line: Connection) -> list[SentChange]:
    """Send each change when it is due. It waits for nothing: what is late is seen in the figures."""
    sent: list[SentChange] = []
    due_s = time.monotonic()
    while not line.poll(max(0.0, due_s - time.monotonic())):
        for key, value in made.popleft():
            to.produce(topic, value, key, on_delivery=note(sent, time.monotonic()))
        to.poll(0)
        due_s += 1 / RATE
    to.flush()
    return sent


def note(sent: list[SentChange], sent_s: float) -> Callable[[KafkaError | None, Message], None]:
    """Make what notes where a record came to stand."""

    def told(error: KafkaError | None, message: Message) -> None:
        assert error is None, str(error)
        sent.append(SentChange(message.partition() or 0, message.offset() or 0, sent_s))

    return told
