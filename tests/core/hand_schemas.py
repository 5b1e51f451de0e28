"""Schemas of ticks by hand, to be spoilt, and the steps of their plans."""

from typing import Any

import numpy as np
import pytest

from streams.core.plan import STEP_SIZE, SchemaRefusedError, decode_plan

TICKER_FIELD = {"name": "ticker", "type": "string"}
TS_FIELD = {"name": "ts", "type": "long"}
CODES_TYPE = {"type": "array", "items": "int"}


def schema_of(*fields: Any, **more: Any) -> dict[str, Any]:
    """A record of these fields."""
    return {"type": "record", "name": "Tick", "fields": list(fields), **more}


def with_extra(kind: Any, **more: Any) -> dict[str, Any]:
    """A tick with one more field, between the two that it must have."""
    return schema_of(TICKER_FIELD, {"name": "extra", "type": kind}, TS_FIELD, **more)


def tick_with(name: str, kind: Any) -> dict[str, Any]:
    """A tick with a field of this type, its own or another."""
    fields = {"ticker": "string", "ts": "long", name: kind}
    return schema_of(*({"name": each, "type": told} for each, told in fields.items()))


def steps(schema: Any) -> list[tuple[int, int]]:
    """The plan, step by step."""
    plan = decode_plan(schema)
    assert plan.dtype == np.int32
    return [(step, argument) for step, argument in plan.reshape(-1, STEP_SIZE).tolist()]


def nested(kind: Any, depth: int) -> Any:
    """A type within so many arrays."""
    for _ in range(depth):
        kind = {"type": "array", "items": kind}
    return kind


def refused(schema: Any) -> SchemaRefusedError:
    """The refusal, which names a place and a remedy and can be shown anywhere."""
    with pytest.raises(SchemaRefusedError) as caught:
        decode_plan(schema)
    error = caught.value
    assert error.place
    assert error.problem
    assert error.remedy
    assert str(error) == f"schema, {error.place}: {error.problem}; {error.remedy}"
    assert str(error).isascii()
    assert "\n" not in str(error)
    assert len(str(error)) < 2500
    return error
