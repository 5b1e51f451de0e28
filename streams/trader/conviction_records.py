"""What is written beside proposals: changes of the threshold, and rows of the state, which become the state again.

A row is one execution, or the standing: policy, threshold, what was counted, and up to where results were taken. The
standing is the last row of each transaction, so it says what all others are as of.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from streams.core.records import EncodedRecords, records_of
from streams.kafka.codec import Encoder
from streams.trader.conviction import Adjusting, Policy, Standing
from streams.trader.judging import Change, Execution, State, Step

CHANGE: Final = "conviction_change"
ROW: Final = "conviction_state"
PROPOSAL: Final = "proposal"
"""The files in `schemas/`."""

EXECUTION: Final = "execution"
STANDING: Final = "standing"
CHANGE_KEY: Final = b"threshold"

Timed = tuple[bytes, bytes | None, int]
"""A key, a value, and the event time of the record."""


def timed_records(timed: Iterable[Timed]) -> EncodedRecords:
    """Records, each with a time of its own."""
    listed = list(timed)
    records = records_of(((key, value) for key, value, _ in listed), 0)
    return replace(records, ts_ms=np.array([ts_ms for _, _, ts_ms in listed], np.int64))


def proposals_of(step: Step, encoder: Encoder) -> EncodedRecords:
    """The proposals as records."""
    return timed_records(
        (each["strategy_id"].encode(), encoder.encode(PROPOSAL, each), each["ts"]) for each in step.proposals
    )


def changes_of(step: Step, encoder: Encoder) -> EncodedRecords:
    """The changes as records."""
    return timed_records((CHANGE_KEY, encoder.encode(CHANGE, change_fields(each)), each.ts_ms) for each in step.changes)


def change_fields(change: Change) -> dict[str, Any]:
    """A change as its schema has it."""
    counted = change.counted
    return {
        "number": change.number,
        "kind": change.kind,
        "ts": change.ts_ms,
        "before": change.moved.before,
        "after": change.moved.after,
        "reason": change.moved.reason,
        "positions": _places(change.positions),
        **_policy_fields(change.policy),
        **{name: getattr(counted, name) for name in ("wins", "losses", "even", "profit")},
    }


def rows_of(step: Step, state: State, encoder: Encoder) -> EncodedRecords:
    """What is another in the state than before the step; what was forgotten goes first, as it may be known again."""
    rows: list[Timed] = [(_key(each), None, state.ts_ms) for each in step.forgotten]
    for execution_id in step.touched:
        execution = state.executions[execution_id]
        judged = [{"ticker": ticker, "proposed": proposed} for ticker, proposed in execution.judged.items()]
        fields = {"kind": EXECUTION, "number": execution.number, "execution_id": execution_id}
        value = encoder.encode(ROW, {**fields, "judged": judged, "fills": list(execution.fills)})
        rows.append((_key(execution_id), value, state.ts_ms))
    rows.append((STANDING.encode(), encoder.encode(ROW, _standing_fields(state)), state.ts_ms))
    return timed_records(rows)


class Rows:
    """Rows as they are read, the latest of each."""

    def __init__(self) -> None:
        self._executions: dict[str, Mapping[str, Any]] = {}
        self._standing: Mapping[str, Any] | None = None

    def take(self, key: bytes, row: Mapping[str, Any] | None) -> None:
        """Take a decoded row; None deletes it."""
        if row is None:
            self._executions.pop(key.decode().removeprefix(f"{EXECUTION}/"), None)
        elif row["kind"] == EXECUTION:
            self._executions[row["execution_id"]] = row
        elif row["kind"] == STANDING:
            self._standing = row

    def state(self) -> State:
        """What they say together."""
        row = self._standing
        if row is None:
            assert not self._executions, "the standing is written with every other row"
            return State()
        ordered = sorted(self._executions.values(), key=lambda each: int(each["number"]))
        return State(
            policy=_policy_of(row),
            standing=Standing(
                row["min_conviction"], *(row[name] for name in ("threshold", "wins", "losses", "even", "profit"))
            ),
            executions={each["execution_id"]: _execution_of(each) for each in ordered},
            number=row["number"],
            positions={each["partition"]: each["next_offset"] for each in row["positions"]},
            ts_ms=row["ts"],
            changes=row["changes"],
        )


def _key(execution_id: str) -> bytes:
    return f"{EXECUTION}/{execution_id}".encode()


def _standing_fields(state: State) -> dict[str, Any]:
    assert state.policy is not None, "nothing is written before there is one"
    standing = state.standing._asdict()
    assert standing.pop("base") == state.policy.min_conviction, "a policy is in force at once"
    at = {"positions": _places(state.positions), "ts": state.ts_ms, "changes": state.changes, "number": state.number}
    return {"kind": STANDING, **at, **standing, **_policy_fields(state.policy)}


def _places(positions: Mapping[int, int]) -> list[dict[str, int]]:
    return [{"partition": each, "next_offset": offset} for each, offset in sorted(positions.items())]


def _policy_fields(policy: Policy) -> dict[str, Any]:
    adjusting = {} if policy.adjusting is None else policy.adjusting._asdict()
    return {"min_conviction": policy.min_conviction, "adjusts": policy.adjusting is not None, **adjusting}


def _policy_of(row: Mapping[str, Any]) -> Policy:
    adjusting = Adjusting(**{name: row[name] for name in Adjusting._fields}) if row["adjusts"] else None
    return Policy(row["min_conviction"], adjusting)


def _execution_of(row: Mapping[str, Any]) -> Execution:
    judged = {each["ticker"]: each["proposed"] for each in row["judged"]}
    return Execution(row["number"], judged, dict.fromkeys(row["fills"]))
