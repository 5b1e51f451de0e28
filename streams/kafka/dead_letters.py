"""Dead letters: a record that was refused goes to `<its topic>.dlq`, with where it stood, and why."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from streams.kafka.bad_values import BadValueError, Reason
from streams.kafka.codec import Encoder, read_id
from streams.kafka.registry import MAX_SCHEMA_ID

SUFFIX: Final = ".dlq"

KEPT_VALUE_BYTES: Final = 1 << 19
"""Half of what brokers take for a record: the letter must fit, whatever it tells of."""
KEPT_KEY_BYTES: Final = 1 << 12
KEPT_CHARACTERS: Final = 1000


class Refused(NamedTuple):
    """A record of an input topic, as it came."""

    topic: str
    partition: int
    offset: int
    ts_ms: int
    """-1 where it had none."""
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class Letter(NamedTuple):
    """A record for a topic of dead letters."""

    topic: str
    key: bytes | None
    """As on the input, so that a partition's letters stay together; cut off at the same bound as in the record."""
    value: bytes
    headers: list[tuple[str, bytes]]
    """Where the record stood and the word for why, for whoever looks without decoding."""


def dead_letter_topic(topic: str) -> str:
    """Where the dead letters of a topic go."""
    return topic + SUFFIX


def dead_letter(encoder: Encoder, record: Refused, reason: Reason) -> Letter:
    """Tell of a record that was refused."""
    key, value = record.key, record.value
    letter = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "ts": record.ts_ms,
        "reason": reason.word,
        "detail": plain(reason.detail),
        "remedy": plain(reason.remedy),
        "schema_id": schema_id_of(record),
        "key": None if key is None else key[:KEPT_KEY_BYTES],
        "key_bytes": len(key or b""),
        "value": None if value is None else value[:KEPT_VALUE_BYTES],
        "value_bytes": len(value or b""),
    }
    headers = [
        ("tickgate.topic", record.topic.encode()),
        ("tickgate.partition", b"%d" % record.partition),
        ("tickgate.offset", b"%d" % record.offset),
        ("tickgate.reason", reason.word.encode()),
    ]
    topic = dead_letter_topic(record.topic)
    return Letter(topic, None if key is None else key[:KEPT_KEY_BYTES], encoder.encode("dead_letter", letter), headers)


def plain(text: str) -> str:
    """Text that any reader can take, of bounded length: it may quote what is not ours."""
    return text[:KEPT_CHARACTERS].encode(errors="replace").decode()


def schema_id_of(record: Refused) -> int | None:
    """The id that the record names; None where it names none, a GUID, or a number that no registry gives."""
    try:
        ref, _ = read_id(record.value, record.headers)
    except BadValueError:
        return None
    return ref if isinstance(ref, int) and ref <= MAX_SCHEMA_ID else None
