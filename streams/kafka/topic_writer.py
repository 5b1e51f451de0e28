"""Writes records to a topic, from a command, and waits until the broker has every one."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.core.limits import MAX_VALUE_BYTES
from streams.errors import shortened
from streams.kafka.broker_trouble import Heard, trouble

MAX_RECORD_BYTES: Final = 2 * MAX_VALUE_BYTES
"""A value and what stands around it."""

DELIVERY_TIMEOUT_S: Final = 30


def send_all(
    bootstrap: str, topic: str, records: Collection[tuple[bytes, bytes | None]], what: str, security: Mapping[str, str]
) -> None:
    """Send keys and values; raises `InputError` for the first that the broker does not take. `what` names a key."""
    heard = Heard()
    producer = Producer({**_options(bootstrap, heard), **security})
    refused: list[tuple[str, KafkaError]] = []

    def told(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            refused.append(((message.key() or b"").decode(), error))

    for key, value in records:
        _produce(producer, topic, key, value, told)
    left = producer.flush(DELIVERY_TIMEOUT_S + 5)
    assert refused or not left, "what is not delivered in time is refused"
    if refused:
        key_text, error = refused[0]
        place = f"{what} {shortened(key_text)}, topic {topic} at {bootstrap}"
        raise trouble(KafkaException(error), place, "write it", heard.last)


def _options(bootstrap: str, heard: Heard) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "log_level": 0,
        "error_cb": heard,
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",  # as Java's, so that all clients agree where a key is
        "compression.type": "lz4",
        "linger.ms": 5,
        "message.max.bytes": MAX_RECORD_BYTES,
        "delivery.timeout.ms": DELIVERY_TIMEOUT_S * 1_000,
    }


def _produce(producer: Producer, topic: str, key: bytes, value: bytes | None, told: Any) -> None:  # noqa: ANN401 - a callback
    """Hand over one record; waits while the producer's queue is full."""
    while True:
        try:
            producer.produce(topic, key=key, value=value, on_delivery=told)
        except BufferError:
            producer.poll(0.1)
        else:
            producer.poll(0)
            return
