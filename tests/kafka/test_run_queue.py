"""Runs that wait: in order, within their bounds, and counted rightly."""

from streams.kafka.run_queue import FEW, Room, RunQueue
from tests.kafka.shard_stage import run

BYTES = run(0, 2).columns.buffer.nbytes


def filled(room: Room, *sizes: int) -> RunQueue:
    queue, at = RunQueue(room), 0
    for size in sizes:
        queue.put(run(at, at + size))
        at += size
    return queue


def test_runs_are_taken_in_order_up_to_the_bound_of_ticks_but_one_at_least() -> None:
    queue = filled(Room(10, 1 << 20, 4), 2, 2, 1, 9, 1)
    assert [[each.start for each in queue.take()] for _ in range(4)] == [[0, 2], [4], [5], [14]]
    assert (queue.take(), len(queue), queue.ticks, queue.nbytes) == ([], 0, 0, 0)


def test_it_is_full_by_runs_or_by_bytes() -> None:
    assert not filled(Room(3, 1 << 20, 1000), 2, 2).is_full
    assert filled(Room(2, 1 << 20, 1000), 2, 2).is_full
    assert not filled(Room(3, 2 * BYTES + 1, 1000), 2, 2).is_full
    queue = filled(Room(3, 2 * BYTES, 3), 2, 2)
    assert queue.is_full
    queue.take()
    assert not queue.is_full


def test_it_is_enough_when_it_is_full_or_has_the_ticks_of_a_checkpoint() -> None:
    assert not filled(Room(3, 1 << 20, 5), 2, 2).is_enough
    assert filled(Room(3, 1 << 20, 4), 2, 2).is_enough
    assert filled(Room(2, 1 << 20, 5), 2, 2).is_enough


def test_they_are_few_up_to_a_bound_and_while_they_are_not_enough() -> None:
    assert filled(Room(3, 1 << 20, 2 * FEW), FEW - 1).are_few
    assert not filled(Room(3, 1 << 20, 2 * FEW), FEW).are_few
    assert not filled(Room(3, 1 << 20, 4), 4).are_few


def test_what_is_not_wanted_takes_no_room() -> None:
    queue = filled(Room(2, 1 << 20, 1000), 2, 2)
    queue.clear()
    assert (len(queue), queue.ticks, queue.nbytes, queue.is_full) == (0, 0, 0, False)
