"""Results in; out come proposals, changes of the threshold, what cannot be used, and the state behind them. Pure.

What comes in is a result, or the policy as a file has it now. A trigger is judged once for each execution and ticker,
by the threshold that stands then: what comes again changes nothing, also where the threshold has moved meanwhile. A
fill counts once by its id, and only for a proposal that was made. Each change says behind which results it holds, so
results and changes alone tell of every trigger what became of it.

Of executions with triggers so many are remembered; the oldest are forgotten. A repeat of such a one would be proposed
again, and a fill of it is unknown.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from streams.core.limits import MAX_TICKER_BYTES, MAX_TS_MS, MIN_TS_MS
from streams.errors import shortened
from streams.kafka.bad_values import Reason
from streams.kafka.result_records import OK
from streams.trader.conviction import Moved, Policy, Standing, closed, decide, fold, sort, wrong_with
from streams.trader.limits import MAX_FILLS_COUNTED, MAX_ID_BYTES, MAX_RESULTS_KEPT, MAX_TICKERS_JUDGED

POLICY: Final = "policy"
ADJUSTED: Final = "adjusted"

NO_STANDING: Final = Standing(0.0, 0.0)
"""Before there is a policy."""

OPENED: Final = "opened"
CLOSED: Final = "closed"
PROPOSED: Final = "proposed"
BELOW: Final = "below"
REPEATED: Final = "repeated"
REPEATED_FILLS: Final = "repeated_fills"
TRIGGERS: Final = "triggers"


@dataclass(slots=True)
class Execution:
    """What is remembered of one that had triggers."""

    number: int
    """Of those that had any, in the order in which they came."""
    judged: dict[str, bool] = field(default_factory=dict)
    """By ticker, whether it was proposed."""
    fills: dict[str, None] = field(default_factory=dict)
    """Ids of those that were counted."""


class Change(NamedTuple):
    """The threshold was set, or looked at."""

    number: int
    kind: str
    ts_ms: int
    moved: Moved
    positions: Mapping[int, int]
    """Behind these results it holds."""
    policy: Policy
    counted: Standing
    """The trades since the change before."""


@dataclass(slots=True)
class State:
    """All that is known behind the results that were taken."""

    policy: Policy | None = None
    """None: nothing was taken yet."""
    standing: Standing = NO_STANDING
    executions: dict[str, Execution] = field(default_factory=dict)
    """The oldest first."""
    number: int = 0
    """Of the newest execution."""
    positions: dict[int, int] = field(default_factory=dict)
    """By partition, up to where results were taken."""
    ts_ms: int = 0
    """The newest event time."""
    changes: int = 0


@dataclass(slots=True)
class Step:
    """What came of the results since the step before."""

    proposals: list[dict[str, Any]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    touched: dict[str, None] = field(default_factory=dict)
    """Executions of which something else is known now."""
    forgotten: list[str] = field(default_factory=list)
    refused: list[tuple[int, int, Reason]] = field(default_factory=list)
    """Partition and offset of a result of which something cannot be used, and why."""
    counts: Counter[str] = field(default_factory=Counter)
    taken: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to make true."""
        return not (self.taken or self.changes)


