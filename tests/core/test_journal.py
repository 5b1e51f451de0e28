"""The journal of a shard: what it says, and the order that a reader makes of it."""

import pytest

from streams.core.journal import Entry, Journal, in_order
from streams.core.special_rows import Position

C0, C1, CLOCK = ("strategy-changes", 0), ("strategy-changes", 1), ("clock", 2)
TICKS = [(offset, f"t{offset}") for offset in (0, 1, 2, 5, 6)]
OTHERS = {
    C0: [(0, "a0"), (1, "a1"), (3, "a3")],
    C1: [(0, "b0")],
    CLOCK: [(0, "c0"), (1, "c1")],
}


def test_a_checkpoint_that_took_nothing_but_ticks_is_not_told_of() -> None:
    journal = Journal(None)
    assert journal.entry(10, {}) is None
    assert journal.entry(20, {C0: 1}) == Entry(10, {C0: 1})
    assert journal.entry(30, {C0: 1}) is None
    assert journal.entry(30, {C0: 1, CLOCK: 1}) == Entry(30, {C0: 1, CLOCK: 1})
    assert journal.entry(30, {C0: 2, CLOCK: 1}) == Entry(30, {C0: 2, CLOCK: 1})


def test_it_goes_on_where_the_position_stands() -> None:
    journal = Journal(Position(7, 0, 0, {}, {C0: 4}))
    assert journal.entry(9, {C0: 4}) is None
    assert journal.entry(12, {C0: 5}) == Entry(9, {C0: 5})


def test_what_an_entry_says_comes_before_its_tick_changes_first_and_clock_last() -> None:
    entries = [Entry(0, {C0: 1}), Entry(2, {CLOCK: 1, C0: 2, C1: 1}), Entry(5, {CLOCK: 2, C0: 2, C1: 1})]
    told = list(in_order(TICKS, entries, OTHERS))
    assert told == ["a0", "t0", "t1", "a1", "b0", "c0", "t2", "c1", "t5", "t6"]


def test_entries_of_one_tick_count_in_their_order_and_those_behind_the_last_tick_too() -> None:
    entries = [Entry(7, {CLOCK: 1}), Entry(7, {CLOCK: 1, C0: 4}), Entry(7, {CLOCK: 2, C0: 4})]
    assert list(in_order(TICKS, entries, OTHERS))[-6:] == ["t6", "c0", "a0", "a1", "a3", "c1"]


@pytest.mark.parametrize("entries", [[Entry(5, {}), Entry(2, {})], [Entry(0, {C0: 2}), Entry(1, {C0: 1})]])
def test_a_journal_that_goes_back_is_refused(entries: list[Entry]) -> None:
    with pytest.raises(ValueError, match="the journal goes back at tick"):
        list(in_order(TICKS, entries, OTHERS))
