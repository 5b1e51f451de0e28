"""The framing, and Avro for the records that come one by one: what is written comes back, in any version."""

import asyncio
import struct
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka.schema_registry.serde import SchemaId
from hypothesis import given
from hypothesis import strategies as st

from streams.core.events import Mode, Status, Strategy
from streams.kafka.bad_values import BadValueError, Reason
from streams.kafka.codec import SCHEMA_HEADER, Decoder, Encoder, frame, read_id
from streams.kafka.registry import FileSchemas, RegistryDownError, newest
from streams.kafka.strategy_records import record_of, strategy_of
from tests.core.avro_bytes import number, text
from tests.kafka.codec_cases import OTHER, RESULT, record, refused
from tests.kafka.given_schemas import UNUSABLE, GivenSchemas

GUID = UUID("89791762-2336-4186-9674-299b90a802e2")
IDS = st.integers(0, (1 << 31) - 1)

CLOCK: Any = newest("clock").schema

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
    assert len(schemas.asked) == 14


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


def test_a_universe_as_large_as_may_be_is_read() -> None:
    universe = sorted(f"{k:05}" for k in range(100_000))
    value = Encoder(FileSchemas()).encode("strategy_change", record_of(Strategy("s", "1m", frozenset(universe)), 5))
    assert Decoder(FileSchemas(), "strategy_change").decode(value)["universe"] == universe


def test_floats_that_are_no_numbers_come_through() -> None:
    schema = newest("control").schema
    value = text(b"n") + text(b"v") + text(b"all") + number(5) + text(b"")
    value += struct.pack("<d", float("inf")) + b"\0" + text(b"") + text(b"")
    assert Decoder(GivenSchemas({OTHER: schema}), "control").decode(frame(OTHER, value))["percentage"] == float("inf")


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
