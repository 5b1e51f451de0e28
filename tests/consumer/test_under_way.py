"""Only what lies before the first execution not handled is committed, whatever order the others end in."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from streams.consumer.seen import Seen
from streams.consumer.under_way import Delivery, UnderWay
from tests.consumer.ground import execution

MOVES = st.lists(
    st.tuples(st.sampled_from(["out", "by", "settle", "give_up", "skip"]), st.integers(0, 50)), max_size=80
)


def at(offset: int) -> UnderWay:
    return UnderWay(offset, offset, Seen(10))


@given(st.integers(0, 5), MOVES)
def test_nothing_is_committed_past_what_is_not_handled(start: int, moves: list[tuple[str, int]]) -> None:
    one, offset = at(start), start
    running: list[int] = []
    unhandled: set[int] = set()
    for move, number in moves:
        if move == "skip":
            offset += 1  # a marker, or an aborted record: nobody hears of it
        elif move in {"out", "by"}:
            (one.hand_out if move == "out" else one.pass_by)(offset)
            if move == "out":
                running.append(offset)
                unhandled.add(offset)
            offset += 1
        elif running:
            chosen = running.pop(number % len(running))
            (one.settle if move == "settle" else one.give_up)(chosen)
            if move == "settle":
                unhandled.remove(chosen)
        assert one.committable == min(unhandled, default=one.next_offset)
        assert one.next_offset <= max(offset, start)
        assert one.idle.is_set() == (not running)


def test_all_handled_is_all_committable() -> None:
    one = at(5)
    for offset in (5, 6, 9):
        one.hand_out(offset)
    for offset in (9, 5, 6):
        one.settle(offset)
    assert one.committable == 10


def test_what_was_seen_is_kept_only_where_it_is_just_what_is_committed() -> None:
    one = at(5)
    assert one.is_known_to(5)
    one.hand_out(5)
    assert not one.is_known_to(5)
    assert not one.is_known_to(6)
    one.settle(5)
    assert one.is_known_to(6)
    assert not one.is_known_to(7), "another owner has handled more"


def test_a_look_back_that_did_not_end_is_not_kept() -> None:
    one = UnderWay(0, 5, Seen(10))
    assert not one.is_known_to(5)
    one.pass_by(4)
    assert one.is_known_to(5)
    assert one.committable == 5


def test_what_was_taken_back_comes_again() -> None:
    one = at(3)
    one.hand_out(3)
    one.take_back(3)
    assert one.committable == 3
    assert one.idle.is_set()
    one.hand_out(3)
    one.settle(3)
    assert one.committable == 4


def test_waiting_for_what_is_under_way_ends_when_it_does() -> None:
    async def story() -> None:
        one = at(0)
        one.hand_out(0)
        delivery = Delivery(execution(), one)
        waiting = asyncio.create_task(one.idle.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        delivery.give_up()
        await waiting
        assert one.committable == 0

    asyncio.run(story())
