"""Dead letters: what was refused can be found again, and the letter itself always fits."""

import struct
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka.schema_registry.serde import SchemaId
from hypothesis import given
from hypothesis import strategies as st

from streams.core.decode import FAULT
from streams.kafka.bad_values import FAULT_REASONS, NULL_VALUE, Reason
from streams.kafka.codec import SCHEMA_HEADER, Decoder, Encoder, frame
from streams.kafka.dead_letters import (
    KEPT_CHARACTERS,
    KEPT_KEY_BYTES,
    KEPT_VALUE_BYTES,
    Letter,
    Refused,
    dead_letter,
    dead_letter_topic,
)
from streams.kafka.registry import FileSchemas

ENCODER = Encoder(FileSchemas(), ["dead_letter"])
REASON = Reason("truncated", "the value ends within a field", "check the writer")
BATCH_BYTES = 900_000
"""What one batch of the checkpoint takes."""


def read(letter: Letter) -> dict[str, Any]:
    """What the letter says."""
    return Decoder(FileSchemas(), "dead_letter").decode(letter.value)


def letter_of(value: bytes | None, headers: list[tuple[str, bytes | None]] | None = None) -> dict[str, Any]:
    """The letter for a record with this value."""
    return read(dead_letter(ENCODER, Refused("ticks", 3, 9, 5, b"k", value, headers or ()), REASON))


def test_a_letter_tells_all_of_a_record() -> None:
    value = frame(7, b"abc")
    letter = dead_letter(ENCODER, Refused("w7.ticks", 3, 1 << 40, 1_760_000_000_000, b"AAPL", value), REASON)
    assert (letter.topic, letter.key) == ("w7.ticks.dlq", b"AAPL")
    assert read(letter) == {
        "topic": "w7.ticks",
        "partition": 3,
        "offset": 1 << 40,
        "ts": 1_760_000_000_000,
        "reason": "truncated",
        "detail": "the value ends within a field",
        "remedy": "check the writer",
        "schema_id": 7,
        "key": b"AAPL",
        "key_bytes": 4,
        "value": value,
        "value_bytes": 8,
    }
    assert letter.headers == [
        ("tickgate.topic", b"w7.ticks"),
        ("tickgate.partition", b"3"),
        ("tickgate.offset", b"%d" % (1 << 40)),
        ("tickgate.reason", b"truncated"),
    ]


def test_the_topic_is_named_after_the_input() -> None:
    assert dead_letter_topic("w7.strategy-changes") == "w7.strategy-changes.dlq"


def test_a_record_of_nothing_is_told_apart_from_an_empty_one() -> None:
    nothing = dead_letter(ENCODER, Refused("ticks", 0, 0, -1, None, None), NULL_VALUE)
    empty = dead_letter(ENCODER, Refused("ticks", 0, 0, -1, b"", b""), NULL_VALUE)
    assert (nothing.key, empty.key) == (None, b"")
    for letter, held in ((nothing, None), (empty, b"")):
        said = read(letter)
        assert (said["key"], said["value"], said["ts"], said["schema_id"]) == (held, held, -1, None)
        assert (said["key_bytes"], said["value_bytes"]) == (0, 0)


@pytest.mark.parametrize("extra", [0, 1])
def test_what_is_cut_off_says_so(extra: int) -> None:
    key, value = b"k" * (KEPT_KEY_BYTES + extra), b"v" * (KEPT_VALUE_BYTES + extra)
    letter = dead_letter(ENCODER, Refused("ticks", 0, 0, 5, key, value), REASON)
    said = read(letter)
    assert said["key"] == letter.key == key[:KEPT_KEY_BYTES]
    assert said["value"] == value[:KEPT_VALUE_BYTES]
    assert (said["key_bytes"], said["value_bytes"]) == (len(key), len(value))


def test_a_letter_fits_into_a_batch_whatever_it_tells_of() -> None:
    long = "\U0001f4a5" * 1_000_000
    record = Refused("t" * 249, 0, 0, 5, bytes(1 << 20), bytes(1 << 20))
    letter = dead_letter(ENCODER, record, Reason("truncated", long, long))
    assert len(letter.key or b"") + len(letter.value) + sum(len(text) for _, text in letter.headers) < BATCH_BYTES
    assert read(letter)["detail"] == long[:KEPT_CHARACTERS]


def test_a_reason_may_quote_anything() -> None:
    letter = dead_letter(ENCODER, Refused("ticks", 0, 0, 5, None, b""), Reason("truncated", "a\ud800b\0", "\udfff"))
    assert (read(letter)["detail"], read(letter)["remedy"]) == ("a?b\0", "?")


def test_the_schema_id_is_the_one_the_record_names() -> None:
    by_id, by_guid = SchemaId("AVRO", 4).id_to_bytes(), SchemaId("AVRO", guid=str(uuid4())).guid_to_bytes()
    assert letter_of(frame(3, b""))["schema_id"] == 3
    assert letter_of(frame(3, b""), [(SCHEMA_HEADER, by_id)])["schema_id"] == 4
    for value, header in (
        (frame(3, b""), by_guid),
        (frame(3, b""), b"?"),
        (b"\0\0\0\3", None),
        (b"\1\0\0\0\3", None),
        (struct.pack(">BI", 0, 1 << 31), None),
    ):
        assert letter_of(value, [(SCHEMA_HEADER, header)])["schema_id"] is None
    assert letter_of(frame((1 << 31) - 1, b""))["schema_id"] == (1 << 31) - 1


@given(st.none() | st.binary(max_size=50), st.none() | st.binary(max_size=50), st.none() | st.binary(max_size=20))
def test_any_record_has_a_letter(key: bytes | None, value: bytes | None, header: bytes | None) -> None:
    record = Refused("ticks", 1, 2, 3, key, value, [(SCHEMA_HEADER, header)])
    letter = dead_letter(ENCODER, record, REASON)
    said = read(letter)
    assert (said["key"], said["value"], letter.key) == (key, value, key)


# The words.


def test_every_fault_of_the_decoder_has_its_word_and_a_remedy() -> None:
    faults = set(range(len(FAULT._fields))) - {FAULT.NONE}
    assert set(FAULT) == {FAULT.NONE, *faults}
    assert set(FAULT_REASONS) == faults
    words = [reason.word for reason in FAULT_REASONS.values()]
    assert len(set(words)) == len(words)
    for reason in (*FAULT_REASONS.values(), NULL_VALUE):
        assert reason.word.isascii()
        assert reason.word == reason.word.lower()
        assert reason.word.replace("_", "").isalnum()
        assert all(reason)


def test_the_words_that_the_schema_promises_are_used() -> None:
    words = {reason.word for reason in (*FAULT_REASONS.values(), NULL_VALUE)}
    assert {"truncated", "wrong_magic", "null_value", "too_large"} <= words
