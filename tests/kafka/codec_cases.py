"""What the tests of the codec share: records of ours, schemas of others, and what a refusal looks like."""

import asyncio
from typing import Any

import pytest

from streams.kafka.bad_values import BadValueError, Reason
from streams.kafka.codec import Decoder

OTHER = 77
"""The id of a schema that is not ours."""

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
