"""Flags as they stand on `controls`: from the record to the control, and back."""

from collections.abc import Mapping
from typing import Any, Final

from streams.core.flags import ALL_PERCENT, FOR_ALL, NAMES, Control, Scope
from streams.core.limits import MAX_STRATEGY_ID_BYTES
from streams.errors import shortened
from streams.kafka.bad_values import BadValueError, Reason
from streams.kafka.codec import Decoder, Record
from streams.kafka.whole_topic import Record as Raw

RECORD: Final = "control"
VALUES: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "": None}

Read = Control | Reason
"""A control, or what is wrong with the record."""


def read(record: Raw, decoder: Decoder) -> Read:
    """Look into a record; raises `RegistryDownError`. One without a value sets its flag no more."""
    try:
        if record.value is None:
            return _control_of_key(record.key)
        control = control_of(decoder.decode(record.value, record.headers))
    except BadValueError as error:
        return error.reason
    if record.key != key_of(control):
        return Reason(
            "other_key", f"its key is not {key_of(control).decode()!r:.80}", "send name/scope/target as the key"
        )
    return control


def control_of(record: Mapping[str, Any]) -> Control:
    """The control of a decoded record."""
    name, scope = _one_of("name", record["name"], NAMES), _one_of("scope", record["scope"], [*Scope])
    value = VALUES[_one_of("value", record["value"], [*VALUES])]
    target, percentage = record["target"], record["percentage"]
    if (scope == Scope.STRATEGY) != bool(target):
        raise _invalid(
            f"scope is {scope}, target {shortened(target)}", "name a strategy where the scope is one, only there"
        )
    if len(target.encode()) > MAX_STRATEGY_ID_BYTES:
        raise _invalid(f"target has more than {MAX_STRATEGY_ID_BYTES} bytes", "name a strategy that can be")
    if not 0 <= percentage <= ALL_PERCENT:
        raise _invalid(f"percentage is {percentage}", "send one from 0 to 100")
    if name in FOR_ALL and scope != Scope.ALL:
        raise _invalid(f"{name} is set for a {scope}", "set it for all: it holds for every strategy, or for none")
    return Control(name, value, Scope(scope), target, percentage)


def record_of(control: Control, ts_ms: int, *, source: str = "", reason: str = "") -> Record:
    """The record of a control, set at an event time."""
    value = "" if control.value is None else str(control.value).lower()
    fields = {"name": control.name, "value": value, "scope": str(control.scope), "target": control.target}
    return {**fields, "ts": ts_ms, "percentage": control.percentage, "source": source, "reason": reason}


def key_of(control: Control) -> bytes:
    """Compaction keeps the last control of each flag and scope."""
    return f"{control.name}/{control.scope}/{control.target}".encode()


def _control_of_key(key: bytes | None) -> Control:
    try:
        name, scope, target = (key or b"").decode().split("/", 2)
    except ValueError:
        raise BadValueError(
            Reason("bad_key", "its key is not name/scope/target", "send such a key, in UTF-8")
        ) from None
    return control_of({"name": name, "scope": scope, "target": target, "value": "", "percentage": 0.0})


def _one_of(field: str, value: str, allowed: list[str] | tuple[str, ...]) -> str:
    if value in allowed:
        return value
    raise _invalid(f"{field} is {shortened(value)}", f"send one of {', '.join(map(repr, map(str, allowed)))}")


def _invalid(detail: str, remedy: str) -> BadValueError:
    return BadValueError(Reason("invalid_control", detail, remedy))
