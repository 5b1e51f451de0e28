"""Which triggers become proposals, and how the threshold moves, by examples and properties."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.codec import Decoder, Encoder
from streams.kafka.registry import FileSchemas
from streams.trader.conviction import Adjusting, Moved, Policy, Standing, closed, decide, first, fold, sort

ADJUSTED = Policy(0.28, Adjusting(trades=10))


def trigger(ticker: str, conviction: float, **more: Any) -> dict[str, Any]:
    return {"ticker": ticker, "conviction": conviction, "side": "", "price": None, "reason": "", **more}


def result(*triggers: dict[str, Any]) -> dict[str, Any]:
    told = {"execution_id": "e1", "strategy_id": "s1", "strategy_version": 3, "bucket_ms": 60_000, "ts": 61_000}
    return {**told, "triggers": list(triggers)}


def traded(policy: Policy, standing: Standing, *profits: float) -> tuple[Standing, Moved | None]:
    counted = closed(standing, profits)
    moved = decide(counted, policy)
    return (fold(moved), moved) if moved else (counted, None)


def test_the_checks_of_old() -> None:
    assert Policy().min_conviction == 0.28, "min_conviction_to_propose: 0.28"
    four = result(
        *(trigger(name, conviction) for name, conviction in zip("ABCD", (0.27, 0.28, 0.29, 0.2), strict=True))
    )
    assert [each["ticker"] for each in sort(four, 0.30).proposals] == [], "4 triggers, 0 proposals, all below 0.30"
    assert [each["ticker"] for each in sort(four, 0.28).proposals] == ["B", "C"], (
        "signals from 0.28 to 0.30 now tradeable"
    )
    assert sort(four, 0.28).below == 2


def test_a_proposal_is_as_its_schema_has_it_and_the_same_for_the_same_trigger() -> None:
    found = sort(result(trigger("A", 0.5, side="buy", price=2.5, reason="up")), 0.28).proposals
    assert found == [
        {
            "proposal_id": "e1/A",
            "execution_id": "e1",
            "strategy_id": "s1",
            "strategy_version": 3,
            "ticker": "A",
            "bucket_ms": 60_000,
            "ts": 61_000,
            "conviction": 0.5,
            "min_conviction": 0.28,
            "side": "buy",
            "price": 2.5,
            "reason": "up",
        }
    ]
    schemas = FileSchemas()
    value = Encoder(schemas, ["proposal"]).encode("proposal", found[0])
    assert Decoder(schemas, "proposal").decode(value) == found[0]


def test_of_a_ticker_the_strongest_trigger_counts_once() -> None:
    found = sort(result(trigger("A", 0.3), trigger("A", 0.5, side="buy"), trigger("A", 0.5, side="sell")), 0.28)
    assert [(each["conviction"], each["side"]) for each in found.proposals] == [(0.5, "buy")]
    assert found.repeated == 2


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (trigger("", 0.5), "a trigger names no ticker; name one"),
        (trigger("A", 1.1), "the conviction 1.1 for 'A' is not from 0 to 1; send one that is"),
        (trigger("A", -0.1), "the conviction -0.1 for 'A'"),
        (trigger("A", float("nan")), "the conviction nan for 'A'"),
        (trigger("A", float("inf")), "the conviction inf for 'A'"),
    ],
)
def test_what_can_be_no_trigger_is_told_and_costs_only_itself(told: dict[str, Any], words: str) -> None:
    found = sort(result(told, trigger("B", 0.5)), 0.28)
    assert [each["ticker"] for each in found.proposals] == ["B"]
    assert found.refused[0].startswith(words)


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.floats(0, 1))), st.floats(0, 1))
def test_every_trigger_is_accounted_for_and_no_ticker_is_proposed_twice(
    given_: list[tuple[str, float]], threshold: float
) -> None:
    found = sort(result(*(trigger(*each) for each in given_)), threshold)
    assert len(found.proposals) + found.below + found.repeated == len(given_)
    best = {ticker: max(each for name, each in given_ if name == ticker) for ticker, _ in given_}
    assert {each["ticker"]: each["conviction"] for each in found.proposals} == {
        ticker: conviction for ticker, conviction in best.items() if conviction >= threshold
    }


def test_it_does_not_move_unless_asked_for() -> None:
    standing, moved = traded(Policy(), first(Policy()), *[-1.0] * 1_000)
    assert (standing.threshold, moved) == (0.28, None)


@pytest.mark.parametrize(
    ("profits", "after", "words"),
    [
        ([1.0] * 3 + [-1.0] * 7, 0.29, "3 of 10 trades won, 7 lost, profit -4: it rises, as less than 40% won"),
        ([1.0] * 4 + [-1.0] * 6, 0.28, "4 of 10 trades won, 6 lost, profit -2: it stays"),
        ([1.0] * 6 + [-1.0] * 4, 0.28, "6 of 10 trades won, 4 lost, profit 2: it stays"),
        ([1.0] * 7 + [-1.0] * 3, 0.27, "7 of 10 trades won, 3 lost, profit 4: it falls, as more than 60% won"),
        (
            [1.0] * 7 + [-3.0] * 3,
            0.28,
            "7 of 10 trades won, 3 lost, profit -2: it stays, as they made no money together",
        ),
        ([0.0] * 10, 0.28, "0 of 10 trades won, 0 lost, profit 0: it stays, as none has won or lost"),
        ([0.0] * 8 + [1.0] * 2, 0.27, "2 of 10 trades won, 0 lost, profit 2: it falls, as more than 60% won"),
    ],
)
def test_it_tightens_below_40_per_cent_and_loosens_above_60(profits: list[float], after: float, words: str) -> None:
    assert traded(ADJUSTED, first(ADJUSTED), *profits[:-1])[1] is None, "not before enough were closed"
    standing, moved = traded(ADJUSTED, first(ADJUSTED), *profits)
    assert moved == Moved(0.28, 0.28, after, words)
    assert standing == Standing(0.28, after), "and trades are counted anew"


def test_bounds_hold_and_are_told() -> None:
    policy = Policy(0.28, Adjusting(trades=1, step=0.2, least=0.25, most=0.4))
    standing, moved = traded(policy, first(policy), -1.0)
    assert moved is not None
    assert (moved.after, moved.reason.endswith("it rises, as less than 40% won, within 0.25 to 0.4")) == (0.4, True)
    standing, moved = traded(policy, standing, 1.0)
    assert standing.threshold == 0.25


def test_another_policy_is_in_force_at_once_and_says_so() -> None:
    standing = Standing(0.28, 0.31, wins=4)
    assert decide(standing, Policy(0.30)) == Moved(0.30, 0.31, 0.30, "the policy says 0.3, it said 0.28")
    ended = decide(standing, Policy(0.28))
    assert ended == Moved(0.28, 0.31, 0.28, "the policy asks for no adjustment any more")
    assert decide(fold(ended), Policy(0.28)) is None
    assert decide(standing, ADJUSTED) is None, "what was counted stays counted"


def test_a_profit_that_is_no_number_says_nothing() -> None:
    assert closed(first(ADJUSTED), [float("nan"), float("inf"), 1.0]) == Standing(0.28, 0.28, wins=1, profit=1.0)


POLICIES = st.builds(
    lambda trades, step, least, room: Policy(0.28, Adjusting(trades, step, least, 0.28 + room)),
    st.integers(1, 5),
    st.floats(0.001, 0.5),
    st.floats(0, 0.28),
    st.floats(0, 0.7),
)


@given(POLICIES, st.lists(st.floats(-10, 10), max_size=60))
def test_it_keeps_within_its_bounds_moves_by_a_step_at_most_and_is_the_same_again(
    policy: Policy, profits: list[float]
) -> None:
    def lived() -> list[Moved]:
        standing, found = first(policy), []
        for profit in profits:
            standing, moved = traded(policy, standing, profit)
            found += [moved] if moved else []
        return found

    assert policy.adjusting is not None
    events = lived()
    assert events == lived()
    assert len(events) == len(profits) // policy.adjusting.trades
    for moved in events:
        assert policy.adjusting.least - 1e-6 <= moved.after <= policy.adjusting.most + 1e-6
        assert abs(moved.after - moved.before) <= policy.adjusting.step + 1e-6
        assert moved.reason
