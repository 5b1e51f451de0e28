"""Results become proposals once, whatever is repeated, cut into steps and begun anew: equal to the oracle."""

import math
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.codec import Decoder, Encoder
from streams.kafka.registry import FileSchemas
from streams.trader.conviction import Adjusting, Policy
from streams.trader.conviction_records import Rows, change_fields, rows_of
from streams.trader.judging import Judging, State, Step
from tests.trader.proposals_oracle import expected, problems
from tests.trader.results_made import START_MS, Made, fill, result, trigger

PARTITIONS = 3
SCHEMAS = FileSchemas()
ENCODER = Encoder(SCHEMAS, ["conviction_state"])
DECODER = Decoder(SCHEMAS, "conviction_state")
QUICK = Policy(0.28, Adjusting(trades=3))


class Log:
    """What a process leaves behind that is begun anew again and again: rows, and what it has sent."""

    def __init__(self, most: int = 1 << 17) -> None:
        self.rows: dict[bytes, bytes | None] = {}
        self.results: dict[int, list[tuple[int, Any]]] = {each: [] for each in range(PARTITIONS)}
        self.proposals: list[dict[str, Any]] = []
        self.changes: list[dict[str, Any]] = []
        self.refused: set[tuple[int, int, str]] = set()
        self._most = most

    def begun(self) -> Judging:
        """A process that knows what the rows say."""
        rows = Rows()
        for key, value in self.rows.items():
            rows.take(key, None if value is None else DECODER.decode(value))
        return Judging(rows.state(), self._most)

    def true(self, judging: Judging) -> Step:
        """A transaction is committed."""
        step = judging.take_step()
        rows = rows_of(step, judging.state, ENCODER)
        for i in range(rows.count):
            self.rows.pop(rows.key(i), None)
            self.rows[rows.key(i)] = rows.value(i)
        self.proposals += step.proposals
        self.changes += [change_fields(each) for each in step.changes]
        self.refused |= {(partition, offset, reason.word) for partition, offset, reason in step.refused}
        return step


def lived(log: Log, seed: int, count: int, policies: list[Policy], *, loses: bool) -> Iterator[Step]:
    """Take results in steps, some of which are lost with the process, and begin anew behind each."""
    pick, made, judging = Random(seed), Made(seed), log.begun()
    waiting = list(range(count))
    taken = dict.fromkeys(range(PARTITIONS), 0)
    judging.policy_is(policies[0])
    while waiting or any(taken[each] < len(log.results[each]) for each in taken):
        while waiting and pick.random() < 0.7:
            waiting.pop()
            proposed = {each["proposal_id"] for each in log.proposals}
            new = made.next(proposed.__contains__)
            home = int(new["strategy_id"][1:]) % PARTITIONS
            log.results[home].append((len(log.results[home]) * 2, new if pick.random() < 0.97 else None))
        before = dict(taken)
        if pick.random() < 0.1:
            judging.policy_is(pick.choice(policies))
        for partition in pick.sample(range(PARTITIONS), PARTITIONS):
            for offset, each in log.results[partition][taken[partition] :][: pick.randint(0, 4)]:
                taken[partition] += 1
                judging.take(partition, offset, each) if each else judging.pass_over(partition, offset)
        if loses and pick.random() < 0.3:
            judging, taken = log.begun(), before
            judging.policy_is(judging.state.policy or policies[0])
        else:
            yield log.true(judging)
            judging = log.begun() if pick.random() < 0.3 else judging


@given(st.integers(0, 1 << 32), st.booleans())
def test_it_equals_the_oracle_and_none_comes_twice(seed: int, loses: bool) -> None:
    log = Log()
    for _ in lived(log, seed, 150, [QUICK, Policy(0.35, Adjusting(trades=4)), Policy(0.25)], loses=loses):
        pass
    assert problems(log.results, log.changes, log.proposals) == []
    assert log.refused == expected(log.results, log.changes).refused


def judged(policy: Policy, *results: dict[str, Any], log: Log | None = None) -> Step:
    judging = Judging(State()) if log is None else log.begun()
    judging.policy_is(policy)
    for offset, each in enumerate(results, judging.state.positions.get(0, 0)):
        judging.take(0, offset, each)
    return judging.take_step() if log is None else log.true(judging)


def told(execution_id: str, *triggers: dict[str, Any], fills: tuple[Any, ...] = (), **more: Any) -> dict[str, Any]:
    return {**result(execution_id, "s1", START_MS), "triggers": list(triggers), "fills": list(fills), **more}


def test_a_trigger_is_judged_once_also_where_the_threshold_has_moved_meanwhile() -> None:
    log, first = Log(), told("e1", trigger("A", 0.5), trigger("B", 0.26))
    judged(Policy(0.28), first, log=log)
    judged(Policy(0.25), first, told("e1", trigger("C", 0.26)), log=log)
    assert [each["proposal_id"] for each in log.proposals] == ["e1/A", "e1/C"]


