"""Runs of tick values: each value is decoded by its own schema, what is bad is told, and no tick is lost or moved."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from confluent_kafka.schema_registry.serde import SchemaId
from hypothesis import given
from hypothesis import strategies as st

from streams.core.decode import FAULT, decode
from streams.core.kernel import NO_TICK
from streams.core.limits import MAX_TICKER_BYTES, MAX_VALUE_BYTES
from streams.core.plan import SchemaRefusedError, decode_plan
from streams.core.shard import Shard
from streams.kafka.bad_values import FAULT_REASONS, BadValueError, Reason
from streams.kafka.codec import SCHEMA_HEADER, frame, read_id
from streams.kafka.header_kernel import group_texts
from streams.kafka.record_batch import NOTHING, RecordColumns, Response
from streams.kafka.registry import RegistryDownError, UnknownSchemaError, UnusableSchemaError
from streams.kafka.schema_headers import NAME, named_in_headers
from streams.kafka.tick_values import PLANS_KEPT, TickRun, TickValues, warm_up
from tests.core.avro_bytes import TS_MS, array, codes, number, text, tick
from tests.core.histories import CONDITIONS
from tests.core.plain_reader import PlainReader
from tests.kafka.batches import Row, batch
from tests.kafka.given_schemas import OWN, UNUSABLE, GivenSchemas
from tests.kafka.guarded import guarded

GUID, NO_GUID = UUID(int=7), UUID(int=8)
NEWER, REFUSED, OF_NO_USE, UNKNOWN = 12, 13, 14, 99

FIELDS: Any = OWN[1]
NEWER_SCHEMA = {
    **FIELDS,
    "fields": [
        {"name": "venue", "type": ["null", "string"], "default": None},
        *reversed(FIELDS["fields"]),
        {"name": "tags", "type": {"type": "map", "values": "string"}, "default": {}},
    ],
}
MORE = {
    NEWER: NEWER_SCHEMA,
    REFUSED: {**FIELDS, "fields": [*FIELDS["fields"], {"name": "next", "type": ["null", "Tick"]}]},
    OF_NO_USE: UNUSABLE,
    GUID: NEWER_SCHEMA,
}

Headers = tuple[tuple[str, bytes | None], ...]
Value = tuple[bytes | None, Headers]


def run_of(values: Sequence[bytes | Value | None]) -> RecordColumns:
    """A run of records as it is fetched."""
    rows = [value if isinstance(value, tuple) else (value, ()) for value in values]
    run = Response(batch(Row(k, value=value, headers=headers) for k, (value, headers) in enumerate(rows)), 0).next_run()
    assert run is not None
    return run.columns


def body(ticker: bytes = b"AAPL", ts_ms: int = TS_MS, *conditions: int) -> bytes:
    """A tick of schema 1, without the framing."""
    return tick(ticker, ts_ms, codes(*conditions))[5:]


def newer(ticker: bytes = b"AAPL", ts_ms: int = TS_MS, *conditions: int) -> bytes:
    """A tick of the newer schema, without the framing."""
    fields = (number(1) + text(b"XNAS"), codes(*conditions), number(100), bytes(8), number(ts_ms), text(ticker))
    return b"".join(fields) + array([text(b"k") + text(b"v")])


def named(ref: int | UUID) -> Headers:
    """The header that names a schema."""
    if isinstance(ref, int):
        return ((SCHEMA_HEADER, SchemaId("AVRO", ref).id_to_bytes()),)
    return ((SCHEMA_HEADER, SchemaId("AVRO", guid=str(ref)).guid_to_bytes()),)


def decoded(values: TickValues, shard: Shard, run: RecordColumns) -> TickRun:
    """A run's ticks."""
    return asyncio.run(values.ticks(shard, run))


