"""Which strategies are hidden by the last record of their key, and under which version they are to be shown again."""

from dataclasses import replace

from streams.core.events import Status, Strategy, Tombstone
from streams.core.hidden import MOST_HIDDEN, Hidden, HiddenStrategies, mended_version
from streams.core.lifecycle import MAX_VERSION, Verdict, settle

S = Strategy("s", "5m", frozenset({"A"}), version=5)


def hidden_by(*bad: Strategy | None) -> HiddenStrategies:
    hidden = HiddenStrategies()
    for each in bad:
        hidden.hide("s", 2, each)
    return hidden


def test_a_record_that_does_not_count_hides_until_one_counts_for_whoever_meets_it_alone() -> None:
    draft = replace(S, version=9, status=Status.DRAFT)
    for version, stays in ((6, True), (9, True), (10, True), (11, False)):
        hidden = hidden_by(draft)
        hidden.show(replace(S, version=version, status=Status.PAUSED))
        assert (hidden.get("s") is not None) is stays, version
    late = settle(None, draft).strategy
    assert settle(late, replace(S, version=10, status=Status.PAUSED)).verdict is Verdict.ILLEGAL
    assert settle(late, replace(S, version=11, status=Status.PAUSED)).verdict is Verdict.ACCEPTED


def test_behind_what_everybody_refuses_any_version_counts() -> None:
    for bad in (None, replace(S, version=9, universe=frozenset({""}))):
        hidden = hidden_by(bad)
        hidden.show(S)
        assert hidden.get("s") is None


def test_a_tombstone_hides_nothing_and_takes_away_what_was_hidden() -> None:
    hidden = hidden_by(replace(S, version=MAX_VERSION))
    hidden.show(Tombstone("s"))
    hidden.show(Tombstone("nobody"))
    assert list(hidden.items()) == []


def test_the_highest_of_several_is_what_must_be_stepped_over() -> None:
    hidden = hidden_by(replace(S, version=9), None, replace(S, version=3)).get("s")
    assert hidden == Hidden(2, 9, 3)
    assert mended_version({"s": S}, "s", hidden) == 11
    assert mended_version({"s": replace(S, version=20)}, "s", hidden) == 22
    assert mended_version({}, "s", hidden) == 0


def test_no_more_are_kept_than_there_is_room_for_and_the_oldest_gives_way() -> None:
    hidden = HiddenStrategies()
    assert {hidden.hide(f"s{k}", 0, None) for k in range(MOST_HIDDEN)} == {""}
    assert hidden.hide("s0", 0, None) == ""
    assert hidden.hide("more", 0, None) == "s1"
    assert len(list(hidden.items())) == MOST_HIDDEN
