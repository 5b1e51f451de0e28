"""The framing, and Avro for the records that come one by one: what is written comes back, and nothing else gets in."""

import asyncio
import io
import random
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any
from uuid import UUID

import fastavro
import pytest
from confluent_kafka.schema_registry.serde import SchemaId
from hypothesis import given
from hypothesis import strategies as st

from streams.core.events import Mode, Status, Strategy
from streams.core.limits import MAX_SCHEMA_DEPTH, MAX_SCHEMA_STEPS, MAX_VALUE_BYTES
from streams.kafka.bad_values import BadValueError, Reason
from streams.kafka.codec import MAX_READS, SCHEMA_HEADER, Decoder, Encoder, bare, frame, read_id
from streams.kafka.registry import FileSchemas, RegistryDownError, newest
from streams.kafka.strategy_records import record_of, strategy_of
from tests.core.avro_bytes import array, number, text
from tests.core.tick_schemas import SchemaMaker, ValueMaker, layout
from tests.kafka.given_schemas import UNUSABLE, GivenSchemas

GUID = UUID("89791762-2336-4186-9674-299b90a802e2")
OTHER = 77
IDS = st.integers(0, (1 << 31) - 1)

CLOCK: Any = newest("clock").schema
RESULT = {
    "execution_id": "e1",
    "strategy_id": "s1",
    "strategy_version": 1,
    "bucket_ms": 0,
    "ts": 5,
    "status": "ok",
    "error": "",
    "used_symbols": ["AAPL", "ÄÖÜ"],
    "triggers": [{"ticker": "AAPL", "conviction": 0.5, "side": "", "price": None, "reason": "x"}],
    "fills": [],
    "worker_id": "",
}


def refused(decoder: Decoder, value: bytes | None, headers: list[tuple[str, bytes | None]] | None = None) -> Reason:
    """Decode what cannot be decoded: for the event loop and without it, alike."""
    with pytest.raises(BadValueError) as caught:
        decoder.decode(value, headers or ())
    with pytest.raises(BadValueError) as again:
        asyncio.run(decoder.adecode(value, headers or ()))
    reason = caught.value.reason
    assert again.value.reason == reason
    assert all(reason)
    assert len(str(caught.value)) < 700
    return reason


def record(name: str, **fields: Any) -> dict[str, Any]:
    """A record's schema: the name and type of each field."""
    listed = [{"name": field, "type": kind} for field, kind in fields.items()]
    return {"type": "record", "name": name, "namespace": "tickgate", "fields": listed}


# The framing.


@given(IDS, st.binary())
def test_the_framing_is_confluents(schema_id: int, payload: bytes) -> None:
    framed = frame(schema_id, payload)
    assert framed == SchemaId("AVRO", schema_id).id_to_bytes() + payload
    assert read_id(framed) == (schema_id, 5)


@given(IDS, st.uuids(), st.binary())
def test_an_id_or_a_guid_in_a_header_is_confluents_and_the_value_is_all_avro(
    schema_id: int, guid: UUID, value: bytes
) -> None:
    by_id = SchemaId("AVRO", schema_id).id_to_bytes()
    by_guid = SchemaId("AVRO", guid=str(guid)).guid_to_bytes()
    assert read_id(value, [(SCHEMA_HEADER, by_id)]) == (schema_id, 0)
    assert read_id(value, [(SCHEMA_HEADER, by_guid)]) == (guid, 0)


def test_the_last_header_with_a_value_counts_and_others_do_not() -> None:
    value = frame(1, b"")
    none = (SCHEMA_HEADER, None)
    assert read_id(value, [none, ("__key_schema_id", b"\0\0\0\0\7"), ("x", b"\0\0\0\0\7")]) == (1, 5)
    two, three = ((SCHEMA_HEADER, SchemaId("AVRO", k).id_to_bytes()) for k in (2, 3))
    assert read_id(value, [two, three, none]) == (3, 0)