def test_the_policy_is_a_change_with_its_place_and_one_that_stands_is_none() -> None:
    log = Log()
    judged(Policy(0.28), told("e1", trigger("A", 0.5)), log=log)
    judged(Policy(0.28), log=log)
    judged(Policy(0.30), log=log)
    assert [(each["kind"], each["before"], each["after"], each["positions"]) for each in log.changes] == [
        ("policy", 0.28, 0.28, []),
        ("policy", 0.28, 0.30, [{"partition": 0, "next_offset": 1}]),
    ]
    assert [each["reason"] for each in log.changes] == [
        "it begins; the policy says 0.28",
        "the policy says 0.3, it said 0.28",
    ]


def test_other_rules_of_adjustment_keep_what_was_counted_and_none_take_the_threshold_back() -> None:
    log = Log()
    lost = [told("e1", fills=(fill(f"f{n}", "e1", "A", -1.0),)) for n in range(3)]
    judged(Policy(0.28, Adjusting(trades=4)), told("e1", trigger("A", 0.5)), *lost, log=log)
    judged(Policy(0.28, Adjusting(trades=3)), log=log)
    judged(Policy(0.28), log=log)
    judged(Policy(0.28, Adjusting()), log=log)
    assert [(each["kind"], each["after"], each["losses"]) for each in log.changes] == [
        ("policy", 0.28, 0),
        ("policy", 0.28, 3),
        ("adjusted", 0.29, 3),
        ("policy", 0.28, 0),
        ("policy", 0.28, 0),
    ]
    assert log.changes[1]["reason"] == "the policy adjusts otherwise"
    assert log.changes[3]["reason"] == "the policy asks for no adjustment any more"


def test_fills_count_once_in_any_order_and_those_that_cannot_be_are_told() -> None:
    known = [fill("late", "e1", "A", 1.0), fill("open", "e1", "A", None), fill("late", "e1", "A", 1.0)]
    wrong = [
        fill("f", "e1", "B", 1.0),
        {**fill("f", "e1", "A", 1.0), "proposal_id": "e2/A"},
        fill("", "e1", "A", 1.0),
        fill("f", "e1", "A", math.nan),
        {**fill("f", "e1", "A", 1.0), "quantity": 0.0},
    ]
    first = told("e1", trigger("A", 0.5), trigger("B", 0.1), fills=tuple(known))
    step = judged(
        Policy(0.28), first, told("e1", fills=tuple(wrong)), told("gone", fills=(fill("f", "gone", "A", 1.0),))
    )
    assert {name: step.counts[name] for name in ("opened", "closed", "repeated_fills")} == {
        "opened": 1,
        "closed": 1,
        "repeated_fills": 1,
    }
    assert [(offset, reason.word) for _, offset, reason in step.refused] == [
        (1, "unknown_proposal"),
        (1, "bad_fill"),
        (2, "unknown_proposal"),
    ]
    assert "fill 'f' is of 'e2/A', which was not proposed for this execution" in step.refused[0][2].detail
    assert step.refused[1][2].remedy == "name each fill once and for all"


@pytest.mark.parametrize(
    ("given_", "word"),
    [
        (told("e1", trigger("A", 0.5), status="failed"), "not_ok"),
        (told("e1", trigger("A", 0.5), ts=-1), "ts_out_of_range"),
        (told("e1", trigger("A", 0.5), ts=4_102_444_800_000), "ts_out_of_range"),
        (told("", trigger("A", 0.5)), "bad_execution_id"),
        (told("e" * 513, trigger("A", 0.5)), "bad_execution_id"),
        (told("e1", trigger("A", math.nan)), "bad_trigger"),
        (told("e1", trigger("", 0.5)), "bad_trigger"),
        (told("e1", trigger("A" * 65, 0.5)), "bad_trigger"),
        (told("e1", *(trigger(str(number), 0.5) for number in range(10_001))), "too_many_triggers"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name_and_proposes_nothing(given_: dict[str, Any], word: str) -> None:
    step = judged(Policy(0.28), given_)
    assert [reason.word for _, _, reason in step.refused] == [word]
    assert step.refused[0][2].remedy
    assert step.proposals == []


def test_a_sound_trigger_beside_a_bad_one_is_proposed() -> None:
    step = judged(Policy(0.28), told("e1", trigger("A", 0.5), trigger("B", 2.0)))
    assert [each["ticker"] for each in step.proposals] == ["A"]
    assert step.refused[0][2].detail == "the conviction 2.0 for 'B' is not from 0 to 1"


def test_fills_of_one_execution_are_bounded() -> None:
    fills = tuple(fill(f"f{number}", "e1", "A", None) for number in range(1_001))
    step = judged(Policy(0.28), told("e1", trigger("A", 0.5), fills=fills))
    assert (step.counts["opened"], [reason.word for *_, reason in step.refused]) == (1_000, ["too_many_fills"])


def test_the_oldest_executions_are_forgotten_also_by_who_begins_anew() -> None:
    log = Log(most=2)
    judged(Policy(0.28), *(told(f"e{number}", trigger("A", 0.5)) for number in range(4)), log=log)
    assert [each for each, value in log.rows.items() if value is not None] == [
        b"execution/e2",
        b"execution/e3",
        b"standing",
    ]
    step = judged(Policy(0.28), told("e3", trigger("A", 0.5)), told("e0", trigger("A", 0.5)), log=log)
    assert [each["proposal_id"] for each in step.proposals] == ["e0/A"], "the repeat of one that is forgotten"
    assert list(log.begun().state.executions) == ["e3", "e0"]
