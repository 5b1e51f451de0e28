"""What shards tell each other, as it stands on `turns`: from the record to what was told, and back."""

from collections.abc import Mapping
from typing import Any, Final

from streams.core.agreement import Call, Called, Decision, Note, Told
from streams.core.turns import Turn, Way
from streams.errors import shortened
from streams.kafka.bad_values import BadValueError, Reason
from streams.kafka.codec import Encoder, Record

RECORD: Final = "turn"
CALL, NOTE, DECISION = "call", "note", "decision"


def told_of(record: Mapping[str, Any]) -> Told:
    """What a decoded record tells."""
    try:
        match record["kind"]:
            case "call":
                called = tuple(Called(each["strategy_id"], Way(each["way"])) for each in record["called"])
                return Call(record["home"], record["number"], called)
            case "note":
                return Note(record["home"], record["number"], record["shard"], record["bound_ms"])
            case "decision":
                turns = tuple(Turn(each["turn_ms"], Way(each["way"])) for each in record["turns"])
                return Decision(record["strategy_id"], record["number"], turns)
    except ValueError:
        raise BadValueError(Reason("bad_turn", "it names a way that there is not", "let only workers write")) from None
    detail = f"its kind is {shortened(record['kind'])}"
    raise BadValueError(Reason("bad_turn", detail, "let only workers write to this topic"))


def record_of(told: Told) -> Record:
    """The record of what is told."""
    match told:
        case Call():
            called = [{"strategy_id": each.strategy_id, "way": str(each.way)} for each in told.called]
            return {"kind": CALL, "home": told.home, "number": told.number, "called": called}
        case Note():
            return {"kind": NOTE, **told._asdict()}
        case Decision():
            turns = [{"turn_ms": each.turn_ms, "way": str(each.way)} for each in told.turns]
            return {"kind": DECISION, "strategy_id": told.strategy_id, "number": told.number, "turns": turns}


def key_of(told: Told) -> str:
    """Compaction keeps the last of each."""
    match told:
        case Call():
            return f"{CALL}/{told.home}"
        case Note():
            return f"{NOTE}/{told.home}/{told.shard}"
        case Decision():
            return f"{DECISION}/{told.strategy_id}"


def pair_of(told: Told, encoder: Encoder) -> tuple[bytes, bytes]:
    """The key and the value."""
    return key_of(told).encode(), encoder.encode(RECORD, record_of(told))
