"""Strategies as they stand on `strategy-changes`: from the record to the strategy, and back."""

from collections.abc import Mapping
from typing import Any, Final

from streams.core.events import Mode, Status, Strategy
from streams.errors import shortened
from streams.kafka.bad_values import BadValueError, Reason
from streams.kafka.codec import Record

DISCOVERY: Final = "discovery"
"""The source of a change that was made of what workers reported."""


def strategy_of(record: Mapping[str, Any]) -> Strategy:
    """The strategy of a decoded record. Whether its values make sense is for `streams/core/lifecycle.py` to say."""
    return Strategy(
        record["strategy_id"],
        record["timeframe"],
        frozenset(record["universe"]),
        Status(one_of("status", record["status"], list(Status))),
        record["version"],
        record["time_zone"],
        record["session"],
        Mode(one_of("mode", record["mode"], [Mode.PER_TICKER, Mode.LEGACY])) if record["mode"] else None,
        record["coalesce_ms"],
    )


def one_of(field: str, value: str, allowed: list[str]) -> str:
    """A word that must be known."""
    if value in allowed:
        return value
    detail = f"{field} is {shortened(value)}"
    raise BadValueError(Reason("invalid_strategy", detail, f"send one of {', '.join(allowed)}"))


def record_of(strategy: Strategy, ts_ms: int, *, name: str = "", source: str = "", reason: str = "") -> Record:
    """The record of a strategy. `ts_ms` is the event time of the change; the same strategy gives the same record."""
    return {
        "strategy_id": strategy.strategy_id,
        "version": strategy.version,
        "ts": ts_ms,
        "status": str(strategy.status),
        "timeframe": strategy.timeframe,
        "universe": sorted(strategy.universe),
        "time_zone": strategy.time_zone,
        "session": strategy.session,
        "mode": str(strategy.mode or ""),
        "coalesce_ms": strategy.coalesce_ms,
        "name": name,
        "source": source,
        "reason": reason,
    }