def seen(shard: Shard, found: TickRun) -> list[Any]:
    """Each tick with the ticker's name, or the word for why there is none."""
    names, words = shard.index.tickers.all_names(), {row: reason.word for row, reason in found.bad}
    assert [row for row, _ in found.bad] == sorted(words)
    for row in range(len(found.ticks.ticker)):
        assert (found.ticks.ticker[row] == NO_TICK) == (row in words)
    return [
        words.get(row) or ((names[ticker].encode(), ts_ms) if moves else (b"", ts_ms))
        for row, (ticker, ts_ms, moves) in enumerate(zip(*(column.tolist() for column in found.ticks), strict=True))
    ]


def expected(value: bytes | None, headers: Headers, schemas: GivenSchemas) -> Any:
    """What a slow reader makes of one record."""
    try:
        ref, start = read_id(value, headers)
        schema = schemas.schema(ref)
        decode_plan(schema)
    except BadValueError as error:
        return error.reason.word
    except UnknownSchemaError:
        return "unknown_schema_id"
    except (UnusableSchemaError, SchemaRefusedError):
        return "schema_refused"
    outcome = PlainReader(schema, CONDITIONS, None).read((value or b"")[start:])
    return FAULT_REASONS[outcome.fault].word if outcome.fault else (outcome.ticker, outcome.ts_ms)


@pytest.fixture
def shard() -> Shard:
    return Shard(CONDITIONS)


# Everything at once.


def any_value(rng: random.Random) -> Value:
    """A record: good, of any schema, named in any place, or bad in one of many ways."""
    ticker, ts_ms = rng.choice([b"A", b"B.C", b"T00000001", b"", b"\xff\xfe"]), TS_MS + rng.randrange(1000)
    payload = rng.choice([body, newer])(ticker, ts_ms, *rng.choices([0, 14, 300], k=rng.randrange(3)))
    if rng.random() < 0.2:
        cut = rng.randrange(len(payload) + 1)
        payload = rng.choice([payload[:cut], payload + b"\0", payload[:cut] + rng.randbytes(3) + payload[cut:]])
    ref = rng.choice([1, 1, 1, NEWER, NEWER, REFUSED, OF_NO_USE, UNKNOWN, (1 << 32) - 1])
    noise = (("trace", rng.choice([None, b"", b"x"])),) * rng.randrange(2)
    where = rng.random()
    if where < 0.6:
        return frame(ref, payload), noise
    if where < 0.85:
        names = rng.choices([*named(ref % (1 << 31)), *named(GUID), *named(NO_GUID), (SCHEMA_HEADER, None)], k=2)
        return rng.choice([payload, frame(ref, payload)]), (*noise, *names, *noise)
    bad_header = ((SCHEMA_HEADER, rng.choice([b"", b"\0\0\0\0", b"\1\0\0\0\1", bytes(40)])),)
    return rng.choice(
        [(None, noise), (None, named(1)), (payload, noise), (payload[:4], ()), (payload, bad_header), (b"", named(1))]
    )


@given(st.integers(0, 1 << 32), st.sampled_from([0.0, 0.5, 0.95]))
def test_every_value_is_what_a_slow_reader_makes_of_it(seed: int, usual_share: float) -> None:
    rng = random.Random(seed)
    shard, values, schemas = Shard(CONDITIONS), TickValues(GivenSchemas(MORE)), GivenSchemas(MORE)
    for _ in range(3):
        usual = rng.choice([(frame(1, body()), ()), (frame(NEWER, newer()), ()), (newer(), named(GUID))])
        records = [usual if rng.random() < usual_share else any_value(rng) for _ in range(rng.randint(1, 30))]
        found = decoded(values, shard, run_of(records))
        assert seen(shard, found) == [expected(*record, schemas) for record in records]


# The usual run.


class Counted(Shard):
    """Notes what it is given to decode."""

    def __init__(self) -> None:
        super().__init__(CONDITIONS)
        self.given: list[tuple[Any, Any, int]] = []

    def from_values(self, data: Any, starts: Any, ends: Any, plan: Any, schema_id: int) -> Any:
        self.given.append((starts, ends, schema_id))
        return super().from_values(data, starts, ends, plan, schema_id)


