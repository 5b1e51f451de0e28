"""Reads the alert executions as they come, as a consumer of them would."""

from collections import Counter, deque
from typing import Any, Final

from confluent_kafka import Consumer, TopicPartition

from streams.demo.audit import Pair, pairs_of
from streams.kafka.codec import Decoder
from streams.kafka.registry import FileSchemas

SHOWN: Final = 12
AT_ONCE: Final = 2_000
ANSWER_TIMEOUT_S: Final = 10.0


class ExecutionReader:
    """Everything on the topic, from its start."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        options = {"bootstrap.servers": bootstrap, "group.id": "demo", "enable.auto.commit": False, "log_level": 0}
        self._consumer = Consumer(options)
        self._next = [TopicPartition(topic, partition, 0) for partition in range(partitions)]
        self._consumer.assign(self._next)
        self._decoder = Decoder(FileSchemas(), "execution")
        self.fired: Counter[Pair] = Counter()
        """How often each pair has fired."""
        self.executions = 0
        self.last: deque[dict[str, Any]] = deque(maxlen=SHOWN)

    def read(self, timeout_s: float) -> int:
        """Take what is there, and wait for it for so long; returns how many executions came."""
        count = 0
        for message in self._consumer.consume(AT_ONCE, timeout_s):
            if message.error() is not None:
                continue
            execution = self._decoder.decode(message.value())
            self._next[message.partition() or 0].offset = (message.offset() or 0) + 1
            self.fired.update(pairs_of(execution))
            self.last.append(execution)
            count += 1
        self.executions += count
        return count

    def read_to_end(self) -> None:
        """Take all that stands on the topic by now."""
        ends = [self._consumer.get_watermark_offsets(each, timeout=ANSWER_TIMEOUT_S) for each in self._next]
        while any(each.offset < end for each, (_, end) in zip(self._next, ends, strict=True)):
            if not self.read(ANSWER_TIMEOUT_S):
                return

    def records_on(self, topic: str, partitions: int) -> int:
        """How many records a topic has taken, from its first on."""
        asked = (TopicPartition(topic, partition) for partition in range(partitions))
        return sum(self._consumer.get_watermark_offsets(each, timeout=ANSWER_TIMEOUT_S)[1] for each in asked)

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()
