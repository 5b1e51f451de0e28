"""The Kafka clients that a shard uses beside Faust's, each with the settings that its guarantee needs."""

from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from streams.kafka.ahead import Ahead
from streams.kafka.announcer import Announcer
from streams.kafka.changelog_tail import Tail
from streams.kafka.checkpoint import Observe, Transaction
from streams.kafka.fenced_changes import FencedChanges
from streams.kafka.security import for_aiokafka
from streams.kafka.topic_writer import MAX_RECORD_BYTES
from streams.settings import Settings

RETRY_BACKOFF_MS: Final = 5
"""The broker often asks for patience between two transactions, for a few milliseconds only."""

ONE_MIB: Final = 1 << 20
"""What aiokafka sends at once, unless told otherwise."""

ATTEMPT_SHARE: Final = 0.8
"""Of the time after which the broker gives a transaction up: an attempt must have ended before."""

FENCED_TIMEOUT_MS: Final = 10_000
"""Of transactions that hold changes of strategies: where one is left open, all who read the topic wait for so long."""


def transactional_id(settings: Settings, partition: int) -> str:
    """One for each input partition, whoever owns it: so a new owner fences the old one."""
    return f"{settings.group_id}-{partition}"


def _producer(settings: Settings, client_id: str, **options: Any) -> AIOKafkaProducer:  # noqa: ANN401 - aiokafka's
    return AIOKafkaProducer(
        bootstrap_servers=settings.broker.split(","),
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        retry_backoff_ms=RETRY_BACKOFF_MS,
        linger_ms=0,
        **for_aiokafka(settings),
        **options,
    )


def make_consumer(settings: Settings, from_where: str = "earliest") -> AIOKafkaConsumer:
    """A consumer of what is committed, in no group; it goes on so where what it asks for is gone."""
    return AIOKafkaConsumer(
        bootstrap_servers=settings.broker.split(","),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset=from_where,
        max_partition_fetch_bytes=settings.max_partition_fetch_bytes,
        **for_aiokafka(settings),
    )


def make_transactional_producer(
    settings: Settings, transactional_id: str, client_id: str, max_record_bytes: int = ONE_MIB
) -> AIOKafkaProducer:
    """A producer that shuts out any other with its id when it starts."""
    return _producer(
        settings,
        client_id,
        transactional_id=transactional_id,
        transaction_timeout_ms=settings.checkpoint_timeout_ms,
        max_request_size=max_record_bytes,
    )


def make_transaction(settings: Settings, partition: int, observe: Observe) -> Transaction:
    """The checkpoint of one shard."""

    def producer() -> AIOKafkaProducer:
        client_id = f"{settings.group_id}-shard-{partition}"
        return make_transactional_producer(settings, transactional_id(settings, partition), client_id)

    tail = Tail(lambda: make_consumer(settings), settings.topics.changelog("last_bucket"), partition)
    transaction = Transaction(partition, producer, tail, settings.compression, attempt_s(settings))
    transaction.observe = observe
    return transaction


def make_ahead(settings: Settings) -> Ahead | None:
    """What sends the executions of all shards ahead, where that is wanted."""
    if settings.exactly_once:
        return None
    client_id = f"{settings.group_id}-ahead"
    return Ahead(lambda: _producer(settings, client_id), settings.compression, attempt_s(settings))


def make_announcer(settings: Settings, whose: str = "discovery") -> Announcer:
    """What sends the changes of strategies that a worker makes itself."""

    def producer() -> AIOKafkaProducer:
        return _producer(settings, f"{settings.group_id}-{whose}", max_request_size=MAX_RECORD_BYTES)

    return Announcer(producer, settings.compression, attempt_s(settings))


def make_fenced_changes(settings: Settings, whose: str) -> FencedChanges:
    """What sends versions for a database, as the only one that does."""

    def producer() -> AIOKafkaProducer:
        name = f"{settings.group_id}-{whose}"
        timeout_ms = FENCED_TIMEOUT_MS
        return _producer(
            settings, name, transactional_id=name, transaction_timeout_ms=timeout_ms, max_request_size=MAX_RECORD_BYTES
        )

    return FencedChanges(producer, settings.compression, ATTEMPT_SHARE * FENCED_TIMEOUT_MS / 1000)


def make_clock_producer(settings: Settings) -> AIOKafkaProducer:
    """What writes clock records for quiet shards."""
    return _producer(settings, f"{settings.group_id}-clock")


def attempt_s(settings: Settings) -> float:
    """How long an attempt to send may take."""
    return ATTEMPT_SHARE * settings.checkpoint_timeout_ms / 1000
