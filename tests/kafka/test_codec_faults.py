"""Values and schemas that lie: nothing of them gets in, and little memory is spent on them."""

import io
import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.limits import MAX_SCHEMA_DEPTH, MAX_SCHEMA_STEPS, MAX_VALUE_BYTES
from streams.kafka.bad_values import BadValueError
from streams.kafka.codec import MAX_READS, Decoder, Encoder, bare, frame
from streams.kafka.registry import FileSchemas, newest
from tests.core.avro_bytes import array, number, text
from tests.core.tick_schemas import SchemaMaker, ValueMaker, layout
from tests.kafka.codec_cases import OTHER, RESULT, record, refused
from tests.kafka.given_schemas import GivenSchemas

# Schemas.


def nested(depth: int) -> Any:
    """Records in each other."""
    inner: Any = "long"
    for k in range(depth):
        inner = record(f"R{k}", f=inner)
    return inner


SCHEMAS: dict[str, tuple[Any, str]] = {
    "holds itself": (record("Clock", ts="long", next=["null", "Clock"]), "'tickgate.Clock' holds itself"),
    "holds itself in an array": (record("Clock", ts={"type": "array", "items": "Clock"}), "holds itself"),
    "nests": (record("Clock", ts=nested(MAX_SCHEMA_DEPTH)), "nests deeper"),
    "branches": (record("Clock", ts=["long"] * (MAX_SCHEMA_STEPS // 2)), "more than"),
    "items without bytes": (record("Clock", ts="long", x={"type": "array", "items": "null"}), "take no bytes"),
    "records without bytes": (
        record("Clock", ts="long", x={"type": "array", "items": record("E", a="null", b="null")}),
        "take no bytes",
    ),
    "an unknown type": (record("Clock", ts="Nobody"), "unknown type 'tickgate.Nobody'"),
    "defined twice": (record("Clock", ts=record("A", x="int"), u=record("A", x="long")), "defined twice"),
    "no symbols": (record("Clock", ts="long", e={"type": "enum", "name": "E"}), "fastavro does not take it"),
    "symbols that are none": (record("Clock", ts={"type": "enum", "name": "E", "symbols": 5}), "fastavro"),
    "no schema": (7, "where a type should be"),
}


@pytest.mark.parametrize("how", SCHEMAS)
def test_a_hostile_schema_is_refused(how: str) -> None:
    schema, words = SCHEMAS[how]
    reason = refused(Decoder(GivenSchemas({OTHER: schema}), "clock"), frame(OTHER, number(5)))
    assert reason.word == "schema_refused"
    assert words.split("'")[0] in reason.detail


@pytest.mark.parametrize(
    ("schema", "payload"),
    [
        ("long", number(5)),
        (record("Tick", ts="long"), number(5)),
        (record("Clock", time="long"), number(5)),
        (record("Clock", ts="string"), text(b"5")),
        (record("Clock", ts=["null", "long"]), number(0)),
        (record("Clock", ts={"type": "enum", "name": "E", "symbols": ["a"]}), number(0)),
        (record("Clock", ts={"type": "array", "items": "long"}), array([number(5)])),
    ],
)
def test_a_schema_that_does_not_fit_ours_is_a_mismatch(schema: Any, payload: bytes) -> None:
    assert refused(Decoder(GivenSchemas({OTHER: schema}), "clock"), frame(OTHER, payload)).word == "schema_mismatch"


def test_logical_types_of_a_writer_are_not_acted_upon() -> None:
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": 1_000_000, "scale": 2}
    ours: Any = newest("dead_letter").schema
    fields = [{**field, "type": decimal} if field["name"] == "value" else field for field in ours["fields"]]
    schema = {**ours, "fields": fields}
    letter = {"topic": "t", "partition": 0, "offset": 1, "ts": 2, "reason": "r"}
    written = Encoder(FileSchemas()).encode("dead_letter", {**letter, "value": b"ab"})[5:]
    at = written.index(b"\2\4ab")  # the branch of the union, which this writer does not have
    decoder = Decoder(GivenSchemas({OTHER: schema}), "dead_letter")
    assert decoder.decode(frame(OTHER, written[:at] + written[at + 1 :]))["value"] == b"ab"


# Values.


STRINGS = record("Result", **dict.fromkeys(["execution_id", "strategy_id"], "string"))
STRINGS["fields"] += [
    {"name": "strategy_version", "type": ["long", "int"]},
    {"name": "bucket_ms", "type": "long"},
    {"name": "ts", "type": "long"},
    {"name": "status", "type": "string"},
    {"name": "noise", "type": {"type": "array", "items": "long"}},
    {"name": "used_symbols", "type": {"type": "array", "items": "string"}},
]
HEAD = text(b"e") + text(b"s") + b"\0" + number(1)
TAIL = number(2) + number(3) + text(b"ok")
EMPTY = b"\0"

VALUES: dict[str, tuple[bytes, str]] = {
    "good": (HEAD + TAIL + EMPTY + EMPTY, ""),
    "nothing": (b"", "truncated"),
    "cut short": ((HEAD + TAIL + EMPTY + EMPTY)[:-1], "truncated"),
    "bytes left": (HEAD + TAIL + EMPTY + EMPTY + b"\0", "trailing_bytes"),
    "a text of 8 EiB": (number((1 << 63) - 1) + b"e", "bad_length"),
    "a text of less than nothing": (number(-1) + b"e", "bad_length"),
    "a branch before the first": (HEAD[:4] + number(-1) + number(1) + TAIL + EMPTY + EMPTY, "bad_branch"),
    "a branch behind the last": (HEAD[:4] + number(2) + number(1) + TAIL + EMPTY + EMPTY, "bad_branch"),
    "a number of 70 bits": (HEAD + b"\x80" * 10 + b"\1" + number(3) + text(b"ok") + EMPTY + EMPTY, "bad_number"),
    "an array of 8 Ei": (HEAD + TAIL + number((1 << 63) - 1) + EMPTY, "too_many_items"),
    "an array of less than nothing": (HEAD + TAIL + number(-(1 << 63)) + number(1) + EMPTY, "too_many_items"),
    "a block that lies about its bytes": (
        HEAD + TAIL + number(-1) + number(1) + b"\x80\0" + EMPTY + array([text(b"A")]),
        "unreadable",
    ),
    "no UTF-8": (HEAD + TAIL + EMPTY + array([text(b"\xff\xfe")]), "not_utf8"),
    "half a surrogate pair": (HEAD + TAIL + EMPTY + array([text(b"\xed\xa0\x80")]), "not_utf8"),
    "more than is read": (HEAD + TAIL + EMPTY + array([b"\0"] * MAX_READS), "too_many_items"),
    "a megabyte": (HEAD + TAIL + EMPTY + array([text(bytes(MAX_VALUE_BYTES))]), "too_large"),
}


@pytest.mark.parametrize("how", VALUES)
def test_a_hostile_value_is_refused(how: str) -> None:
    value, word = VALUES[how]
    decoder = Decoder(GivenSchemas({OTHER: STRINGS}), "result")
    if word:
        assert refused(decoder, frame(OTHER, value)).word == word
    else:
        assert decoder.decode(frame(OTHER, value))["status"] == "ok"


@pytest.mark.parametrize("how", ["a text of 8 EiB", "an array of 8 Ei", "more than is read", "a megabyte"])
def test_a_hostile_value_takes_little_memory(how: str) -> None:
    value = frame(OTHER, VALUES[how][0])
    decoder = Decoder(GivenSchemas({OTHER: STRINGS}), "result")
    refused(decoder, value)
    tracemalloc.start()
    try:
        refused(decoder, value)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("extra", [0, 1])
def test_a_decoder_may_be_given_a_smaller_bound(extra: int) -> None:
    value = frame(7, number(1 << 40))
    decoder = Decoder(GivenSchemas(), "clock", len(value) - extra)
    if extra:
        assert refused(decoder, value).detail == f"the value has more than {len(value) - 1} bytes"
    else:
        assert decoder.decode(value) == {"ts": 1 << 40}


# Any schema, any bytes.


def as_clock(schema: Any) -> Any:
    """Make a tick of a made-up writer pass for a clock record, which is read from its time alone."""
    space = schema["name"].rpartition(".")[0] or schema.get("namespace", "")
    return {**schema, "name": "Clock", "namespace": space}


def read_plainly(schema: Any, value: bytes) -> Any:
    """What fastavro makes of it by itself."""
    parsed = fastavro.parse_schema(layout(schema))
    record: Any = fastavro.schemaless_reader(io.BytesIO(value), parsed, None, handle_unicode_errors="replace")
    return record["ts"]


@given(st.integers(0, 1 << 32))
def test_values_of_any_schema_are_read_or_refused_with_a_reason(seed: int) -> None:
    rng = random.Random(seed)
    schema = as_clock(SchemaMaker(rng).tick())
    named: dict[str, Any] = {}
    maker = ValueMaker(fastavro.parse_schema(schema, named), named, rng)
    decoder = Decoder(GivenSchemas({OTHER: schema}), "clock")
    for _ in range(5):
        value = maker.value()
        ts = read_plainly(schema, value)
        if ts is None:
            assert refused(decoder, frame(OTHER, value)).word == "schema_mismatch"
        else:
            assert decoder.decode(frame(OTHER, value)) == {"ts": ts}


def damaged(value: bytes, rng: random.Random) -> bytes:
    """Change a byte or a few, cut some out, or put some in."""
    at, end = sorted(rng.choices(range(len(value) + 1), k=2))
    choices: list[Callable[[], bytes]] = [
        lambda: value[:at],
        lambda: value[:at] + value[end:],
        lambda: value[:at] + rng.randbytes(rng.randint(1, 12)) + value[at:],
        lambda: (
            value[:at] + rng.choice([b"\xff" * 9 + b"\1", b"\xfe" + b"\xff" * 8 + b"\1", b"\1", b"\0"]) + value[end:]
        ),
    ]
    return rng.choice(choices)()


DAMAGE = {
    "truncated",
    "bad_number",
    "bad_length",
    "bad_branch",
    "too_many_items",
    "trailing_bytes",
    "not_utf8",
    "unreadable",
}


def record_or_word(decoder: Decoder, value: bytes) -> dict[str, Any] | str:
    """The record, or the word for why there is none."""
    try:
        return decoder.decode(value)
    except BadValueError as error:
        return error.reason.word


@given(st.integers(0, 1 << 32))
def test_whatever_the_bytes_there_is_a_record_or_a_reason(seed: int) -> None:
    rng = random.Random(seed)
    encoder, decoder = Encoder(FileSchemas(), ["result"]), Decoder(FileSchemas(), "result")
    value = encoder.encode("result", RESULT)
    for _ in range(20):
        got = record_or_word(decoder, value[:5] + damaged(value[5:], rng))
        assert got in DAMAGE if isinstance(got, str) else encoder.encode("result", got)


@given(st.integers(0, 1 << 32))
def test_a_bare_schema_reads_the_same_bytes(seed: int) -> None:
    rng = random.Random(seed)
    schema = SchemaMaker(rng).tick()
    named: dict[str, Any] = {}
    value = ValueMaker(fastavro.parse_schema(schema, named), named, rng).value()
    stripped = bare(schema)
    assert "logicalType" not in str(stripped)
    one, two = (
        fastavro.schemaless_reader(
            io.BytesIO(value), fastavro.parse_schema(layout(each)), None, handle_unicode_errors="replace"
        )
        for each in (schema, stripped)
    )
    assert repr(one) == repr(two)
