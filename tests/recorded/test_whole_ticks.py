"""All that a tick says comes out of its value, whichever schema wrote it; what is none costs itself alone."""

import asyncio
import math
import random
import struct
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from streams.kafka.codec import frame
from streams.kafka.partitions import partition_of
from streams.recorded.known_ticks import KnownTickValues
from streams.recorded.placed import NO_SIZE
from streams.recorded.whole_ticks import WholeTicks, WholeTickValues, begins_as_ours
from streams.reference_data import load_conditions
from tests.core.avro_bytes import TS_MS, array, block, number, text
from tests.kafka.given_schemas import OWN, GivenSchemas
from tests.kafka.test_tick_values import NEWER, NEWER_SCHEMA, Value, named, newer, run_of

LONGER, NO_PRICE = 21, 22
FIELDS: Any = OWN[1]["fields"]
MORE = {
    NEWER: NEWER_SCHEMA,
    LONGER: {**OWN[1], "fields": [*FIELDS, {"name": "venue", "type": ["null", "string"], "default": None}]},
    NO_PRICE: {
        "type": "record",
        "name": "Tick",
        "fields": [
            {"name": "note", "type": "string"},
            {"name": "ts", "type": "long"},
            {"name": "ticker", "type": ["null", "string"]},
            {"name": "conditions", "type": ["null", {"type": "array", "items": "long"}]},
        ],
    },
}


def own(ticker: str, ts_ms: int, price: float, size: int, codes: bytes) -> bytes:
    """A tick as `schemas/tick.avsc` has it, unframed."""
    return text(ticker.encode()) + number(ts_ms) + struct.pack("<d", price) + number(size) + codes


def read(values: Sequence[bytes | Value | None], partition: int = 0, partitions: int = 1) -> WholeTicks:
    schemas: Any = GivenSchemas(MORE)
    return asyncio.run(WholeTickValues(schemas, partitions).read(partition, run_of(values)))


def told(found: WholeTicks) -> list[tuple[Any, ...]]:
    """Each tick: row, ticker, time, price, size, codes."""
    rest, ends = found.rest, np.cumsum(found.rest.code_counts)
    assert len(rest.codes) == rest.code_counts.sum()
    codes = [tuple(part.tolist()) for part in np.split(rest.codes, ends[:-1])] if len(ends) else []
    names = [found.names[at] for at in found.name_of]
    columns = (found.rows, found.ts_ms, rest.price, rest.size)
    rows, times, prices, sizes = (column.tolist() for column in columns)
    return list(zip(rows, names, times, prices, sizes, codes, strict=True))


def test_own_values_are_read_by_the_kernel_whatever_the_blocks_of_their_codes() -> None:
    assert begins_as_ours(OWN[1])
    assert begins_as_ours(MORE[LONGER])
    codes = block([number(4)]) + block([number(-1), number(1 << 40)], sized=True) + b"\0"
    values = [
        frame(1, own("A", TS_MS, 1.25, 300, b"\0")),
        frame(1, own("BB", TS_MS + 1, -0.5, -7, codes)),
        frame(LONGER, own("A", TS_MS + 2, 1e300, 1 << 30, array([number(14), number(41)])) + number(1) + text(b"x")),
    ]
    assert told(read(values)) == [
        (0, "A", TS_MS, 1.25, 300, ()),
        (1, "BB", TS_MS + 1, -0.5, -7, (4, -1, (1 << 31) - 1)),
        (2, "A", TS_MS + 2, 1e300, 1 << 30, (14, 41)),
    ]


def test_other_layouts_are_read_one_by_one_and_what_they_do_not_say_is_missing() -> None:
    assert not begins_as_ours(NEWER_SCHEMA)
    without = text(b"\xff") + number(TS_MS) + number(1) + text(b"C") + number(1) + array([number(37)])
    found = told(read([frame(NO_PRICE, without), (newer(b"D", TS_MS, 2, 9), named(NEWER))]))
    assert [each[:3] + each[5:] for each in found] == [(0, "C", TS_MS, (37,)), (1, "D", TS_MS, (2, 9))]
    assert math.isnan(found[0][3])
    assert found[0][4] == NO_SIZE
    assert found[1][3:5] == (0.0, 100)


def test_any_mixture_keeps_its_order_and_bad_values_and_strays_cost_themselves_alone() -> None:
    draw = random.Random(3)
    here = [f"T{k}" for k in range(40) if partition_of(b"T%d" % k, 4) == 2]
    stray = next(f"T{k}" for k in range(40) if partition_of(b"T%d" % k, 4) != 2)
    values: list[bytes | Value | None] = []
    wanted: list[tuple[Any, ...]] = []
    bad: list[tuple[int, str]] = []
    for row in range(400):
        ticker, codes = draw.choice(here), [draw.randrange(60) for _ in range(draw.randrange(3))]
        match draw.randrange(6):
            case 0:
                values.append(None)
                bad.append((row, "null_value"))
            case 1:
                values.append(frame(1, own(stray, TS_MS, 1.0, 1, b"\0")))
                bad.append((row, "wrong_partition"))
            case 2:
                values.append((newer(ticker.encode(), TS_MS + row, *codes), named(NEWER)))
                wanted.append((row, ticker, TS_MS + row, 0.0, 100, tuple(codes)))
            case 3:
                values.append((b"", (("__value_schema_id", b"no such thing"),)))
                bad.append((row, "bad_schema_header"))
            case kind:
                body = own(ticker, TS_MS + row, row / 4, row, array([number(code) for code in codes]))
                values.append(frame(1, body) if kind == 4 else (body, named(1)))
                wanted.append((row, ticker, TS_MS + row, row / 4, row, tuple(codes)))
    found = read(values, partition=2, partitions=4)
    assert told(found) == wanted
    assert [(each.row, each.reason.word) for each in found.bad] == bad


def test_what_deciding_reads_is_the_same_and_whether_each_moves_the_price_is_told() -> None:
    table = load_conditions()
    draw, values = random.Random(8), list[bytes | Value | None]()
    for k in range(600):
        codes = array([number(draw.choice([0, 14, 37, 38, 900])) for _ in range(draw.randrange(3))])
        value = frame(1, own(draw.choice(["A", "BB", f"NEW{k}"]), TS_MS + k, 1.0, 2, codes))
        values.append(draw.choice([value] * 20 + [value[:-2], b"", None]))
    values += [frame(1, own("C", TS_MS, 1.0, 2, array([number(37)]))), (newer(b"D", TS_MS, 37, 9), named(NEWER))]
    for some, partitions in ((values, 1), (values, 3), (values[-2:], 1), (values[:1] * 40, 1)):
        whole, schemas = read(some, 0, partitions), GivenSchemas(MORE)
        known = asyncio.run(KnownTickValues(cast("Any", schemas), partitions, table).read(0, run_of(some)))
        assert np.arange(len(some))[known.rows].tolist() == whole.rows.tolist()
        assert known.bad == whole.bad
        assert [known.names[at] for at in known.name_of] == [whole.names[at] for at in whole.name_of]
        assert known.ts_ms.tolist() == whole.ts_ms.tolist()
        told_codes = [each[5] for each in told(whole)]
        assert known.moves_price.tolist() == [table.moves_price(codes) for codes in told_codes]
