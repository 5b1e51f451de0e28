"""Ticks sent on a schedule and executions read as they come, each in a process of its own.

The schedule never waits: a tick counts from the moment that it was due, also where the sender, the broker or the worker
was late. So a stall is seen at its full length by every tick that fell into it.
"""

import gc
import math
import multiprocessing
import time
from array import array
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from bench import reference, workload
from bench.kafka_answer import Answer, answer_of, committed_consumer, ends_of, execution_of, pairs_of_executions
from bench.kafka_ground import RunError

LINGER_MS: Final = 4
"""How long the sender gathers. It is part of the latencies; with less, half of the machine would only send."""

PAUSE_S: Final = 0.0005
"""Between two looks at the clock; so late a tick may be sent."""

SILENCE_S: Final = 4.0
"""After the last tick: so long without an execution, and no more will come."""

MOST_AT_ONCE: Final = 1_000
"""Executions that the reader takes in one go."""

FLUSH_TIMEOUT_S: Final = 60.0
HEAD_START_S: Final = 0.5

SPAWN: Final = multiprocessing.get_context("spawn")
"""A fork would share the Kafka clients' locks, but not their threads."""


class Flow(NamedTuple):
    """Where to send, and how fast."""

    bootstrap: str
    topic: str
    rate: float
    """Ticks a second."""


class Sent(NamedTuple):
    """How the sender kept to its schedule."""

    start_s: float
    """When the first tick was due, on the clock that all processes of the machine share."""
    most_behind_s: float


class Received(NamedTuple):
    """Executions in the order they were read."""

    read_s: "np.ndarray[tuple[int], np.dtype[np.float64]]"
    partition: reference.Int32s
    first_offset: reference.Int64s
    answer: Answer


def producer(bootstrap: str, linger_ms: float) -> Producer:
    """A producer that keeps the order and sends as the workload's loader does, but for how long it gathers."""
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": linger_ms,
            "batch.size": 262_144,
            "compression.type": "lz4",
            "enable.idempotence": True,
            "queue.buffering.max.messages": 2_000_000,
            "queue.buffering.max.kbytes": 1 << 20,
            "partitioner": "murmur2_random",
        }
    )


def put(to: Producer, topic: str, key: bytes, value: bytes, ts_ms: int) -> None:
    """Hand over one record; waits only where the producer's queue is full."""
    while True:
        try:
            to.produce(topic, key=key, value=value, timestamp=ts_ms)
        except BufferError:
            to.poll(0.01)
        else:
            return


def send_on_schedule(flow: Flow, ticks: Path, line: Connection) -> None:
    """The sender's process: say that all is encoded, wait for the start, send each tick when it is due."""
    found = np.load(ticks)
    when = found["when"].tolist()
    names = [workload.ticker_name(who) for who in found["who"].tolist()]
    values = [
        workload.encode(name, ts_ms, 100.0 + i % 100) for i, (name, ts_ms) in enumerate(zip(names, when, strict=True))
    ]
    keys = [name.encode() for name in names]
    to = producer(flow.bootstrap, LINGER_MS)
    gc.freeze()  # a look through millions of values would hold up those that are due
    to.list_topics(flow.topic)
    line.send("ready")
    line.recv()
    start_s = time.monotonic() + HEAD_START_S
    sent, most_behind_s = 0, 0.0
    while sent < len(values):
        now_s = time.monotonic()
        due = min(len(values), math.floor((now_s - start_s) * flow.rate) + 1)
        if due <= sent:
            time.sleep(PAUSE_S)
            continue
        most_behind_s = max(most_behind_s, now_s - (start_s + sent / flow.rate))
        for i in range(sent, due):
            put(to, flow.topic, keys[i], values[i], when[i])
        sent = due
        to.poll(0)
    to.flush(FLUSH_TIMEOUT_S)
    line.send(Sent(start_s, most_behind_s))


def read_as_they_come(bootstrap: str, topic: str, line: Connection) -> None:
    """The reader's process: say that it stands at the end of the topic, then note when each execution is read."""
    consumer = at_the_end(bootstrap, topic)
    line.send("ready")
    read_s, values = array("d"), list[bytes]()
    gc.disable()  # a look through all that was read takes 80 ms, and whatever comes meanwhile would seem late by them
    last_s = time.monotonic()
    while not line.poll() or time.monotonic() - last_s < SILENCE_S:
        first = consumer.poll(0.1)
        # With it come those that are there already: to ask for each by itself would take the machine from the others.
        messages = [first, *consumer.consume(MOST_AT_ONCE, 0)] if first is not None else []
        now_s = time.monotonic()
        read = [message.value() or b"" for message in messages if not is_end(message)]
        if read:
            last_s = now_s
            read_s.extend([now_s] * len(read))
            values += read
    consumer.close()
    line.send(received(read_s, values))


def at_the_end(bootstrap: str, topic: str) -> Consumer:
    """A consumer of what is committed that stands at the end of each partition, and has heard so."""
    consumer, ends = committed_consumer(bootstrap), ends_of(bootstrap, topic)
    consumer.assign([TopicPartition(topic, partition, end) for partition, end in ends.items()])
    waiting = set(ends)
    while waiting:
        message = consumer.poll(1.0)
        if message is not None and is_end(message):
            waiting.discard(message.partition() or 0)
    return consumer


def is_end(message: Message) -> bool:
    """Whether it only says that there is nothing more at present; raises for what is an error."""
    error = message.error()
    if error is None:
        return False
    if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its only name
        raise KafkaException(error)
    return True


def received(read_s: "array[float]", values: list[bytes]) -> Received:
    """Decode what was read, now that there is time for it."""
    causes = [execution_of(value)["cause"] for value in values]
    return Received(
        np.array(read_s),
        np.array([cause["partition"] for cause in causes], np.int32),
        np.array([cause["first_offset"] for cause in causes], np.int64),
        answer_of(pairs_of_executions((b"", value) for value in values)),
    )


class Helper:
    """A process at work for this one, and the line to it. Use it in a `with`."""

    def __init__(self, work: Any, *arguments: Any) -> None:  # noqa: ANN401 - any function, and what it takes
        self._line, theirs = SPAWN.Pipe()
        self._process: BaseProcess = SPAWN.Process(target=work, args=(*arguments, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def hear(self) -> Any:  # noqa: ANN401 - whatever it sends
        """Wait for its next word."""
        try:
            return self._line.recv()
        except EOFError as error:
            raise RunError("a process that sends or reads ended by itself; what it said stands above") from error

    def tell(self, word: str) -> None:
        """Give it the word that it waits for."""
        self._line.send(word)
