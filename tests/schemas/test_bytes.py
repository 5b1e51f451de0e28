"""What is on the wire: the workload's ticks are schema id 1, and the README's few lines decode every schema."""

import io
import json
import re
import struct
from collections.abc import Callable
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.workload import START_MS, encode, ticker_name
from tests.schemas.evolution import SCHEMAS, Entry, load_registry, load_schema

ENTRIES = load_registry()
TICK = fastavro.parse_schema(load_schema(ENTRIES[0]))

SAMPLES: dict[str, dict[str, Any]] = {
    "tick.avsc": {"ticker": "AAPL", "ts": START_MS, "price": 1.5, "size": 3, "conditions": [0, 14]},
    "strategy_change.avsc": {"strategy_id": "s1", "version": 1, "ts": 5, "status": "active", "timeframe": "5m"},
    "execution.avsc": {
        "execution_id": "e1",
        "strategy_id": "s1",
        "strategy_version": 1,
        "mode": "per_ticker",
        "timeframe": "5m",
        "bucket_ms": 0,
        "tickers": ["AAPL"],
        "scope": "tickers",
        "ts": 5,
        "cause": {"topic": "ticks", "partition": 0, "first_offset": 1, "last_offset": 2},
    },
    "result.avsc": {
        "execution_id": "e1",
        "strategy_id": "s1",
        "strategy_version": 1,
        "bucket_ms": 0,
        "ts": 5,
        "status": "ok",
        "triggers": [{"ticker": "AAPL", "conviction": 0.3}],
    },
    "proposal.avsc": {
        "proposal_id": "p1",
        "execution_id": "e1",
        "strategy_id": "s1",
        "strategy_version": 1,
        "ticker": "AAPL",
        "bucket_ms": 0,
        "ts": 5,
        "conviction": 0.3,
        "min_conviction": 0.28,
    },
    "control.avsc": {"name": "per_ticker_throttle", "value": "true", "scope": "all", "ts": 5},
    "clock.avsc": {"ts": 5},
    "dead_letter.avsc": {"topic": "ticks", "partition": 0, "offset": 7, "ts": 5, "reason": "truncated"},
    "journal.avsc": {"shard": 3, "next_offset": 7, "inputs": [{"topic": "clock", "partition": 3, "next_offset": 2}]},
    "decision.avsc": {
        "strategy_id": "s1",
        "strategy_version": 1,
        "mode": "per_ticker",
        "timeframe": "5m",
        "outcome": "fired",
        "bucket_ms": 0,
        "ts": 5,
        "looked_at": {"topic": "ticks", "partition": 0, "first_offset": 1, "last_offset": 2},
        "universe": 50,
        "updated": 100,
        "changed": 1,
        "counts": {"fired": 1},
        "tickers": [{"ticker": "AAPL", "outcome": "fired", "bucket_ms": 0, "ticks": 1}],
    },
    "turn.avsc": {"kind": "call"},
    "conviction_change.avsc": {
        "number": 1,
        "kind": "policy",
        "ts": 5,
        "before": 0.3,
        "after": 0.28,
        "reason": "the policy says 0.28, it said 0.3",
        "positions": [{"partition": 0, "next_offset": 7}],
        "min_conviction": 0.28,
    },
    "conviction_state.avsc": {"kind": "standing"},
}
"""One record of each, with only what has no default."""


def framed(entry: Entry, record: dict[str, Any]) -> bytes:
    """A record as it stands on the wire."""
    out = io.BytesIO(struct.pack(">bI", 0, entry.id))
    out.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(out, fastavro.parse_schema(load_schema(entry)), record)
    return out.getvalue()


def readme_decode(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], dict[str, Any]]:
    """The decoder that the README prints."""
    found = re.search(r"```python\n(.*?)```", (SCHEMAS / "README.md").read_text(), re.DOTALL)
    assert found is not None
    monkeypatch.chdir(SCHEMAS.parent)
    names: dict[str, Any] = {}
    exec(compile(found[1], "schemas/README.md", "exec"), names)  # noqa: S102 - the README must hold what it prints
    decode: Callable[[bytes], dict[str, Any]] = names["decode"]
    return decode


@given(
    st.integers(0, 20_000),
    st.integers(0, 4_102_444_800_000),
    st.floats(allow_nan=False),
)
def test_the_workloads_tick_is_schema_id_1_byte_for_byte(number: int, ts_ms: int, price: float) -> None:
    value = encode(ticker_name(number), ts_ms, price)
    record = {"ticker": ticker_name(number), "ts": ts_ms, "price": price, "size": 100, "conditions": [0, 14]}
    body = io.BytesIO(value[5:])
    assert value[:5] == b"\0\0\0\0\x01"
    assert fastavro.schemaless_reader(body, TICK, None) == record
    assert body.read() == b""
    assert framed(ENTRIES[0], record) == value


def test_the_tick_has_exactly_the_workloads_fields_in_its_order() -> None:
    fields = [(field["name"], field["type"]) for field in load_schema(ENTRIES[0])["fields"]]
    ints = {"type": "array", "items": "int"}
    assert fields == [
        ("ticker", "string"),
        ("ts", "long"),
        ("price", "double"),
        ("size", "int"),
        ("conditions", ints),
    ]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.file)
def test_the_readmes_lines_decode_every_schema(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    record = SAMPLES[entry.file]
    decoded = readme_decode(monkeypatch)(framed(entry, record))
    assert set(decoded) == {field["name"] for field in load_schema(entry)["fields"]}
    flat = json.loads(json.dumps(record))
    for name, value in flat.items():
        if name != "triggers":
            assert decoded[name] == value


def test_the_readmes_lines_refuse_another_framing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="first byte 1"):
        readme_decode(monkeypatch)(b"\x01\0\0\0\x01")


def test_a_strategy_change_left_to_its_defaults_watches_every_ticker_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = readme_decode(monkeypatch)(framed(ENTRIES[1], SAMPLES["strategy_change.avsc"]))
    assert decoded["universe"] == []
    assert decoded["time_zone"] == "UTC"
    assert decoded["coalesce_ms"] is None
