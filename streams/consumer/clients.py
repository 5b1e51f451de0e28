"""The Kafka clients of a consumer of executions, secured as the worker's are."""

import asyncio
import logging
import time
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams.consumer.limits import Limits
from streams.errors import InputError, in_words
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.look_up import needed_sizes
from streams.kafka.registry import FileSchemas, Schemas
from streams.kafka.schema_source import open_schemas
from streams.kafka.security import for_aiokafka, for_confluent
from streams.settings import Settings

log = logging.getLogger(__name__)

HEARTBEATS: Final = 3
"""In each session: one may be lost, and one late."""


def group_id(settings: Settings, group: str) -> str:
    """The consumer group. The prefix is part of it, so that environments stay apart."""
    name = f"{settings.topic_prefix}{group}"
    if not group or name == settings.group_id:
        problem = "is empty" if not group else "is the group of the worker, which reads other topics"
        raise InputError("the consumer's group", problem, "give it a name of its own, such as my-strategies")
    return name


def check_topic(settings: Settings, topic: str) -> None:
    """Refuse to begin where the topic is missing, or no broker answers. May wait: not for the event loop."""
    needed_sizes(settings.broker, [topic], for_confluent(settings))


def schemas_of(settings: Settings) -> Schemas:
    """Schemas from the registry that is set, or from the files."""
    return open_schemas(settings.schema_registry_url, time.monotonic, prefix=settings.topic_prefix)


def result_encoder(settings: Settings) -> Encoder:
    """Encodes results. May wait for a registry: not for the event loop."""
    return Encoder(schemas_of(settings), ("result",))


def warm_up() -> None:
    """Decode one value, so that no heartbeat has to wait for the compiler later."""
    schemas = FileSchemas()
    Decoder(schemas, "clock").decode(Encoder(schemas, ("clock",)).encode("clock", {"ts": 0}))


def make_consumer(settings: Settings, group: str, limits: Limits) -> AIOKafkaConsumer:
    """A consumer of what is committed, which commits only when it is told to.

    Where an offset is no longer there it goes to the beginning: the end would leave executions out, unseen.
    """
    session_ms = int(limits.session_s * 1000)
    return AIOKafkaConsumer(
        bootstrap_servers=settings.broker.split(","),
        group_id=group_id(settings, group),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_bytes=limits.fetch_bytes,
        max_partition_fetch_bytes=limits.partition_fetch_bytes,
        fetch_max_wait_ms=settings.fetch_max_wait_ms,
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // HEARTBEATS,
        rebalance_timeout_ms=int(limits.rebalance_s * 1000),
        max_poll_interval_ms=int(limits.handling_s * 1000),
        **for_aiokafka(settings),
    )


async def close(client: AIOKafkaConsumer | AIOKafkaProducer, within_s: float) -> None:
    """Let go of the broker; one that does not answer is not waited for for long."""
    try:
        async with asyncio.timeout(within_s):
            await client.stop()
    except (KafkaError, TimeoutError) as error:
        log.warning("left the broker without its answer: %s", in_words(error))


def make_producer(settings: Settings) -> AIOKafkaProducer:
    """A producer that is believed only when every copy is written; it partitions by murmur2, as Java's does."""
    return AIOKafkaProducer(
        bootstrap_servers=settings.broker.split(","),
        acks="all",
        enable_idempotence=True,
        compression_type=None if settings.compression == "none" else settings.compression,
        **for_aiokafka(settings),
    )
