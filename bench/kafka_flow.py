"""A producer for ticks one by one, executions read as they come, and processes that do either for this one."""

import gc
import multiprocessing
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final, NamedTuple, Self

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from bench import reference
from bench.kafka_answer import Answer, answer_of, committed_consumer, ends_of, execution_of, pairs_of_executions
from bench.kafka_ground import RunError

SILENCE_S: Final = 4.0
"""After the last tick: so long without an execution, and no more will come."""

MOST_AT_ONCE: Final = 1_000
"""Executions that the reader takes in one go."""


SPAWN: Final = multiprocessing.get_context("spawn")
"""A fork would share the Kafka clients' locks, but not their threads."""


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


def read_as_they_come(bootstrap: str, topic: str, line: Connection) -> None:
    """The reader's process: say that it stands at the end of the topic, then note when each execution is read."""
    consumer = at_the_end(bootstrap, topic)
    line.send("ready")
    found: list[tuple[float, list[Message]]] = []
    gc.disable()  # a look through all that was read takes 80 ms, and whatever comes meanwhile would seem late by them
    last_s = time.monotonic()
    while not line.poll() or time.monotonic() - last_s < SILENCE_S:
        first = consumer.poll(0.1)
        # With it come those that are there already: to ask for each by itself would take the machine from the others.
        messages = [first, *consumer.consume(MOST_AT_ONCE, 0)] if first is not None else []
        now_s = time.monotonic()
        if not all(map(is_end, messages)):
            last_s = now_s
        found.append((now_s, messages))  # what they say is looked at when there is time for it
    consumer.close()
    line.send(received(found))


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


def received(found: list[tuple[float, list[Message]]]) -> Received:
    """Decode what was read, and when."""
    read = [(read_s, message.value() or b"") for read_s, each in found for message in each if not is_end(message)]
    causes = [execution_of(value)["cause"] for _, value in read]
    return Received(
        np.array([read_s for read_s, _ in read]),
        np.array([cause["partition"] for cause in causes], np.int32),
        np.array([cause["first_offset"] for cause in causes], np.int64),
        answer_of(pairs_of_executions((b"", value) for _, value in read)),
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
