"""The Kafka clients that a shard's checkpoint uses, each with the settings that its guarantee needs."""

from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from streams.kafka.changelog_tail import Tail
from streams.kafka.checkpoint import Acknowledged, Checkpoint, Observe, Transactional
from streams.settings import Settings

RETRY_BACKOFF_MS: Final = 5
"""The broker often asks for patience between two transactions, for a few milliseconds only."""

ATTEMPT_SHARE: Final = 0.8
"""Of the time after which the broker gives a transaction up: an attempt must have ended before."""


def transactional_id(settings: Settings, partition: int) -> str:
    """One for each input partition, whoever owns it: so a new owner fences the old one."""
    return f"{settings.group_id}-{partition}"


def make_producer(settings: Settings, partition: int) -> AIOKafkaProducer:
    """A producer for one shard."""
    exactly_once = settings.exactly_once
    return AIOKafkaProducer(
        bootstrap_servers=settings.broker.split(","),
        client_id=f"{settings.group_id}-shard-{partition}",
        acks="all",
        enable_idempotence=True,
        transactional_id=transactional_id(settings, partition) if exactly_once else None,
        transaction_timeout_ms=settings.checkpoint_timeout_ms,
        retry_backoff_ms=RETRY_BACKOFF_MS,
        linger_ms=0,
    )


def make_consumer(settings: Settings) -> AIOKafkaConsumer:
    """A consumer of what is committed, in no group."""
    return AIOKafkaConsumer(
        bootstrap_servers=settings.broker.split(","),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )


def make_checkpoint(settings: Settings, partition: int, observe: Observe) -> Checkpoint:
    """The checkpoint of one shard."""
    kind = Transactional if settings.exactly_once else Acknowledged
    tail = Tail(lambda: make_consumer(settings), settings.topics.changelog("last_bucket"), partition)
    checkpoint = kind(partition, lambda: make_producer(settings, partition), tail, settings.compression)
    checkpoint.observe = observe
    checkpoint.timeout_s = ATTEMPT_SHARE * settings.checkpoint_timeout_ms / 1000
    return checkpoint