@pytest.mark.parametrize(
    ("value", "header", "word"),
    [
        (None, None, "null_value"),
        (None, b"\0\0\0\0\1", "null_value"),
        (b"", None, "truncated"),
        (b"\0\0\0\1", None, "truncated"),
        (b"\1\0\0\0\1\0", None, "wrong_magic"),
        (b"{\0\0\0\1\0", None, "wrong_magic"),
        (b"\1" + bytes(16), None, "wrong_magic"),
        (b"x", b"", "bad_schema_header"),
        (b"x", b"\0\0\0\1", "bad_schema_header"),
        (b"x", b"\0\0\0\0\1\0", "bad_schema_header"),
        (b"x", b"\1\0\0\0\1", "bad_schema_header"),
        (b"x", b"\0" + bytes(16), "bad_schema_header"),
        (b"x", b"\1" + bytes(15), "bad_schema_header"),
        (b"x", b"\1" + bytes(17), "bad_schema_header"),
    ],
)
def test_a_value_that_names_no_schema_is_refused(value: bytes | None, header: bytes | None, word: str) -> None:
    headers = [] if header is None else [(SCHEMA_HEADER, header)]
    assert refused(Decoder(GivenSchemas(), "clock"), value, [*headers]).word == word


# What is written comes back.


def strategies() -> st.SearchStrategy[Strategy]:
    words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    return st.builds(
        Strategy,
        words,
        words,
        st.frozensets(words, max_size=5),
        st.sampled_from(Status),
        st.integers(-(1 << 63), (1 << 63) - 1),
        words,
        words,
        st.sampled_from([None, Mode.PER_TICKER, Mode.LEGACY]),
        st.none() | st.integers(-(1 << 31), (1 << 31) - 1),
    )


@given(strategies(), st.integers(0, 1 << 40))
def test_a_strategy_comes_back_from_the_wire(strategy: Strategy, ts_ms: int) -> None:
    schemas = FileSchemas()
    sent = record_of(strategy, ts_ms, name="n", source="s", reason="r")
    got = Decoder(schemas, "strategy_change").decode(Encoder(schemas).encode("strategy_change", sent))
    assert got == sent
    assert strategy_of(got) == strategy


def test_the_record_of_a_strategy_is_always_the_same() -> None:
    tickers = [f"T{k}" for k in range(100)]
    records = [record_of(Strategy("s", "1m", frozenset(each)), 5) for each in (tickers, tickers[::-1])]
    assert records[0] == records[1]
    assert records[0]["universe"] == sorted(tickers)
    assert records[0]["mode"] == ""


@pytest.mark.parametrize(
    ("field", "value", "detail"),
    [
        ("status", "resting", "status is 'resting'"),
        ("status", "", "status is ''"),
        ("mode", "global", "mode is 'global'"),
        ("mode", "x" * 100, f"mode is '{'x' * 40}…'"),
    ],
)
def test_a_word_of_a_strategy_that_nobody_knows_is_refused(field: str, value: str, detail: str) -> None:
    with pytest.raises(BadValueError) as caught:
        strategy_of({**record_of(Strategy("s", "1m"), 5), field: value})
    assert (caught.value.reason.word, caught.value.reason.detail) == ("invalid_strategy", detail)
    assert ("active" if field == "status" else "legacy") in caught.value.reason.remedy


def test_what_is_written_has_the_id_of_its_schema_and_defaults_where_nothing_is_said() -> None:
    value = Encoder(FileSchemas()).encode("control", {"name": "n", "value": "v", "scope": "all", "ts": 5})
    assert value[:5] == b"\0\0\0\0\6"
    assert value[5:] == text(b"n") + text(b"v") + text(b"all") + number(5) + b"\0" + bytes(8) + b"\0\0\0"


def test_an_encoder_asks_for_all_ids_at_once_or_for_those_it_needs() -> None:
    class Counted(GivenSchemas):
        def id_of(self, name: str) -> int:
            self.asked.append(len(name))
            return 1000 + len(name)

    schemas = Counted()
    encoder = Encoder(schemas, ["clock"])
    assert [encoder.encode("clock", {"ts": 5}) for _ in range(2)] == [frame(1005, number(5))] * 2
    assert schemas.asked == [5]
    Encoder(schemas)
    assert len(schemas.asked) == 9


