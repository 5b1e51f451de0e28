"""Rates of rounds become medians and ratios within rounds, and a run that failed takes no part in them."""

import pytest

from bench.kafka_candidates import GUARANTEES, TICKGATE, Candidate, Field, WrongAnswerError, must_be_right
from bench.kafka_ground import RunError
from bench.kafka_summary import Spread, price, rates_of, rotated, times_as_fast
from bench.kafka_throughput import comparisons, run_rounds, table


def test_a_ratio_is_taken_within_a_round() -> None:
    # The machine was slow in the second round, for both.
    rounds = [{"ours": 400.0, "theirs": 100.0}, {"ours": 200.0, "theirs": 50.0}]
    assert times_as_fast(rounds, "ours", ["theirs"]) == Spread(4, 4, 4)


def test_a_peer_counts_with_the_better_of_its_runs_of_each_round() -> None:
    rounds = [{"ours": 400.0, "one": 100.0, "two": 200.0}, {"ours": 400.0, "one": 400.0, "two": 50.0}]
    assert times_as_fast(rounds, "ours", ["one", "two"]) == Spread(1.5, 1, 2)


def test_a_round_in_which_one_of_the_two_failed_gives_no_ratio() -> None:
    rounds = [{"ours": 400.0}, {"theirs": 100.0}, {"ours": 300.0, "theirs": 100.0}]
    assert times_as_fast(rounds, "ours", ["theirs"]) == Spread(3, 3, 3)
    assert times_as_fast(rounds[:2], "ours", ["theirs"]) is None
    assert price(rounds[:2], "ours", "theirs") is None


def test_the_price_is_the_part_of_the_rate_that_is_lost() -> None:
    rounds = [{"dear": 90.0, "cheap": 100.0}, {"dear": 80.0, "cheap": 100.0}, {"dear": 70.0, "cheap": 100.0}]
    assert price(rounds, "dear", "cheap") == pytest.approx((0.2, 0.1, 0.3))


def test_rates_are_those_of_the_runs_that_came_through() -> None:
    assert rates_of([{"a": 1.0}, {}, {"a": 3.0}, {"a": 8.0}], "a") == Spread(3, 1, 8)
    assert rates_of([{}], "a") is None


def test_each_round_begins_with_another_candidate() -> None:
    names = ["a", "b", "c"]
    assert [rotated(names, by) for by in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def candidate(family: str, guarantee: str, rate: float, right_in_round: int | None = None) -> Candidate:
    """One that runs at a rate, and in other rounds than the one named finds the wrong pairs."""

    def run(number: int) -> float:
        must_be_right(3 if right_in_round in (None, number) else 2, 3)
        return rate

    return Candidate(family, guarantee, "", 1_000, run)


def test_a_run_with_a_wrong_answer_has_no_rate_and_the_table_says_so() -> None:
    field = Field([candidate("Peer", "at_least_once", 5_000, right_in_round=1)], {"Other": "no java on the path"})
    done, failures = run_rounds(field.candidates, 2)
    assert done == [{}, {"Peer at_least_once": 5_000}]
    lines = table(field, done, failures)
    assert "5.0  (5.0 to 5.0)  of 1,000 ticks" in lines[0]
    assert lines[1:] == [
        "    failed: wrong answer: it found 2; 3 is right",
        "  Other: not to be had here: no java on the path",
    ]


def test_a_wrong_answer_is_refused() -> None:
    must_be_right(3, 3)
    with pytest.raises(WrongAnswerError, match="found 2; 3 is right") as caught:
        must_be_right(2, 3)
    assert isinstance(caught.value, RunError)


def test_comparisons_keep_the_guarantees_apart() -> None:
    rates = {(TICKGATE, GUARANTEES[0]): 400, (TICKGATE, GUARANTEES[1]): 300}
    rates |= {("Kafka Streams", GUARANTEES[0]): 100, ("Kafka Streams", GUARANTEES[1]): 50, ("Faust", GUARANTEES[0]): 1}
    candidates = [candidate(family, guarantee, rate) for (family, guarantee), rate in rates.items()]
    done, failures = run_rounds(candidates, 1)
    assert failures == {}
    assert comparisons(
        candidates, done, [*done, {f"{TICKGATE} {GUARANTEES[0]}": 10, f"{TICKGATE} {GUARANTEES[1]}": 9}]
    ) == [
        "  at_least_once against Kafka Streams: 4.0 times (4.0 to 4.0) (bound 3, aim 10)",
        "  at_least_once against Faust: 400.0 times (400.0 to 400.0)",
        "  exactly_once against Kafka Streams: 6.0 times (6.0 to 6.0) (bound 3, aim 10)",
        "  exactly once costs 18% of the rate (10% to 25%) in 2 rounds of these two alone (bound 15%)",
    ]
