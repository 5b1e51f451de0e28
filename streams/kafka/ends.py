"""Asks the broker where partitions of `ticks` end: what a shard's lag is measured against.

A shard knows only of what was fetched for it.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.errors import in_words
from streams.kafka.sending import NO_ANSWER

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S: Final = 2.0


async def ends(consumer: Any, topic: str, partitions: Collection[int]) -> dict[int, int]:  # noqa: ANN401 - Faust's
    """Where each partition ends; nothing while the broker does not say."""
    client = consumer._thread._ensure_consumer()  # noqa: SLF001 - Faust's consumer has no such question
    found = await _asked(client, [TopicPartition(topic, each) for each in partitions])
    return {tp.partition: end for tp, end in found.items()}


async def _asked(consumer: AIOKafkaConsumer, tps: list[TopicPartition]) -> Mapping[TopicPartition, int]:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            found: Mapping[TopicPartition, int] = await consumer.end_offsets(tps)
    except NO_ANSWER as error:
        log.info("the broker does not say where ticks end: %s", in_words(error))
        return {}
    return found
