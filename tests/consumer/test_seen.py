"""Repeats are left out, nothing else is, and the memory of what was seen is bounded: held to a plain list."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from streams.consumer import Execution
from streams.consumer.seen import Seen
from tests.consumer.ground import execution

EXECUTIONS = st.builds(
    execution,
    st.sampled_from(["s1", "s2"]),
    st.integers(0, 3),
    st.lists(st.sampled_from(["A", "B", "C"]), max_size=5),
    run_id=st.sampled_from(["", "replay"]),
)

Pair = tuple[str, str, int, str, str]


def pairs(told: Execution) -> list[Pair]:
    """What an execution asks for, each pair once; the whole universe is one."""
    asked = dict.fromkeys(told.tickers or ("*",))
    return [(told.run_id, told.strategy_id, told.bucket_ms, told.scope, ticker) for ticker in asked]


@given(st.integers(1, 12), st.lists(EXECUTIONS, max_size=60))
def test_nothing_is_left_out_but_repeats_and_no_repeat_of_the_last_pairs_comes(
    most: int, told: list[Execution]
) -> None:
    seen = Seen(most)
    handed: list[Pair] = []
    for each in told:
        new = seen.unseen(each)
        kept = [] if new is None else pairs(new)
        for pair in pairs(each):
            if pair in kept:
                assert pair not in handed[-most:], "a repeat of what was handed out lately"
                handed.append(pair)
            else:
                assert pair in handed, "left out, and never seen"
        assert len(seen) <= 2 * most


def test_an_execution_of_which_some_tickers_were_seen_keeps_the_rest_in_order() -> None:
    seen = Seen(10)
    assert seen.unseen(execution("s", 1, ["B", "D"])) is not None
    rest = seen.unseen(execution("s", 1, ["A", "B", "C", "D", "A"], execution_id="again"))
    assert rest is not None
    assert (rest.tickers, rest.execution_id) == (("A", "C"), "again")


def test_a_ticker_that_stands_twice_in_an_execution_is_asked_for_once_however_little_is_remembered() -> None:
    seen = Seen(1)
    assert seen.unseen(execution("s", 1, ["A"])) is not None
    rest = seen.unseen(execution("s", 1, ["A", "B", "C", "A"]))
    assert rest is not None
    assert rest.tickers == ("B", "C")


def test_the_whole_universe_is_one_thing_and_no_ticker() -> None:
    seen = Seen(10)
    assert seen.unseen(execution("s", 1, [])) is not None
    assert seen.unseen(execution("s", 1, [])) is None
    assert seen.unseen(execution("s", 1, ["A"])) is not None
    assert seen.unseen(execution("s", 2, [])) is not None


def test_a_bucket_before_the_last_one_is_no_repeat_by_itself() -> None:
    seen = Seen(10)
    assert seen.unseen(execution("s", 5)) is not None
    assert seen.unseen(execution("s", 4)) is not None
    assert seen.unseen(execution("s", 4)) is None


def test_one_execution_larger_than_the_memory_does_not_burst_it() -> None:
    seen = Seen(100)
    assert seen.unseen(execution("s", 1, [f"T{n}" for n in range(1_000)])) is not None
    assert len(seen) <= 200


def test_a_full_memory_holds_a_few_dozen_bytes_a_pair() -> None:
    seen = Seen(50_000)
    names = [f"T{n}" for n in range(500)]
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for bucket in range(400):
        seen.unseen(execution(f"s{bucket % 20}", bucket, list(names)))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(seen) > 50_000
    assert (after - before) / len(seen) < 150
