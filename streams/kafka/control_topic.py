"""The flags on `controls`, for commands: what is set, what was set, and from when it counted."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from streams.core.agreement import Decision
from streams.core.flags import Control, Scope
from streams.core.turns import Turns
from streams.kafka.bad_values import Reason
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.control_records import RECORD, control_of, key_of, read, record_of
from streams.kafka.registry import Schemas
from streams.kafka.schema_source import registry_told
from streams.kafka.security import NO_SECURITY
from streams.kafka.topic_writer import send_all
from streams.kafka.turn_records import RECORD as TURN
from streams.kafka.turn_records import told_of
from streams.kafka.whole_topic import read_whole


class Entry(NamedTuple):
    """A record of the topic."""

    place: str
    control: Control | Reason
    """What it sets, or why it does not count."""
    ts_ms: int
    source: str
    reason: str


def read_entries(
    bootstrap: str, topic: str, schemas: Schemas, security: Mapping[str, str] = NO_SECURITY
) -> list[Entry]:
    """All that compaction has left, in order; raises `InputError`."""
    decoder, found = Decoder(schemas, RECORD), []
    with registry_told():
        for record in read_whole(bootstrap, topic, security):
            control = read(record, decoder)
            fields: dict[str, Any] = {"ts": 0, "source": "", "reason": ""}
            if not isinstance(control, Reason) and record.value is not None:
                fields = decoder.decode(record.value, record.headers)
            place = f"{topic}-{record.partition}, offset {record.offset}"
            found.append(Entry(place, control, fields["ts"], fields["source"], fields["reason"]))
    return found


def read_turns(
    bootstrap: str, topic: str, schemas: Schemas, security: Mapping[str, str] = NO_SECURITY
) -> dict[str, Turns]:
    """The turns of each strategy that has turned, by id; raises `InputError`."""
    decoder, found = Decoder(schemas, TURN), dict[str, Turns]()
    with registry_told():
        for record in read_whole(bootstrap, topic, security):
            told = told_of(decoder.decode(record.value or b"", record.headers))
            if isinstance(told, Decision):
                found[told.strategy_id] = told.turns
    return dict(sorted(found.items()))


def write_control(  # noqa: PLR0913 - the last by name
    bootstrap: str,
    topic: str,
    schemas: Schemas,
    control: Control,
    ts_ms: int,
    *,
    reason: str = "",
    security: Mapping[str, str] = NO_SECURITY,
) -> None:
    """Set a flag; raises `InputError` where the broker does not take it, `BadValueError` where nobody would."""
    record = record_of(control, ts_ms, source="command", reason=reason)
    control_of(record)
    with registry_told():
        value = Encoder(schemas, [RECORD]).encode(RECORD, record)
    send_all(bootstrap, topic, [(key_of(control), value)], "flag", security)


def in_words(control: Control) -> str:
    """What a control sets."""
    whom = {Scope.ALL: "all", Scope.STRATEGY: f"strategy {control.target}"}
    value = "not set" if control.value is None else str(control.value).lower()
    return f"{control.name} {value} for {whom.get(control.scope, f'{control.percentage:g} %')}"


def standing(entries: list[Entry]) -> Iterator[Control]:
    """The controls that are in force, the last of each flag and scope."""
    last = {key_of(each.control): each.control for each in entries if isinstance(each.control, Control)}
    yield from (control for _, control in sorted(last.items()) if control.value is not None)
