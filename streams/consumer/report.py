"""What a strategy function says of an execution, and the record of `alert-results` that is made of it.

A report that cannot be written, or says what no reader could use, becomes a failed result that tells so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from streams.consumer.execution import Execution
from streams.kafka.codec import Encoder
from streams.kafka.dead_letters import plain
from streams.kafka.result_records import STATUSES

SIDES: Final = ("", "buy", "sell")

MAX_RESULT_BYTES: Final = 900 << 10
"""Room is left to the megabyte that clients and brokers take: the key, and what stands around a record."""


class Trigger(NamedTuple):
    """One ticker that met the strategy's condition."""

    ticker: str
    conviction: float
    """How sure the strategy is, from 0 to 1."""
    side: str = ""
    """buy or sell; empty where the strategy does not say."""
    price: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one execution."""

    used_symbols: Sequence[str] = ()
    """All tickers that the strategy looks at: they become its universe. None: nothing is reported, and it stays."""
    triggers: Sequence[Trigger] = ()
    status: str = "ok"
    error: str = ""
    """What went wrong, where the status is failed."""


SKIPPED: Final = Report(status="skipped")
"""For an execution that was not run."""


def failed(error: BaseException) -> Report:
    """What an exception says."""
    text = str(error)
    return Report(status="failed", error=f"{type(error).__name__}: {text}" if text else type(error).__name__)


def result_value(encoder: Encoder, execution: Execution, told: object, worker_id: str) -> bytes:
    """The value of a result; `told` is what the strategy function returned."""
    try:
        value = encoder.encode("result", _record(execution, _checked(told), worker_id))
    except Exception as error:  # noqa: BLE001 - whatever fields of any type make fastavro trip over
        return encoder.encode("result", _record(execution, failed(error), worker_id))
    if len(value) > MAX_RESULT_BYTES:
        too_large = Report(status="failed", error=f"the result has {len(value)} bytes; {MAX_RESULT_BYTES} are taken")
        return encoder.encode("result", _record(execution, too_large, worker_id))
    return value


def _checked(told: object) -> Report:
    """The report, or an exception that says why it is none."""
    report = Report() if told is None else told
    if not isinstance(report, Report):
        raise TypeError(f"the strategy function returned {type(report).__name__}; return a Report, or None")
    if report.status not in STATUSES:
        raise ValueError(f"the status {report.status!r} is not one of {', '.join(STATUSES)}")
    if isinstance(report.used_symbols, str):
        raise TypeError("used_symbols is one text; give a list of tickers")
    for trigger in report.triggers:
        if not (math.isfinite(trigger.conviction) and 0 <= trigger.conviction <= 1):
            raise ValueError(f"the conviction {trigger.conviction} for {trigger.ticker} is not from 0 to 1")
        if trigger.side not in SIDES:
            raise ValueError(f"the side {trigger.side!r} for {trigger.ticker} is neither buy nor sell")
    return report


def _record(execution: Execution, report: Report, worker_id: str) -> dict[str, Any]:
    return {
        "execution_id": execution.execution_id,
        "strategy_id": execution.strategy_id,
        "strategy_version": execution.strategy_version,
        "bucket_ms": execution.bucket_ms,
        "ts": execution.ts_ms,
        "status": report.status,
        "error": plain(report.error),
        "used_symbols": list(report.used_symbols),
        "triggers": [_trigger(each) for each in report.triggers],
        "worker_id": plain(worker_id),
    }


def _trigger(trigger: Trigger) -> dict[str, Any]:
    price = None if trigger.price is None else float(trigger.price)
    return {**trigger._asdict(), "conviction": float(trigger.conviction), "price": price}
