"""The rule by which rows and topic become equal: by examples, and over any interleaving of people and processes."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.events import Mode, Status, Strategy
from streams.database.reconciling import FIELDS, Agreed, Answer, Known, Row, agreed_on, mark, marks, reconcile
from tests.database.world import Process, World, read

S1 = Strategy("s1", "5m", frozenset({"AAPL", "MSFT"}), version=3)
WIDER = replace(S1, universe=S1.universe | {"NVDA"}, version=4)


def row(now: Strategy, agreed: Strategy | None = None) -> Row:
    return Row(now, Agreed() if agreed is None else agreed_on(agreed))


def test_a_row_that_equals_the_topic_and_knows_it_is_left_alone() -> None:
    assert reconcile(row(S1, S1), Known(S1, None, 3)) == Answer()


def test_a_new_row_is_the_first_version_and_one_of_a_strategy_that_stands_the_next() -> None:
    assert reconcile(row(S1), Known()).change == replace(S1, version=1)
    edited = replace(S1, timeframe="1m")
    assert reconcile(row(edited), Known(S1, None, 3)) == Answer(change=edited)


def test_what_others_have_changed_is_written_into_the_row() -> None:
    assert reconcile(row(S1, S1), Known(WIDER, None, 4)) == Answer(row=Row(WIDER, agreed_on(WIDER)))


def test_edits_of_different_fields_are_united_in_the_row_before_it_is_sent() -> None:
    edited = replace(S1, timeframe="1m")
    united = replace(WIDER, timeframe="1m")
    known = Known(WIDER, None, 4)
    answer = reconcile(row(edited, S1), known)
    assert answer == Answer(row=Row(united, agreed_on(WIDER)))
    assert answer.row is not None
    assert reconcile(answer.row, known) == Answer(change=united)


def test_an_edit_of_the_same_field_stays_against_the_topic_and_is_counted() -> None:
    edited = replace(S1, universe=frozenset({"TSLA"}))
    answer = reconcile(row(edited, S1), Known(WIDER, None, 4))
    assert answer == Answer(change=replace(edited, version=4), contested=("universe",))


def test_what_was_sent_is_no_edit_any_more_though_the_row_never_came_to_know() -> None:
    sent = replace(S1, universe=frozenset({"TSLA"}), version=4)
    later = replace(sent, universe=frozenset({"TSLA", "F"}), version=5)
    assert reconcile(row(sent, S1), Known(later, sent, 5)) == Answer(row=Row(later, agreed_on(later)))
    back = replace(S1, version=3)
    assert reconcile(row(back, S1), Known(sent, sent, 4)).change == replace(back, version=4), "undone, and sent"


def test_a_strategy_that_was_deleted_is_so_in_its_row_and_made_anew_where_a_person_activates_it() -> None:
    gone = replace(S1, status=Status.DELETED)
    answer = reconcile(row(S1, S1), Known(None, None, 4))
    assert answer == Answer(row=Row(gone, Agreed(4, marks(gone))))
    assert answer.row is not None
    again = answer.row._replace(strategy=replace(S1, version=1))
    assert reconcile(again, Known(None, None, 4)).change == replace(S1, version=5)
    assert reconcile(row(gone, S1), Known(S1, None, 3)).change == gone


def test_a_topic_that_has_never_heard_of_a_strategy_is_sent_it_and_deletes_nothing() -> None:
    assert reconcile(row(S1, S1), Known()).change == replace(S1, version=4)


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_counts(name: str) -> None:
    other = Strategy("s1", "1m", frozenset(), Status.PAUSED, 1, "Asia/Tokyo", "XTKS", Mode.LEGACY, 5)
    assert mark(other, name) != mark(S1, name)
    assert reconcile(row(replace(S1, **{name: getattr(other, name)}), S1), Known(S1, None, 3)).change is not None


IDS = ("a", "b")
MOSTLY_ONE = st.sampled_from([*["a"] * 7, "b"])
FEW: dict[str, list[Any]] = {
    "timeframe": ["1m", "5m"],
    "universe": [frozenset("X"), frozenset("XY"), frozenset("Z")],
    "status": [Status.ACTIVE, Status.PAUSED, Status.DELETED],
}
changes = st.dictionaries(st.sampled_from(sorted(FEW)), st.integers(0, 2), min_size=1, max_size=2).map(
    lambda drawn: {name: FEW[name][which % len(FEW[name])] for name, which in drawn.items()}
)
of_people = st.tuples(st.sampled_from(["person", "topic"]), MOSTLY_ONE, changes, st.booleans())
STEPS = ("reads", "sends", "writes", "crashes")
of_processes = st.tuples(st.sampled_from([*STEPS, "syncs", "syncs", "syncs"]), st.integers(0, 1))
histories = st.lists(of_people | of_processes, min_size=4, max_size=30)


def lived(history: list[Any], *, adopt: bool = False) -> World:
    """Let it happen, and then let both processes go on for a while in peace."""
    world = World()
    processes = [Process(world, adopt=adopt), Process(world, adopt=adopt)]
    for step in history:
        if step[0] == "person":
            world.person_edits(step[1], step[2], raises_version=step[3])
        elif step[0] == "topic":
            world.topic_edits(step[1], step[2])
        else:
            for name in STEPS[:3] if step[0] == "syncs" else step[:1]:
                getattr(processes[step[1]], name)(*[IDS] if name == "reads" else [])
    for process in processes * 4:
        process.sends()
        process.writes()
        process.reads(IDS)
        process.sends()
        process.writes()
    for process in processes:
        process.reads(IDS)
        assert process.found is not None
        assert not any(process.found[:4]), "nothing is left to be done, and nothing goes to and fro"
    return world


@given(histories)
def test_whatever_people_and_two_processes_do_both_sides_end_equal_and_no_edit_of_a_person_is_lost(
    history: list[Any],
) -> None:
    world = lived(history)
    assert [each for each in world.rows if not world.is_equal(each)] == []
    assert world.sent_twice() == []
    for (strategy_id, name), wanted in world.pending.items():
        now = read(world.rows[strategy_id]).strategy
        assert mark(now, name) == wanted, f"{strategy_id}: the edit of {name} is lost"


@given(histories)
def test_with_adopt_every_strategy_that_stands_has_a_row(history: list[Any]) -> None:
    world = lived(history, adopt=True)
    standing = {each for each, known in world.known.items() if known.stands is not None}
    assert standing <= world.rows.keys()
    assert all(world.is_equal(each) for each in world.rows)
