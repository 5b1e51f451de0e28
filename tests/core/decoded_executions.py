"""Executions on the wire, encoded for one place, and decoded again by another library."""

import io
import json
from typing import Any

import fastavro

from streams.core.executions import MAX_EXECUTION_BYTES, Executions
from streams.core.records import EncodedRecords
from streams.core.shard import Shard
from tests.house.tree import ROOT

SCHEMA = fastavro.parse_schema(json.loads((ROOT / "schemas" / "execution.avsc").read_text()))
SCHEMA_ID = 3
TOPIC, PARTITION = "w7.ticks", 2
PREFIX = b"\0" + SCHEMA_ID.to_bytes(4)


def executions_of(shard: Shard, max_bytes: int = MAX_EXECUTION_BYTES) -> Executions:
    return Executions(shard, TOPIC, PARTITION, SCHEMA_ID, max_bytes)


def decoded(records: EncodedRecords) -> list[Any]:
    """Each execution, after a look at its framing, its key and its time."""
    found = []
    for i in range(records.count):
        value = records.value(i)
        assert value is not None
        assert value[: len(PREFIX)] == PREFIX
        stream = io.BytesIO(value[len(PREFIX) :])
        execution: Any = fastavro.schemaless_reader(stream, SCHEMA, None)
        assert stream.read() == b""
        assert records.key(i) == execution["strategy_id"].encode()
        assert records.ts_ms[i] == execution["ts"]
        found.append(execution)
    return found
