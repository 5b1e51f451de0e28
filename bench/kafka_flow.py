"""A producer for ticks one by one, a consumer that stands at the end of a topic, and processes at work for this one."""

import multiprocessing
from multiprocessing.process import BaseProcess
from typing import Any, Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from bench.kafka_answer import committed_consumer, ends_of
from bench.kafka_ground import RunError

SPAWN: Final = multiprocessing.get_context("spawn")
"""A fork would share the Kafka clients' locks, but not their threads."""


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