def test_a_run_of_the_usual_id_is_decoded_in_one_go_without_a_copy_or_a_question() -> None:
    shard, schemas = Counted(), GivenSchemas(MORE)
    values = TickValues(schemas)
    assert decoded(values, shard, run_of([frame(1, body())] * 3)).bad == []
    shard.given.clear()
    for headers in ((), (("trace", b"x"),)):
        run = run_of([(frame(1, body()), headers)] * 3)
        coroutine = values.ticks(shard, run)
        with pytest.raises(StopIteration) as stop:
            coroutine.send(None)  # it does not wait for anything
        assert stop.value.value.bad == []
        assert len(shard.given) == 1
        starts, ends, schema_id = shard.given.pop()
        assert starts is run.value_start
        assert ends is run.value_end
        assert schema_id == 1
    assert schemas.asked == [1]


def test_the_usual_id_is_the_one_that_most_had_lately() -> None:
    shard, values = Counted(), TickValues(GivenSchemas(MORE))
    old, new = frame(1, body()), frame(NEWER, newer())

    def passes(records: list[bytes]) -> list[int]:
        shard.given.clear()
        assert decoded(values, shard, run_of(records)).bad == []
        return [len(starts) for starts, _, _ in shard.given]

    passes([old] * 4)
    assert passes([old] * 4) == [4]
    assert passes([old, new, old, new]) == [4, 4, 2]  # once for nothing: the newer schema has to be learned
    assert passes([old, new, old, new]) == [4, 2]
    assert passes([new, new, old, new]) == [4, 3]
    assert passes([new] * 4) == [4]


def test_an_empty_run_has_no_ticks(shard: Shard) -> None:
    found = decoded(TickValues(GivenSchemas()), shard, NOTHING)
    assert (len(found.ticks.ticker), found.bad) == (0, [])


# What is bad.


