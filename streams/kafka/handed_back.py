"""What a poll took while a rebalance came in between is left for the next poll.

A rebalance may be over before the poll that was under way is. aiokafka then fills that poll with what it has fetched
for the new assignment, and moves the position past it. If it were dropped, nobody would ask for it again: a recovery
that waits for the last record of a quiet partition would wait for ever.
"""

from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError

from streams.kafka.fetch import RawRun


async def hand_back(consumer: AIOKafkaConsumer, fetched: Mapping[TopicPartition, Sequence[RawRun]]) -> None:
    """Have the runs read again that the new assignment stands behind; others were of the old one."""
    for tp, runs in fetched.items():
        try:
            position = await consumer.position(tp)
        except IllegalStateError:
            continue  # it is another's now
        if runs and position == runs[-1].position:
            consumer.seek(tp, runs[0].start)