class Judging:
    """The state, and what has come of it since the last step."""

    def __init__(self, state: State, most: int = MAX_RESULTS_KEPT) -> None:
        self.state, self._most = state, most
        self._step = Step()

    def take_step(self) -> Step:
        """What is to be made true now; the next step begins."""
        step, self._step = self._step, Step()
        return step

    def policy_is(self, policy: Policy) -> None:
        """Take the policy as it is from here on; one that stands already changes nothing."""
        state = self.state
        if policy == state.policy:
            return
        counted, moved = state.standing, _by_policy(state, policy)
        state.policy = policy
        if moved.after != moved.before or moved.base != counted.base or not state.changes:
            state.standing = fold(moved)
        self._change(POLICY, moved, counted)
        self._look()

    def pass_over(self, partition: int, offset: int) -> None:
        """Take what is no result."""
        self.state.positions[partition] = offset + 1
        self._step.taken += 1

    def take(self, partition: int, offset: int, result: Mapping[str, Any]) -> None:
        """Take a decoded result."""
        assert self.state.policy is not None, "the policy comes first"
        self.pass_over(partition, offset)
        reasons = [_wrong_with(result)]
        if reasons[0] is None:
            self.state.ts_ms = max(self.state.ts_ms, result["ts"])
            reasons = [self._judge(result), *self._count(result)]
        self._step.refused += [(partition, offset, each) for each in reasons if each is not None]
        self._look()

    def _judge(self, result: Mapping[str, Any]) -> Reason | None:
        """Make proposals of the triggers that were not judged yet; says which cannot be any."""
        triggers = result["triggers"]
        if not triggers:
            return None
        counts = self._step.counts
        if result["status"] != OK:
            detail = f"the status is {shortened(result['status'])}, and there are triggers"
            return Reason("not_ok", detail, f"send triggers with the status {OK}")
        counts[TRIGGERS] += len(triggers)
        execution_id = result["execution_id"]
        known = self.state.executions.get(execution_id)
        judged: Mapping[str, bool] = known.judged if known else {}
        new = [each for each in triggers if each["ticker"] not in judged or wrong_with(each)]
        counts[REPEATED] += len(triggers) - len(new)
        if len({each["ticker"] for each in new}) + len(judged) > MAX_TICKERS_JUDGED:
            detail = f"the execution has triggers for more than {MAX_TICKERS_JUDGED} tickers"
            return Reason("too_many_triggers", detail, "send fewer, such as the strongest")
        long = [each for each in new if len(each["ticker"].encode()) > MAX_TICKER_BYTES]
        new = [each for each in new if len(each["ticker"].encode()) <= MAX_TICKER_BYTES]
        found = sort({**result, "triggers": new}, self.state.standing.threshold)
        counts[REPEATED] += found.repeated
        counts[BELOW] += found.below
        counts[PROPOSED] += len(found.proposals)
        self._remember(execution_id, new, {each["ticker"] for each in found.proposals})
        self._step.proposals += found.proposals
        told = found.refused + [
            f"the ticker {shortened(each['ticker'])} has more than {MAX_TICKER_BYTES} bytes; send a shorter one"
            for each in long
        ]
        return _joined("bad_trigger", told)

    def _remember(self, execution_id: str, triggers: list[Any], proposed: set[str]) -> None:
        """Keep what was judged; the oldest execution may have to go for it."""
        sound = [each["ticker"] for each in triggers if not wrong_with(each)]
        if not sound:
            return
        state = self.state
        execution = state.executions.get(execution_id)
        if execution is None:
            state.number += 1
            execution = state.executions[execution_id] = Execution(state.number)
        execution.judged |= {ticker: ticker in proposed for ticker in sound}
        self._step.touched[execution_id] = None
        while len(state.executions) > self._most:
            oldest = next(iter(state.executions))
            del state.executions[oldest]
            self._step.touched.pop(oldest, None)
            self._step.forgotten.append(oldest)

    def _count(self, result: Mapping[str, Any]) -> list[Reason | None]:
        """Count the fills that are new; says which cannot be."""
        wrong: dict[str, list[str]] = {}
        profits = []
        execution_id = result["execution_id"]
        execution = self.state.executions.get(execution_id)
        for fill in result["fills"]:
            if execution is not None and fill["fill_id"] in execution.fills:
                self._step.counts[REPEATED_FILLS] += 1
                continue
            word, told = _wrong_with_fill(fill, execution_id, execution)
            if word or execution is None:
                wrong.setdefault(word, []).append(told)
                continue
            execution.fills[fill["fill_id"]] = None
            self._step.touched[execution_id] = None
            self._step.counts[OPENED if fill["profit"] is None else CLOSED] += 1
            profits += [] if fill["profit"] is None else [fill["profit"]]
        self.state.standing = closed(self.state.standing, profits)
        return [_joined(word, told) for word, told in wrong.items()]

    def _look(self) -> None:
        """Look at the threshold, where enough trades were closed."""
        state = self.state
        assert state.policy is not None, "it stands by now"
        moved = decide(state.standing, state.policy)
        if moved is not None:
            counted, state.standing = state.standing, fold(moved)
            self._change(ADJUSTED, moved, counted)

    def _change(self, kind: str, moved: Moved, counted: Standing) -> None:
        state = self.state
        assert state.policy is not None, "it stands by now"
        state.changes += 1
        positions = dict(sorted(state.positions.items()))
        self._step.changes.append(Change(state.changes, kind, state.ts_ms, moved, positions, state.policy, counted))


def _by_policy(state: State, policy: Policy) -> Moved:
    """What another policy does at once."""
    if state.policy is None:
        said = policy.min_conviction
        return Moved(said, said, said, f"it begins; the policy says {said:g}")
    moved = decide(state.standing, policy)
    if moved is not None and (moved.base != state.standing.base or policy.adjusting is None):
        return moved
    stands = state.standing.threshold
    how = "the policy asks for no adjustment any more" if policy.adjusting is None else "the policy adjusts otherwise"
    return Moved(state.standing.base, stands, stands, how)


def _wrong_with(result: Mapping[str, Any]) -> Reason | None:
    """Why nothing of a result can be used."""
    told = bool(result["triggers"] or result["fills"])
    if told and not MIN_TS_MS <= result["ts"] < MAX_TS_MS:
        return Reason(
            "ts_out_of_range", "the time lies before 1970 or after 2099", "send it in ms since 1970-01-01 UTC"
        )
    if told and not 0 < len(result["execution_id"].encode()) <= MAX_ID_BYTES:
        detail = f"the execution's id is empty, or has more than {MAX_ID_BYTES} bytes"
        return Reason("bad_execution_id", detail, "send the id of the execution that ran")
    return None


def _wrong_with_fill(fill: Mapping[str, Any], execution_id: str, execution: Execution | None) -> tuple[str, str]:
    """Why a fill cannot count: a word, and in words; empty where it can."""
    name, ticker, profit = fill["fill_id"], fill["ticker"], fill["profit"]
    if not 0 < len(name.encode()) <= MAX_ID_BYTES:
        return (
            "bad_fill",
            f"a fill's id is empty, or has more than {MAX_ID_BYTES} bytes; name each fill once and for all",
        )
    if not fill["quantity"] > 0 or (profit is not None and not math.isfinite(profit)):
        return "bad_fill", f"fill {shortened(name)} has no quantity above 0, or a profit that is no number; send both"
    if execution is None or not execution.judged.get(ticker) or fill["proposal_id"] != f"{execution_id}/{ticker}":
        named = shortened(fill["proposal_id"])
        told = f"fill {shortened(name)} is of {named}, which was not proposed for this execution, or was forgotten"
        return "unknown_proposal", f"{told}; send the execution, the ticker and the id of the proposal as they were"
    if len(execution.fills) >= MAX_FILLS_COUNTED:
        return "too_many_fills", f"the execution has {MAX_FILLS_COUNTED} fills already; put small ones together"
    return "", ""


def _joined(word: str, told: list[str]) -> Reason | None:
    """All that is wrong by one word: the details, and what to do about the first."""
    if not told:
        return None
    details = [each.rpartition("; ") for each in told]
    return Reason(word, ", ".join(detail for detail, _, _ in details), details[0][2])