@pytest.mark.parametrize(
    ("value", "headers", "word"),
    [
        (None, (), "null_value"),
        (None, named(UNKNOWN), "null_value"),
        (b"", (), "truncated"),
        (b"\0\0\0\1", (), "truncated"),
        (b"\0\0\0\0\1", (), "truncated"),
        (b"\1\0\0\0\1" + body(), (), "wrong_magic"),
        (body(), (), "wrong_magic"),
        (frame(UNKNOWN, body()), (), "unknown_schema_id"),
        (body(), named(UNKNOWN), "unknown_schema_id"),
        (body(), named(NO_GUID), "unknown_schema_id"),
        (frame(REFUSED, body() + b"\0"), (), "schema_refused"),
        (frame(OF_NO_USE, body()), (), "schema_refused"),
        (body(), ((SCHEMA_HEADER, b"1"),), "bad_schema_header"),
        (frame(1, body()[:-1]), (), "truncated"),
        (frame(1, body() + b"\0"), (), "trailing_bytes"),
        (frame(1, body(b"")), (), "empty_ticker"),
        (frame(1, body(b"x" * (MAX_TICKER_BYTES + 1))), (), "ticker_too_long"),
        (frame(1, body(b"\xff")), (), "ticker_not_utf8"),
        (frame(1, body(b"A", -1)), (), "ts_out_of_range"),
        (frame(1, number(1 << 40) + b"A"), (), "bad_length"),
        (frame(1, body(b"A", TS_MS, *[0] * 257)), (), "too_many_conditions"),
        (frame(1, text(b"A") + b"\xff" * 11), (), "bad_number"),
        (frame(NEWER, number(2)), (), "bad_branch"),
        (frame(NEWER, newer()[:-6] + number(1 << 40)), (), "too_many_items"),
        (frame(1, body() + bytes(MAX_VALUE_BYTES)), (), "too_large"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
@pytest.mark.parametrize("known", [True, False])
def test_a_bad_value_is_told_and_the_others_stay(
    shard: Shard, value: bytes | None, headers: Headers, word: str, known: bool
) -> None:
    values = TickValues(GivenSchemas(MORE))
    if known:
        decoded(values, shard, run_of([frame(1, body())]))
    found = decoded(values, shard, run_of([frame(1, body(b"A", 1)), (value, headers), frame(1, body(b"B", 3))]))
    assert seen(shard, found) == [(b"A", 1), word, (b"B", 3)]
    assert all(all(reason) for _, reason in found.bad)


def test_a_run_of_nothing_but_bad_values_is_told_whole(shard: Shard) -> None:
    found = decoded(TickValues(GivenSchemas(MORE)), shard, run_of([None, b"", frame(UNKNOWN, body()), b"\1" * 9]))
    assert seen(shard, found) == ["null_value", "truncated", "unknown_schema_id", "wrong_magic"]


def test_the_bad_values_do_nothing_to_the_state(shard: Shard) -> None:
    values = TickValues(GivenSchemas(MORE))
    found = decoded(values, shard, run_of([frame(1, body(b"A", 5)), frame(UNKNOWN, body(b"Z", 9)), None]))
    shard.step(found.ticks)
    assert shard.index.tickers.all_names() == ["A"]
    assert shard.stream_ms == 5


def test_tickers_past_the_bound_are_told(shard: Shard) -> None:
    shard.index.tickers.limit = 1
    found = decoded(
        TickValues(GivenSchemas(MORE)), shard, run_of([frame(1, body(name)) for name in (b"A", b"B", b"A")])
    )
    assert seen(shard, found) == [(b"A", TS_MS), "too_many_tickers", (b"A", TS_MS)]


def test_a_header_wins_over_what_stands_in_front(shard: Shard) -> None:
    looks_framed = b"\0\0\0\0\1" + body()
    found = decoded(
        TickValues(GivenSchemas(MORE)),
        shard,
        run_of([(frame(UNKNOWN, body()), ()), (body(b"A", 1), named(1)), (looks_framed, named(1))]),
    )
    assert seen(shard, found) == ["unknown_schema_id", (b"A", 1), "empty_ticker"]


# The registry.


@pytest.mark.parametrize("ref", [NEWER, GUID])
def test_a_registry_that_is_down_costs_no_tick(shard: Shard, ref: int | UUID) -> None:
    schemas = GivenSchemas(MORE)
    values = TickValues(schemas)
    new = (frame(ref, newer(b"B", 2)), ()) if isinstance(ref, int) else (newer(b"B", 2), named(ref))
    run = run_of([frame(1, body(b"A", 1)), new, None])
    for schemas.down in ({1, ref}, {ref}):
        with pytest.raises(RegistryDownError):
            decoded(values, shard, run)
    assert seen(shard, decoded(values, shard, run_of([frame(1, body(b"A", 1))]))) == [(b"A", 1)]
    schemas.down = set()
    assert seen(shard, decoded(values, shard, run)) == [(b"A", 1), (b"B", 2), "null_value"]


def test_a_schema_is_asked_for_once_and_one_that_is_missing_again(shard: Shard) -> None:
    schemas = GivenSchemas(MORE)
    values = TickValues(schemas)
    run = run_of([frame(ref, body(b"A", 1)) for ref in (1, UNKNOWN, OF_NO_USE, REFUSED) for _ in range(2)])
    for _ in range(2):
        decoded(values, shard, run)
    assert sorted(schemas.asked, key=str) == sorted([1, REFUSED, *[UNKNOWN, OF_NO_USE] * 2], key=str)
    schemas.known.update({UNKNOWN: FIELDS, OF_NO_USE: FIELDS})
    words = seen(shard, decoded(values, shard, run))
    assert words == [(b"A", 1)] * 6 + ["schema_refused"] * 2


def test_the_reason_names_the_schema(shard: Shard) -> None:
    run = run_of([frame(UNKNOWN, body()), frame(OF_NO_USE, body()), frame(REFUSED, body())])
    reasons = [reason for _, reason in decoded(TickValues(GivenSchemas(MORE)), shard, run).bad]
    assert reasons[:2] == [
        Reason("unknown_schema_id", "schema 99 is not there", "register it"),
        Reason("schema_refused", "schema 14 is of no use", "register another"),
    ]
    assert reasons[2].detail.startswith("schema 13, next")
    assert "holds itself" in reasons[2].detail


def test_a_run_may_name_more_schemas_than_are_kept(shard: Shard) -> None:
    ids = range(1000, 1000 + 2 * PLANS_KEPT)
    values = TickValues(GivenSchemas(dict.fromkeys(ids, FIELDS)))
    run = run_of([frame(ref, body(b"A", ref)) for ref in ids])
    for _ in range(2):
        assert seen(shard, decoded(values, shard, run)) == [(b"A", ref) for ref in ids]


def test_every_byte_of_an_id_counts(shard: Shard) -> None:
    ids = [1, *(1 << bits | 1 for bits in (8, 16, 24, 31))]
    run = run_of([frame(ref, body(b"A", ref)) for ref in ids])
    assert seen(shard, decoded(TickValues(GivenSchemas(dict.fromkeys(ids, FIELDS))), shard, run)) == [
        (b"A", ref) for ref in ids
    ]


# Headers.


@given(st.integers(0, 1 << 32))
def test_headers_are_read_as_a_slow_reader_does(seed: int) -> None:
    rng = random.Random(seed)
    names = [SCHEMA_HEADER, SCHEMA_HEADER, "", "__value_schema_i", "__value_schema_id2", "__key_schema_id"]
    texts = [None, b"", b"\0\0\0\0\1", b"\0\0\0\0\2", b"x" * 17, b"x" * 18]
    records = [
        (
            rng.choice([None, b"", b"v"]),
            tuple((rng.choice(names), rng.choice(texts)) for _ in range(rng.choice([0, 0, 1, 2, 3]))),
        )
        for _ in range(rng.randint(1, 20))
    ]
    found = {int(row): text for text, rows in named_in_headers(run_of(records)) for row in rows}
    slow = {}
    for row, (value, headers) in enumerate(records):
        told = [text for name, text in headers if name == SCHEMA_HEADER and text is not None]
        if value is not None and told:
            slow[row] = told[-1]
    assert found == slow


def test_a_header_too_long_to_name_a_schema_is_not_carried_along() -> None:
    texts = [text for text, _ in named_in_headers(run_of([(b"v", ((SCHEMA_HEADER, bytes(1 << 20)),))]))]
    assert texts == [bytes(18)]


@given(st.integers(0, 1 << 32))
def test_headers_are_never_read_past_their_end(seed: int) -> None:
    rng = random.Random(seed)
    content = number(rng.choice([0, 1, 2, -1, 1 << 31])) + rng.choice([b"", text(SCHEMA_HEADER.encode())])
    content += rng.choice([number(rng.choice([-1, 0, 5, 1 << 40, -(1 << 62)])), b"\xff" * rng.randrange(12), b""])
    content += rng.randbytes(rng.randrange(8))
    content = content[: rng.randint(0, len(content))]
    with guarded(content) as data:
        group, head, stop = np.empty(1, np.int32), np.empty(1, np.int64), np.empty(1, np.int64)
        end, nothing = np.array([len(content)]), np.zeros(1, np.int64)
        if group_texts(data, nothing, end, nothing, NAME, group, head, stop):
            assert 0 < head[0] <= stop[0] <= len(content)


# The compiler.


def test_warming_up_leaves_nothing_to_compile(shard: Shard) -> None:
    warm_up(CONDITIONS)
    compiled: Any = (decode, group_texts)
    before = [function.signatures[:] for function in compiled]
    decoded(TickValues(GivenSchemas(MORE)), shard, run_of([frame(1, body()), (newer(), named(NEWER)), None]))
    assert [function.signatures for function in compiled] == before


def test_every_fault_is_none_of_ours() -> None:
    assert FAULT.NONE == 0, "the faults of a run are looked for as what is not 0"