@pytest.mark.parametrize("wrong", [{}, {"ts": 5, "tz": 0}, {"ts": "5"}, {"ts": 1 << 63}])
def test_a_record_that_does_not_fit_its_schema_is_not_written(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        Encoder(FileSchemas()).encode("clock", wrong)


def test_a_newer_and_an_older_writer_are_read() -> None:
    newer = {**CLOCK, "fields": [*CLOCK["fields"], {"name": "source", "type": "string", "default": ""}]}
    older = record("Result", **dict.fromkeys(["execution_id", "strategy_id"], "string"))
    for name, kind in {"strategy_version": "long", "bucket_ms": "int", "ts": "long", "status": "string"}.items():
        older["fields"].append({"name": name, "type": kind})
    schemas = GivenSchemas({OTHER: newer, OTHER + 1: older})
    assert Decoder(schemas, "clock").decode(frame(OTHER, number(5) + text(b"feed"))) == {"ts": 5}
    value = text(b"e") + text(b"s") + number(2) + number(3) + number(4) + text(b"ok")
    got = Decoder(schemas, "result").decode(frame(OTHER + 1, value))
    assert got == {
        **RESULT,
        "execution_id": "e",
        "strategy_id": "s",
        "strategy_version": 2,
        "bucket_ms": 3,
        "ts": 4,
        "used_symbols": [],
        "triggers": [],
    }


@pytest.mark.parametrize("guid", [True, False])
def test_a_value_is_read_by_the_schema_its_header_names(guid: bool) -> None:
    schemas = GivenSchemas({OTHER: CLOCK, GUID: CLOCK})
    schema_id = SchemaId("AVRO", OTHER, str(GUID))
    header = schema_id.guid_to_bytes() if guid else schema_id.id_to_bytes()
    assert Decoder(schemas, "clock").decode(number(5), [(SCHEMA_HEADER, header)]) == {"ts": 5}
    assert schemas.asked == [GUID if guid else OTHER]


# What asks for a schema.


def test_a_schema_is_asked_for_once_also_where_it_is_refused() -> None:
    schemas = GivenSchemas({OTHER: record("Clock", ts="Clock")})
    decoder = Decoder(schemas, "clock")
    for _ in range(3):
        assert decoder.decode(frame(7, number(5))) == {"ts": 5}
        refused(decoder, frame(OTHER, number(5)))
    assert schemas.asked == [7, OTHER]


def test_a_schema_that_is_not_there_is_asked_for_again() -> None:
    schemas = GivenSchemas({OTHER + 1: UNUSABLE})
    decoder = Decoder(schemas, "clock")
    assert refused(decoder, frame(OTHER, number(5))) == Reason(
        "unknown_schema_id", f"schema {OTHER} is not there", "register it"
    )
    assert refused(decoder, frame(OTHER + 1, number(5))) == Reason(
        "schema_refused", f"schema {OTHER + 1} is of no use", "register another"
    )
    schemas.known.update({OTHER: CLOCK, OTHER + 1: CLOCK})
    assert decoder.decode(frame(OTHER, number(5))) == decoder.decode(frame(OTHER + 1, number(5))) == {"ts": 5}


def test_a_registry_that_is_down_says_nothing_about_the_record() -> None:
    schemas = GivenSchemas()
    schemas.down.add(7)
    decoder = Decoder(schemas, "clock")
    with pytest.raises(RegistryDownError):
        decoder.decode(frame(7, number(5)))
    with pytest.raises(RegistryDownError):
        asyncio.run(decoder.adecode(frame(7, number(5))))
    schemas.down.clear()
    assert asyncio.run(decoder.adecode(frame(7, number(5)))) == {"ts": 5}


# Hostile schemas.


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


# Hostile values.


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


def test_a_universe_as_large_as_may_be_is_read() -> None:
    universe = sorted(f"{k:05}" for k in range(100_000))
    value = Encoder(FileSchemas()).encode("strategy_change", record_of(Strategy("s", "1m", frozenset(universe)), 5))
    assert Decoder(FileSchemas(), "strategy_change").decode(value)["universe"] == universe


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


def test_floats_that_are_no_numbers_come_through() -> None:
    schema = newest("control").schema
    value = text(b"n") + text(b"v") + text(b"all") + number(5) + text(b"")
    value += struct.pack("<d", float("inf")) + EMPTY + text(b"") + text(b"")
    assert Decoder(GivenSchemas({OTHER: schema}), "control").decode(frame(OTHER, value))["percentage"] == float("inf")
